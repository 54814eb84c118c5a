/*
 * Numbers of samples in one piece, each exactly as it was, in the first of these forms that does:
 *
 *   head   (column-head.ts); form: 0, 1, 2: whole numbers, less the smallest of them, in 1, 2 or 4 bytes; 3: 32-bit floats; 4: 64-bit floats
 *   8      forms 0 to 2: the smallest, a 64-bit float
 *   values of 1, 2, 4, 4 or 8 bytes; neighbours are not the same number
 *
 * Whole numbers are those that doubles count exactly, without minus zero.
 */
import { type ByteReader, type ByteWriter } from "../wire/bytes.ts";
import { type ColumnHead, placesOf, readHead, splitValues, writeHead } from "./column-head.ts";

const BYTES = [1, 2, 4, 4, 8] as const;
const SINGLES = 3;
const DOUBLES = 4;

export interface NumberColumn extends ColumnHead {
  readonly form: number;
  /** What is added to each value; 0 for floats. */
  readonly base: number;
  readonly bytes: DataView;
}

/** Writes the number of each sample; at least one has one. */
export function writeNumbers(writer: ByteWriter, numbers: readonly (number | undefined)[]): void {
  const { head, own } = splitValues(numbers);
  const { form, base } = formOf(own.length, (value) => own[value] ?? 0);
  writeHead(writer, head, form);
  const width = BYTES[form] ?? 8;
  const first = form < SINGLES ? 8 : 0;
  const bytes = new Uint8Array(first + own.length * width);
  const view = new DataView(bytes.buffer);
  if (first > 0) view.setFloat64(0, base, true);
  for (const [value, number] of own.entries()) {
    const at = first + value * width;
    if (form === DOUBLES) view.setFloat64(at, number, true);
    else if (form === SINGLES) view.setFloat32(at, number, true);
    else if (width === 4) view.setUint32(at, number - base, true);
    else if (width === 2) view.setUint16(at, number - base, true);
    else view.setUint8(at, number - base);
  }
  writer.bytes(bytes);
}

/** Reads the numbers of so many samples, at least one; they share memory with the input. Throws `DecodeError`, also for what is not finite. */
export function readNumbers(reader: ByteReader, size: number): NumberColumn {
  const { form, head } = readHead(reader, size);
  const width = BYTES[form];
  if (width === undefined) throw reader.fail("numbers have an unknown form");
  const base = form < SINGLES ? viewOf(reader.view(8)).getFloat64(0, true) : 0;
  const column = { ...head, form, base, bytes: viewOf(reader.view(head.values * width)) };
  let before = 0;
  for (let value = 0; value < head.values; value += 1) {
    const number = valueAt(column, value);
    if (!Number.isFinite(number)) throw reader.fail("a number is not finite");
    if (value > 0 && Object.is(number, before)) throw reader.fail("a number is that of the sample before");
    before = number;
  }
  const wanted = formOf(head.values, (value) => valueAt(column, value));
  if (wanted.form !== form || !Object.is(wanted.base, base)) {
    throw reader.fail("numbers are in another form than theirs");
  }
  return column;
}

/** One of the numbers that a column holds. */
export function valueAt({ form, base, bytes }: NumberColumn, value: number): number {
  switch (form) {
    case 0:
      return base + bytes.getUint8(value);
    case 1:
      return base + bytes.getUint16(2 * value, true);
    case 2:
      return base + bytes.getUint32(4 * value, true);
    case SINGLES:
      return bytes.getFloat32(4 * value, true);
    default:
      return bytes.getFloat64(8 * value, true);
  }
}

/** By sample: its number, `missing` where it has none. */
export function numbersOf(column: NumberColumn, missing: number): Float64Array {
  const numbers = new Float64Array(column.size);
  fillNumbers(column, missing, { into: numbers, at: 0, every: 1 });
  return numbers;
}

/** Puts each sample's number into every so manieth place of an array. */
export function fillNumbers(
  column: NumberColumn,
  missing: number,
  { into, at, every }: { readonly into: Float32Array | Float64Array; readonly at: number; readonly every: number },
): void {
  const { size, values, gaps, runs } = column;
  if (gaps === undefined && runs === undefined) {
    for (let sample = 0; sample < size; sample += 1) into[at + sample * every] = valueAt(column, sample);
    return;
  }
  const places = placesOf(column);
  for (let sample = 0; sample < size; sample += 1) {
    const place = places[sample] ?? values;
    into[at + sample * every] = place === values ? missing : valueAt(column, place);
  }
}

/** The form of so many values, and what is taken off each. */
function formOf(values: number, at: (value: number) => number): { readonly form: number; readonly base: number } {
  let [smallest, largest] = [Infinity, -Infinity];
  let value = 0;
  for (; value < values; value += 1) {
    const number = at(value);
    if (!Number.isSafeInteger(number) || Object.is(number, -0)) break;
    smallest = Math.min(smallest, number);
    largest = Math.max(largest, number);
  }
  const span = largest - smallest;
  if (value === values && span < 2 ** 32) return { form: span < 2 ** 8 ? 0 : span < 2 ** 16 ? 1 : 2, base: smallest };
  for (value = 0; value < values; value += 1) {
    const number = at(value);
    if (!Object.is(Math.fround(number), number)) return { form: DOUBLES, base: 0 };
  }
  return { form: SINGLES, base: 0 };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
