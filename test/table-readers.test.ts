/*
 * T1, T2, T3, T5: threads read a table while another writes it, and take it over when its writer dies. Each row is written with one word
 * throughout, so that parts of two writes show.
 */
import { expect, test } from "vitest";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { KernelTable } from "../runtime/compute/table/kernel-table.ts";
import { tableMemory } from "../runtime/compute/table/table-memory.ts";
import { SimulatedScratch } from "../properties/simulated-scratch.ts";
import {
  FOUND,
  GAVE_UP,
  MISSING,
  ON_DISK,
  type SharedTable,
  TableReader,
} from "../runtime/compute/table/table-reader.ts";
import { WrittenTable } from "./bench/table-threads.ts";
import { rowAddress, sequenceOf } from "./row-sequence.ts";

const KEYS = BigUint64Array.of(1n, 2n, 3n);

test(
  "no row is read torn, however hot the writer, and readers notice that they met it",
  { timeout: 60_000 },
  async () => {
    await using written = await WrittenTable.start({ spec: rowsOf(32), rows: 64, perSecond: undefined });
    const reports = await written.read(2, 2_000_000);
    expect(reports.map(({ torn }) => torn)).toEqual([0, 0]);
    expect(reports.reduce((sum, { retries }) => sum + retries, 0)).toBeGreaterThan(0);
    expect(reports.every(({ reads, gaveUp }) => gaveUp < reads / 2)).toBe(true);
  },
);

test(
  "no row is read torn, and none in place of another, while rows leave memory and come back into the places of others",
  { timeout: 60_000 },
  async () => {
    await using written = await WrittenTable.start({ spec: rowsOf(32), rows: 96, warmRows: 24, perSecond: undefined });
    const reports = await written.read(2, 300_000, { byKey: true });
    expect(reports.map(({ torn }) => torn)).toEqual([0, 0]);
    expect(reports.every(({ reads, gaveUp, onDisk }) => onDisk > 0 && onDisk + gaveUp < reads)).toBe(true);
  },
);

test("no key is said to have no row, while the index grows", { timeout: 60_000 }, async () => {
  await using written = await WrittenTable.start({ spec: rowsOf(1), rows: 96, more: 4_000_000, perSecond: undefined });
  const reports = await written.read(2, 200_000, { byKey: true });
  expect(reports.map(({ torn, missing }) => [torn, missing])).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(written.rowsHeld).toBeGreaterThan(100_000);
});

test("a reader of a row that stays in the middle of a write gives up after its tries, says so, and gives the others", () => {
  const table = filled();
  const sequence = sequenceOf(table, 1);
  sequence[0] = (sequence[0] ?? 0) | 1;
  const reader = new TableReader({ memory: table.memory, spec: table.spec }, { tries: 5 });
  const values = new Uint8Array(3 * table.spec.valueBytes);
  expect([...reader.gather(KEYS, values)]).toEqual([FOUND, GAVE_UP, FOUND]);
  expect(reader.counts).toEqual({ retries: 4, gaveUp: 1, onDisk: 0 });
  expect([...new Uint32Array(values.buffer)]).toEqual([1, 1, 0, 0, 3, 3]);
});

test("the next owner finds the rows that a dead writer tore, empties them, and goes on", () => {
  const table = filled();
  const sequence = sequenceOf(table, 1);
  sequence[0] = (sequence[0] ?? 0) | 1;
  const next = new KernelTable(table.spec, table.memory);
  expect(next.repair()).toEqual(BigUint64Array.of(2n));
  expect([next.live, next.held, [...KEYS].map((key) => next.find(key))]).toEqual([2, 2, [0, -1, 2]]);
  const reader = new TableReader({ memory: table.memory, spec: table.spec });
  const values = new Uint8Array(3 * table.spec.valueBytes);
  expect([...reader.gather(KEYS, values)]).toEqual([FOUND, MISSING, FOUND]);
  put(next, 9n, 9);
  expect([...reader.gather(BigUint64Array.of(9n), values)]).toEqual([FOUND]);
});

