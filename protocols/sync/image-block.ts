/*
 * A piece of a segment, in columns as the machine holds them (little-endian), so that packing and loading are copies. What is compressed
 * and checked is the stored block (wire/segment.ts).
 *
 *   1           1 rows, 2 keys that were dropped
 *   1           0
 *   2           table
 *   4           N, from 1
 *   8 N         keys
 *   and of rows besides:
 *   8 N         t
 *   V N         values, V bytes a row by the table's declaration
 *   S N         optimizer state, S bytes a row where the image has any
 *   2 N         writers, as indexes of the head's dictionary
 *   N           flags: 1 deleted
 */
import { T_MAX } from "../limits.ts";
import { bytesOf } from "../wire/bytes.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { type RowBatch, type TableKeys, type TableSpec } from "./row-store.ts";

const ROWS = 1;
const DROPPED = 2;
const HEADER_BYTES = 8;

export type ImageBlock =
  | { readonly kind: "rows"; readonly rows: RowBatch }
  | { readonly kind: "dropped"; readonly dropped: TableKeys };

/** Rows of one table as a block. */
export function encodeRows({ table, keys, t, values, state, writers, flags }: RowBatch): Uint8Array<ArrayBuffer> {
  return join(ROWS, table, [bytesOf(keys), bytesOf(t), values, state ?? new Uint8Array(), bytesOf(writers), flags]);
}

/** Keys of one table, at least one, as a block. */
export function encodeDropped({ table, keys }: TableKeys): Uint8Array<ArrayBuffer> {
  return join(DROPPED, table, [bytesOf(keys)]);
}

/** Reads a block; throws `DecodeError` on anything else. `tables` are as the image holds them, `writers` the length of its dictionary. */
export function decodeBlock(
  bytes: Uint8Array,
  options: { readonly tables: readonly TableSpec[]; readonly hasState: boolean; readonly writers: number },
): ImageBlock {
  if (bytes.length < HEADER_BYTES) throw fail("it ends too early");
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const [kind, table, count] = [header.getUint8(0), header.getUint16(2, true), header.getUint32(4, true)];
  const spec = options.tables[table];
  if ((kind !== ROWS && kind !== DROPPED) || header.getUint8(1) !== 0) throw fail("it is of an unknown kind");
  if (spec === undefined) throw fail(`it is of table ${table}, and there are ${options.tables.length}`);
  const stateBytes = options.hasState ? spec.stateBytes : 0;
  const rowBytes = kind === DROPPED ? 8 : 19 + spec.valueBytes + stateBytes;
  if (count === 0 || bytes.length !== HEADER_BYTES + count * rowBytes) {
    throw fail(`${bytes.length} bytes are not ${count} rows`);
  }
  let at = HEADER_BYTES;
  function take(length: number): Uint8Array<ArrayBuffer> {
    // In memory of its own, aligned for any column, whatever kind of array the bytes are.
    const column = new Uint8Array(length);
    column.set(bytes.subarray(at, at + length));
    at += length;
    return column;
  }
  const keys = new BigUint64Array(take(8 * count).buffer);
  if (kind === DROPPED) return { kind: "dropped", dropped: { table, keys } };
  const rows = {
    table,
    keys,
    t: new Float64Array(take(8 * count).buffer),
    values: take(count * spec.valueBytes),
    state: options.hasState ? take(count * stateBytes) : undefined,
    writers: new Uint16Array(take(2 * count).buffer),
    flags: take(count),
  };
  for (let row = 0; row < count; row += 1) {
    const t = rows.t[row] ?? 0;
    if (!Number.isSafeInteger(t) || t < 1 || t > T_MAX) throw fail("a row has an impossible t");
    if ((rows.writers[row] ?? 0) >= options.writers) throw fail("a row's writer is not in the dictionary");
    if ((rows.flags[row] ?? 0) > 1) throw fail("a row has an unknown flag");
  }
  return { kind: "rows", rows };
}

function join(kind: number, table: number, columns: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + columns.reduce((sum, { length }) => sum + length, 0));
  const header = new DataView(bytes.buffer);
  header.setUint8(0, kind);
  header.setUint16(2, table, true);
  header.setUint32(4, (columns[0]?.length ?? 0) / 8, true);
  let at = HEADER_BYTES;
  for (const column of columns) {
    bytes.set(column, at);
    at += column.length;
  }
  return bytes;
}

function fail(why: string): DecodeError {
  return new DecodeError("image block", why);
}
