/* What a row of 64 bytes takes beside them in a shard: its version, the index of keys, the update cache, and a bit that says whether it changed since the last snapshot. */
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createReplica, type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { type RowBatch, type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { KernelTable } from "../../runtime/compute/table/kernel-table.ts";
import { HEAD } from "../../runtime/compute/table/table-code.ts";
import { sharedTables } from "../../runtime/compute/table/beyond-row-store.ts";
import { createSpreadRowStore } from "../../runtime/compute/table/spread-row-store.ts";
import { type BenchFigure } from "./bench-figure.ts";
import { rowKey } from "./sync-end-rows.ts";

const SPEC: TableSpec = { name: "rows", dim: 16, valueBytes: 64, stateBytes: 0, precision: "f32", optimizer: "" };
/** In each of these there is a number of rows at which the index has just grown. */
const RANGES = [
  [20_000, 40_000],
  [150_000, 300_000],
  [1_000_000, 2_000_000],
] as const;
const STEP = 250;
const NOW = 1_760_000_000_000;

export async function* measureOverhead(): AsyncGenerator<BenchFigure> {
  const sizes = fullestAndGrown();
  for (const { fullest, grown } of sizes) {
    for (const [what, rows] of [
      ["index fullest", fullest],
      ["index just grown", grown],
    ] as const) {
      const { written, idle: overhead } = await measureShard(rows);
      const name = `overhead of a 64 B row of ${rows}, ${what}`;
      yield { ...figure(name, overhead), ...(rows === grown && { target: "<= 48", met: overhead <= 48 }) };
      yield figure(`${name}, as soon as they were written`, written);
    }
  }
}

/** Bytes a row beside its values, as soon as all are written, and when none was for longer than the update cache keeps it. */
async function measureShard(rows: number): Promise<{ readonly written: number; readonly idle: number }> {
  const before = await arrayBytes();
  const replica = shardOf(rows);
  async function overhead(): Promise<number> {
    return (tableBytes(replica) + (await arrayBytes()) - before) / rows - SPEC.valueBytes;
  }
  const written = await overhead();
  for (let ms = 0; ms < 20 * replica.limits.cacheAgeMs; ms += replica.limits.cacheAgeMs / 4) {
    stepReplica(replica, { kind: "timer", name: "none" }, NOW + ms);
  }
  return { written, idle: await overhead() };
}

/** In each range the numbers of rows at which one takes least, and most. */
function fullestAndGrown(): readonly { readonly fullest: number; readonly grown: number }[] {
  const table = new KernelTable(SPEC);
  const empty = table.bytes;
  const found = RANGES.map(() => ({ fullest: 0, least: Infinity, grown: 0, most: 0 }));
  for (let rows = STEP; rows <= 2_000_000; rows += STEP) {
    table.mergePiece(batchOf(rows - STEP), { known: new Float64Array(), from: 0, count: STEP, state: false });
    const at = RANGES.findIndex(([from, to]) => rows > from && rows <= to);
    const sizes = found[at];
    if (sizes === undefined) continue;
    const bytes = (table.bytes - empty) / rows;
    if (bytes < sizes.least) [sizes.fullest, sizes.least] = [rows, bytes];
    if (bytes > sizes.most) [sizes.grown, sizes.most] = [rows, bytes];
  }
  return found;
}

function shardOf(rows: number): Replica {
  const store = createSpreadRowStore([SPEC], { state: false, memories: [] });
  const replica = createReplica({ writer: parseWriterId("0.bench.a.x"), store });
  for (let from = 0; from < rows; from += STEP) {
    const { keys } = batchOf(from);
    stepReplica(
      replica,
      { kind: "write", writes: [{ table: 0, keys, mutate: ({ bytes }) => void bytes.fill(1) }] },
      NOW,
    );
  }
  return replica;
}

/** What the rows of a shard take, and what finds them. */
function tableBytes({ store }: Replica): number {
  const [memory] = sharedTables(store)[0] ?? [];
  if (memory === undefined) throw new Error("the store's rows are in no memory");
  // In units of 64 bytes, as `KernelTable.bytes` has it for the thread that writes.
  return 64 * (new Uint32Array(memory.memory.buffer)[HEAD.top / 4] ?? 0) - new KernelTable(SPEC).bytes;
}

/** Bytes of all arrays outside of tables: the update cache, and the bits that say what changed. Arrays that are let go of are counted until they are swept, in another thread. */
async function arrayBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  let [least, same] = [Infinity, 0];
  while (same < 5) {
    runInNewContext("gc()");
    await setImmediate();
    const { arrayBuffers } = process.memoryUsage();
    same = arrayBuffers < least ? 0 : same + 1;
    least = Math.min(least, arrayBuffers);
  }
  return least;
}

function batchOf(first: number): RowBatch {
  return {
    table: 0,
    keys: BigUint64Array.from({ length: STEP }, (_, at) => rowKey(first + at)),
    t: Float64Array.from({ length: STEP }, (_, at) => first + at + 1),
    writers: new Uint16Array(STEP),
    flags: new Uint8Array(STEP),
    values: new Uint8Array(STEP * SPEC.valueBytes),
    state: undefined,
  };
}

function figure(name: string, value: number): BenchFigure {
  return { bench: "store", figure: name, value, unit: "B" };
}
