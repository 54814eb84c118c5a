import fc from "fast-check";
import { expect, test } from "vitest";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { KernelTable } from "../runtime/compute/table/kernel-table.ts";
import { FOUND, MISSING, TableReader } from "../runtime/compute/table/table-reader.ts";
import { keyWithHash, spreadKey } from "./index-keys.ts";

/*
 * The index of a table's keys against a Map: many keys at once and one by one, some of which have the same hash, added twice in a call, dropped and
 * added again, while the index grows.
 */

const SPEC: TableSpec = { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "" };
type Kind = "spread" | "crowded" | "last";

/** `crowded`: the hash of each is one of few. `last`: every eighth of them is at home in the last line, behind which comes the first, with one of 2^13 hashes. */
function keyOf(number: number, kind: Kind): bigint {
  if (kind === "crowded") return keyWithHash((number % 5) * 0x0800_0000, number);
  return kind === "last" && number % 8 === 0
    ? keyWithHash(0xffff_ffff - (number % 2 ** 16), number)
    : spreadKey(number);
}

const command = fc.record({
  what: fc.constantFrom("add", "add", "merge", "merge", "drop", "find", "gather"),
  from: fc.nat({ max: 3_000 }),
  count: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 1_500 })),
  step: fc.constantFrom(0, 1, 1, 1, 7),
});

test("a table finds the keys that were added and not dropped, each in a row of its own, and no others", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Kind>("spread", "crowded", "last"),
      fc.array(command, { minLength: 1, maxLength: 25 }),
      (kind, commands) => {
        const table = new KernelTable(SPEC);
        const reader = new TableReader({ memory: table.memory, spec: SPEC });
        const rows = new Map<bigint, number>();
        const values = new Map<bigint, number>();
        let t = 0;
        for (const { what, from, count: wanted, step } of commands) {
          // A crowd is a chain that every search walks along.
          const count = kind === "crowded" ? Math.min(wanted, 60) : wanted;
          const keys = BigUint64Array.from({ length: count }, (_, at) =>
            keyOf((kind === "crowded" ? from % 200 : from) + at * step, kind),
          );
          t += 1;
          if (what === "add") addAll(table, { keys, rows });
          else if (what === "merge") mergeAll(table, { keys, rows, values, t });
          else if (what === "drop") {
            for (const key of new Set(keys)) {
              const row = rows.get(key);
              expect(table.find(key)).toBe(row ?? -1);
              if (row !== undefined) table.drop(row);
              rows.delete(key);
              values.delete(key);
            }
          } else if (what === "find") {
            expect(findAll(table, keys)).toEqual([...keys].map((key) => rows.get(key) ?? -1));
          } else {
            const read = new Uint32Array(count);
            const statuses = reader.gather(keys, new Uint8Array(read.buffer));
            expect([...statuses]).toEqual([...keys].map((key) => (values.has(key) ? FOUND : MISSING)));
            expect([...read]).toEqual([...keys].map((key) => values.get(key) ?? 0));
          }
          expect([table.held, table.live]).toEqual([rows.size, values.size]);
          expect(new Set(rows.values()).size).toBe(rows.size);
        }
        const all = BigUint64Array.from(rows.keys());
        expect(findAll(table, all)).toEqual([...rows.values()]);
      },
    ),
  );
});

test("a table finds all keys that were added a few at a time, so that its index is growing all the while", () => {
  fc.assert(
    fc.property(fc.constantFrom<Kind>("spread", "last"), fc.integer({ min: 1, max: 7 }), (kind, few) => {
      const table = new KernelTable(SPEC);
      const rows = new Map<bigint, number>();
      for (let from = 0; from < 800; from += few) {
        addAll(table, { keys: BigUint64Array.from({ length: few }, (_, at) => keyOf(from + at, kind)), rows });
      }
      expect(findAll(table, BigUint64Array.from(rows.keys()))).toEqual([...rows.values()]);
    }),
    { numRuns: 20 },
  );
});

