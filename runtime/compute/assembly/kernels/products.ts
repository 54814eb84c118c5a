// What multiplies features with each other. A sample's vectors come in parts, each from a tensor of its own; they are laid side by side first,
// each filled up with zeros to a multiple of 8 floats.
import { madd, sum4, sums4 } from "../common/fused";
import { ADD } from "./gemm";
import { copyFloats, dot } from "./rows";

/** A part's record: where its values and its gradients stand (address, bytes a row, bytes a sample), its vectors, and how its gradients are put. */
const PART_BYTES: i32 = 32;

/** Bytes from one laid vector to the next. */
function strideOf(dim: i32): i32 {
  return ((dim + 7) & ~7) << 2;
}

function valuesOf(part: usize, sample: i32): usize {
  return load<i32>(part) + sample * load<i32>(part, 4);
}

/** 0 where nobody asks for them. */
function gradientsOf(part: usize): usize {
  return load<i32>(part, 12);
}

/** Lays one sample's vectors side by side. What lies behind each vector's `dim` floats is 0 already. */
function layVectors(parts: usize, count: i32, sample: i32, dim: i32, stride: i32, to: usize): void {
  for (let i = 0; i < count; i++) {
    const part = parts + i * PART_BYTES;
    let from = valuesOf(part, sample);
    const vectors = load<i32>(part, 24);
    if (stride == dim << 2) {
      copyFloats(to, from, dim * vectors);
      to += stride * vectors;
      continue;
    }
    for (let v = 0; v < vectors; v++) {
      copyFloats(to, from, dim);
      from += dim << 2;
      to += stride;
    }
  }
}

/** Puts or adds one sample's gradients, laid side by side, to where each part has them. */
function putGradients(parts: usize, count: i32, start: i32, row: i32, dim: i32, stride: i32, from: usize): void {
  for (let i = 0; i < count; i++) {
    const part = parts + i * PART_BYTES;
    const vectors = load<i32>(part, 24);
    let to = gradientsOf(part);
    if (to) {
      to += start * load<i32>(part, 20) + row * load<i32>(part, 16);
      const adds = load<i32>(part, 28) == ADD;
      for (let v = 0; v < vectors; v++) {
        putVector(to + v * (dim << 2), from + v * stride, dim, adds);
      }
    }
    from += vectors * stride;
  }
}

function putVector(to: usize, from: usize, dim: i32, adds: bool): void {
  let d = 0;
  for (; d + 4 <= dim; d += 4) {
    const at = to + (d << 2);
    const value = v128.load(from + (d << 2));
    v128.store(at, adds ? f32x4.add(v128.load(at), value) : value);
  }
  for (; d < dim; d++) {
    const at = to + (d << 2);
    const value = load<f32>(from + (d << 2));
    store<f32>(at, adds ? load<f32>(at) + value : value);
  }
}

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

/** The sum of the same dots: column by column half of what the square of the sum has over the sum of squares. `sums` is one vector. */
export function factorize(
  rows: i32,
  parts: usize,
  count: i32,
  start: i32,
  dim: i32,
  vectors: i32,
  out: usize,
  outRow: i32,
  scratch: usize,
  sums: usize,
): void {
  const stride = strideOf(dim);
  for (let row = 0; row < rows; row++) {
    layVectors(parts, count, start + row, dim, stride, scratch);
    let total = f32x4.splat(0);
    for (let d = 0; d < stride; d += 16) {
      let sum = f32x4.splat(0);
      let squares = f32x4.splat(0);
      let at = scratch + d;
      for (let v = 0; v < vectors; v++) {
        const x = v128.load(at);
        sum = f32x4.add(sum, x);
        squares = madd(x, x, squares);
        at += stride;
      }
      v128.store(sums + d, sum);
      total = f32x4.add(total, f32x4.sub(f32x4.mul(sum, sum), squares));
    }
    store<f32>(out, sum4(total) / 2);
    out += outRow;
  }
}

