/*
 * Texts of samples in one piece. Their UTF-16 units are kept as they are, as keys are hashes of these (protocols/keys.ts): one byte each where all of them
 * fit, as almost always, else two.
 *
 *   head    (column-head.ts); form: bit 0 units have two bytes, and then not all fit one; bits 1 and 2: a length has 1, 2 or 4 bytes,
 *           no more than the longest needs
 *   lengths of the values, in units; neighbours are not the same text
 *   units   of the values, one after the other
 */
import { type TextSpans } from "../keys.ts";
import { type ByteReader, type ByteWriter } from "../wire/bytes.ts";
import { type ColumnHead, placesOf, readHead, splitValues, writeHead } from "./column-head.ts";

const WIDE = 1;
const LENGTH_BITS = [0, 1, 2] as const;

export interface TextColumn extends ColumnHead, TextSpans {}

/** Writes the text of each sample; at least one has one. */
export function writeTexts(writer: ByteWriter, texts: readonly (string | undefined)[]): void {
  const { head, own } = splitValues(texts);
  let longest = 0;
  for (const text of own) longest = Math.max(longest, text.length);
  const bits = LENGTH_BITS.find((each) => longest < 2 ** (8 << each)) ?? 2;
  const all = own.join("");
  const ascii = asciiOf(all);
  const isWide = ascii === undefined && hasWide(all);
  writeHead(writer, head, (isWide ? WIDE : 0) | (bits << 1));
  const lengths = new Uint8Array(own.length << bits);
  for (let value = 0; value < own.length; value += 1) {
    const length = own[value]?.length ?? 0;
    for (let byte = 0; byte < 1 << bits; byte += 1) lengths[(value << bits) + byte] = length >>> (8 * byte);
  }
  writer.bytes(lengths);
  if (ascii === undefined) writer.rawUnits(all, isWide);
  else writer.bytes(ascii);
}

const encoder = new TextEncoder();

/** A text of ASCII characters alone as bytes: of such a one UTF-8 has one byte a unit, of any other more. */
function asciiOf(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  const { read, written } = encoder.encodeInto(text, bytes);
  return read === text.length && written === text.length ? bytes : undefined;
}

function hasWide(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0xff) return true;
  return false;
}

/** Reads the texts of so many samples, at least one; they share memory with the input. Throws `DecodeError`. */
export function readTexts(reader: ByteReader, size: number): TextColumn {
  const { form, head } = readHead(reader, size);
  const bits = LENGTH_BITS[form >> 1];
  if (bits === undefined) throw reader.fail("texts have lengths of an unknown form");
  const isWide = (form & WIDE) !== 0;
  const lengthBytes = 1 << bits;
  const lengths = reader.view(head.values * lengthBytes);
  const spans = { lengths, lengthBytes, isWide, units: lengths };
  let [all, longest] = [0, 0];
  for (let value = 0; value < head.values; value += 1) {
    const length = lengthAt(spans, value);
    all += length;
    if (length > longest) longest = length;
  }
  if (bits > 0 && longest < 2 ** (8 << (bits - 1))) throw reader.fail("lengths have more bytes than they need");
  const units = reader.view(isWide ? 2 * all : all);
  if (isWide && units.every((byte, at) => at % 2 === 0 || byte === 0)) {
    throw reader.fail("units have more bytes than they need");
  }
  const column = { ...head, ...spans, units };
  if (hasRepeated(column)) throw reader.fail("a text is that of the sample before");
  return column;
}

/** The length of a text, in units. */
export function lengthAt({ lengths, lengthBytes }: Pick<TextSpans, "lengths" | "lengthBytes">, value: number): number {
  if (lengthBytes === 1) return lengths[value] ?? 0;
  let length = 0;
  for (let byte = lengthBytes - 1; byte >= 0; byte -= 1) {
    length = length * 256 + (lengths[value * lengthBytes + byte] ?? 0);
  }
  return length;
}

/** Bytes of a unit. */
export function unitBytes({ isWide }: Pick<TextSpans, "isWide">): number {
  return isWide ? 2 : 1;
}

/** The texts that a column holds, in order. */
export function valuesOf(column: TextColumn): readonly string[] {
  const { values, units, isWide } = column;
  const all = textOf(units, isWide);
  const texts: string[] = [];
  let from = 0;
  for (let value = 0; value < values; value += 1) {
    const to = from + lengthAt(column, value);
    texts.push(all.slice(from, to));
    from = to;
  }
  return texts;
}

/** By sample: its text, undefined where it has none. */
export function textsOf(column: TextColumn): readonly (string | undefined)[] {
  const values = valuesOf(column);
  return Array.from(placesOf(column), (place) => values[place]);
}

/** Whether some text is the same as the one before it. */
function hasRepeated(column: TextColumn): boolean {
  const { values, units } = column;
  let before = -1;
  let from = 0;
  for (let value = 0; value < values; value += 1) {
    const bytes = lengthAt(column, value) * unitBytes(column);
    if (bytes === before && isRepeated(units, from, bytes)) return true;
    before = bytes;
    from += bytes;
  }
  return false;
}

function isRepeated(units: Uint8Array, from: number, bytes: number): boolean {
  for (let at = from; at < from + bytes; at += 1) if (units[at] !== units[at - bytes]) return false;
  return true;
}

/** So many units are made a text at once: each is an argument of one call. */
const AT_ONCE = 4_096;

function textOf(bytes: Uint8Array, isWide: boolean): string {
  const every = isWide ? 2 : 1;
  let text = "";
  for (let from = 0; from < bytes.length; from += AT_ONCE * every) {
    const part = bytes.subarray(from, from + AT_ONCE * every);
    // In memory of its own, where two bytes are a number.
    const units = isWide ? new Uint16Array(new Uint8Array(part).buffer) : part;
    text += Reflect.apply(String.fromCharCode, undefined, units);
  }
  return text;
}
