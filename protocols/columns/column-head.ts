/*
 * Which value of a column each sample has. Neighbours often have the same one (the impressions of one request), and some have none, so a column holds
 * only values that differ from the one before, and says in bits whose they are:
 *
 *   1                  form: bit 3 some samples have no value, bit 4 some have that of the sample before; the others are of the kind of column
 *   ceil(samples / 8)  with bit 3: a bit for each sample, lowest first, 1 where it has a value; not all, and at least one
 *   ceil(held / 8)     with bit 4: a bit for each of those, 1 where its value is another than the one before; the first is 1, not all are
 *
 * The bits behind the last are 0.
 */
import { type ByteReader, type ByteWriter } from "../wire/bytes.ts";

const HAS_GAPS = 8;
const HAS_RUNS = 16;
/** Bits of the form that are a column's own. */
const FORM_MASK = 7;

export interface ColumnHead {
  /** Samples, with a value or without. */
  readonly size: number;
  /** Without, every sample has a value. */
  readonly gaps: Uint8Array | undefined;
  /** Without, each value is one sample's. */
  readonly runs: Uint8Array | undefined;
  /** How many values the column holds. */
  readonly values: number;
}

/** Splits what samples have into a head and the values that it holds. At least one sample has one. */
export function splitValues<T extends string | number>(
  all: readonly (T | undefined)[],
): { readonly head: ColumnHead; readonly own: readonly T[] } {
  const size = all.length;
  const own: T[] = [];
  let gaps: Uint8Array | undefined;
  let runs: Uint8Array | undefined;
  let held = 0;
  let before: T | undefined;
  for (let at = 0; at < size; at += 1) {
    const value = all[at];
    if (value === undefined) {
      gaps ??= firstBits(size, at);
      continue;
    }
    if (gaps !== undefined) setBit(gaps, at);
    if (Object.is(value, before)) runs ??= firstBits(size, held);
    else {
      if (runs !== undefined) setBit(runs, held);
      own.push(value);
      before = value;
    }
    held += 1;
  }
  return { head: { size, gaps, runs: runs?.subarray(0, bytesFor(held)), values: own.length }, own };
}

export function writeHead(writer: ByteWriter, { gaps, runs }: ColumnHead, form: number): void {
  writer.u8(form | (gaps === undefined ? 0 : HAS_GAPS) | (runs === undefined ? 0 : HAS_RUNS));
  if (gaps !== undefined) writer.bytes(gaps);
  if (runs !== undefined) writer.bytes(runs);
}

/** Reads a head of so many samples, at least one, and the form's own bits. Throws `DecodeError`. */
export function readHead(reader: ByteReader, size: number): { readonly form: number; readonly head: ColumnHead } {
  const form = reader.u8();
  if (form > (HAS_GAPS | HAS_RUNS | FORM_MASK)) throw reader.fail("a column has an unknown form");
  const gaps = (form & HAS_GAPS) === 0 ? undefined : readBits(reader, size);
  const held = gaps === undefined ? size : countBits(gaps);
  if (gaps !== undefined && (held === 0 || held === size)) throw reader.fail("all samples of a column are alike");
  const runs = (form & HAS_RUNS) === 0 ? undefined : readBits(reader, held);
  const values = runs === undefined ? held : countBits(runs);
  if (runs !== undefined && (values === held || !hasBit(runs, 0))) throw reader.fail("a column's runs are none");
  return { form: form & FORM_MASK, head: { size, gaps, runs, values } };
}

/** By sample, which of the column's values it has: their number where it has none. */
export function placesOf({ size, gaps, runs, values }: ColumnHead): Uint32Array {
  const places = new Uint32Array(size);
  let held = 0;
  let place = -1;
  for (let at = 0; at < size; at += 1) {
    if (gaps !== undefined && !hasBit(gaps, at)) {
      places[at] = values;
      continue;
    }
    if (runs === undefined || hasBit(runs, held)) place += 1;
    places[at] = place;
    held += 1;
  }
  return places;
}

function readBits(reader: ByteReader, bits: number): Uint8Array {
  const bytes = reader.view(bytesFor(bits));
  const behind = bits % 8;
  if (behind !== 0 && (bytes[bytes.length - 1] ?? 0) >> behind !== 0) throw reader.fail("bits are set behind the last");
  return bytes;
}

function bytesFor(bits: number): number {
  return Math.ceil(bits / 8);
}

/** Room for some bits, the first ones set. */
function firstBits(bits: number, set: number): Uint8Array {
  const bytes = new Uint8Array(bytesFor(bits));
  bytes.fill(0xff, 0, set >> 3);
  // Past the end nothing is written.
  bytes[set >> 3] = (1 << (set % 8)) - 1;
  return bytes;
}

function setBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
}

function hasBit(bytes: Uint8Array, bit: number): boolean {
  return ((bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
}

function countBits(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) {
    const pairs = byte - ((byte >> 1) & 0x55);
    const fours = (pairs & 0x33) + ((pairs >> 2) & 0x33);
    count += (fours + (fours >> 4)) & 0x0f;
  }
  return count;
}
