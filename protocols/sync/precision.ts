/*
 * How a table's numbers are held. A version names one content, for ever: an f16 table's numbers are rounded once, by who stamps, and the
 * rounded ones are the row on every replica, on disk, in frames and in digests. What rounding took away stays with the stamper as optimizer
 * state, in front of the optimizer's own, so that steps too small for 16 bits add up instead of being lost.
 */

/** `f32` and `f16` numbers are finite; `bytes` are opaque. */
export type Precision = "f32" | "f16" | "bytes";

/** Bytes of a row's values, for `dim` numbers (or bytes). */
export function valueBytesOf(precision: Precision, dim: number): number {
  return precision === "f32" ? 4 * dim : precision === "f16" ? 2 * dim : dim;
}

/** Bytes of state that the table's precision needs for itself: the exact numbers of an f16 row, as 32-bit floats. */
export function exactBytesOf(precision: Precision, dim: number): number {
  return precision === "f16" ? 4 * dim : 0;
}

/** The numbers of rows as 32-bit floats, exactly; none for `bytes`. Shares no memory with `values`. */
export function floatsOf(precision: Precision, values: Uint8Array): Float32Array<ArrayBuffer> {
  switch (precision) {
    case "bytes":
      return new Float32Array();
    case "f32":
      return new Float32Array(values.slice().buffer);
    case "f16":
      return Float32Array.from(new Float16Array(values.slice().buffer));
  }
}

/**
 * The nearest f16 of each number, ties to the even one. A number from 65520 on becomes infinity, which is refused like any other: held at
 * 65504 instead, it would be served as something that nobody learned, and nobody would be told.
 */
export function roundToF16(exact: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float16Array.from(exact).buffer);
}

/** The exact numbers of an f16 row. Where they do not round to its values, the values are the row, and its state was lost or is another's. */
export function exactNumbers(values: Uint8Array, exact: Float32Array): Float32Array<ArrayBuffer> {
  return floatsOf("f16", values).map((value, at) => {
    const number = exact[at] ?? 0;
    return Math.f16round(number) === value ? number : value;
  });
}

/** Whether all numbers are finite. Looks at exponents, because the bytes of a frame lie at any alignment: all ones is infinity or NaN. */
export function areFinite(precision: Precision, bytes: Uint8Array): boolean {
  if (precision === "bytes") return true;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (precision === "f16") {
    for (let at = 0; at + 2 <= bytes.length; at += 2) {
      if ((view.getUint16(at, true) & F16_EXPONENT) === F16_EXPONENT) return false;
    }
    return true;
  }
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    if ((view.getInt32(at, true) & F32_EXPONENT) === F32_EXPONENT) return false;
  }
  return true;
}

const F16_EXPONENT = 0x7c00;
const F32_EXPONENT = 0x7f80_0000;
