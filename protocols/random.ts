// A small seeded generator for everything that must be repeatable: simulations, initial parameters, sampling.
// The sequence is xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021, public
// domain), seeded through a splitmix-style counter so that close seeds give unrelated sequences. Not for secrets.

/** The whole state of a generator: four 32-bit words. Plain data, so it can be copied, stored and compared. */
export interface Random {
  a: number;
  b: number;
  c: number;
  d: number;
}

/** A generator that gives the same sequence for the same seed, on every machine. Seeds are whole numbers below 2^53. */
export function createRandom(seed: number): Random {
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`Cannot seed a generator: ${seed} is not a whole number below 2^53`);
  }
  let word = mixUint32(Math.floor(seed / 0x1_0000_0000), seed);
  function next(): number {
    return (word = mixUint32(word, 0x9e3779b9));
  }
  // An all-zero state would stay zero for ever; the last word keeps one bit set.
  return { a: next(), b: next(), c: next(), d: (next() | 1) >>> 0 };
}

/** The next whole number in [0, 2^32). */
export function nextUint32(random: Random): number {
  const { b } = random;
  const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
  random.c = (random.c ^ random.a) >>> 0;
  random.d = (random.d ^ b) >>> 0;
  random.b = (b ^ random.c) >>> 0;
  random.a = (random.a ^ random.d) >>> 0;
  random.c = (random.c ^ (b << 9)) >>> 0;
  random.d = rotateLeft(random.d, 11) >>> 0;
  return result;
}

/** A number in [0, 1) with 53 random bits. */
export function nextFloat(random: Random): number {
  const high = nextUint32(random) >>> 5;
  const low = nextUint32(random) >>> 6;
  return (high * 0x400_0000 + low) / 0x20_0000_0000_0000;
}

/** A whole number in [0, below). `below` is at most 2^32; the bias is under 2^-21. */
export function nextBelow(random: Random, below: number): number {
  return Math.floor(nextFloat(random) * below);
}

/**
 * A draw from the normal distribution with mean 0 and variance 1 (Box-Muller, one of the pair, so that no draw depends on
 * an earlier one being kept). It uses log and cos, whose last bit may differ between engines: do not use it where replicas must agree.
 */
export function nextNormal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - nextFloat(random)));
  return radius * Math.cos(2 * Math.PI * nextFloat(random));
}

/** A new generator, unrelated to what this one gives from here on. Moves this one by two draws. */
export function fork(random: Random): Random {
  return createRandom(nextUint32(random) * 0x20_0000 + (nextUint32(random) >>> 11));
}

/** Mixes two 32-bit words into one, well enough to derive the randomness of one key from a seed without any state. */
export function mixUint32(seed: number, value: number): number {
  // The finaliser of MurmurHash3 (Appleby, public domain), applied after a Weyl step so that (0, 0) does not stay 0.
  let word = (Math.imul(seed ^ 0x5bd1e995, 0x2c1b3c6d) + Math.imul(value, 0x9e3779b1) + 0x7f4a7c15) | 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
