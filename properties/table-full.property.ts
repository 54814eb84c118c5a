import { expect, test } from "vitest";
import { type RowBatch, type TableSpec } from "../protocols/sync/row-store.ts";
import { KernelTable } from "../runtime/compute/table/kernel-table.ts";
import { TableFull } from "../runtime/compute/table/table-columns.ts";
import { tableMemory } from "../runtime/compute/table/table-memory.ts";
import { keyWithHash, spreadKey } from "./index-keys.ts";

// A table whose memory ends: it refuses what it has no room for, stays as it was, and takes less for it.

const SPEC: TableSpec = { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "" };
const BYTES_MAX = 2 ** 23;
const CHUNK_BYTES = 2 ** 14;
// Of a table's head (runtime/compute/assembly/table/layout.ts).
const [INDEX, MOVED, OLD_INDEX] = [40, 60, 144];
const DELETED = 0xffff_ffff;

/**
 * `first`: keys that the table has, of which every second one is dropped again where `drops`; `rows`: as many as it is to have room for; `chunks`: so many more than it has
 * are enough for that.
 */
interface Growth {
  readonly name: string;
  readonly first: number;
  readonly drops: boolean;
  readonly rows: number;
  readonly chunks: number;
  readonly keyOf: (number: number) => bigint;
}

/** Every eighth is at home in the last line of any index, behind which comes the first. */
function lastKey(number: number): bigint {
  return number % 8 === 0 ? keyWithHash(DELETED - (number % 2 ** 16), number) : spreadKey(number);
}

const TWICE = { name: "twice as large", first: 6_500, drops: false, rows: 17_400, chunks: 8, keyOf: spreadKey };
// From 2,048 lines, which are 8 chunks.
const GROWTHS: readonly Growth[] = [
  TWICE,
  { ...TWICE, name: "twice as large, with a crowd in its last line", keyOf: lastKey },
  { ...TWICE, name: "four times as large", rows: 30_000, chunks: 24 },
  // Those that growing left before are enough.
  {
    name: "as large, without keys that are gone",
    first: 12_000,
    drops: true,
    rows: 8_500,
    chunks: 0,
    keyOf: spreadKey,
  },
  {
    name: "as large, with a crowd in its last line",
    first: 7_000,
    drops: true,
    rows: 9_800,
    chunks: 0,
    keyOf: lastKey,
  },
];

test.each(GROWTHS)(
  "wherever memory ends while the index of a table that has rows grows for those of an image, they are loaded or refused, and each key has one place: $name",
  (growth) => {
    for (let chunks = 0; chunks <= growth.chunks + 1; chunks += 1) {
      const { table, rows } = tableWith(growth);
      // Memory for so many chunks, a directory, and no other.
      expect(table.code.allocate(BYTES_MAX - table.bytes - chunks * CHUNK_BYTES - 256) >>> 0).not.toBe(0);
      const more = BigUint64Array.from({ length: 1_500 }, (_, at) => growth.keyOf(growth.first + at));
      const isLoaded = loads(table, { keys: more, rows: growth.rows });
      expect(isLoaded).toBe(chunks >= growth.chunks);
      for (const again of [false, true]) {
        if (again) loads(table, { keys: more, rows: 0 });
        const found = more.filter((key) => table.find(key) >= 0).length;
        expect([table.held - rows.size, isLoaded ? found : more.length]).toEqual([found, more.length]);
        expect([...rows].filter(([key, row]) => table.find(key) !== row)).toEqual([]);
        const filed = filedRows(table);
        expect([filed.length, new Set(filed).size]).toEqual([table.held, table.held]);
      }
    }
  },
);

test("additions that are refused leave a full table as it was, and what memory has left can still be had", () => {
  const table = new KernelTable(SPEC, tableMemory(BYTES_MAX));
  const keys: bigint[] = [];
  while (table.code.addRow(spreadKey(keys.length)) >= 0) keys.push(spreadKey(keys.length));
  const { bytes, held } = table;
  expect(held).toBeGreaterThan(100_000);
  for (let number = 1; number <= 2_000; number += 1) {
    expect(() => table.add(spreadKey(keys.length + number))).toThrow(TableFull);
    expect(table.code.reserveRows(held + 100_000 * number)).toBe(0);
  }
  expect([table.bytes, table.held]).toEqual([bytes, held]);
  expect(keys.filter((key, row) => table.find(key) !== row)).toEqual([]);
  expect(table.code.allocate(BYTES_MAX - bytes) >>> 0).toBe(bytes);
  expect(table.code.allocate(1)).toBe(0);
});

function tableWith({ first, drops, keyOf }: Growth): {
  readonly table: KernelTable;
  readonly rows: Map<bigint, number>;
} {
  const table = new KernelTable(SPEC, tableMemory(BYTES_MAX));
  const rows = new Map<bigint, number>();
  for (let number = 0; number < first; number += 1) rows.set(keyOf(number), table.add(keyOf(number)));
  if (drops) {
    for (let number = 1; number < first; number += 2) {
      table.drop(table.find(keyOf(number)));
      rows.delete(keyOf(number));
    }
  }
  return { table, rows };
}

/** Whether there was room. */
function loads(table: KernelTable, { keys, rows }: { readonly keys: BigUint64Array; readonly rows: number }): boolean {
  const batch: RowBatch = {
    table: 0,
    keys,
    t: new Float64Array(keys.length).fill(1),
    writers: new Uint16Array(keys.length),
    flags: new Uint8Array(keys.length),
    values: new Uint8Array(SPEC.valueBytes * keys.length),
    state: undefined,
  };
  try {
    table.load(batch, { rows, state: false });
    return true;
  } catch (error) {
    if (error instanceof TableFull) return false;
    throw error;
  }
}

/** The rows that the places of the index name, and those of what has not moved from the one before. */
function filedRows(table: KernelTable): number[] {
  const [moved = 0] = new Uint32Array(table.memory.buffer, MOVED, 1);
  return [...rowsIn(table, { index: INDEX, from: 0 }), ...rowsIn(table, { index: OLD_INDEX, from: moved })].filter(
    (row) => row !== DELETED,
  );
}

function rowsIn(table: KernelTable, { index, from }: { readonly index: number; readonly from: number }): number[] {
  const { buffer } = table.memory;
  const [directory = 0, lines = 0] = new Uint32Array(buffer, index, 2);
  const chunks = new Uint32Array(buffer, directory, Math.ceil((lines * 64) / CHUNK_BYTES));
  return [...chunks].flatMap((chunk, number) => {
    if (chunk === 0) return [];
    const words = new Uint32Array(buffer, chunk, Math.min(CHUNK_BYTES, lines * 64) / 4);
    // The low half of each place; 16 words are a line.
    return [...words].filter((word, at) => at % 2 === 0 && word !== 0 && number * 256 + Math.floor(at / 16) >= from);
  });
}
