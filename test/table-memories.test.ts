import { expect, test } from "vitest";
import { type ModelDeclaration, type TableDeclaration } from "../protocols/model.ts";
import { type ModelLayout, modelLayout } from "../protocols/model-layout.ts";
import {
  copyBytesOf,
  memoriesForRows,
  memoriesOf,
  memoryBytesOf,
  SHARD_BYTES_MAX,
  warmBytesOf,
} from "../protocols/table-memories.ts";

/** What a budget gives one memory. */
const MEMORY_BYTES = 3.5 * 2 ** 30;
const SHARDS = 2;
/** A head of 24 bytes, 8 floats and as many of the optimizer's, and of the index 32. */
const ROW_BYTES = 24 + 64 + 32;

function layoutWith(users: Partial<TableDeclaration>): ModelLayout {
  const model: ModelDeclaration = {
    name: "clicks",
    shards: SHARDS,
    architecture: { kind: "dlrm", embedding: 8, bottom: [], top: [] },
    tables: [
      { name: "users", key: "user", ...users },
      { name: "items", key: "item" },
    ],
    dense: [],
    optimizer: { kind: "adagrad", learningRate: 0.1 },
    denseOptimizer: { kind: "adagrad", learningRate: 0.1 },
  };
  return modelLayout(model);
}

test("memoryBytesOf() is a shard's part of the budget, and nothing where none is declared", () => {
  const layout = layoutWith({ budgetBytes: 1000 });
  expect(layout.tables.map((_, table) => memoryBytesOf(layout, table))).toEqual([0, 500, 0, 0]);
  expect(memoryBytesOf(layout, 99)).toBe(0);
});

test("memoryBytesOf(): where contents lie on disk, those that do not, and 64 bytes of every row within the budget", () => {
  const budgetBytes = 1_000_000 * SHARDS * ROW_BYTES;
  const layout = layoutWith({ memoryBytes: 8000, budgetBytes });
  expect(memoryBytesOf(layout, 1)).toBeCloseTo(4000 + 1_000_000 * 64, 3);
  expect(memoryBytesOf(layoutWith({ memoryBytes: 8000 }), 1)).toBe(4000);
});

test("memoriesOf(): as many memories as the budget fills, one at least and eight at most, the other tables one", () => {
  for (const [bytes, memories] of [
    [1, 1],
    [MEMORY_BYTES, 1],
    [MEMORY_BYTES + 1, 2],
    [7 * MEMORY_BYTES, 7],
    [7 * MEMORY_BYTES + 1, 8],
    [100 * MEMORY_BYTES, 8],
  ] as const) {
    expect(memoriesOf(layoutWith({ budgetBytes: bytes * SHARDS }))).toEqual([1, memories, 1, 1]);
  }
  expect(memoriesOf(layoutWith({ memoryBytes: 2 * MEMORY_BYTES * SHARDS }))).toEqual([1, 2, 1, 1]);
  expect(SHARD_BYTES_MAX).toBe(8 * MEMORY_BYTES);
});

test("warmBytesOf(): a shard's part of a table's memory in whole bytes, and undefined where all is in memory", () => {
  expect(warmBytesOf(layoutWith({ memoryBytes: 1001 }))).toEqual([undefined, 500, undefined, undefined]);
  expect(warmBytesOf(layoutWith({ budgetBytes: 1001 }))).toEqual([undefined, undefined, undefined, undefined]);
});

test("memoriesForRows(): as many as the rows fill that an image says, one at least and eight at most", () => {
  const { tables } = layoutWith({});
  const users = tables.slice(1, 2);
  const fits = Math.floor(MEMORY_BYTES / ROW_BYTES);
  for (const [rows, memories] of [
    [0, 1],
    [fits, 1],
    [fits + 1, 2],
    [3 * fits, 3],
    [100 * fits, 8],
  ] as const) {
    expect(memoriesForRows(users, [rows])).toEqual([memories]);
  }
  // One that the image does not know has one.
  expect(memoriesForRows(tables, [0, 2 * fits])).toEqual([1, 2, 1, 1]);
});

test("copyBytesOf(): twice a table's budget, else what its memory has room for; where contents are on disk, of all rows whose heads have room", () => {
  const memory = 4 * 2 ** 30;
  const others = 3 * memory;
  expect(copyBytesOf(layoutWith({}))).toBe(others + memory);
  expect(copyBytesOf(layoutWith({ budgetBytes: 1001 * SHARDS }))).toBe(others + 2 * 1001);
  // A budget of which twice as much does not fit.
  const wide = { budgetBytes: 6 * MEMORY_BYTES * SHARDS };
  expect(copyBytesOf(layoutWith(wide))).toBe(others + 6 * memory);
  const onDisk = (memory / 64) * ROW_BYTES;
  expect(copyBytesOf(layoutWith({ memoryBytes: 8000 }))).toBe(others + onDisk);
  expect(copyBytesOf(layoutWith({ memoryBytes: 8000, budgetBytes: 10_000 * SHARDS }))).toBe(others + 20_000);
});
