/**
 * The products of 16 bytes each, summed in pairs into 16 bits: `a` from -63 to 63, `b` from 0 to 127, so that two of the results may be added
 * before they are widened.
 */
export function pairProducts(a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.relaxed_dot_i8x16_i7x16_s(a, b);
  const low = i16x8.extmul_low_i8x16_s(a, b);
  const high = i16x8.extmul_high_i8x16_s(a, b);
  return i16x8.add(
    v128.shuffle<i16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14),
    v128.shuffle<i16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15),
  );
}

/** The same of twice 16 bytes, four products in each of four lanes. `ones` is eight times 1 in 16 bits, held by the caller in a register. */
export function quadProducts(a0: v128, b0: v128, a1: v128, b1: v128, ones: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.add(pairProducts(a0, b0), pairProducts(a1, b1)), ones);
}
