/*
 * What must hold of a table that was filled from an image at once (runtime/compute/assembly/table/load.ts). It is the table that it would be row by row, whatever was said of how many rows there
 * are, whichever of them are of one key, and wherever their keys are at home in the index (L1); whatever is done to it next, it is as it would be then (L2); and the memory that it took beside
 * is no more than 8 bytes a row, and used for rows that come later (L3).
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type RowBatch, type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { KernelTable } from "../runtime/compute/table/kernel-table.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import { FOUND, MISSING, TableReader } from "../runtime/compute/table/table-reader.ts";
import { keyWithHash, spreadKey } from "./index-keys.ts";
import { allRows } from "./row-contents.ts";

const SPEC: TableSpec = { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "" };
const WRITERS = ["1.a.n.x", "1.b.n.y", "2.a.n.z"].map(parseWriterId);

const NOTHING = new Float64Array();

/** The index has several parts. */
const ROWS_OF_PARTS = 50_000;
/** More than one part has places for, where the index has two. */
const ROWS_OF_HALF = 66_000;

type Kind = "spread" | "crowded" | "edges" | "half";

/** `crowded`: the hash of each is one of few. `edges`: some are at home in the last lines of parts of the index, the last included. `half`: all are in the first half. */
function keyOf(number: number, kind: Kind): bigint {
  if (kind === "crowded") return keyWithHash((number % 5) * 0x0800_0000, number);
  if (kind === "half") return keyWithHash(Math.imul(number, 0x9e37_79b1) >>> 1, number);
  if (kind === "spread" || number % 64 !== 0) return spreadKey(number);
  return keyWithHash(number % 128 === 0 ? 0x7fff_ffff : 0xffff_ffff, number);
}

/** Rows that follow from their numbers. */
interface Rows {
  readonly kind: Kind;
  /** One of so many is of the key of one before. */
  readonly again: number;
  readonly seed: number;
}

interface Drawn extends Rows {
  readonly rows: number;
  /** What is said of how many rows there are, as a share of those. */
  readonly said: number;
  readonly block: number;
}

const drawn = fc.record({
  kind: fc.constantFrom<Kind>("spread", "spread", "crowded", "edges"),
  rows: fc.integer({ min: 1, max: 400 }),
  again: fc.integer({ min: 2, max: 40 }),
  said: fc.constantFrom(0.3, 0.9, 1, 1, 1, 2),
  block: fc.integer({ min: 1, max: 100 }),
  seed: fc.nat(),
});

const step = fc.record({
  what: fc.constantFrom("read", "collect", "merge", "load", "drop", "digest", "count"),
  from: fc.nat({ max: 500 }),
  count: fc.integer({ min: 1, max: 300 }),
});

export function checkLaws(): void {
  readersAskMeanwhile();
  fc.assert(
    fc.property(drawn, fc.array(step, { maxLength: 8 }), (image, steps) => isTheSameTable(image, steps)),
    { numRuns: 30 },
  );
  const large = { again: 100, said: 1, block: 3_000, seed: 1 };
  const steps = (["read", "merge", "drop", "merge", "load"] as const).map((what) => ({
    what,
    from: 10_000,
    count: 10_000,
  }));
  isTheSameTable({ kind: "edges", rows: ROWS_OF_PARTS, ...large }, steps);
  isTheSameTable({ kind: "half", rows: ROWS_OF_HALF, ...large, again: 2 }, []);
  memoryIsLent();
}

interface Step {
  readonly what: string;
  readonly from: number;
  readonly count: number;
}

/** The rows from one on; what is of a key that came before may be newer or older than that. */
function rowsOf({ kind, again, seed }: Rows, from: number, to: number): RowBatch {
  const numbers = Array.from({ length: to - from }, (_, at) => from + at);
  return {
    table: 0,
    keys: BigUint64Array.from(numbers, (row) => keyOf(row % again === again - 1 ? Math.floor(row / 2) : row, kind)),
    t: Float64Array.from(numbers, (row) => 1 + (Math.imul(row ^ seed, 0x9e37_79b1) >>> 12)),
    writers: Uint16Array.from(numbers, (row) => (row + seed) % WRITERS.length),
    flags: Uint8Array.from(numbers, (row) => (row % 11 === 3 ? 1 : 0)),
    values: new Uint8Array(Uint32Array.from(numbers).buffer),
    state: new Uint8Array(Uint32Array.from(numbers, (row) => ~row).buffer),
  };
}

