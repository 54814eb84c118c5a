// Scalar functions in 64 bits, without tables: nothing of this program's own may stand in the memory that it is lent.

/** e^x for x of at most 0, to 1e-13 of its value. */
function expOfNegative(x: f64): f64 {
  if (x < -700) return 0;
  const power = nearest(x * 1.4426950408889634);
  // ln 2 in two parts, so that the difference is exact.
  const r = x - power * 0.6931471803691238 - power * 1.9082149292705877e-10;
  let sum: f64 = 1.0 / 479001600;
  sum = sum * r + 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r + 1;
  sum = sum * r + 1;
  return sum * reinterpret<f64>((i64(power) + 1023) << 52);
}

/** ln(1 + x) for x in [0, 1], to 1e-12: twice the area tangent of x / (2 + x), which is at most 1/3. */
function logOfOneMore(x: f64): f64 {
  const s = x / (2 + x);
  const square = s * s;
  let sum: f64 = 1.0 / 23;
  sum = sum * square + 1.0 / 21;
  sum = sum * square + 1.0 / 19;
  sum = sum * square + 1.0 / 17;
  sum = sum * square + 1.0 / 15;
  sum = sum * square + 1.0 / 13;
  sum = sum * square + 1.0 / 11;
  sum = sum * square + 1.0 / 9;
  sum = sum * square + 1.0 / 7;
  sum = sum * square + 1.0 / 5;
  sum = sum * square + 1.0 / 3;
  sum = sum * square + 1;
  return 2 * s * sum;
}

/** p = 1 / (1 + e^-logit). */
export function sigmoids(rows: i32, logits: usize, logitsRow: i32, probabilities: usize): void {
  for (let row = 0; row < rows; row++) {
    const logit = f64(load<f32>(logits));
    const e = expOfNegative(-abs(logit));
    store<f32>(probabilities, f32((logit >= 0 ? 1 : e) / (1 + e)));
    logits += logitsRow;
    probabilities += 4;
  }
}

/** Adds the weighted log losses and the weights to the two sums at `sums`; delta = weight (p - label). */
export function logLosses(
  rows: i32,
  logits: usize,
  logitsRow: i32,
  labels: usize,
  weights: usize,
  delta: usize,
  deltaRow: i32,
  sums: usize,
): void {
  let losses = load<f64>(sums);
  let weight = load<f64>(sums, 8);
  for (let row = 0; row < rows; row++) {
    const logit = f64(load<f32>(logits));
    const label = f64(load<f32>(labels));
    const w = f64(load<f32>(weights));
    const e = expOfNegative(-abs(logit));
    losses += w * (max(logit, 0) - logit * label + logOfOneMore(e));
    weight += w;
    store<f32>(delta, f32(w * ((logit >= 0 ? 1 : e) / (1 + e) - label)));
    logits += logitsRow;
    labels += 4;
    weights += 4;
    delta += deltaRow;
  }
  store<f64>(sums, losses);
  store<f64>(sums, weight, 8);
}
