// Rows whose content follows from key and version, for tests of row stores.
import fc from "fast-check";
import { type RowBatch, type RowStore, type TableSpec, TOMBSTONE } from "../protocols/sync/row-store.ts";
import { roundToI8 } from "../protocols/sync/precision.ts";
import { compareVersions, parseWriterId, type Version, type WriterId } from "../protocols/sync/version.ts";

export const TABLES: readonly TableSpec[] = [
  { name: "floats", dim: 2, valueBytes: 8, stateBytes: 4, precision: "f32", optimizer: "rowwise-adagrad" },
  { name: "bytes", dim: 3, valueBytes: 3, stateBytes: 0, precision: "bytes", optimizer: "" },
  { name: "halves", dim: 2, valueBytes: 4, stateBytes: 12, precision: "f16", optimizer: "rowwise-adagrad" },
  { name: "scaled", dim: 2, valueBytes: 6, stateBytes: 12, precision: "i8", optimizer: "rowwise-adagrad" },
];
// Epochs, and texts on both sides of each other: the order of writers is not that of their indexes.
export const WRITERS: readonly WriterId[] = ["0.b.n.x", "0.a.n.x", "1.a.n.x", "0.c.n.x"].map(parseWriterId);
export const NOTHING = new Float64Array();

/** A row as some writer left it. */
export interface ModelRow {
  readonly table: number;
  readonly key: bigint;
  readonly version: Version;
}

export const modelRow: fc.Arbitrary<ModelRow> = fc.record({
  table: fc.nat(3),
  key: fc.oneof(fc.bigInt(0n, 5n), fc.constantFrom(2n ** 64n - 1n, 2n ** 63n)),
  version: fc.record({ t: fc.integer({ min: 1, max: 6 }), writer: fc.constantFrom(...WRITERS) }),
});

/** The newest of each row. */
export function newest(rows: readonly ModelRow[]): Map<string, ModelRow> {
  const winners = new Map<string, ModelRow>();
  for (const row of rows) {
    const name = `${row.table} ${row.key}`;
    const before = winners.get(name);
    // One version names one content: the first is as good as any later one of the same version.
    if (before === undefined || compareVersions(row.version, before.version) > 0) winners.set(name, row);
  }
  return winners;
}

// Content and deletion follow from key and version, so that a version names one content in every generated history.
export function deletedAt({ key, version }: ModelRow): boolean {
  return (Number(key % 7n) + version.t) % 4 === 0;
}

export function contentOf({ table, key, version }: ModelRow): Uint8Array {
  const seed = Number(key % 11n) * 8 + version.t + WRITERS.indexOf(version.writer) * 100;
  if (table === 1) return Uint8Array.of(seed, seed + 1, seed + 2);
  if (table === 3) return roundToI8(Float32Array.of(seed, -seed / 3));
  return new Uint8Array((table === 0 ? Float32Array : Float16Array).of(seed, -seed).buffer);
}

/** One row as a batch. */
export function batchOf(store: RowStore, row: ModelRow): RowBatch {
  const deleted = deletedAt(row);
  const values = deleted ? new Uint8Array(contentOf(row).length) : contentOf(row);
  return {
    table: row.table,
    keys: BigUint64Array.of(row.key),
    t: Float64Array.of(row.version.t),
    writers: Uint16Array.of(store.writerIndex(row.version.writer)),
    flags: Uint8Array.of(deleted ? TOMBSTONE : 0),
    values,
    state: new Uint8Array(TABLES[row.table]?.stateBytes ?? 0),
  };
}
