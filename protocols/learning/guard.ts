// Nothing broken enters a shard: one NaN in one row spreads through every prediction that reads it.

/** Why a gradient or a row is refused. */
export type Refusal = "nan" | "infinity" | "norm";

/** A row's gradient of a larger Euclidean norm is refused: no honest batch makes one, and one of them ruins a row. */
export const GRADIENT_NORM_MAX = 1_000;

/** What is wrong with these floats, or undefined: a NaN, an infinity, or a Euclidean norm above `normMax`. NaN is named before infinity. */
export function checkFinite(floats: Float32Array, normMax: number): Refusal | undefined {
  return firstBroken(floats, { rows: 1, normMax })?.reason;
}

/** The first of so many rows of equal width that has something wrong with it, as `checkFinite` says, or undefined. */
export function firstBroken(
  floats: Float32Array,
  { rows, normMax }: { readonly rows: number; readonly normMax: number },
): { readonly row: number; readonly reason: Refusal } | undefined {
  if (areSurelySmall(floats, normMax)) return undefined;
  const width = floats.length / Math.max(1, rows);
  for (let row = 0, at = 0; row < rows; row += 1) {
    let squares = 0;
    for (const end = at + width; at < end; at += 1) {
      const value = floats[at] ?? 0;
      squares += value * value;
    }
    // Squares of 32-bit floats cannot overflow a 64-bit sum, so it is finite exactly when every float is.
    if (squares <= normMax * normMax) continue;
    if (Number.isFinite(squares)) return { row, reason: "norm" };
    const hasNaN = floats.subarray(at - width, at).some((value) => Number.isNaN(value));
    return { row, reason: hasNaN ? "nan" : "infinity" };
  }
  return undefined;
}

/**
 * Whether no part of these floats can be above the norm, because all of them together are well below it, as a batch's gradients nearly always are. Four sums
 * that do not wait for each other take a third of the time of one. A NaN is below nothing.
 */
function areSurelySmall(floats: Float32Array, normMax: number): boolean {
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  const whole = floats.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    const a = floats[at] ?? 0;
    const b = floats[at + 1] ?? 0;
    const c = floats[at + 2] ?? 0;
    const d = floats[at + 3] ?? 0;
    first += a * a;
    second += b * b;
    third += c * c;
    fourth += d * d;
  }
  for (let at = whole; at < floats.length; at += 1) first += (floats[at] ?? 0) ** 2;
  return isSurelyBelow(first + second + (third + fourth), normMax);
}

/** Whether numbers whose squares have about this sum are finite, and none of them, nor any together, above the norm. */
export function isSurelyBelow(squares: number, normMax: number): boolean {
  return squares <= SURELY * normMax * normMax;
}

/** In another order, or in shorter floats, sums differ in their last bits: by less than this leaves room for. */
const SURELY = 0.5;