test("the next owner keeps one of two rows that a dead writer took for one key, and none that it did not fill to its end", () => {
  const table = filled();
  new BigUint64Array(table.memory.buffer, rowAddress(table, 2), 1)[0] = 1n;
  new Float64Array(table.memory.buffer, rowAddress(table, 1) + 8, 1)[0] = 0;
  const next = new KernelTable(table.spec, table.memory);
  expect(next.repair()).toEqual(BigUint64Array.of());
  expect([next.live, next.held, [...KEYS].map((key) => next.find(key))]).toEqual([1, 1, [0, -1, -1]]);
  put(next, 9n, 9);
  put(next, 8n, 8);
  expect([next.held, next.end]).toEqual([3, 3]);
});

test("whenever a writer thread is ended, what the next owner keeps is whole", { timeout: 60_000 }, async () => {
  for (let life = 0; life < 4; life += 1) {
    await using written = await WrittenTable.start({ spec: rowsOf(128), rows: 32, perSecond: undefined });
    await written.read(1, 10_000 * (1 + life));
    await written.kill();
    const next = new KernelTable(written.table.spec, written.table.memory);
    const torn = next.repair().length;
    expect([next.live, next.held, unevenIn(written.table, written.rows)]).toEqual([32 - torn, 32 - torn, 0]);
  }
});

test("a row's number goes from its greatest to 0 and readers are none the wiser", () => {
  const table = filled();
  const sequence = sequenceOf(table, 1);
  sequence[0] = 2 ** 32 - 2;
  const reader = new TableReader({ memory: table.memory, spec: table.spec });
  const values = new Uint8Array(table.spec.valueBytes);
  for (const [number, value] of [
    [0, 20],
    [2, 21],
  ] as const) {
    put(table, 2n, value);
    expect(sequence[0]).toBe(number);
    expect([...reader.gather(BigUint64Array.of(2n), values)]).toEqual([FOUND]);
    expect([...new Uint32Array(values.buffer)]).toEqual([value, value]);
  }
});

test("a row's number moves on, to an even one, when its contents leave memory: who copied from there meanwhile sees it", () => {
  const file = new SimulatedScratch().open("rows");
  const table = new KernelTable(rowsOf(2), tableMemory(), { bytes: 8, file });
  put(table, 1n, 1);
  const sequence = sequenceOf(table, 0);
  const [before = 0] = sequence;
  // There is room for one.
  put(table, 2n, 2);
  expect([...sequence]).toEqual([before + 2]);
  const reader = new TableReader({ memory: table.memory, spec: table.spec });
  const values = new Uint8Array(2 * table.spec.valueBytes);
  expect([...reader.gather(KEYS.subarray(0, 2), values)]).toEqual([ON_DISK, FOUND]);
  expect([...new Uint32Array(values.buffer)]).toEqual([0, 0, 2, 2]);
});

function rowsOf(dim: number): TableSpec {
  return { name: "rows", dim, valueBytes: 4 * dim, stateBytes: 0, precision: "f32", optimizer: "" };
}

/** Rows 1, 2 and 3, each of its own number twice. */
function filled(): KernelTable {
  const table = new KernelTable(rowsOf(2));
  for (const key of KEYS) put(table, key, Number(key));
  return table;
}

let time = 0;

function put(table: KernelTable, key: bigint, value: number): void {
  time += 1;
  const batch = {
    table: 0,
    keys: BigUint64Array.of(key),
    t: Float64Array.of(time),
    writers: Uint16Array.of(0),
    flags: Uint8Array.of(0),
    values: new Uint8Array(Uint32Array.of(value, value).buffer),
    state: undefined,
  };
  table.mergePiece(batch, { known: new Float64Array(), from: 0, count: 1, state: false });
}

function unevenIn(table: SharedTable, rows: number): number {
  const reader = new TableReader(table);
  reader.places.set(Uint32Array.from({ length: rows }, (_, row) => row));
  return reader.gatherPlaced(rows, { uneven: true }).uneven;
}
