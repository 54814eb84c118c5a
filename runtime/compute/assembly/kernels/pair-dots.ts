// Inner products of all pairs of a sample's vectors, and their gradients.
import { madd, sums4 } from "../common/fused";
import { layVectors, putGradients, strideOf } from "./laid-vectors";

/** The dots of the pairs (1, 0), (2, 0), (2, 1)... of each sample's vectors. */
export function pairDots(
  rows: i32,
  parts: usize,
  count: i32,
  start: i32,
  dim: i32,
  vectors: i32,
  out: usize,
  outRow: i32,
  scratch: usize,
): void {
  const stride = strideOf(dim);
  for (let row = 0; row < rows; row++) {
    layVectors(parts, count, start + row, dim, stride, scratch);
    for (let i = 1; i < vectors; i += 2) {
      const both = i + 1 < vectors;
      const left0 = scratch + i * stride;
      const left1 = both ? left0 + stride : left0;
      const out0 = out + ((i * (i - 1)) << 1);
      const out1 = out0 + (i << 2);
      // Vectors beyond the last are some memory's content, and their dots are not stored.
      for (let j = 0; j <= i; j += 4) {
        const right = scratch + j * stride;
        let a0 = f32x4.splat(0);
        let a1 = a0;
        let a2 = a0;
        let a3 = a0;
        let b0 = a0;
        let b1 = a0;
        let b2 = a0;
        let b3 = a0;
        for (let d = 0; d < dim << 2; d += 16) {
          const x = v128.load(left0 + d);
          const y = v128.load(left1 + d);
          let from = right + d;
          let v = v128.load(from);
          a0 = madd(x, v, a0);
          b0 = madd(y, v, b0);
          from += stride;
          v = v128.load(from);
          a1 = madd(x, v, a1);
          b1 = madd(y, v, b1);
          from += stride;
          v = v128.load(from);
          a2 = madd(x, v, a2);
          b2 = madd(y, v, b2);
          from += stride;
          v = v128.load(from);
          a3 = madd(x, v, a3);
          b3 = madd(y, v, b3);
        }
        putDots(out0 + (j << 2), sums4(a0, a1, a2, a3), i - j);
        if (both) putDots(out1 + (j << 2), sums4(b0, b1, b2, b3), i + 1 - j);
      }
    }
    out += outRow;
  }
}

function putDots(to: usize, dots: v128, count: i32): void {
  if (count >= 4) {
    v128.store(to, dots);
    return;
  }
  if (count > 0) store<f32>(to, f32x4.extract_lane(dots, 0));
  if (count > 1) store<f32>(to, f32x4.extract_lane(dots, 1), 4);
  if (count > 2) store<f32>(to, f32x4.extract_lane(dots, 2), 8);
}

/**
 * Gradients by the vectors: for vector i the sum over j of delta(i, j) times vector j. Six vectors by eight columns are a tile of sums, as in
 * gemm. Where j is before the six, their deltas stand in six rows; where it is after, side by side in j's row; of the six among themselves they
 * are copied to `square`, 6 x 6 with zeros on its diagonal.
 */
export function pairDotsBack(
  rows: i32,
  parts: usize,
  count: i32,
  start: i32,
  dim: i32,
  vectors: i32,
  delta: usize,
  deltaRow: i32,
  scratch: usize,
  square: usize,
  gradients: usize,
): void {
  const stride = strideOf(dim);
  for (let row = 0; row < rows; row++) {
    layVectors(parts, count, start + row, dim, stride, scratch);
    for (let i = 0; i < vectors; i += 6) {
      const last = min(5, vectors - 1 - i);
      fillSquare(square, delta, i, last);
      for (let column = 0; column < stride; column += 32) {
        sixGradients(vectors, i, last, delta, square, scratch + column, stride, gradients + i * stride + column);
      }
    }
    putGradients(parts, count, start, row, dim, stride, gradients);
    delta += deltaRow;
  }
}

