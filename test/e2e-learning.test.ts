/*
 * A node whose learning is set otherwise than by default in every way at once: each setting must show in what the node says of itself, and in
 * its rows, or it never reached the actor that it is for.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { keyOf, shardOf } from "../protocols/keys.ts";
import { isKept } from "../protocols/learning/label-weights.ts";
import { type PublishedSample } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { CATALOGUE } from "../protocols/model-layout.ts";
import { type RegionConfigInput } from "../regions/config.ts";
import { type RegionNode, startNode } from "../regions/node.ts";
import { nodeAddresses } from "../regions/node-plan.ts";
import { parseStatus } from "../regions/parse-status.ts";
import { readConfig } from "../regions/read-config.ts";
import { type NodeStatus } from "../regions/status.ts";
import { type LogLine } from "../runtime/log.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { steadyPorts } from "./free-ports.ts";
import { startTestNats } from "./real-nats.ts";

const REGION = "here";
const MODEL = "m";
const SHARDS = 2;
const USERS = 1;
const OGD = { kind: "ogd", learningRate: 0.01 } as const;
const HOUR = 3_600_000;
/** On a machine that has much else to do. */
const DEADLINE_MS = 40_000;
/** Of the windows, which are an hour, a negative that is given after half of these waits for a hundredth. */
const DELAYS_MS = [3_000, 5_000, 8_000, 12_000, 20_000, 50_000];
const BURST = 60;
const POISONS = [
  ["overflows", 3e38, "nan"],
  ["outsize", 1e6, "norm"],
] as const;
const KINDS = ["positives", "negatives", "corrections"];
const REFUSED = "freshet_batches_refused_total";