/** Gradients of that: of a vector, delta times the sum of the others. */
export function factorizeBack(
  rows: i32,
  parts: usize,
  count: i32,
  start: i32,
  dim: i32,
  vectors: i32,
  delta: usize,
  deltaRow: i32,
  scratch: usize,
  gradients: usize,
): void {
  const stride = strideOf(dim);
  for (let row = 0; row < rows; row++) {
    layVectors(parts, count, start + row, dim, stride, scratch);
    const by = v128.load32_splat(delta);
    for (let d = 0; d < stride; d += 16) {
      let sum = f32x4.splat(0);
      let at = scratch + d;
      for (let v = 0; v < vectors; v++) {
        sum = f32x4.add(sum, v128.load(at));
        at += stride;
      }
      at = scratch + d;
      let to = gradients + d;
      for (let v = 0; v < vectors; v++) {
        v128.store(to, f32x4.mul(by, f32x4.sub(sum, v128.load(at))));
        at += stride;
        to += stride;
      }
    }
    putGradients(parts, count, start, row, dim, stride, gradients);
    delta += deltaRow;
  }
}

/** out = x0 * mapped + x, by element. */
export function crossRows(
  rows: i32,
  width: i32,
  first: usize,
  firstRow: i32,
  mapped: usize,
  mappedRow: i32,
  x: usize,
  xRow: i32,
  out: usize,
  outRow: i32,
): void {
  for (let row = 0; row < rows; row++) {
    let i = 0;
    for (; i + 4 <= width; i += 4) {
      const at = i << 2;
      v128.store(out + at, madd(v128.load(first + at), v128.load(mapped + at), v128.load(x + at)));
    }
    for (; i < width; i++) {
      const at = i << 2;
      store<f32>(out + at, load<f32>(first + at) * load<f32>(mapped + at) + load<f32>(x + at));
    }
    first += firstRow;
    mapped += mappedRow;
    x += xRow;
    out += outRow;
  }
}

/** out = a * b by element, or += . */
export function multiplyRows(
  rows: i32,
  width: i32,
  a: usize,
  aRow: i32,
  b: usize,
  bRow: i32,
  out: usize,
  outRow: i32,
  mode: i32,
): void {
  for (let row = 0; row < rows; row++) {
    let i = 0;
    for (; i + 4 <= width; i += 4) {
      const at = i << 2;
      const product = f32x4.mul(v128.load(a + at), v128.load(b + at));
      v128.store(out + at, mode == ADD ? f32x4.add(v128.load(out + at), product) : product);
    }
    for (; i < width; i++) {
      const at = i << 2;
      const product = load<f32>(a + at) * load<f32>(b + at);
      store<f32>(out + at, mode == ADD ? load<f32>(out + at) + product : product);
    }
    a += aRow;
    b += bRow;
    out += outRow;
  }
}

/** out = the inner product of each pair of rows. */
export function dotRows(
  rows: i32,
  width: i32,
  a: usize,
  aRow: i32,
  b: usize,
  bRow: i32,
  out: usize,
  outRow: i32,
): void {
  for (let row = 0; row < rows; row++) {
    store<f32>(out, dot(a, b, width));
    a += aRow;
    b += bRow;
    out += outRow;
  }
}

/** out = by * x, one factor a row, or += ; without x, the factor alone. */
export function scaleRows(
  rows: i32,
  width: i32,
  by: usize,
  byRow: i32,
  x: usize,
  xRow: i32,
  out: usize,
  outRow: i32,
  mode: i32,
): void {
  for (let row = 0; row < rows; row++) {
    const factor = load<f32>(by);
    for (let i = 0; i < width; i++) {
      const at = i << 2;
      const product = x ? factor * load<f32>(x + at) : factor;
      store<f32>(out + at, mode == ADD ? load<f32>(out + at) + product : product);
    }
    by += byRow;
    if (x) x += xRow;
    out += outRow;
  }
}

/** out = the sum of each row. */
export function sumRows(rows: i32, width: i32, x: usize, xRow: i32, out: usize, outRow: i32): void {
  for (let row = 0; row < rows; row++) {
    let sum = f32x4.splat(0);
    let i = 0;
    for (; i + 4 <= width; i += 4) sum = f32x4.add(sum, v128.load(x + (i << 2)));
    let total = sum4(sum);
    for (; i < width; i++) total += load<f32>(x + (i << 2));
    store<f32>(out, total);
    x += xRow;
    out += outRow;
  }
}
