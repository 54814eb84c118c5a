import { expect, test } from "vitest";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { putRows } from "../protocols/sync/put-rows.ts";
import { roundToF16 } from "../protocols/sync/precision.ts";
import { type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";

const F32: TableSpec = { name: "a", dim: 2, valueBytes: 8, stateBytes: 4, precision: "f32", optimizer: "" };
const F16: TableSpec = { name: "b", dim: 2, valueBytes: 4, stateBytes: 8, precision: "f16", optimizer: "" };
const KEYS = BigUint64Array.of(1n, 2n, 3n, 2n);

for (const [name, create] of [
  ["map row store", createMapRowStore],
  ["table row store", createTableRowStore],
] as const) {
  for (const table of [0, 1]) {
    test(`${name}, table ${table}: rows that are put are those that an update writes; the last of a key stays`, () => {
      const [put, updated] = [storeOf(create), storeOf(create)];
      const numbers = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
      const outcome = putRows(put, { table, keys: KEYS, writer: 0, firstT: 5, values: valuesOf(table, numbers) });
      const expected = updated.update({
        table,
        keys: KEYS,
        writer: 0,
        firstT: 5,
        mutate: ({ floats, index }) => floats.set(numbers.subarray(2 * index, 2 * index + 2)),
      });
      expect(outcome).toEqual(expected);
      expect(put.read(table, KEYS)).toEqual(updated.read(table, KEYS));
      expect(put.digest()).toBe(updated.digest());
    });

    test(`${name}, table ${table}: a row that is not finite is refused alone, and takes no time`, () => {
      const store = storeOf(create);
      const numbers = Float32Array.of(1, 2, Infinity, 4, 5, 6, 7, NaN);
      const outcome = putRows(store, { table, keys: KEYS, writer: 0, firstT: 5, values: valuesOf(table, numbers) });
      expect(outcome).toMatchObject({ refused: 2, stamped: 2 });
      expect([[...outcome.keys], [...outcome.indexes], [...outcome.t]]).toEqual([
        [1n, 3n],
        [0, 2],
        [5, 6],
      ]);
      expect([...store.read(table, KEYS).found]).toEqual([1, 0, 1, 0]);
    });
  }

  test(`${name}: a row of a newer epoch stays, and what would have replaced it took its time`, () => {
    const store = storeOf(create);
    const later = store.writerIndex(parseWriterId("1.eu.a.y"));
    const values = valuesOf(0, new Float32Array(8).fill(9));
    putRows(store, { table: 0, keys: KEYS.subarray(1, 2), writer: later, firstT: 1, values: values.subarray(0, 8) });
    const outcome = putRows(store, { table: 0, keys: KEYS, writer: 0, firstT: 5, values });
    expect(outcome).toMatchObject({ refused: 2, stamped: 4 });
    expect([...outcome.indexes]).toEqual([0, 2]);
    expect(store.versionOf(0, 2n)).toEqual({ t: 1, writer: "1.eu.a.y" });
  });
}

function storeOf(create: typeof createMapRowStore): RowStore {
  const store = create([F32, F16], { state: true });
  store.writerIndex(parseWriterId("0.eu.a.x"));
  return store;
}

function valuesOf(table: number, numbers: Float32Array<ArrayBuffer>): Uint8Array {
  return table === 0 ? new Uint8Array(numbers.buffer) : roundToF16(numbers);
}