/** Of the last kind more are at home in the last line than a chunk of the index has places for. */
test.each<[kind: Kind, count: number]>([
  ["spread", 210_000],
  ["last", 100_000],
])(
  "a table finds all keys, and no others, before, while and after an index of many chunks grows: %s",
  (kind, count) => {
    const table = new KernelTable(SPEC);
    const { columns, code } = table;
    const keys = BigUint64Array.from({ length: 2 * count }, (_, at) => keyOf(at, kind));
    function wronglyFound(end: number): number {
      let wrong = 0;
      for (const { from, to, count: some } of columns.pieces(2 * count)) {
        columns.keys.view.set(keys.subarray(from, to));
        code.findRows(columns.keys.at, some, columns.rows.at);
        for (let at = 0; at < some; at += 1) {
          if (((columns.rows.view[at] ?? 0) | 0) !== (from + at < end ? from + at : -1)) wrong += 1;
        }
      }
      return wrong;
    }
    let grown = 0;
    let checks = 0;
    for (const { from, to, count: some } of columns.pieces(count)) {
      const before = table.bytes;
      columns.keys.view.set(keys.subarray(from, to));
      code.addRows(columns.keys.at, some, columns.rows.at);
      // A new index, of which half is new memory: of 32,768 lines, and of 16,384 before. It takes the next four pieces, or two.
      if (table.bytes - before >= 2 ** 20) {
        grown += 1;
        checks = 5;
      }
      if (checks === 0) continue;
      checks -= 1;
      expect(wronglyFound(to)).toBe(0);
    }
    expect(grown).toBe(kind === "spread" ? 2 : 1);
    expect(wronglyFound(count)).toBe(0);
  },
);

test("a row costs at most 24 bytes of index, however many there are, and both indexes are hardly more than one while it grows", () => {
  const table = new KernelTable(SPEC);
  const { columns, code } = table;
  const [empty, rowBytes] = [table.bytes, 24 + 8];
  for (const { to, count: some } of columns.pieces(200_000)) {
    columns.keys.view.set(BigUint64Array.from({ length: some }, (_, at) => keyOf(to - some + at, "spread")));
    code.addRows(columns.keys.at, some, columns.rows.at);
    // Rows come in segments of 256 KiB, an index that grows has three chunks of 16 KiB more, and the tables of a small index, which no chunks are, are left in part.
    expect(table.bytes - empty).toBeLessThan(to * (rowBytes + 24) + 2 ** 19);
  }
});

test("what did not move from an index that is replaced stays where it is while it moves, or the index's number says that it did not", () => {
  const table = new KernelTable(SPEC);
  const rows = new Map<bigint, number>();
  let steps = 0;
  // As a reader sees it that began then, and was held up since.
  let [moved, number, lines] = [0, -1, oldLines(table)];
  for (let from = 0; from < 27_000; from += 20) {
    if (wordAt(table, INDEX_SEQUENCE) !== number) {
      [moved, number, lines] = [wordAt(table, MOVED), wordAt(table, INDEX_SEQUENCE), oldLines(table)];
    }
    addAll(table, { keys: BigUint64Array.from({ length: 20 }, (_, at) => keyOf(from + at, "spread")), rows });
    if (lines.length === 0 || wordAt(table, INDEX_SEQUENCE) !== number) continue;
    steps += 1;
    const now = oldLines(table);
    expect(lines.findIndex((place, at) => at >= 8 * moved && place !== 0n && place !== now[at])).toBe(-1);
  }
  expect(steps).toBeGreaterThan(100);
});

// Of a table's head (runtime/compute/assembly/table/layout.ts).
const [MOVED, INDEX_SEQUENCE, OLD_INDEX] = [60, 64, 144];
const CHUNK_PLACES = 2_048;

function wordAt(table: KernelTable, at: number): number {
  return new Uint32Array(table.memory.buffer, at, 1)[0] ?? 0;
}