test("what a node is told of early negatives, bursts, negatives left out, late gradients and slices shows in its metrics, its status and its rows", async () => {
  await using folder = await temporaryFolder();
  await using nats = await startTestNats({ name: REGION });
  const [port = 0] = await steadyPorts(1);
  const lines: LogLine[] = [];
  await using node = await start({ folder: folder.path, url: nats.url, port, lines });
  const nc = await connect({ servers: nats.url });
  await using _ = { [Symbol.asyncDispose]: () => nc.close() };
  const events = createEvents(nc);
  /** Does the work until the metrics are so. */
  async function sees(
    what: string,
    is: (metric: Metric) => boolean,
    work: () => Promise<void> = () => Promise.resolve(),
  ): Promise<Metric> {
    return eventually(
      what,
      async () => {
        await work();
        const metric = await metrics(port);
        return is(metric) ? metric : undefined;
      },
      DEADLINE_MS,
    );
  }

  // Each alone in its batch: one overflows in the second layer, the other makes a gradient that is finite and too large.
  for (const [user, x, reason] of POISONS) {
    await events.publish([shown(user, 0, { x, y: x }), clicked(user, 1_000)]);
    await sees("a batch is passed over", (metric) => metric(REFUSED, `reason="${reason}"`) === 1);
    const said = lines.findLast(({ text }) => text.includes("must not enter"));
    expect(said?.fields).toMatchObject({ reason, samples: 1, samplesOfIt: `1: ${user}:item-0:1 of ${REGION}` });
  }
  await events.burst();
  await sees("impressions wait", (metric) => metric("freshet_joiner_pending") === BURST / 2);
  // Each burst when the one before was taken in.
  async function burstAfterBurst(): Promise<void> {
    const metric = await metrics(port);
    const taken = metric(joined("positives")) + metric(joined("corrections")) + metric("freshet_joiner_scattered_now");
    if (taken === events.clicks()) await events.burst();
  }
  for (const what of ["negatives", "corrections", "scattered"]) {
    await sees(`${what} are counted`, (metric) => metric(joined(what)) > 0, burstAfterBurst);
  }
  // Then a steady stream, which two trainers cannot but learn side by side.
  for (const [name, label] of [
    ["freshet_steps_late_total", `model="${MODEL}"`],
    ["freshet_gradients_late_total", 'taken="corrected"'],
    ["freshet_slice_auc", 'slice="country=de"'],
  ] as const) {
    await sees(
      `${name} is above 0`,
      (metric) => metric(name, label) > 0,
      () => events.steady(),
    );
  }

  // So much later that nothing waits any more.
  await events.last();
  const metric = await sees("all is learned", (now) => {
    const [positives = 0, negatives = 0, corrections = 0] = KINDS.map((kind) => now(joined(kind)));
    const isTaken = positives + corrections === events.clicks();
    return isTaken && now("freshet_samples_total") === positives + negatives + corrections;
  });
  const samples = await samplesIn(nc);
  const kinds = samples.map(({ label, correction }) =>
    correction ? "corrections" : label > 0 ? "positives" : "negatives",
  );
  for (const kind of KINDS) expect(metric(joined(kind))).toBe(kinds.filter((each) => each === kind).length);
  expect(metric("freshet_joiner_pending")).toBe(0);
  expect(metric("freshet_joiner_wait_seconds", `source="${REGION}"`)).toBeLessThan(30);
  expect(metric("freshet_joiner_delay_median_seconds", 'kind="click"')).toBeLessThan(30);
  expect(metric("freshet_joiner_watermark_behind_seconds")).toBeGreaterThan(24 * 3_600);
  // What a shard would refuse no shard was given.
  expect(metric(REFUSED)).toBe(POISONS.length);
  expect(metric("freshet_pushes_refused_total")).toBe(0);
  for (const figure of ["auc", "log_loss", "calibration"]) {
    for (const country of ["de", "fr"]) {
      expect(metric(`freshet_slice_${figure}`, `slice="country=${country}"`), figure).toBeGreaterThan(0);
    }
  }

  const [status] = (await statusOf(port)).models;
  expect(status).toMatchObject({ samples: samples.length, backlog: 0, pending: 0 });
  expect(status?.stepsLate).toBeGreaterThan(0);
  expect(status?.slices?.map(({ slice }) => slice)).toEqual(
    expect.arrayContaining(["new users", "country=de", "country=fr"]),
  );

  // A user each: a row has who was learned from, and nobody else.
  const learned = samples.filter((sample) => !isPoison(sample.user) && isKept(sample, KEPT));
  const [users, withRow] = [samples, learned].map((list) => new Set(list.map(({ user }) => user)));
  for (const user of users ?? []) expect([user, await hasRow(node, "users", user)]).toEqual([user, withRow?.has(user)]);
  expect(withRow?.size).toBeLessThan((users?.size ?? 0) - 10);
  // Of the batches that were passed over no shard has anything.
  expect(await hasRow(node, "catalogue", "item-0")).toBe(false);
}, 180_000);

const KEPT = { name: MODEL, negativesKept: 0.5 };

async function start(of: {
  readonly folder: string;
  readonly url: string;
  readonly port: number;
  readonly lines: LogLine[];
}): Promise<RegionNode> {
  const config: RegionConfigInput = {
    region: REGION,
    training: REGION,
    state: "state",
    nats: { url: of.url, limits: { streamBytes: "100MB" } },
    http: { listen: `127.0.0.1:${of.port}` },
    models: [
      {
        ...KEPT,
        shards: SHARDS,
        architecture: { embedding: 4, bottom: [8], top: [8] },
        dense: ["x", "y"],
        slices: ["country"],
        optimizer: OGD,
        denseOptimizer: OGD,
      },
    ],
    joiner: {
      window: "1h",
      lateness: "0ms",
      emit: { kind: "fast", afterShare: 0.5 },
      scatter: "10s",
    },
    trainer: { count: 2, batch: 1, maxWait: "0ms", delayCompensation: 5 },
    // The stream keeps what is in no image.
    snapshot: { every: "1h" },
  };
  const path = join(of.folder, "here.jsonc");
  await writeFile(path, JSON.stringify(config));
  return startNode(await readConfig(path), { log: (line) => of.lines.push(line) });
}

