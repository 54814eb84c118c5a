import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { PerformanceObserver } from "node:perf_hooks";
import { packPush } from "../../actors/packed-push.ts";
import { shard } from "../../actors/shard.ts";
import { type ShardConfig } from "../../actors/shard-config.ts";
import { type ShardProtocol } from "../../actors/shard-protocol.ts";
import { createRandom, nextBelow, type Random } from "../../protocols/random.ts";
import { type ActorRef } from "../../runtime/actor.ts";
import { ActorHost } from "../../runtime/actor-host.ts";
import { fileStore } from "../../runtime/file-store.ts";
import { temporaryFolder } from "../file-store-support.ts";
import { killWriters } from "../snapshot-kills.ts";
import { MODEL, REGION, shardConfig, TRAINER } from "../snapshot-model.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { threadCpuMs } from "./thread-cpu.ts";

const ROWS = 5_000_000;
const ROWS_QUICK = 500_000;
const KILLS = 1_000;
const KILLS_QUICK = 20;
const DIM = 16;
const FILL_ROWS = 20_000;
/** What the writer does meanwhile: small batches, one after the other. */
const BATCH_ROWS = 100;
const CHANGED_ROWS = 50_000;
const QUIET_MS = 5_000;
const NEVER_MS = 2 ** 30;
const OPTIMIZER = { kind: "rowwise-adagrad", learningRate: 0.01 } as const;

/** A shard that learns in this thread, as one in a region node does. */
interface Learner extends AsyncDisposable {
  readonly shard: ActorRef<ShardProtocol>;
  batch: number;
}

/** Images of a large shard that goes on learning, and of one that is killed again and again. */
export async function* snapshots(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { progress, signal, quick, seed } = options;
  const rows = quick ? ROWS_QUICK : ROWS;
  function figure(name: string, value: number, unit: string, more: Partial<BenchFigure> = {}): BenchFigure {
    return { bench: "snapshots", figure: name, value, unit, ...more };
  }
  function say(line: string): void {
    progress.write(`${line}\n`);
  }
  {
    await using folder = await temporaryFolder();
    const random = createRandom(seed);
    let wholeBytes = 0;
    {
      await using learner = await start(folder.path);
      for (let row = 0; row < rows; row += FILL_ROWS) {
        const keys = BigUint64Array.from({ length: FILL_ROWS }, (_, at) => spread(row + at));
        await push(learner, { keys, random });
        if ((row / FILL_ROWS) % 25 === 0) say(`${row} of ${rows} rows`);
        signal.throwIfAborted();
      }
      const quiet = await learnFor(learner, { rows, random, isOver: overAfter(QUIET_MS) });
      const beganMs = performance.now();
      const during = await learnFor(learner, { rows, random, isOver: savedAfter(learner) });
      const savedMs = performance.now() - beganMs;
      wholeBytes = await bytesIn(folder.path);
      say(`whole image: ${(wholeBytes / 1e6).toFixed(0)} MB in ${(savedMs / 1000).toFixed(1)} s`);
      yield figure("rows", rows, "rows of 16 floats, with row-wise AdaGrad");
      yield figure("a whole image", wholeBytes / 1e6, "MB");
      yield figure("written, while the shard learns, in", savedMs / 1000, "s");
      yield figure("batches of 100 rows meanwhile", during.batches / (savedMs / 1000), "batches/s", {
        compared: `without an image ${(quiet.batches / (QUIET_MS / 1000)).toFixed(0)}`,
      });
      yield figure("longest that the writer stopped for an image, CPU", during.longestCpuMs, "ms", {
        compared: `without an image ${quiet.longestCpuMs.toFixed(1)}`,
        target: "5 ms",
        met: during.longestCpuMs <= 5,
      });
      yield figure("the same, of turns in which no garbage was collected", during.longestOwnMs, "ms", {
        compared: `without an image ${quiet.longestOwnMs.toFixed(1)}`,
      });
      yield figure("the same by the clock, others' work and garbage included", during.longestMs, "ms", {
        compared: `without an image ${quiet.longestMs.toFixed(1)}`,
      });
      for (let row = 0; row < CHANGED_ROWS; row += BATCH_ROWS) {
        await push(learner, { keys: keysOf(rows, random), random });
      }
      const incrementBeganMs = performance.now();
      await learnFor(learner, { rows, random, isOver: savedAfter(learner) });
      const incrementBytes = (await bytesIn(folder.path)) - wholeBytes;
      yield figure("an increment after some 50,000 updates", incrementBytes / 1e6, "MB", {
        compared: `whole ${(wholeBytes / 1e6).toFixed(0)} MB`,
        ratio: incrementBytes / wholeBytes,
      });
      yield figure("written in", (performance.now() - incrementBeganMs) / 1000, "s");
    }
    const bytes = await bytesIn(folder.path);
    const readMs = await timeOf(async () => {
      for (const file of await readdir(folder.path)) await readFile(join(folder.path, file));
    });
    const beganCpuMs = threadCpuMs();
    const restored = await timeOf(async () => {
      await using learner = await start(folder.path);
      say(`restored: batch ${learner.batch}`);
    });
    const restoredCpuMs = threadCpuMs() - beganCpuMs;
    yield figure("restore, by its CPU", bytes / 1e3 / restoredCpuMs, "MB/s");
    yield figure("restore", bytes / 1e3 / restored, "MB/s", {
      compared: `reading the files alone ${(bytes / 1e3 / readMs).toFixed(0)} MB/s`,
      target: "500 MB/s or the disk",
      met: bytes / 1e3 / restored >= 500,
    });
  }
  const kills = options.kills ?? (quick ? KILLS_QUICK : KILLS);
  const report = await killWriters({
    kills,
    random: createRandom(seed),
    signal,
    progress: ({ kills: so, wrong }) => {
      if (so % 20 === 0) say(`${so} of ${kills} killed, ${wrong.length} wrong`);
    },
  });
  for (const wrong of report.wrong.slice(0, 20)) say(wrong);
  yield figure("processes killed while they learned and wrote images", report.kills, "", {
    ...(report.kills < kills && { compared: `the run was ended before ${kills}` }),
  });
  yield figure("batches that were durable", report.batches, "");
  yield figure("came back whole, with all that was durable", report.verified, "", {
    target: String(report.kills),
    met: report.verified === report.kills,
  });
}

