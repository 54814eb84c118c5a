import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { durationMs } from "../../regions/config-values.ts";
import { type Bench, type BenchFigure } from "./bench-figure.ts";

/*
 * `npm run -s bench -- NAME`: measures one thing and prints its figures. A bench is a module of this folder that is
 * loaded when it is asked for.
 */

interface Entry {
  readonly about: string;
  readonly load: () => Promise<Bench>;
}

const BENCHES: Readonly<Record<string, Entry>> = {
  main: {
    about: "three regions, a stream of clicks (--data DIR, else the simulated market), freshness, learning, link bytes",
    load: async () => (await import("./main.ts")).main,
  },
  compress: {
    about:
      "lossless compression of frames of a trained model: what it saves, its speed, and below which link speed it pays",
    load: async () => (await import("./compress.ts")).compress,
  },
  compute: {
    about:
      "the model's arithmetic by the kernels, plain TypeScript, TensorFlow, C and ONNX Runtime (--peers DIR), as far as they are there; nearest rows",
    load: async () => (await import("./compute.ts")).compute,
  },
  crash: {
    about: "clicks through processes that are killed at random moments (--kills N): each takes effect once",
    load: async () => (await import("./crash.ts")).crash,
  },
  delays: {
    about:
      "labels that come late: window join and Fast Emit against an oracle, bursts of positives spread (--data DIR of TalkingData, --quick)",
    load: async () => (await import("./delays.ts")).delays,
  },
  evict: {
    about: "how long a shard's thread is at it when rows go, for want of room or for their age (--quick)",
    load: async () => (await import("./evict.ts")).evict,
  },
  freshness: {
    about:
      "what it is worth that a model is fresh: the next click of real readers (--data DIR of Globo.com), and the simulated market (--chart FILE, --quick)",
    load: async () => (await import("./freshness.ts")).freshness,
  },
  staleness: {
    about:
      "steps that take effect late, as with many trainers at once: what they cost in AUC and log loss, with and without delay compensation (--quick)",
    load: async () => (await import("./staleness.ts")).staleness,
  },
  frappe: {
    about: "test AUC and log loss of each built-in model on Frappe (--data DIR), beside the published ones",
    load: async () => (await import("./frappe.ts")).frappe,
  },
  snapshots: {
    about:
      "images of a shard of 5 million rows while it learns: stops, bytes, restore; and of one that is killed (--kills N, --quick)",
    load: async () => (await import("./snapshots.ts")).snapshots,
  },
  stream: {
    about:
      "training through the whole path of a region node beside its kernels alone, and two trainers beside one (--profile DIR, --quick)",
    load: async () => (await import("./stream.ts")).stream,
  },
  sync: {
    about:
      "synchronisation between two nodes over a real nats-server: bytes and CPU of live updates, of catch-up, of idle polls",
    load: async () => (await import("./sync.ts")).sync,
  },
  "sync-peers": {
    about: "the same work by Redis, JetStream, Yjs, Loro and Automerge, as far as they are there (--peers DIR)",
    load: async () => (await import("./sync-peers.ts")).syncPeers,
  },
  spill: {
    about: "a table of which a fourth is in memory and the rest on disk, beside one all in memory (--quick)",
    load: async () => (await import("./spill.ts")).spill,
  },
  store: {
    about: "the store of rows: gather, keys, frames, bytes a row, and readers in other threads (--reads N, --quick)",
    load: async () => (await import("./store.ts")).store,
  },
  wan: {
    about:
      "ten simulated regions: what each part of the protocol brings, against other ways to distribute (--chart FILE, --quick)",
    load: async () => (await import("./wan.ts")).wan,
  },
};

