// Nothing broken enters a shard: one NaN in one row spreads through every prediction that reads it.

/** Why a gradient or a row is refused. */
export type Refusal = "nan" | "infinity" | "norm";

/** What is wrong with these floats, or undefined: a NaN, an infinity, or a Euclidean norm above `normMax`. NaN is named before infinity. */
export function checkFinite(floats: Float32Array, normMax: number): Refusal | undefined {
  let squares = 0;
  for (let i = 0; i < floats.length; i += 1) {
    const value = floats[i] ?? 0;
    squares += value * value;
  }
  // Squares of 32-bit floats cannot overflow a 64-bit sum, so it is finite exactly when every float is.
  if (squares <= normMax * normMax) return undefined;
  if (Number.isFinite(squares)) return "norm";
  return floats.some((value) => Number.isNaN(value)) ? "nan" : "infinity";
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
    if (squares <= normMax * normMax) continue;
    const reason = checkFinite(floats.subarray(row * width, (row + 1) * width), normMax);
    if (reason !== undefined) return { row, reason };
  }
  return undefined;
}
