/*
 * The work that all peers of the synchronisation benches do: rows of a table updated as a trainer of a recommender does, few of them very
 * often. Keys are drawn by Zipf's law as Gray et al. do ("Quickly generating billion-record synthetic databases", 1994), their ranks scattered
 * over the keys; values are noise, so nothing can be compressed.
 */

export interface WorkloadOptions {
  /** Keys are 0 to keys - 1. */
  readonly keys: number;
  /** Zipf's exponent, below 1. */
  readonly theta: number;
  readonly valueBytes: number;
}

/** The standard work: what the README's tables are measured on. */
export const SYNC_WORKLOAD: WorkloadOptions = { keys: 100_000, theta: 0.99, valueBytes: 64 };

/** An endless stream of updates, the same for every peer. */
export interface Workload {
  nextKey: () => number;
  /** Overwritten by the next call. Finite as 32-bit floats, and noise otherwise. */
  nextValue: () => Uint8Array<ArrayBuffer>;
}

export function createWorkload({ keys, theta, valueBytes }: WorkloadOptions): Workload {
  const keyOf = scatter(keys);
  const drawRank = zipf(keys, theta);
  const words = new Int32Array(valueBytes / 4);
  let state = VALUE_SEED;
  const bytes = new Uint8Array(words.buffer);
  return {
    nextKey: () => keyOf[drawRank()] ?? 0,
    nextValue: () => {
      // Without one bit of the exponent no word is infinity or NaN.
      for (let at = 0; at < words.length; at += 1) words[at] = (state = xorshift(state)) & NO_LARGE_EXPONENT;
      return bytes;
    },
  };
}

/** How many different keys the next `updates` of a stream hit, counted anew each `round`. */
export function countDistinct(workload: Workload, options: { keys: number; updates: number; round: number }): number {
  const seenIn = new Uint32Array(options.keys);
  let distinct = 0;
  for (let update = 0; update < options.updates; update += 1) {
    const round = Math.floor(update / options.round) + 1;
    const key = workload.nextKey();
    if (seenIn[key] === round) continue;
    seenIn[key] = round;
    distinct += 1;
  }
  return distinct;
}

const RANK_SEED = 7;
const SCATTER_SEED = 99;
const VALUE_SEED = 5;
const NO_LARGE_EXPONENT = ~(1 << 30);

/** The next state of Marsaglia's generator of 32 bits, which is also what it draws, as a signed number. */
function xorshift(state: number): number {
  const a = state ^ (state << 13);
  const b = a ^ (a >>> 17);
  return b ^ (b << 5);
}

/** A shuffle of the keys. */
function scatter(keys: number): Uint32Array {
  let state = SCATTER_SEED;
  const shuffled = Uint32Array.from({ length: keys }, (_, key) => key);
  for (let at = keys - 1; at > 0; at -= 1) {
    state = xorshift(state);
    const other = (state >>> 0) % (at + 1);
    const held = shuffled[at] ?? 0;
    shuffled[at] = shuffled[other] ?? 0;
    shuffled[other] = held;
  }
  return shuffled;
}

function zipf(ranks: number, theta: number): () => number {
  let state = RANK_SEED;
  let zeta = 0;
  for (let rank = 1; rank <= ranks; rank += 1) zeta += rank ** -theta;
  const second = 1 + 0.5 ** theta;
  const alpha = 1 / (1 - theta);
  const eta = (1 - (2 / ranks) ** (1 - theta)) / (1 - second / zeta);
  return () => {
    state = xorshift(state);
    const uniform = (state >>> 0) / 2 ** 32;
    const scaled = uniform * zeta;
    if (scaled < 1) return 0;
    if (scaled < second) return 1;
    return Math.min(ranks - 1, Math.floor(ranks * (eta * uniform - eta + 1) ** alpha));
  };
}
