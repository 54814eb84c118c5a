// 16-bit floats.

/** The number that 16 bits stand for. */
export function fromHalf(bits: u32): f32 {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent == 0x1f) return reinterpret<f32>(sign | 0x7f80_0000 | (fraction << 13));
  if (exponent != 0) return reinterpret<f32>(sign | ((exponent + 112) << 23) | (fraction << 13));
  // Below the least normal number: a whole multiple of 2^-24.
  const small = <f32>fraction * <f32>5.9604644775390625e-8;
  return reinterpret<f32>(sign | reinterpret<u32>(small));
}

/** The nearest one, ties to the even; from 65520 on infinity. */
export function toHalf(number: f32): u32 {
  const bits = reinterpret<u32>(number);
  const sign = (bits >> 16) & 0x8000;
  const size = bits & 0x7fff_ffff;
  if (size > 0x7f80_0000) return sign | 0x7e00;
  // 65520 as a 32-bit float.
  if (size >= 0x477f_f000) return sign | 0x7c00;
  if (size < 0x3880_0000) {
    // Adding 2^-1 * 2^24 * 2^-24 leaves the multiple of 2^-24 in the lowest bits, rounded as the machine rounds.
    const shifted = reinterpret<f32>(size) + <f32>0.5;
    return sign | (reinterpret<u32>(shifted) - 0x3f00_0000);
  }
  const odd = (size >> 13) & 1;
  return sign | ((size - 0x3800_0000 + 0xfff + odd) >> 13);
}
