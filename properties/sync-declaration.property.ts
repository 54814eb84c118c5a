// Goal: tables that cannot be are refused, and peers whose tables differ anywhere know it. Method: each field at its bounds, one change at a time.
import { expect, test } from "vitest";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { checkTables, declarationDigest } from "../protocols/sync/declaration.ts";
import { type TableSpec } from "../protocols/sync/row-store.ts";

const ROWS: TableSpec = { name: "rows", dim: 4, valueBytes: 16, stateBytes: 8, precision: "f32", optimizer: "adagrad" };
const HALVES: TableSpec = { ...ROWS, name: "halves", valueBytes: 8, stateBytes: 16, precision: "f16" };
const BYTES: TableSpec = { ...ROWS, name: "bytes", valueBytes: 4, stateBytes: 0, precision: "bytes" };
const LARGEST: TableSpec = {
  ...BYTES,
  dim: SYNC_LIMITS.rowBytesMax - 4,
  valueBytes: SYNC_LIMITS.rowBytesMax - 4,
  stateBytes: 4,
};

function tables(count: number): TableSpec[] {
  return Array.from({ length: count }, (_, at) => ({ ...ROWS, name: `table-${at}` }));
}

test.each([
  ["one of each precision", [ROWS, HALVES, BYTES]],
  ["a row as large as may be", [LARGEST]],
  ["rows of one number", [{ ...ROWS, dim: 1, valueBytes: 4, stateBytes: 0 }]],
  ["as many tables as may be", tables(SYNC_LIMITS.tablesMax)],
])("checkTables() takes %s", (_, given) => {
  expect(() => checkTables(given)).not.toThrow();
});

test.each([
  ["no table", [], "(none)"],
  ["a table too many", tables(SYNC_LIMITS.tablesMax + 1), "table-0"],
  ["two of one name", [ROWS, { ...HALVES, name: "rows" }], "rows"],
  ["a dim of 0", [{ ...ROWS, dim: 0, valueBytes: 0 }], "rows"],
  ["half a number", [{ ...BYTES, dim: 1.5, valueBytes: 1.5 }], "bytes"],
  ["values a byte too short", [{ ...ROWS, valueBytes: 15 }], "rows"],
  ["values a byte too long", [{ ...HALVES, valueBytes: 9 }], "halves"],
  ["state of less than nothing", [{ ...ROWS, stateBytes: -4 }], "rows"],
  ["half a byte of state", [{ ...ROWS, stateBytes: 0.5 }], "rows"],
  ["state that is no whole floats", [{ ...ROWS, stateBytes: 6 }], "rows"],
  ["halves without all of their exact numbers", [ROWS, { ...HALVES, stateBytes: 12 }], "halves"],
  ["a row that is too large", [{ ...LARGEST, stateBytes: 8 }], "bytes"],
])("checkTables() refuses %s, and names the table", (_, given, table) => {
  expect(() => checkTables(given)).toThrow(`Cannot declare table '${table}'`);
});

test("declarationDigest() differs wherever tables do, and is what it was when peers first compared it", () => {
  const different: TableSpec[][] = [
    [ROWS, HALVES],
    [HALVES, ROWS],
    [ROWS],
    [{ ...ROWS, name: "row" }, HALVES],
    [{ ...ROWS, dim: 5 }, HALVES],
    [{ ...ROWS, valueBytes: 20 }, HALVES],
    [{ ...ROWS, stateBytes: 12 }, HALVES],
    [{ ...ROWS, precision: "bytes" }, HALVES],
    [{ ...ROWS, optimizer: "adam" }, HALVES],
  ];
  expect(new Set(different.map(declarationDigest)).size).toBe(different.length);
  expect(declarationDigest([ROWS, HALVES])).toBe("8ad5011f58785951");
});