function isTheSameTable(image: Drawn, steps: readonly Step[]): void {
  const { rows, said, block } = image;
  const [loaded, merged] = [createStore(), createStore()];
  for (let from = 0; from < rows; from += block) {
    const batch = rowsOf(image, from, Math.min(rows, from + block));
    loaded.load(batch, { rows: Math.ceil(said * rows) });
    merged.merge(batch, NOTHING);
  }
  // Also the first thing after loading finds all of it.
  for (const each of steps) {
    const [got, wanted] = [loaded, merged].map((store) => doOne(store, image, each));
    assert.deepEqual(got, wanted, `${each.what} of ${JSON.stringify(image)}`);
  }
  assert.deepEqual([loaded.rows(0), loaded.tombstones], [merged.rows(0), merged.tombstones]);
  const all = BigUint64Array.from({ length: rows + 900 }, (_, row) => keyOf(row, image.kind));
  assert.deepEqual(loaded.read(0, all), merged.read(0, all));
  assert.equal(loaded.digest(), merged.digest());
  const slots = [...all].map((key) => loaded.slotOf(0, key)).filter((slot) => slot !== undefined);
  assert.equal(new Set(slots).size, loaded.rows(0) + loaded.tombstones);
}

function createStore(): RowStore {
  const store = createTableRowStore([SPEC], { state: true });
  for (const writer of WRITERS) store.writerIndex(writer);
  return store;
}

function doOne(store: RowStore, image: Drawn, { what, from, count }: Step): unknown {
  const keys = BigUint64Array.from({ length: count }, (_, at) => keyOf(from + at, image.kind));
  const later = rowsOf({ ...image, seed: image.seed + 1 }, from, from + count);
  switch (what) {
    case "read":
      return store.read(0, keys);
    case "collect":
      return collected(store, Float64Array.of(from * 2_000, 2 ** 20, count * 3_000));
    case "merge": {
      const { applied, ignored } = store.merge(later, Float64Array.of(0, 1_000));
      return { applied, ignored };
    }
    case "load":
      store.load(later, { rows: from + count });
      return undefined;
    case "drop":
      store.dropKeys({ table: 0, keys });
      return undefined;
    case "count":
      return [store.rows(0), store.tombstones];
    default:
      return [store.digest(), image.rows > 1_000 ? undefined : allRows(store)];
  }
}

function collected(store: RowStore, known: Float64Array): unknown {
  const list = store.collect(known);
  const keys = store.pack(list, { from: 0, to: list.slots.length }).flatMap((batch) => [...batch.keys]);
  store.release(list);
  return keys.toSorted((a, b) => Number(a - b));
}

function memoryIsLent(): void {
  const rows = 50_000;
  const image = { kind: "spread", again: Infinity, seed: 1 } as const;
  function filled(first: number): { table: KernelTable; bytes: number } {
    const table = new KernelTable(SPEC);
    // A table that has a row is filled row by row.
    table.load(rowsOf(image, 0, 1), { rows: first, state: true });
    for (let from = 1; from < rows; from += 2_000) {
      table.load(rowsOf(image, from, Math.min(rows, from + 2_000)), { rows, state: true });
    }
    assert.equal(table.held, rows);
    return { table, bytes: table.bytes };
  }
  const [loaded, merged] = [filled(rows), filled(0)];
  const more = loaded.bytes - merged.bytes;
  assert(more <= 8 * rows + 4_096, `it took ${more} bytes more`);
  // No less than was lent, at 32 bytes a row.
  const batch = rowsOf(image, rows, rows + 15_000);
  for (const { table } of [loaded, merged]) table.load(batch, { rows: 0, state: true });
  const left = loaded.table.bytes - merged.table.bytes;
  assert(left <= 2 ** 18, `${left} bytes of that are not used`);
}

function readersAskMeanwhile(): void {
  const table = new KernelTable(SPEC);
  const reader = new TableReader({ memory: table.memory, spec: SPEC });
  const batch = rowsOf({ kind: "spread", again: Infinity, seed: 1 }, 0, 1_000);
  const values = new Uint8Array(batch.values.length);
  for (let from = 0; from < 1_000; from += 100) {
    table.load(rowsOf({ kind: "spread", again: Infinity, seed: 1 }, from, from + 100), { rows: 1_000, state: true });
    assert(!reader.gather(batch.keys, values).includes(MISSING), "a row that is not filed is said to be missing");
  }
  assert.equal(table.held, 1_000);
  const statuses = reader.gather(batch.keys, values);
  assert.deepEqual(
    [...statuses],
    [...batch.flags].map((flag) => (flag === 0 ? FOUND : MISSING)),
  );
}