async function start(folder: string): Promise<Learner> {
  const host = new ActorHost({ region: REGION, thread: "main", sink: () => undefined, onFailure: () => undefined });
  host.declare({ definition: fileStore, id: "a", config: { folder } });
  const config: ShardConfig = {
    ...shardConfig({ snapshotMs: NEVER_MS }),
    model: {
      ...MODEL,
      architecture: { kind: "dlrm", embedding: DIM, bottom: [4], top: [4] },
      optimizer: OPTIMIZER,
      denseOptimizer: OPTIMIZER,
    },
  };
  const ref = host.ref<ShardProtocol>(host.declare({ definition: shard, id: "clicks-0-a", config }));
  await host.start();
  ref.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  const { applied } = await ref.ask("position", { trainer: TRAINER }, { signal: soon() });
  return { shard: ref, batch: applied, [Symbol.asyncDispose]: () => host.stop(120_000) };
}

async function push(learner: Learner, { keys, random }: { keys: BigUint64Array; random: Random }): Promise<number> {
  learner.batch += 1;
  const gradients = Float32Array.from({ length: keys.length * DIM }, () => nextBelow(random, 1000) / 1000 - 0.5);
  const request = {
    trainer: TRAINER,
    batch: learner.batch,
    previous: learner.batch - 1,
    parts: [{ table: 1, keys, gradients }],
    sightings: [],
  };
  const outcome = await learner.shard.ask("push", packPush(request), { signal: soon() });
  if (outcome.kind !== "applied") throw new Error(`Cannot learn: ${JSON.stringify(outcome)}`);
  return outcome.durable;
}

interface Learned {
  readonly batches: number;
  /** The longest time from one turn of the thread to the next, its own batch left out: by the clock, CPU, and CPU where nothing was collected meanwhile. */
  readonly longestMs: number;
  readonly longestCpuMs: number;
  readonly longestOwnMs: number;
}

/** Learns batch after batch. */
async function learnFor(
  learner: Learner,
  options: { readonly rows: number; readonly random: Random; readonly isOver: (durable: number) => boolean },
): Promise<Learned> {
  const { rows, random, isOver } = options;
  const collections: { readonly from: number; readonly to: number }[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      collections.push({ from: startTime, to: startTime + duration });
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  const stops: { readonly from: number; readonly to: number; readonly cpuMs: number }[] = [];
  for (;;) {
    if (isOver(await push(learner, { keys: keysOf(rows, random), random }))) break;
    const [from, cpuMs] = [performance.now(), threadCpuMs()];
    await nextTurn();
    stops.push({ cpuMs: threadCpuMs() - cpuMs, from, to: performance.now() });
  }
  // The observer is told a turn later.
  await nextTurn();
  observer.disconnect();
  const own = stops.filter(({ from, to }) => collections.every((each) => each.to < from || each.from > to));
  return {
    batches: stops.length,
    longestMs: longest(stops.map(({ from, to }) => to - from)),
    longestCpuMs: longest(stops.map(({ cpuMs }) => cpuMs)),
    longestOwnMs: longest(own.map(({ cpuMs }) => cpuMs)),
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function longest(times: readonly number[]): number {
  return times.reduce((most, ms) => Math.max(most, ms), 0);
}

function overAfter(ms: number): () => boolean {
  const endMs = performance.now() + ms;
  return () => performance.now() > endMs;
}

/** Has an image written; over once all that was learned before is in it. */
function savedAfter(learner: Learner): (durable: number) => boolean {
  const before = learner.batch;
  learner.shard.tell("save", {});
  return (durable) => durable >= before;
}

function keysOf(rows: number, random: Random): BigUint64Array {
  return BigUint64Array.from(new Set(Array.from({ length: BATCH_ROWS }, () => spread(nextBelow(random, rows)))));
}

/** Keys lie as hashed ones do. */
function spread(row: number): bigint {
  return BigInt.asUintN(63, BigInt(row + 1) * 0x9e37_79b9_7f4a_7c15n);
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}

function soon(): AbortSignal {
  return AbortSignal.timeout(600_000);
}