const HELP = `npm run -s bench -- NAME [--json] [--data DIR] [--for TIME] [--kills N] [--seed N] [--peers DIR]
                             [--chart FILE] [--profile DIR] [--quick]

Measures one thing and prints its figures as a table, or with --json as one object a line:
{bench, figure, value, unit, compared, ratio, target, met}, what there is none of left out. Progress goes to standard error.
The exit code is 1 when a figure misses its target.

  --data DIR   real clicks: a folder of Globo.com's clicks_hour_*.csv.gz or of MovieLens' ratings.csv and movies.csv; for \`delays\` one with
               TalkingData's train_sample.csv.gz
  --for TIME   how long the measured part takes, such as 60s
  --kills N    how many processes \`crash\` and \`snapshots\` end with SIGKILL (default 200; 1,000)
  --reads N    how many reads \`store\` looks for torn rows in (default 1000000000)
  --peers DIR  a folder with a package.json, in which \`npm install yjs loro-crdt @automerge/automerge onnxruntime-node\` was run, and with Redis from Debian's
               packages in its subfolder redis; redis-server on the PATH is found too. What is not there is named and left out
  --seed N     of everything drawn by chance (default 1)
  --chart FILE where \`wan\` and \`freshness\` leave their charts, as SVG
  --profile DIR
               a folder in which \`stream\` leaves CPU profiles of the node's threads
  --quick      less of \`wan\`, \`snapshots\`, \`delays\`, \`freshness\`, \`staleness\` and \`stream\`, for a look

Benches:
${Object.entries(BENCHES)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join("\n")}
`;

process.exitCode = await run();

async function run(): Promise<number> {
  let parsed: ReturnType<typeof readArguments>;
  try {
    parsed = readArguments();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse(error.message);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [name, ...more] = positionals;
  if (name === undefined) return refuse("Name a bench");
  if (more.length > 0) return refuse("Name one bench at a time");
  const entry = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (entry === undefined) return refuse(`There is no bench ${JSON.stringify(name.slice(0, 80))}`);
  const forMs = values.for === undefined ? undefined : durationMs(values.for);
  if (values.for !== undefined && forMs === undefined) return refuse("--for takes a duration such as 60s");
  if (!/^\d{1,9}$/.test(values.seed)) return refuse("--seed takes a whole number");
  if (values.kills !== undefined && !/^[1-9]\d{0,5}$/.test(values.kills)) {
    return refuse("--kills takes a whole number from 1");
  }

  if (values.reads !== undefined && !/^[1-9]\d{3,12}$/.test(values.reads)) {
    return refuse("--reads takes a whole number from 1000");
  }

  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  const bench = await entry.load();
  const options = {
    data: values.data,
    forMs,
    kills: values.kills === undefined ? undefined : Number(values.kills),
    reads: values.reads === undefined ? undefined : Number(values.reads),
    peers: values.peers === undefined ? undefined : resolve(values.peers),
    seed: Number(values.seed),
    quick: values.quick,
    chart: values.chart,
    profile: values.profile === undefined ? undefined : resolve(values.profile),
    progress: process.stderr,
    signal: stop.signal,
  };
  let missed = false;
  const figures: BenchFigure[] = [];
  for await (const figure of bench(options)) {
    missed ||= figure.met === false;
    if (values.json) process.stdout.write(`${JSON.stringify(figure)}\n`);
    else figures.push(figure);
  }
  if (!values.json) process.stdout.write(describeTable(figures));
  return missed || stop.signal.aborted ? 1 : 0;
}

function readArguments() {
  return parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      data: { type: "string" },
      for: { type: "string" },
      kills: { type: "string" },
      reads: { type: "string" },
      peers: { type: "string" },
      seed: { type: "string", default: "1" },
      chart: { type: "string" },
      profile: { type: "string" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
}

function refuse(why: string): number {
  process.stderr.write(`${why}\n\n${HELP}`);
  return 2;
}

function describeTable(figures: readonly BenchFigure[]): string {
  const rows = figures.map(({ figure, value, unit, compared, ratio, target, met }) => [
    figure,
    `${value.toLocaleString("en-US", { maximumSignificantDigits: 6 })} ${unit}`.trim(),
    compared === undefined ? "" : `${compared}${ratio === undefined ? "" : ` (${ratio.toFixed(2)}x)`}`,
    target === undefined ? "" : `target ${target}: ${met === true ? "met" : "missed"}`,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
