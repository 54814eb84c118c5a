/*
 * What a segment is made of: rows in columns as the machine holds them (little-endian), so that packing and loading are copies. What is
 * compressed and checked is the stored block (wire/segment.ts), which has some of these one after the other:
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
import { bytesOf, type ByteWriter } from "../wire/bytes.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { type RowBatch, type TableKeys, type TableSpec } from "./row-store.ts";

const ROWS = 1;
const DROPPED = 2;
const HEADER_BYTES = 8;

export type ImageBlock =
  | { readonly kind: "rows"; readonly rows: RowBatch }
  | { readonly kind: "dropped"; readonly dropped: TableKeys };

/** Writes rows of one table, at least one, as a block. */
export function writeRows(writer: ByteWriter, { table, keys, t, values, state, writers, flags }: RowBatch): void {
  writeHeader(writer, { kind: ROWS, table, count: keys.length });
  for (const numbers of [keys, t]) writer.bytes(bytesOf(numbers));
  writer.bytes(values);
  if (state !== undefined) writer.bytes(state);
  writer.bytes(bytesOf(writers));
  writer.bytes(flags);
}

/** Writes keys of one table, at least one, as a block. */
export function writeDropped(writer: ByteWriter, { table, keys }: TableKeys): void {
  writeHeader(writer, { kind: DROPPED, table, count: keys.length });
  writer.bytes(bytesOf(keys));
}

interface BlockOptions {
  /** As the image holds them. */
  readonly tables: readonly TableSpec[];
  readonly hasState: boolean;
  /** The length of the image's dictionary. */
  readonly writers: number;
}

/** Reads what a stored block has, one after the other. Rows are views of it. Throws `DecodeError` on anything else. */
export function* decodeBlocks(bytes: Uint8Array, options: BlockOptions): Generator<ImageBlock, void, undefined> {
  let at = 0;
  do {
    const { block, length } = decodeBlock(bytes.subarray(at), options);
    at += length;
    yield block;
  } while (at < bytes.length);
}

/** Reads the first block, and says how long it is. */
function decodeBlock(bytes: Uint8Array, options: BlockOptions): { block: ImageBlock; length: number } {
  if (bytes.length < HEADER_BYTES) throw fail("it ends too early");
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const [kind, table, count] = [header.getUint8(0), header.getUint16(2, true), header.getUint32(4, true)];
  const spec = options.tables[table];
  if ((kind !== ROWS && kind !== DROPPED) || header.getUint8(1) !== 0) throw fail("it is of an unknown kind");
  if (spec === undefined) throw fail(`it is of table ${table}, and there are ${options.tables.length}`);
  const stateBytes = options.hasState ? spec.stateBytes : 0;
  const rowBytes = kind === DROPPED ? 8 : 19 + spec.valueBytes + stateBytes;
  const length = HEADER_BYTES + count * rowBytes;
  if (count === 0 || bytes.length < length) throw fail(`${bytes.length} bytes are not ${count} rows`);
  let at = HEADER_BYTES;
  /** The next column, as a view where the machine can read its numbers there. */
  function take(width: number, numberBytes: number): Uint8Array {
    const start = bytes.byteOffset + at;
    const view = bytes.subarray(at, at + width * count);
    at += width * count;
    return start % numberBytes === 0 ? view : new Uint8Array(view);
  }
  const keys = numbersOf(BigUint64Array, take(8, 8));
  if (kind === DROPPED) {
    return { block: { kind: "dropped", dropped: { table, keys: new BigUint64Array(keys) } }, length };
  }
  const rows = {
    table,
    keys,
    t: numbersOf(Float64Array, take(8, 8)),
    values: take(spec.valueBytes, 1),
    state: options.hasState ? take(stateBytes, 1) : undefined,
    writers: numbersOf(Uint16Array, take(2, 2)),
    flags: take(1, 1),
  };
  for (let row = 0; row < count; row += 1) {
    const t = rows.t[row] ?? 0;
    if (!Number.isSafeInteger(t) || t < 1 || t > T_MAX) throw fail("a row has an impossible t");
    if ((rows.writers[row] ?? 0) >= options.writers) throw fail("a row's writer is not in the dictionary");
    if ((rows.flags[row] ?? 0) > 1) throw fail("a row has an unknown flag");
  }
  return { block: { kind: "rows", rows }, length };
}

/** A column's bytes as the numbers that they are. */
function numbersOf<Numbers>(
  kind: { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBufferLike, offset: number, length: number): Numbers },
  column: Uint8Array,
): Numbers {
  return new kind(column.buffer, column.byteOffset, column.length / kind.BYTES_PER_ELEMENT);
}

function writeHeader(writer: ByteWriter, header: { kind: number; table: number; count: number }): void {
  writer.u8(header.kind);
  writer.u8(0);
  writer.u8(header.table);
  writer.u8(header.table >>> 8);
  writer.u32(header.count);
}

function fail(why: string): DecodeError {
  return new DecodeError("image block", why);
}
