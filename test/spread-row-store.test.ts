/* Tables that are spread over several memories: all that row stores do, more than one memory holds, and their readers. */
import { expect, test } from "vitest";
import { mixUint32 } from "../protocols/random.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type RowBatch, type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { SpreadReader } from "../runtime/compute/table/spread-reader.ts";
import { sharedTables } from "../runtime/compute/table/beyond-row-store.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";
import { FOUND, MISSING } from "../runtime/compute/table/table-reader.ts";
import { testFrozenRows } from "./frozen-rows-conformance.ts";
import { testRowDrops } from "./row-drops-conformance.ts";
import { testRowStore } from "./row-store-conformance.ts";
import { testRowWrites } from "./row-writes-conformance.ts";

const MANY: TableSpec = {
  name: "many",
  dim: 16,
  valueBytes: 64,
  stateBytes: 4,
  precision: "f32",
  optimizer: "rowwise-adagrad",
};
const TABLES = [{ name: "few", dim: 4, valueBytes: 16, stateBytes: 0, precision: "f32", optimizer: "" }, MANY] as const;
const WRITER = parseWriterId("0.a.n.x");
const NOTHING = new Float64Array();
const MEMORY_BYTES_MAX = 4 * 2 ** 20;
const BATCH_ROWS = 5_000;

const name = "row store with several memories";

function create(tables: readonly TableSpec[], options: { readonly state: boolean }): RowStore {
  return createSpreadRowStore(tables, { ...options, memories: tables.length === 4 ? [2, 1, 1, 2] : [1, 3] });
}

testRowStore(name, create);
testRowWrites(name, create);
testRowDrops(name, create);
testFrozenRows(name, create, { runs: 60 });

test("a table holds as many rows as its memories together, and readers find each of them", () => {
  const [one, three] = [1, 3].map((count) =>
    createSpreadRowStore(TABLES, { state: true, memories: [2, count], memoryBytesMax: MEMORY_BYTES_MAX }),
  );
  if (one === undefined || three === undefined) throw new Error("There are no stores");
  const most = fill(one, Infinity);
  expect(most).toBeGreaterThan(0);
  expect(fill(three, 2 * most)).toBe(2 * most);
  expect([three.rows(0), three.rows(1)]).toEqual([0, 2 * most]);
  const memories = sharedTables(three)[1] ?? [];
  expect(memories).toHaveLength(3);
  const keys = BigUint64Array.from({ length: 2 * most }, (_, at) => keyOf(at));
  const values = new Uint8Array(64 * keys.length);
  const found = new SpreadReader(memories).gather(keys, values);
  expect(found.every((status) => status === FOUND)).toBe(true);
  expect(Buffer.compare(values, three.read(1, keys).values)).toBe(0);
  expect(keys.findIndex((key, at) => values[64 * at] !== Number(key % 251n))).toBe(-1);
  expect([...new SpreadReader(memories).gather(BigUint64Array.of(3n, keyOf(7)), values)]).toEqual([MISSING, FOUND]);
});

test("a digest does not tell over how many memories a table is spread", () => {
  const stores = [
    createMapRowStore(TABLES, { state: true }),
    createSpreadRowStore(TABLES, { state: true, memories: [2, 3] }),
  ];
  for (const store of stores) fill(store, 1_000);
  expect(stores[1]?.digest()).toBe(stores[0]?.digest());
});

test("learning over several memories gives each row what learning over one does, and each stamp once", () => {
  const optimizer = { kind: "rowwise-adagrad", learningRate: 0.1 } as const;
  const stores = [
    createMapRowStore([MANY], { state: true }),
    createSpreadRowStore([MANY], { state: true, memories: [3] }),
  ];
  const keys = BigUint64Array.from({ length: 300 }, (_, at) => keyOf(at % 200));
  const gradients = Float32Array.from({ length: 16 * keys.length }, (_, at) => (mixUint32(at, 1) % 100) / 50 - 1);
  const outcomes = stores.map((store) => {
    const [norms, created] = [new Float64Array(keys.length), new Uint8Array(keys.length)];
    const steps = {
      optimizer: {
        ...optimizer,
        initialAccumulator: 0.1,
        coldAccumulator: 0.1,
        epsilon: 1e-7,
        epsilonPlace: "outside",
      } as const,
      gradients,
      delay: { lambda: 0.5, valuesRead: gradients.map((number) => number / 2) },
      initial: () => new Float32Array(16).fill(0.01),
      norms,
      created,
    };
    const writer = store.writerIndex(WRITER);
    const outcome = store.learn({ table: 0, keys, writer, firstT: 10, steps });
    const read = store.read(0, keys);
    return {
      rows: [...outcome.indexes].toSorted((a, b) => a - b),
      t: [...outcome.t].toSorted((a, b) => a - b),
      isInPlace: outcome.keys.every((key, at) => key === keys[outcome.indexes[at] ?? -1]),
      isThere: store.versionsAt(outcome.slots).writers.length === keys.length,
      counts: [outcome.refused, outcome.stamped],
      norms,
      created,
      values: read.values,
      found: read.found,
    };
  });
  expect(outcomes[1]).toEqual(outcomes[0]);
});

function keyOf(row: number): bigint {
  return BigInt.asUintN(63, BigInt(row + 1) * 0x9e37_79b9_7f4a_7c15n);
}

/** Puts rows into the second table until there are so many or no more fit; gives how many. */
function fill(store: RowStore, rows: number): number {
  const writer = store.writerIndex(WRITER);
  for (let first = 0; first < rows; first += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, rows - first);
    const keys = BigUint64Array.from({ length: count }, (_, at) => keyOf(first + at));
    const values = new Uint8Array(64 * count);
    for (const [at, key] of keys.entries()) values.fill(Number(key % 251n), 64 * at, 64 * at + 64);
    const batch: RowBatch = {
      table: 1,
      keys,
      t: Float64Array.from(keys, (_, at) => first + at + 1),
      writers: new Uint16Array(count).fill(writer),
      flags: new Uint8Array(count),
      values,
      state: new Uint8Array(4 * count),
    };
    try {
      store.merge(batch, NOTHING);
    } catch (error) {
      if (error instanceof Error && error.name === "TableFull") return first;
      throw error;
    }
  }
  return rows;
}
