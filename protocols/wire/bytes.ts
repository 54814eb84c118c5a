/*
 * Reading and writing binary data, little-endian. The reader is total: it throws `DecodeError` and nothing else, and checks
 * every length against the bytes that are there before it allocates. Columns are copied as the machine holds them, which is
 * little-endian on every machine that Node 26 runs on.
 */
import { DecodeError } from "./decode-error.ts";

/** Every byte as two hex digits. */
export const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Beyond this, memory is not kept for the next writer. */
const SPARE_BYTES_MAX = 65_536;
/** What the last writer that finished wrote into: fresh memory for each message costs more than what is written there. */
let spare: Uint8Array<ArrayBuffer> | undefined;

/** Grows as needed; `finish` gives exactly what was written, in memory of its own. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacityBytes = 1024) {
    this.#bytes = spare !== undefined && spare.length >= capacityBytes ? spare : new Uint8Array(capacityBytes);
    // Whoever writes at the same time has memory of its own.
    if (this.#bytes === spare) spare = undefined;
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  u32(value: number): void {
    this.#reserve(4);
    for (let byte = 0; byte < 4; byte += 1) this.#bytes[this.#length + byte] = value >>> (byte * 8);
    this.#length += 4;
  }

  f64(value: number): void {
    this.bytes(bytesOf(Float64Array.of(value)));
  }

  /** A whole number from 0 to 2^53-1: seven bits a byte, least significant first, no more bytes than needed. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`Cannot write ${value} as a varint: it is not a whole number from 0 to 2^53-1`);
    }
    let rest = value;
    while (rest > 0x7f) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  /** Text of ASCII characters, its length first. */
  text(text: string): void {
    this.varint(text.length);
    this.#reserve(text.length);
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7e) throw new RangeError(`Cannot write ${JSON.stringify(text)}: it is not ASCII`);
      this.#bytes[this.#length + index] = code;
    }
    this.#length += text.length;
  }

  /** Any text: twice its length in UTF-16 units, 1 more where some have two bytes, and the units in one byte each or two. */
  units(text: string): void {
    const isWide = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at)).some((unit) => unit > 0xff);
    this.varint(2 * text.length + (isWide ? 1 : 0));
    this.rawUnits(text, isWide);
  }

  /** A text's UTF-16 units, in two bytes each or the lower one. */
  rawUnits(text: string, isWide: boolean): void {
    const every = isWide ? 2 : 1;
    this.#reserve(every * text.length);
    const bytes = this.#bytes;
    let to = this.#length;
    for (let at = 0; at < text.length; at += 1) {
      const unit = text.charCodeAt(at);
      bytes[to] = unit;
      if (isWide) bytes[to + 1] = unit >> 8;
      to += every;
    }
    this.#length = to;
  }

  /** An even number of lower-case hex digits as bytes, without a length. */
  hex(digits: string): void {
    for (let index = 0; index < digits.length; index += 2) {
      this.u8(digitAt(digits, index) * 16 + digitAt(digits, index + 1));
    }
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Goes on from the start, in the same memory. */
  clear(): void {
    this.#length = 0;
  }

  /** What was written so far; shares memory with the writer until it grows. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  finish(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes;
    // What is long is not copied where it fills its memory.
    if (this.#length === bytes.length && bytes.length > SPARE_BYTES_MAX) return bytes;
    const finished = bytes.slice(0, this.#length);
    if (bytes.length <= SPARE_BYTES_MAX && bytes.length > (spare?.length ?? 0)) spare = bytes;
    this.#bytes = finished;
    return finished;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

/** Texts that were read lately, by a hash: those of writers stand in every message, and to build them each time is dear. */
const RECENT = 256;
const RECENT_CHARS_MAX = 128;
const recent: (string | undefined)[] = Array.from({ length: RECENT }, () => undefined);

function digitAt(digits: string, index: number): number {
  const code = digits.charCodeAt(index);
  // "0" is 0x30 and "a", which is ten, 0x61.
  return code < 0x61 ? code - 0x30 : code - 0x57;
}

/** Reads from `bytes[0, end)`. `what` names the thing in errors. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, options: { what: string; end?: number }) {
    this.#bytes = bytes;
    this.#what = options.what;
    this.#end = options.end ?? bytes.length;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  fail(reason: string): DecodeError {
    return new DecodeError(this.#what, reason, this.#at);
  }

  u8(): number {
    if (this.#at >= this.#end) throw this.fail("it ends too early");
    const value = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return value;
  }

  u32(): number {
    const end = this.#take(4);
    let value = 0;
    for (let at = end - 1; at >= end - 4; at -= 1) value = value * 256 + (this.#bytes[at] ?? 0);
    return value;
  }

  f64(): number {
    const end = this.#take(8);
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + end - 8, 8).getFloat64(0, true);
  }

  varint(max: number = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; ; count += 1) {
      if (count === 8) throw this.fail("a number is too long");
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && count > 0) throw this.fail("a number is longer than needed");
        if (value > max) throw this.fail(`a number is greater than ${max}`);
        return value;
      }
      scale *= 0x80;
    }
  }

  text(charsMax: number): string {
    const length = this.varint(charsMax);
    const end = this.#take(length);
    const from = end - length;
    let hash = length;
    for (let at = from; at < end; at += 1) {
      const code = this.#bytes[at] ?? 0;
      if (code < 0x20 || code > 0x7e) throw this.fail("a text is not printable ASCII");
      hash = (Math.imul(hash, 31) + code) | 0;
    }
    const place = hash & (RECENT - 1);
    const before = recent[place];
    if (before !== undefined && this.#holds(before, from, length)) return before;
    let text = "";
    for (let at = from; at < end; at += 1) text += String.fromCharCode(this.#bytes[at] ?? 0);
    if (length <= RECENT_CHARS_MAX) recent[place] = text;
    return text;
  }

  units(): string {
    const form = this.varint(2 * this.remaining + 1);
    const isWide = form % 2 === 1;
    const length = (form - (form % 2)) / 2;
    const end = this.#take(isWide ? 2 * length : length);
    let text = "";
    let widest = 0;
    for (let at = end - (isWide ? 2 * length : length); at < end; at += isWide ? 2 : 1) {
      const unit = (this.#bytes[at] ?? 0) | (isWide ? (this.#bytes[at + 1] ?? 0) << 8 : 0);
      widest = Math.max(widest, unit);
      text += String.fromCharCode(unit);
    }
    if (isWide && widest <= 0xff) throw this.fail("a text has more bytes than it needs");
    return text;
  }

  #holds(text: string, from: number, length: number): boolean {
    if (text.length !== length) return false;
    for (let index = 0; index < length; index += 1) {
      if (text.charCodeAt(index) !== this.#bytes[from + index]) return false;
    }
    return true;
  }

  hex(bytes: number): string {
    let digits = "";
    const end = this.#take(bytes);
    for (let at = end - bytes; at < end; at += 1) digits += HEX[this.#bytes[at] ?? 0] ?? "";
    return digits;
  }

  /** The next bytes, sharing memory with the input. */
  view(length: number): Uint8Array {
    const end = this.#take(length);
    return this.#bytes.subarray(end - length, end);
  }

  /** The next bytes in memory of their own, aligned for any column. */
  copy(length: number): ArrayBuffer {
    const view = this.view(length);
    const copy = new ArrayBuffer(length);
    new Uint8Array(copy).set(view);
    return copy;
  }

  finish(): void {
    if (this.remaining !== 0) throw this.fail(`${this.remaining} bytes are left over`);
  }

  /** Steps over bytes that must be there; gives where they end. */
  #take(length: number): number {
    if (length > this.remaining) throw this.fail(`${length} bytes are announced and ${this.remaining} are left`);
    this.#at += length;
    return this.#at;
  }
}

/** The bytes of a column, sharing its memory. */
export function bytesOf(column: BigUint64Array | Float64Array | Uint16Array | Float32Array): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
