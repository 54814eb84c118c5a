/*
 * What must hold of a table that one thread reads and another writes, where the writer stands still in the middle of a row: it is not given (T1), its reader ends after its
 * tries and says so (T2), to those who serve rows as well, and whoever takes the table over finds it (T3). And a row's number goes on from 2^32 - 1 to 0, so that who
 * began to read before knows (T5).
 * test/table-readers.test.ts has the same with threads.
 */
import assert from "node:assert/strict";
import { readLists } from "../actors/read-lists.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { KernelTable } from "../runtime/compute/table/kernel-table.ts";
import { FOUND, GAVE_UP, MISSING, TableReader } from "../runtime/compute/table/table-reader.ts";

const SPEC = { name: "rows", dim: 2, valueBytes: 8, stateBytes: 0, precision: "f32", optimizer: "" } as const;
const KEYS = BigUint64Array.of(1n, 2n, 3n);

export function checkLaws(): void {
  const table = new KernelTable(SPEC);
  table.setRanks(new Uint32Array(1));
  write(table, [1, 2, 3]);
  const reader = new TableReader({ memory: table.memory, spec: SPEC }, { tries: 5 });
  const values = new Uint8Array(24);
  assert.deepEqual([...reader.gather(KEYS, values)], [FOUND, FOUND, FOUND]);
  assert.deepEqual([...new Uint32Array(values.buffer)], [1, 1, 2, 2, 3, 3]);

  tearRow(table, 2n);
  assert.deepEqual([...reader.gather(KEYS, values)], [FOUND, GAVE_UP, FOUND]);
  assert.deepEqual([...new Uint32Array(values.buffer)], [1, 1, 0, 0, 3, 3]);
  assert.deepEqual(reader.counts, { retries: 4, gaveUp: 1, onDisk: 0 });
  checkList(reader);

  const next = new KernelTable(SPEC, table.memory);
  assert.deepEqual(next.repair(), BigUint64Array.of(2n));
  assert.deepEqual([next.live, next.find(2n)], [2, -1]);
  assert.deepEqual([...reader.gather(KEYS, values)], [FOUND, MISSING, FOUND]);
  checkWrap();
}

/** Who serves rows does not give zeros for the one that was not read: it is among those that the shard is asked for (T2). */
function checkList(reader: TableReader): void {
  const layout = modelLayout({
    name: "torn",
    shards: 1,
    architecture: { kind: "dlrm", embedding: SPEC.dim, bottom: [], top: [] },
    tables: ["user", "item"].map((key) => ({ name: key, key })),
    dense: [],
    optimizer: { kind: "ogd", learningRate: 1 },
    denseOptimizer: { kind: "ogd", learningRate: 1 },
  });
  const epochs = { held: new Int32Array(1), writers: new Int32Array(2) };
  const lists = [{ table: 1, keys: KEYS }];
  const [list] = readLists(layout, { epochs, readers: [undefined, reader] }, { lists }).read;
  assert.deepEqual([list?.missing, list?.onDisk], [[1], 0]);
}

/** The greatest number of a row that is whole, and the greatest of all, which is odd. */
function checkWrap(): void {
  const table = new KernelTable(SPEC);
  table.setRanks(new Uint32Array(1));
  write(table, [1, 2, 3]);
  const reader = new TableReader({ memory: table.memory, spec: SPEC }, { tries: 2 });
  const values = new Uint8Array(24);
  const { words, at } = placeOf(table, 2n);
  words[at + 4] = 2 ** 32 - 2;
  write(table, [4, 5, 6]);
  assert.equal(words[at + 4], 0);
  assert.deepEqual([...reader.gather(KEYS, values)], [FOUND, FOUND, FOUND]);
  assert.deepEqual([...new Uint32Array(values.buffer)], [4, 4, 5, 5, 6, 6]);
  words[at + 4] = 2 ** 32 - 1;
  assert.deepEqual([...reader.gather(KEYS, values)], [FOUND, GAVE_UP, FOUND]);
  assert.deepEqual(new KernelTable(SPEC, table.memory).repair(), BigUint64Array.of(2n));
  assert.equal(words[at + 4], 0);
}

/** Each of the keys with one number throughout, which is its time as well. */
function write(table: KernelTable, numbers: readonly [number, number, number]): void {
  const batch = {
    table: 0,
    keys: KEYS,
    t: Float64Array.from(numbers),
    writers: new Uint16Array(3),
    flags: new Uint8Array(3),
    values: new Uint8Array(Uint32Array.from(numbers.flatMap((number) => [number, number])).buffer),
    state: undefined,
  };
  table.mergePiece(batch, { known: new Float64Array(), from: 0, count: 3, state: false });
}

/** Leaves a row as a writer does that ends in the middle of it: half of it written, its sequence number odd. */
function tearRow(table: KernelTable, key: bigint): void {
  const { words, at } = placeOf(table, key);
  words[at + 4] = (words[at + 4] ?? 0) | 1;
  words[at + 6] = 77;
}

/** A table's words, and which of them a row's first is. */
function placeOf({ memory, end }: KernelTable, key: bigint): { readonly words: Uint32Array; readonly at: number } {
  const rowBytes = 24 + SPEC.valueBytes;
  const keys = new BigUint64Array(memory.buffer);
  // Rows stand one after the other: the one whose neighbours are the keys before and after it.
  const at = keys.findIndex(
    (each, index) => each === key && keys[index - rowBytes / 8] === key - 1n && keys[index + rowBytes / 8] === key + 1n,
  );
  assert(at > 0 && end === 3);
  return { words: new Uint32Array(memory.buffer), at: 2 * at };
}
