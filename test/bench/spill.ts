/*
 * A table of which a fourth is in memory, beside the same all in memory: rows that a shard's thread learns and gathers, drawn by Zipf's law, and what it takes of memory and disk. The file is a real
 * one, in the folder for temporary files.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom, nextBelow } from "../../protocols/random.ts";
import { type RowStore, type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { openScratch, type Scratch } from "../../runtime/compute/table/scratch.ts";
import { coldCounts } from "../../runtime/compute/table/beyond-row-store.ts";
import { createSpreadRowStore } from "../../runtime/compute/table/spread-row-store.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { rowKey } from "./sync-end-rows.ts";
import { createWorkload } from "./sync-workload.ts";

const DIM = 64;
const SPEC: TableSpec = {
  name: "rows",
  dim: DIM,
  valueBytes: 4 * DIM,
  stateBytes: 4,
  precision: "f32",
  optimizer: "rowwise-adagrad",
};
const ROW_BYTES = 264;
/** The table is so many times as large as its memory. */
const TIMES = 4;
const BATCH_ROWS = 4_096;
const THETA = 0.99;

export async function* spill({ quick, progress, signal }: BenchOptions): AsyncGenerator<BenchFigure> {
  const rows = quick ? 200_000 : 2_000_000;
  const batches = quick ? 50 : 300;
  const folder = await mkdtemp(join(tmpdir(), "freshet-bench-"));
  try {
    const warm = measure(rows, { batches, scratch: undefined });
    progress.write("spill: measured in memory\n");
    if (signal.aborted) return;
    const scratch = openScratch(join(folder, "scratch"));
    const cold = measure(rows, { batches, scratch });
    scratch.close();
    const of = `${rows / 1e6} M rows of ${ROW_BYTES} B, a fourth in memory`;
    for (const [what, unit] of [
      ["loaded", "M rows/s"],
      ["learned", "M rows/s"],
      ["gathered", "M rows/s"],
      ["digested", "M rows/s"],
    ] as const) {
      const [value, all] = [cold[what], warm[what]];
      const compared = `all in memory ${all.toPrecision(3)}`;
      yield { bench: "spill", figure: `${of}: ${what}`, value, unit, compared, ratio: value / all };
    }
    yield { bench: "spill", figure: `${of}: of the rows wanted, in memory`, value: 100 * cold.hitRate, unit: "%" };
    const missed = `${of}: a row that is not, read from the system's cache`;
    yield { bench: "spill", figure: missed, value: cold.missUs, unit: "us" };
    yield {
      bench: "spill",
      figure: `${of}: longest batch of ${BATCH_ROWS}, learned`,
      value: cold.longestMs,
      unit: "ms",
    };
    yield { bench: "spill", figure: `${of}: on disk`, value: cold.diskBytes / 1e6, unit: "MB" };
    yield { bench: "spill", figure: `${of}: written for each row learned`, value: cold.writtenBytes, unit: "B" };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Rates by processor time, the system's included: what lies on disk comes from the system's cache here, and other work on the machine does not count. */
function measure(
  rows: number,
  { batches, scratch }: { readonly batches: number; readonly scratch: Scratch | undefined },
) {
  const cold = scratch && { bytes: [(rows * ROW_BYTES) / TIMES], scratch };
  const store = createSpreadRowStore([SPEC], { state: true, memories: [1], cold });
  const loadMs = fill(store, rows);
  const workload = createWorkload({ keys: rows, theta: THETA, valueBytes: 4 });
  function draw(): BigUint64Array {
    return BigUint64Array.from({ length: BATCH_ROWS }, () => rowKey(workload.nextKey()));
  }
  const random = createRandom(1);
  let t = rows + 1;
  const steps = {
    optimizer: {
      kind: "rowwise-adagrad",
      learningRate: 0.1,
      initialAccumulator: 0.1,
      coldAccumulator: 0.1,
      epsilon: 1e-7,
      epsilonPlace: "outside",
    } as const,
    gradients: new Float32Array(BATCH_ROWS * DIM).fill(0.01),
    initial: () => new Float32Array(DIM),
    norms: new Float64Array(BATCH_ROWS),
    created: new Uint8Array(BATCH_ROWS),
  };
  function learn(keys: BigUint64Array): void {
    store.learn({ table: 0, keys, writer: 0, firstT: t, steps });
    t += BATCH_ROWS;
  }
  function timesOf(work: (keys: BigUint64Array) => unknown): number[] {
    return Array.from({ length: batches }, () => {
      const keys = draw();
      return timeOf(() => work(keys));
    });
  }
  // Until what is in use is in memory.
  timesOf(learn);
  const before = countsOf(store);
  const learnMs = timesOf(learn);
  const gatherMs = timesOf((keys) => store.read(0, keys));
  const after = countsOf(store);
  // Any row, whoever wants it: of these few are in memory.
  const anyMs = timesOf(() =>
    store.read(
      0,
      BigUint64Array.from({ length: BATCH_ROWS }, () => rowKey(nextBelow(random, rows))),
    ),
  );
  const missed = countsOf(store).misses - after.misses;
  const digestMs = timeOf(() => store.digest());
  const [hits, misses] = [after.hits - before.hits, after.misses - before.misses];
  function rateOf(count: number, ms: number): number {
    return count / ms / 1_000;
  }
  return {
    loaded: rateOf(rows, loadMs),
    learned: rateOf(batches * BATCH_ROWS, sumOf(learnMs)),
    gathered: rateOf(batches * BATCH_ROWS, sumOf(gatherMs)),
    digested: rateOf(rows, digestMs),
    longestMs: Math.max(...learnMs),
    missUs: (1_000 * sumOf(anyMs)) / Math.max(1, missed),
    hitRate: hits / Math.max(1, hits + misses),
    diskBytes: after.bytesOnDisk,
    writtenBytes: (after.writtenBytes - before.writtenBytes) / (batches * BATCH_ROWS),
  };
}

/** As from an image; gives how long that took. */
function fill(store: RowStore, rows: number): number {
  const writer = store.writerIndex(parseWriterId("0.bench.a.x"));
  let ms = 0;
  for (let first = 0; first < rows; first += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, rows - first);
    const batch = {
      table: 0,
      keys: BigUint64Array.from({ length: count }, (_, at) => rowKey(first + at)),
      t: Float64Array.from({ length: count }, (_, at) => first + at + 1),
      writers: new Uint16Array(count).fill(writer),
      flags: new Uint8Array(count),
      values: new Uint8Array(count * SPEC.valueBytes).fill(7),
      state: new Uint8Array(count * SPEC.stateBytes),
    };
    ms += timeOf(() => store.load(batch, { rows }));
  }
  return ms;
}

function countsOf(store: RowStore) {
  const none = { hits: 0, misses: 0, bytesOnDisk: 0, writtenBytes: 0 };
  return coldCounts(store)[0]?.[0] ?? none;
}

/** Milliseconds of processor time. */
function timeOf(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function sumOf(times: readonly number[]): number {
  return times.reduce((sum, ms) => sum + ms, 0);
}