/** Where the deltas of vector i begin: those of the pairs (i, 0), (i, 1)... */
function pairsOf(delta: usize, i: i32): usize {
  return delta + ((i * (i - 1)) << 1);
}

function fillSquare(square: usize, delta: usize, i: i32, last: i32): void {
  for (let r = 1; r <= last; r++) {
    const from = pairsOf(delta, i + r) + (i << 2);
    for (let c = 0; c < r; c++) {
      const value = load<f32>(from + (c << 2));
      store<f32>(square + r * 24 + (c << 2), value);
      store<f32>(square + c * 24 + (r << 2), value);
    }
  }
}

function sixGradients(
  vectors: i32,
  i: i32,
  last: i32,
  delta: usize,
  square: usize,
  from: usize,
  stride: i32,
  to: usize,
): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  let s40 = s00;
  let s41 = s00;
  let s50 = s00;
  let s51 = s00;
  let a = pairsOf(delta, i);
  const o1 = pairsOf(delta, i + min(1, last)) - a;
  const o2 = pairsOf(delta, i + min(2, last)) - a;
  const o3 = pairsOf(delta, i + min(3, last)) - a;
  const o4 = pairsOf(delta, i + min(4, last)) - a;
  const o5 = pairsOf(delta, i + min(5, last)) - a;
  for (let j = 0; j < i; j++) {
    const b0 = v128.load(from);
    const b1 = v128.load(from, 16);
    let x = v128.load32_splat(a);
    s00 = madd(x, b0, s00);
    s01 = madd(x, b1, s01);
    x = v128.load32_splat(a + o1);
    s10 = madd(x, b0, s10);
    s11 = madd(x, b1, s11);
    x = v128.load32_splat(a + o2);
    s20 = madd(x, b0, s20);
    s21 = madd(x, b1, s21);
    x = v128.load32_splat(a + o3);
    s30 = madd(x, b0, s30);
    s31 = madd(x, b1, s31);
    x = v128.load32_splat(a + o4);
    s40 = madd(x, b0, s40);
    s41 = madd(x, b1, s41);
    x = v128.load32_splat(a + o5);
    s50 = madd(x, b0, s50);
    s51 = madd(x, b1, s51);
    a += 4;
    from += stride;
  }
  for (let j = i; j < vectors; j++) {
    const within = j - i;
    a = within <= last ? square + within * 24 : pairsOf(delta, j) + (i << 2);
    const b0 = v128.load(from);
    const b1 = v128.load(from, 16);
    let x = v128.load32_splat(a);
    s00 = madd(x, b0, s00);
    s01 = madd(x, b1, s01);
    x = v128.load32_splat(a, 4);
    s10 = madd(x, b0, s10);
    s11 = madd(x, b1, s11);
    x = v128.load32_splat(a, 8);
    s20 = madd(x, b0, s20);
    s21 = madd(x, b1, s21);
    x = v128.load32_splat(a, 12);
    s30 = madd(x, b0, s30);
    s31 = madd(x, b1, s31);
    x = v128.load32_splat(a, 16);
    s40 = madd(x, b0, s40);
    s41 = madd(x, b1, s41);
    x = v128.load32_splat(a, 20);
    s50 = madd(x, b0, s50);
    s51 = madd(x, b1, s51);
    from += stride;
  }
  // There is room for six: what is beyond the last vector is not put anywhere.
  v128.store(to, s00);
  v128.store(to, s01, 16);
  to += stride;
  v128.store(to, s10);
  v128.store(to, s11, 16);
  to += stride;
  v128.store(to, s20);
  v128.store(to, s21, 16);
  to += stride;
  v128.store(to, s30);
  v128.store(to, s31, 16);
  to += stride;
  v128.store(to, s40);
  v128.store(to, s41, 16);
  to += stride;
  v128.store(to, s50);
  v128.store(to, s51, 16);
}
