// Nothing broken enters a shard: one NaN in one row spreads through every prediction that reads it.

/** Why a gradient or a row is refused. */
export type Refusal = "nan" | "infinity" | "norm";

/** What is wrong with these floats, or undefined: a NaN, an infinity, or a Euclidean norm above `normMax`. NaN is named before infinity. */
export function checkFinite(floats: Float32Array, normMax: number): Refusal | undefined {
  return firstBroken(floats, { rows: 1, normMax })?.reason;
}

/** The first of so many rows of equal width that has something wrong with it, as `checkFinite` says, or undefined. */
export function firstBroken(
  floats: Float32Array,
  { rows, normMax }: { readonly rows: number; readonly normMax: number },
): { readonly row: number; readonly reason: Refusal } | undefined {
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
