/*
 * From the names applications use to the 64-bit keys rows live under, and from keys to shards.
 * A canonical decimal integer is its own key, so it can be read back from a row; any other text is hashed with the top bit set,
 * so the two never meet. Two texts share a hash with probability 2^-63; a table of 10^7 texts has such a pair with probability 5e-6.
 */

const HASHED = 1n << 63n;
const CANONICAL_INTEGER = /^(?:0|[1-9][0-9]{0,18})$/;

/** The key of a user, an item or a category. The same on every node, for ever. */
export function keyOf(text: string): bigint {
  if (CANONICAL_INTEGER.test(text)) {
    const integer = BigInt(text);
    if (integer < HASHED) return integer;
  }
  const low = hashText(text, 0x9e3779b9);
  const high = hashText(text, 0x85ebca6b);
  return HASHED | (BigInt(high) << 32n) | BigInt(low);
}

/** Whether a key is an integer's own; then its decimal form is the text it came from. */
export function isIntegerKey(key: bigint): boolean {
  return key < HASHED;
}

/** A key's two words, the low one first: to shift a 64-bit integer makes another one. */
const KEY = new BigUint64Array(1);
const WORDS = new Uint32Array(KEY.buffer);

/** The shard a row lives in: the same key of two tables may live in two shards. */
export function shardOf(table: number, key: bigint, shards: number): number {
  KEY[0] = key;
  return shardOfWords(table, WORDS[0] ?? 0, WORDS[1] ?? 0) % shards;
}

/** The same of a key's low and high 32 bits, before the shards are counted. */
export function shardOfWords(table: number, low: number, high: number): number {
  return mix(mix(Math.imul(table + 1, 0x9e3779b1) ^ low) ^ high);
}

/** Texts one after the other: how long each is in UTF-16 units, in so many bytes, and their units, of one byte each or two. Little-endian. */
export interface TextSpans {
  readonly lengths: Uint8Array;
  readonly lengthBytes: number;
  readonly units: Uint8Array;
  readonly isWide: boolean;
}

/** Writes the key of the text at this byte, so many units long, as `keyOf` makes it: two words, the low one first. */
export function writeKey(
  text: Pick<TextSpans, "units" | "isWide">,
  at: number,
  length: number,
  words: Uint32Array,
): void {
  if (length <= INTEGER_DIGITS_MAX && writeInteger(text, at, length, words)) return;
  const { units, isWide } = text;
  const every = isWide ? 2 : 1;
  let low = 0x9e3779b9;
  let high = 0x85ebca6b;
  for (let unit = 0; unit < length; unit += 2) {
    const from = at + unit * every;
    let block = units[from] ?? 0;
    if (isWide) block |= (units[from + 1] ?? 0) << 8;
    if (unit + 1 < length) {
      block |= (units[from + every] ?? 0) << 16;
      if (isWide) block |= (units[from + 3] ?? 0) << 24;
    }
    block = Math.imul(block, 0xcc9e2d51);
    block = Math.imul((block << 15) | (block >>> 17), 0x1b873593);
    low ^= block;
    low = (Math.imul((low << 13) | (low >>> 19), 5) + 0xe6546b64) | 0;
    high ^= block;
    high = (Math.imul((high << 13) | (high >>> 19), 5) + 0xe6546b64) | 0;
  }
  words[0] = mix(low ^ length);
  words[1] = (mix(high ^ length) | 0x8000_0000) >>> 0;
}

const INTEGER_DIGITS_MAX = 19;
const SHORT_DIGITS_MAX = 9;

/** Writes a canonical integer below 2^63; false of any other text. */
function writeInteger(
  { units, isWide }: Pick<TextSpans, "units" | "isWide">,
  at: number,
  length: number,
  words: Uint32Array,
): boolean {
  const every = isWide ? 2 : 1;
  let low = 0;
  let high = 0;
  // As long as all fits one word nothing is carried.
  const short = Math.min(length, SHORT_DIGITS_MAX);
  let digit = 0;
  for (; digit < short; digit += 1) {
    const unit = at + digit * every;
    const value = (units[unit] ?? 0) - 0x30;
    if (value < 0 || value > 9 || (isWide && units[unit + 1] !== 0)) return false;
    low = (Math.imul(low, 10) + value) | 0;
  }
  if (length > 1 && units[at] === 0x30) return false;
  for (; digit < length; digit += 1) {
    const unit = at + digit * every;
    const value = (units[unit] ?? 0) - 0x30;
    if (value < 0 || value > 9 || (isWide && units[unit + 1] !== 0)) return false;
    // Both words stay below 2^32 times 10, which doubles count exactly.
    low = low * 10 + value;
    const carry = Math.floor(low / 0x1_0000_0000);
    low -= carry * 0x1_0000_0000;
    high = high * 10 + carry;
  }
  if (length === 0 || high >= 0x8000_0000) return false;
  words[0] = low;
  words[1] = high;
  return true;
}

/** 32 bits of a key, mixed: the seed of a row's first values, so that every replica makes the same ones. */
export function keySeed(key: bigint): number {
  KEY[0] = key;
  return wordsSeed(WORDS[0] ?? 0, WORDS[1] ?? 0);
}

/** The same of a key's low and high 32 bits. */
export function wordsSeed(low: number, high: number): number {
  return mix(mix(low) ^ high);
}

// MurmurHash3's 32-bit finaliser (Appleby, public domain constants): every input bit reaches every output bit.
function mix(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 32 bits of a text under a seed, the same everywhere: MurmurHash3's 32-bit body over UTF-16 code units, two to a block. */
export function hashText(text: string, seed: number): number {
  let h = seed;
  for (let index = 0; index < text.length; index += 2) {
    let block = text.charCodeAt(index) | ((index + 1 < text.length ? text.charCodeAt(index + 1) : 0) << 16);
    block = Math.imul(block, 0xcc9e2d51);
    block = (block << 15) | (block >>> 17);
    h ^= Math.imul(block, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  return mix(h ^ text.length);
}
