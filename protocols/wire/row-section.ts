/*
 * One table's rows in columns, as frames and images hold them; frame.ts documents the bytes.
 */
import { T_MAX } from "../limits.ts";
import { bytesOf, type ByteReader, type ByteWriter } from "./bytes.ts";
import { type FrameSection } from "./frame.ts";

/** Writes a section whose writers are indexes of a dictionary of `dictionary` entries. */
export function writeSection(writer: ByteWriter, section: FrameSection, dictionary: number): void {
  const { keys, t, writers, flags, values, state } = section;
  writer.varint(section.table);
  writer.varint(keys.length);
  writer.varint(section.valueBytes);
  writer.varint(section.stateBytes);
  writer.bytes(bytesOf(keys));
  let first = Infinity;
  for (let row = 0; row < t.length; row += 1) first = Math.min(first, t[row] ?? 0);
  writer.varint(first);
  for (let row = 0; row < t.length; row += 1) writer.varint((t[row] ?? 0) - first);
  if (dictionary > 256) writer.bytes(bytesOf(writers));
  else if (dictionary > 1) writer.bytes(Uint8Array.from(writers));
  if (flags.some((flag) => flag !== 0)) {
    writer.u8(1);
    writer.bytes(flags);
  } else writer.u8(0);
  writer.bytes(values);
  if (section.stateBytes > 0 && state !== undefined) writer.bytes(state);
}

/** Reads what `writeSection` wrote. Every column is checked against the bytes that are left before it is made. */
export function readSection(
  reader: ByteReader,
  options: { dictionary: number; hasState: boolean; tableMin: number; tablesMax: number },
): FrameSection {
  const table = reader.varint(options.tablesMax - 1);
  if (table < options.tableMin) throw reader.fail("its tables are not in rising order");
  const rows = reader.varint();
  const valueBytes = reader.varint();
  const stateBytes = reader.varint();
  if (rows === 0 || valueBytes === 0) throw reader.fail("a section is empty");
  if (stateBytes > 0 && !options.hasState) throw reader.fail("a section announces state in a frame without");
  if (rows > reader.remaining / (8 + valueBytes + stateBytes)) {
    throw reader.fail(`${rows} rows are announced and do not fit`);
  }

  const keys = new BigUint64Array(reader.copy(rows * 8));
  const t = new Float64Array(rows);
  const first = reader.varint(T_MAX);
  let leastAfter = Infinity;
  for (let row = 0; row < rows; row += 1) {
    const after = reader.varint(T_MAX - first);
    leastAfter = Math.min(leastAfter, after);
    t[row] = first + after;
  }
  if (first === 0 || leastAfter !== 0) throw reader.fail("the smallest t of a section is not what it says");
  const writers = readWriters(reader, rows, options.dictionary);
  const flags = readFlags(reader, rows);
  const values = reader.view(rows * valueBytes);
  const state = options.hasState ? reader.view(rows * stateBytes) : undefined;
  return { table, valueBytes, stateBytes, keys, t, writers, flags, values, state };
}

/** Translates indexes of a large dictionary into those of a small one, which grows in order of first use. */
export function reindexWriters(writers: Uint16Array, dictionary: Map<number, number>): Uint16Array {
  const small = new Uint16Array(writers.length);
  // Rows of one writer mostly come one after the other.
  let before: number | undefined;
  let known = 0;
  for (let row = 0; row < writers.length; row += 1) {
    const index = writers[row] ?? 0;
    if (index !== before) {
      known = dictionary.get(index) ?? dictionary.size;
      dictionary.set(index, known);
      before = index;
    }
    small[row] = known;
  }
  return small;
}

function readWriters(reader: ByteReader, rows: number, dictionary: number): Uint16Array {
  if (dictionary === 0) throw reader.fail("it has rows and no writers");
  if (dictionary === 1) return new Uint16Array(rows);
  const writers = dictionary > 256 ? new Uint16Array(reader.copy(rows * 2)) : Uint16Array.from(reader.view(rows));
  if (writers.some((index) => index >= dictionary)) throw reader.fail("a row's writer is not in the dictionary");
  return writers;
}

function readFlags(reader: ByteReader, rows: number): Uint8Array {
  const present = reader.u8();
  if (present === 0) return new Uint8Array(rows);
  if (present !== 1) throw reader.fail("the mark before the flags is neither 0 nor 1");
  const flags = Uint8Array.from(reader.view(rows));
  if (flags.every((flag) => flag === 0)) throw reader.fail("a column of flags is all zero");
  if (flags.some((flag) => flag > 1)) throw reader.fail("a row has an unknown flag");
  return flags;
}
