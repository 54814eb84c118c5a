/*
 * How a table's numbers are held. A version names one content, for ever: the numbers of an f16 or i8 table are rounded once, by who stamps, and the
 * rounded ones are the row on every replica, on disk, in frames and in digests. What rounding took away stays with the stamper as optimizer
 * state, in front of the optimizer's own, so that steps too small for 16 or 8 bits add up instead of being lost.
 */

/**
 * `f32`, `f16` and `i8` numbers are finite; `bytes` are opaque. A row of i8 is a scale, a 32-bit float, then a whole number from -127 to 127 for each of its numbers: that
 * times the scale.
 */
export type Precision = "f32" | "f16" | "i8" | "bytes";

/** Numbers of rows as some table holds them. */
export interface NumberForm {
  readonly precision: Precision;
  /** Numbers in a row. */
  readonly dim: number;
}

const SCALE_BYTES = 4;
const STEPS = 127;

/** Bytes of a row's values, for `dim` numbers (or bytes). */
export function valueBytesOf(precision: Precision, dim: number): number {
  switch (precision) {
    case "f32":
      return 4 * dim;
    case "f16":
      return 2 * dim;
    case "i8":
      return SCALE_BYTES + dim;
    case "bytes":
      return dim;
  }
}

/** Bytes of state that the table's precision needs for itself: the exact numbers of a row whose values are rounded, as 32-bit floats. */
export function exactBytesOf(precision: Precision, dim: number): number {
  return isRounded(precision) ? 4 * dim : 0;
}

/** Whether numbers are rounded when they are stored. */
export function isRounded(precision: Precision): precision is "f16" | "i8" {
  return precision === "f16" || precision === "i8";
}

/** The numbers of rows as 32-bit floats, exactly; none for `bytes`. Shares no memory with `values`. */
export function floatsOf({ precision, dim }: NumberForm, values: Uint8Array): Float32Array<ArrayBuffer> {
  switch (precision) {
    case "bytes":
      return new Float32Array();
    case "f32":
      return new Float32Array(values.slice().buffer);
    case "f16":
      return Float32Array.from(new Float16Array(values.slice().buffer));
    case "i8":
      return scaledFloats(values, dim);
  }
}

function scaledFloats(values: Uint8Array, dim: number): Float32Array<ArrayBuffer> {
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const steps = new Int8Array(values.buffer, values.byteOffset, values.byteLength);
  const rowBytes = SCALE_BYTES + dim;
  const rows = Math.floor(values.length / rowBytes);
  const floats = new Float32Array(rows * dim);
  for (let row = 0; row < rows; row += 1) {
    const from = row * rowBytes;
    const scale = view.getFloat32(from, true);
    for (let at = 0; at < dim; at += 1) floats[row * dim + at] = scale * (steps[from + SCALE_BYTES + at] ?? 0);
  }
  return floats;
}

/** A row's values as they are held: of each number the nearest that there is, ties to the even one. Broken or too large numbers give values that are not finite. */
export function rounded(precision: "f16" | "i8", exact: Float32Array): Uint8Array<ArrayBuffer> {
  return precision === "f16" ? roundToF16(exact) : roundToI8(exact);
}

/**
 * The nearest f16 of each number, ties to the even one. A number from 65520 on becomes infinity, which is refused like any other: held at
 * 65504 instead, it would be served as something that nobody learned, and nobody would be told.
 */
export function roundToF16(exact: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float16Array.from(exact).buffer);
}

/**
 * A row of i8. Its scale is a 127th of its largest number, so that one is held as it is to the last bits, 0 is held as 0, and each is off by at most a 254th of the
 * largest; by (1 + 2^-16) / 254 of it with the roundings of 32-bit floats, and 2^-142 where these are no longer normal.
 */
export function roundToI8(exact: Float32Array): Uint8Array<ArrayBuffer> {
  let largest = 0;
  for (let at = 0; at < exact.length; at += 1) largest = Math.max(largest, Math.abs(exact[at] ?? 0));
  const scale = Math.fround(largest / STEPS);
  const bytes = new Uint8Array(SCALE_BYTES + exact.length);
  const view = new DataView(bytes.buffer);
  view.setFloat32(0, scale, true);
  if (!(scale > 0) || scale === Infinity) return bytes;
  for (let at = 0; at < exact.length; at += 1) {
    const steps = (exact[at] ?? 0) / scale + TO_WHOLE - TO_WHOLE;
    view.setInt8(SCALE_BYTES + at, Math.max(-STEPS, Math.min(STEPS, steps)));
  }
  return bytes;
}

/** Added and taken away again, it leaves the nearest whole number, of two as near the even one. */
const TO_WHOLE = 1.5 * 2 ** 52;

/** The exact numbers of a rounded row. Where they do not round to its values, the values are the row, and its state was lost or is another's. */
export function exactNumbers(
  { precision, dim }: NumberForm & { readonly precision: "f16" | "i8" },
  values: Uint8Array,
  exact: Float32Array,
): Float32Array<ArrayBuffer> {
  const held = floatsOf({ precision, dim }, values);
  if (precision === "i8") {
    const whole = new Float32Array(dim);
    whole.set(exact.subarray(0, dim));
    return roundToI8(whole).every((byte, at) => byte === values[at]) ? whole : held;
  }
  return held.map((value, at) => {
    const number = exact[at] ?? 0;
    return Math.f16round(number) === value ? number : value;
  });
}

/** Whether all numbers of rows are finite. Looks at exponents, because the bytes of a frame lie at any alignment: all ones is infinity or NaN. */
export function areFinite({ precision, dim }: NumberForm, bytes: Uint8Array): boolean {
  if (precision === "bytes") return true;
  if (precision === "f32") return areFloatsFinite(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (precision === "i8") return areScaledFinite(view, SCALE_BYTES + dim);
  for (let at = 0; at + 2 <= bytes.length; at += 2) {
    if ((view.getUint16(at, true) & F16_EXPONENT) === F16_EXPONENT) return false;
  }
  return true;
}

/** A scale is no less than 0, and what it makes of 127 still a number; -128 stands for nothing. */
function areScaledFinite(view: DataView, rowBytes: number): boolean {
  for (let from = 0; from + rowBytes <= view.byteLength; from += rowBytes) {
    const scale = view.getFloat32(from, true);
    if (!(scale >= 0) || Math.fround(scale * STEPS) === Infinity) return false;
    for (let at = SCALE_BYTES; at < rowBytes; at += 1) if (view.getInt8(from + at) < -STEPS) return false;
  }
  return true;
}

/** The same of 32-bit floats, as optimizer state is. */
export function areFloatsFinite(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    if ((view.getInt32(at, true) & F32_EXPONENT) === F32_EXPONENT) return false;
  }
  return true;
}

const F16_EXPONENT = 0x7c00;
const F32_EXPONENT = 0x7f80_0000;
