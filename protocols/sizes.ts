/*
 * How large the numbers of a stream are, as whole numbers that rise with them: the exponent of a 32-bit float and six bits of what follows. A
 * count of each size takes a few nanoseconds a number and bounded memory, where a sketch (quantile-sketch.ts) looks its bucket up. Numbers of one
 * size are within 1 / 64 of one another. Those below 1e-38 are of one size, those beyond 3e38 too.
 */

/** Numbers counted by size, at most 65,535 of them. */
export interface Sizes {
  count: number;
  readonly counts: Uint16Array;
  /** None is larger. */
  largest: number;
}

const FLOAT = new Float32Array(1);
const HALVES = new Uint16Array(FLOAT.buffer);
/** One more than that of infinity. */
const SIZES = (0x7f80 >> 1) + 1;

export function createSizes(): Sizes {
  return { count: 0, counts: new Uint16Array(SIZES), largest: 0 };
}

/** The size of a number that is not NaN; what is not above 0 is of the least. */
export function sizeOf(value: number): number {
  if (!(value > 0)) return 0;
  FLOAT[0] = value;
  // The upper half, as all machines that Node runs on have the lower one first.
  return (HALVES[1] ?? 0) >> 1;
}

export function addSize(sizes: Sizes, size: number): void {
  sizes.count += 1;
  sizes.counts[size] = (sizes.counts[size] ?? 0) + 1;
  if (size > sizes.largest) sizes.largest = size;
}

/** The size at rank floor(q (count - 1)) of all numbers in order; undefined where there is none. `q` is in [0, 1]. */
export function sizeAt(all: readonly Sizes[], q: number): number | undefined {
  const count = all.reduce((sum, sizes) => sum + sizes.count, 0);
  if (count === 0) return undefined;
  // From above: high quantiles are what is asked for.
  let above = count - 1 - Math.floor(q * (count - 1));
  let size = Math.max(...all.map(({ largest }) => largest));
  for (; size > 0; size -= 1) {
    for (const { counts } of all) above -= counts[size] ?? 0;
    if (above < 0) break;
  }
  return size;
}
