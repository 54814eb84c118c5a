// Stores for the laws of rows on disk (cold-laws.ts), and what is written to them.
import { createRandom, nextBelow, type Random } from "../protocols/random.ts";
import { type RowBatch, type RowStore, type TableSpec, TOMBSTONE } from "../protocols/sync/row-store.ts";
import { parseWriterId, type WriterId } from "../protocols/sync/version.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";
import { SimulatedScratch } from "./simulated-scratch.ts";

export const DIM = 3;
export const TABLES: readonly TableSpec[] = [
  { name: "few", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "test" },
  { name: "floats", dim: DIM, valueBytes: 12, stateBytes: 4, precision: "f32", optimizer: "rowwise-adagrad" },
];
export const TABLE = 1;
export const WRITERS: readonly WriterId[] = ["0.a.n.x", "0.b.n.x"].map(parseWriterId);
export const KEYS = 60;
export const ROWS_IN_MEMORY = 6;
const ROW_BYTES = 16;
export const REGION_ROWS = 8;
export const CUT: { readonly regionBytes: number; readonly bufferBytes: number } = {
  regionBytes: REGION_ROWS * (8 + ROW_BYTES),
  bufferBytes: 3 * (8 + ROW_BYTES),
};
export const NOTHING: Float64Array = new Float64Array();

interface ColdStore {
  readonly store: RowStore;
  readonly scratch: SimulatedScratch;
}

/** An empty store whose second table has so many rows in memory. */
export function coldStore({
  memories = 1,
  rows = ROWS_IN_MEMORY,
}: { memories?: number; rows?: number } = {}): ColdStore {
  const scratch = new SimulatedScratch();
  const cold = { ...CUT, bytes: [undefined, rows * ROW_BYTES], scratch };
  const store = createSpreadRowStore(TABLES, { state: true, memories: [1, memories], cold });
  for (const writer of WRITERS) store.writerIndex(writer);
  return { store, scratch };
}

/** A few keys, some of them twice. */
export function someKeys(random: Random): BigUint64Array {
  return BigUint64Array.from({ length: 1 + nextBelow(random, 12) }, () => BigInt(nextBelow(random, KEYS)));
}

/** Rows of another writer, whose contents follow from key and t. */
export function someRows(
  keys: BigUint64Array,
  { t, random }: { readonly t: number; readonly random: Random },
): RowBatch {
  const values = new Float32Array(keys.length * DIM);
  const state = new Float32Array(keys.length);
  const flags = new Uint8Array(keys.length);
  for (const [at, key] of keys.entries()) {
    if (nextBelow(random, 6) === 0) flags[at] = TOMBSTONE;
    else values.fill(Number(key) + t / 7, at * DIM, (at + 1) * DIM);
    state[at] = Number(key) + t;
  }
  return {
    table: TABLE,
    keys,
    t: Float64Array.from(keys, (_, at) => t + at),
    writers: new Uint16Array(keys.length).fill(1),
    flags,
    values: new Uint8Array(values.buffer),
    state: new Uint8Array(state.buffer),
  };
}

/** Rows of these keys, of which some are deleted. */
export function write(store: RowStore, keys: readonly bigint[], t: number): void {
  store.merge(someRows(BigUint64Array.from(keys), { t, random: createRandom(t) }), NOTHING);
}

/** What some work gives, or why it does not. */
export function tried(work: () => unknown): { readonly value: unknown } | { readonly error: string } {
  try {
    return { value: work() };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