/** The places of an index of several chunks that is being replaced; none where there is no such. */
function oldLines(table: KernelTable): BigUint64Array {
  const { buffer } = table.memory;
  const [directory = 0, lines = 0] = new Uint32Array(buffer, OLD_INDEX, 2);
  const chunks = new Uint32Array(buffer, directory, Math.floor((8 * lines) / CHUNK_PLACES));
  const places = new BigUint64Array(chunks.length * CHUNK_PLACES);
  for (const [at, chunk] of chunks.entries()) {
    places.set(new BigUint64Array(buffer, chunk, CHUNK_PLACES), at * CHUNK_PLACES);
  }
  return places;
}

test("a table finds all its keys after room was made for more rows, and while those come", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Kind>("spread", "last"),
      fc.integer({ min: 1, max: 3_000 }),
      fc.integer({ min: 1, max: 60_000 }),
      (kind, count, total) => {
        const table = new KernelTable(SPEC);
        const rows = new Map<bigint, number>();
        for (const from of [0, count]) {
          addAll(table, { keys: BigUint64Array.from({ length: count }, (_, at) => keyOf(from + at, kind)), rows });
          expect(table.code.reserveRows(total)).toBe(1);
          expect(findAll(table, BigUint64Array.from(rows.keys()))).toEqual([...rows.values()]);
        }
      },
    ),
    { numRuns: 20 },
  );
});

function findAll(table: KernelTable, keys: BigUint64Array): number[] {
  const { columns, code } = table;
  return [...columns.pieces(keys.length)].flatMap(({ from, to, count }) => {
    columns.keys.view.set(keys.subarray(from, to));
    code.findRows(columns.keys.at, count, columns.rows.at);
    return [...new Int32Array(table.memory.buffer, columns.rows.at, count)];
  });
}

function addAll(
  table: KernelTable,
  given: { readonly keys: BigUint64Array; readonly rows: Map<bigint, number> },
): void {
  const { columns, code } = table;
  for (const { from, to, count } of columns.pieces(given.keys.length)) {
    columns.keys.view.set(given.keys.subarray(from, to));
    expect(code.addRows(columns.keys.at, count, columns.rows.at)).toBe(count);
    for (let at = 0; at < count; at += 1) noteRow(given, { key: given.keys[from + at], row: columns.rows.view[at] });
  }
}

function mergeAll(
  table: KernelTable,
  given: {
    readonly keys: BigUint64Array;
    readonly rows: Map<bigint, number>;
    readonly values: Map<bigint, number>;
    readonly t: number;
  },
): void {
  const { keys, t, values } = given;
  const batch = {
    table: 0,
    keys,
    t: Float64Array.from(keys, (_, at) => t * 10_000 + at),
    writers: new Uint16Array(keys.length),
    flags: new Uint8Array(keys.length),
    values: new Uint8Array(Uint32Array.from(keys, (_, at) => t * 10_000 + at).buffer),
    state: undefined,
  };
  for (const { from, count } of table.columns.pieces(keys.length)) {
    const merged = table.mergePiece(batch, { known: new Float64Array(), from, count, state: false });
    expect([...merged.places]).toEqual(Array.from({ length: count }, (_, at) => at));
    for (let at = 0; at < count; at += 1) {
      const key = keys[from + at] ?? 0n;
      expect(merged.added[at]).toBe(given.rows.has(key) ? 0 : 1);
      noteRow(given, { key, row: merged.rows[at] });
      values.set(key, t * 10_000 + from + at);
    }
  }
}

/** The row of a key is always the same one. */
function noteRow(
  { rows }: { readonly rows: Map<bigint, number> },
  { key = 0n, row = -1 }: { readonly key: bigint | undefined; readonly row: number | undefined },
): void {
  expect(rows.get(key) ?? row).toBe(row);
  rows.set(key, row);
}
