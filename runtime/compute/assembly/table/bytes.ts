// Rows of bytes and a scale (protocols/sync/precision.ts, `roundToI8`): 32 bits of the scale, then a whole number from -127 to 127 for each number.

const SCALE_BYTES: usize = 4;
const STEPS: f64 = 127;

/** Writes a row of finite numbers in bytes. Gives whether the largest of them is a number then. */
export function packBytes(numbers: usize, dim: u32, to: usize): bool {
  let largest: f32 = 0;
  for (let i: u32 = 0; i < dim; i++) largest = max(largest, abs(load<f32>(numbers + ((<usize>i) << 2))));
  const scale = <f32>(<f64>largest / STEPS);
  store<f32>(to, scale);
  for (let i: u32 = 0; i < dim; i++) {
    const steps = scale > 0 ? nearest(<f64>load<f32>(numbers + ((<usize>i) << 2)) / <f64>scale) : 0;
    store<i8>(to + SCALE_BYTES + i, <i8>max(-STEPS, min(STEPS, steps)));
  }
  return (reinterpret<u32>(<f32>(<f64>scale * STEPS)) & 0x7f80_0000) != 0x7f80_0000;
}

/** The exact numbers of a row of bytes; where they do not round to it, the row's own. `again` has room for such a row. */
export function loadBytes(values: usize, exact: usize, dim: u32, to: usize, again: usize): void {
  packBytes(exact, dim, again);
  let same = true;
  for (let at: usize = 0; at < SCALE_BYTES + dim; at++) same = same && load<u8>(values + at) == load<u8>(again + at);
  const scale = <f64>load<f32>(values);
  for (let i: u32 = 0; i < dim; i++) {
    const number = same ? load<f32>(exact + ((<usize>i) << 2)) : <f32>(scale * <f64>load<i8>(values + SCALE_BYTES + i));
    store<f32>(to + ((<usize>i) << 2), number);
  }
}