/** Events of weeks ago: the joiner goes by what they say. */
function createEvents(nc: NatsConnection): {
  publish(events: readonly FeedbackEvent[]): Promise<void>;
  /** Impressions of one message, half of them clicked. */
  burst(): Promise<void>;
  /** Impressions of a message each, half of them clicked. */
  steady(): Promise<void>;
  /** One that is clicked, some hours later. */
  last(): Promise<void>;
  clicks(): number;
  impressions(): number;
} {
  const js = jetstream(nc);
  const beginMs = Date.now() - 24 * 60 * HOUR;
  let atMs = 10_000;
  // 0 is the last.
  let count = 1;
  let [clicks, impressions] = [0, 0];

  async function publish(events: readonly FeedbackEvent[]): Promise<void> {
    clicks += events.filter(({ type }) => type === "feedback").length;
    impressions += events.filter(({ type }) => type === "impression").length;
    const timed = events.map((event) => ({ ...event, time: beginMs + event.time }));
    const inOrder = timed.toSorted((left, right) => left.time - right.time);
    await js.publish(`freshet.${REGION}.events.all.all.${REGION}`, JSON.stringify(inOrder));
  }

  function some(number: number): FeedbackEvent[] {
    const from = count;
    count += number;
    const startMs = atMs;
    atMs += 60_000;
    return Array.from({ length: number }, (_, at): FeedbackEvent[] => {
      const user = `u${from + at}`;
      const impression = shown(user, startMs + at);
      const delayMs = DELAYS_MS[(from + at) % DELAYS_MS.length] ?? 0;
      return (from + at) % 2 === 0 ? [impression] : [impression, clicked(user, startMs + at + delayMs)];
    }).flat();
  }

  return {
    publish,
    burst: () => publish(some(BURST)),
    steady: async () => {
      for (let message = 0; message < 10; message += 1) await publish(some(2));
    },
    last: () => publish([shown("u0", atMs + 2 * HOUR), clicked("u0", atMs + 2 * HOUR)]),
    clicks: () => clicks,
    impressions: () => impressions,
  };
}

function itemOf(user: string): string {
  return isPoison(user) ? "item-0" : `item-${1 + (keyNumber(user) % 5)}`;
}

function isPoison(user: string): boolean {
  return POISONS.some(([name]) => name === user);
}

function keyNumber(user: string): number {
  return Number(user.slice(1));
}

function shown(user: string, time: number, dense: Readonly<Record<string, number>> = {}): FeedbackEvent {
  const features = { country: keyNumber(user) % 3 === 0 ? "de" : "fr" };
  return { type: "impression", request: user, user, item: itemOf(user), position: 0, time, features, dense };
}

function clicked(user: string, time: number): FeedbackEvent {
  return { type: "feedback", kind: "click", request: user, item: itemOf(user), time };
}

function joined(kind: string): string {
  return `freshet_joiner_${kind}_total`;
}

/** The sum over all series of a name whose labels have this in them; 0 without any. */
type Metric = (name: string, label?: string) => number;

async function metrics(port: number): Promise<Metric> {
  const lines = (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).split("\n");
  return (name, label = "") =>
    lines
      .filter((line) => line.startsWith(`${name} `) || (line.startsWith(`${name}{`) && line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

async function statusOf(port: number): Promise<NodeStatus> {
  const status = parseStatus(await (await fetch(`http://127.0.0.1:${port}/status`)).json());
  if (status === undefined) throw new Error("The node's status cannot be understood");
  return status;
}

async function samplesIn(nc: NatsConnection): Promise<readonly PublishedSample[]> {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const { state } = await jsm.streams.info("SAMPLES");
  const seqs = Array.from({ length: state.last_seq }, (_, at) => at + 1);
  const messages = await Promise.all(seqs.map((seq) => jsm.streams.getMessage("SAMPLES", { seq })));
  return messages.flatMap((message) => (message === null ? [] : decodeSampleBatch(message.data).samples));
}

async function hasRow(node: RegionNode, table: string, key: string): Promise<boolean> {
  const at = shardOf(table === "users" ? USERS : CATALOGUE, keyOf(key), SHARDS);
  const shard = nodeAddresses({ region: REGION, node: "a", trainer: { count: 2 } }).shard(MODEL, at);
  const signal = AbortSignal.timeout(10_000);
  return (await node.system.ref<ShardProtocol>(shard).ask("row", { table, key }, { signal })).found;
}
