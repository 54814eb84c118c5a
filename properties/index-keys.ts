// Keys by where they are at home in the index of a table (runtime/compute/assembly/table/key-index.ts).
const WORD = (1n << 64n) - 1n;
const [FIRST, SECOND] = [0x9e37_79b9_7f4a_7c15n, 0xbf58_476d_1ce4_e5b9n];
const [UNDO_FIRST, UNDO_SECOND] = [inverseOf(FIRST), inverseOf(SECOND)];

/** Keys of different numbers have hashes that look drawn. */
export function spreadKey(number: number): bigint {
  return (BigInt(number) * FIRST) & WORD;
}

/** The key with this 32-bit hash that has the number, as the mixing has an inverse: of a hash each number has a key of its own. */
export function keyWithHash(hash: number, number: number): bigint {
  let word = (BigInt(hash) << 32n) | BigInt(number);
  word = (word * UNDO_SECOND) & WORD;
  word ^= (word >> 29n) ^ (word >> 58n);
  word = (word * UNDO_FIRST) & WORD;
  return word ^ (word >> 32n);
}

/** Of an odd number, modulo 2^64, by Newton's steps. */
function inverseOf(odd: bigint): bigint {
  let inverse = odd;
  for (let step = 0; step < 6; step += 1) inverse = (inverse * (2n - odd * inverse)) & WORD;
  return inverse;
}
