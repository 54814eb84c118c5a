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
