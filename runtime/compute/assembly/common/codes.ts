/*
 * Inner products of bytes: `a` from -63 to 63, `b` from 0 to 127. Two products then fit 15 bits and four fit 16, so that they are summed before
 * they are widened. `ones` is eight times 1 in 16 bits, held by the caller in a register.
 */

/** Of 16 bytes each, in some order in four lanes. */
export function dot16(a: v128, b: v128, ones: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(a, b), ones);
  return i32x4.extadd_pairwise_i16x8_s(i16x8.add(i16x8.extmul_low_i8x16_s(a, b), i16x8.extmul_high_i8x16_s(a, b)));
}

/** Of twice 16 bytes. */
export function dot32(a0: v128, a1: v128, b0: v128, b1: v128, ones: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const pairs = i16x8.add(i16x8.relaxed_dot_i8x16_i7x16_s(a0, b0), i16x8.relaxed_dot_i8x16_i7x16_s(a1, b1));
    return i32x4.dot_i16x8_s(pairs, ones);
  }
  const low = i16x8.add(i16x8.extmul_low_i8x16_s(a0, b0), i16x8.extmul_high_i8x16_s(a0, b0));
  const high = i16x8.add(i16x8.extmul_low_i8x16_s(a1, b1), i16x8.extmul_high_i8x16_s(a1, b1));
  return i32x4.extadd_pairwise_i16x8_s(i16x8.add(low, high));
}

/** The sums of the lanes of four vectors, in four lanes. */
export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3));
}
