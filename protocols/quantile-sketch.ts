// Quantiles of a stream with a bounded relative error, in bounded memory (DDSketch: Masson, Rim, Lee, VLDB 2019). Values fall into
// buckets whose bounds grow by a constant factor, so that every value of a bucket is within 1 % of its middle.

/** Largest relative error of a quantile that is within the sketch's range. */
export const QUANTILE_ERROR = 0.01;

/** Buckets kept. They span a factor of 10^17; beyond it the lowest values are merged, and only their quantiles lose accuracy. */
export const SKETCH_BUCKETS_MAX = 2048;

/** Counts of a stream of numbers of at least 0. Plain data, JSON-safe. Below zero counts as zero: a lag under clock skew. */
export interface QuantileSketch {
  /** Finite values taken. */
  count: number;
  zeros: number;
  /** NaN and infinities, which are counted and nothing else. */
  refused: number;
  /** Pairs of bucket number and count, in rising order of bucket. */
  buckets: [bucket: number, count: number][];
}

const GAMMA = (1 + QUANTILE_ERROR) / (1 - QUANTILE_ERROR);
const LOG_GAMMA = Math.log(GAMMA);
/** Below this a value counts as zero: 32-bit bucket numbers stay far from their ends. */
const SMALLEST = 1e-9;

export function createSketch(): QuantileSketch {
  return { count: 0, zeros: 0, refused: 0, buckets: [] };
}

/** Takes a value in, `times` times. */
export function addToSketch(sketch: QuantileSketch, value: number, times = 1): void {
  if (!Number.isFinite(value)) {
    sketch.refused += times;
    return;
  }
  sketch.count += times;
  if (value < SMALLEST) sketch.zeros += times;
  // The zero makes 0 of -0, which JSON does not keep apart.
  else addToBucket(sketch, { bucket: Math.ceil(Math.log(value) / LOG_GAMMA) + 0, times });
}

/** Adds another sketch's values to this one; the result is that of one sketch over both streams. */
export function mergeSketch(sketch: QuantileSketch, other: QuantileSketch): void {
  sketch.count += other.count;
  sketch.zeros += other.zeros;
  sketch.refused += other.refused;
  for (const [bucket, times] of other.buckets) addToBucket(sketch, { bucket, times });
}

/** The value at rank floor(q (count - 1)) of the sorted stream, within QUANTILE_ERROR of it; undefined for an empty sketch. `q` is in [0, 1]. */
export function quantile(sketch: QuantileSketch, q: number): number | undefined {
  if (sketch.count === 0) return undefined;
  const rank = Math.floor(Math.min(1, Math.max(0, q)) * (sketch.count - 1));
  let below = sketch.zeros;
  if (rank < below) return 0;
  for (const [bucket, times] of sketch.buckets) {
    below += times;
    // The harmonic middle of (gamma^(b-1), gamma^b] is off by the same relative error at both ends.
    if (rank < below) return (2 * GAMMA ** bucket) / (GAMMA + 1);
  }
  return undefined;
}

function addToBucket(
  sketch: QuantileSketch,
  { bucket, times }: { readonly bucket: number; readonly times: number },
): void {
  const { buckets } = sketch;
  let low = 0;
  let high = buckets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((buckets[middle]?.[0] ?? Infinity) < bucket) low = middle + 1;
    else high = middle;
  }
  const found = buckets[low];
  if (found !== undefined && found[0] === bucket) found[1] += times;
  else buckets.splice(low, 0, [bucket, times]);
  if (buckets.length <= SKETCH_BUCKETS_MAX) return;
  const [lowest, next] = buckets;
  if (lowest !== undefined && next !== undefined) next[1] += lowest[1];
  buckets.shift();
}
