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

/** The shard a row lives in: the same key of two tables may live in two shards. */
export function shardOf(table: number, key: bigint, shards: number): number {
  const low = Number(key & 0xffffffffn);
  const high = Number(key >> 32n);
  return mix(mix(Math.imul(table + 1, 0x9e3779b1) ^ low) ^ high) % shards;
}

/** 32 bits of a key, mixed: the seed of a row's first values, so that every replica makes the same ones. */
export function keySeed(key: bigint): number {
  return mix(mix(Number(key & 0xffffffffn)) ^ Number(key >> 32n));
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
