// Arithmetic row by row. Rows of a tensor stand a number of bytes apart.
import { madd, sum4, sums4 } from "../common/fused";
import { ADD, rectified } from "./gemm";

/** Copies or adds `blocks` runs of `floats` floats a row, whose starts stand `fromEvery` and `toEvery` bytes apart. */
export function moveRows(
  rows: i32,
  blocks: i32,
  floats: i32,
  from: usize,
  fromRow: i32,
  fromEvery: i32,
  to: usize,
  toRow: i32,
  toEvery: i32,
  mode: i32,
): void {
  for (let row = 0; row < rows; row++) {
    let source = from;
    let target = to;
    for (let block = 0; block < blocks; block++) {
      if (mode == ADD) addFloats(target, source, floats);
      else copyFloats(target, source, floats);
      source += fromEvery;
      target += toEvery;
    }
    from += fromRow;
    to += toRow;
  }
}

export function copyFloats(to: usize, from: usize, floats: i32): void {
  const end = to + (floats << 2);
  const last = end - 15;
  for (; to < last; to += 16) {
    v128.store(to, v128.load(from));
    from += 16;
  }
  for (; to < end; to += 4) {
    store<f32>(to, load<f32>(from));
    from += 4;
  }
}

export function addFloats(to: usize, from: usize, floats: i32): void {
  const end = to + (floats << 2);
  const last = end - 15;
  for (; to < last; to += 16) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    from += 16;
  }
  for (; to < end; to += 4) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    from += 4;
  }
}

export function zeroRows(rows: i32, floats: i32, to: usize, toRow: i32): void {
  for (let row = 0; row < rows; row++) {
    memory.fill(to, 0, floats << 2);
    to += toRow;
  }
}

/** floats *= by. */
export function scale(at: usize, floats: i32, by: f32): void {
  const factor = f32x4.splat(by);
  const end = at + (floats << 2);
  const last = end - 15;
  for (; at < last; at += 16) v128.store(at, f32x4.mul(v128.load(at), factor));
  for (; at < end; at += 4) store<f32>(at, load<f32>(at) * by);
}

/**
 * y = W x + b for few rows: dots along the weights as they stand, so that each is read once and none is turned. Four outputs at a time share
 * the loads of x.
 */
export function denseRows(
  rows: i32,
  inputs: i32,
  width: i32,
  x: usize,
  xRow: i32,
  weights: usize,
  biases: usize,
  y: usize,
  yRow: i32,
  relu: bool,
): void {
  const weightsRow = inputs << 2;
  const quads = inputs & ~3;
  for (let row = 0; row < rows; row++) {
    let w = weights;
    let output = 0;
    for (; output + 4 <= width; output += 4) {
      const w1 = w + weightsRow;
      const w2 = w1 + weightsRow;
      const w3 = w2 + weightsRow;
      let s0 = f32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      let t0 = s0;
      let t1 = s0;
      let t2 = s0;
      let t3 = s0;
      let i = 0;
      for (; i + 8 <= inputs; i += 8) {
        const at = i << 2;
        const x0 = v128.load(x + at);
        const x1 = v128.load(x + at, 16);
        s0 = madd(x0, v128.load(w + at), s0);
        s1 = madd(x0, v128.load(w1 + at), s1);
        s2 = madd(x0, v128.load(w2 + at), s2);
        s3 = madd(x0, v128.load(w3 + at), s3);
        t0 = madd(x1, v128.load(w + at, 16), t0);
        t1 = madd(x1, v128.load(w1 + at, 16), t1);
        t2 = madd(x1, v128.load(w2 + at, 16), t2);
        t3 = madd(x1, v128.load(w3 + at, 16), t3);
      }
      for (; i < quads; i += 4) {
        const at = i << 2;
        const x0 = v128.load(x + at);
        s0 = madd(x0, v128.load(w + at), s0);
        s1 = madd(x0, v128.load(w1 + at), s1);
        s2 = madd(x0, v128.load(w2 + at), s2);
        s3 = madd(x0, v128.load(w3 + at), s3);
      }
      let sum = sums4(f32x4.add(s0, t0), f32x4.add(s1, t1), f32x4.add(s2, t2), f32x4.add(s3, t3));
      for (; i < inputs; i++) {
        const at = i << 2;
        const column = f32x4(load<f32>(w + at), load<f32>(w1 + at), load<f32>(w2 + at), load<f32>(w3 + at));
        sum = madd(v128.load32_splat(x + at), column, sum);
      }
      sum = f32x4.add(sum, v128.load(biases + (output << 2)));
      v128.store(y + (output << 2), relu ? rectified(sum) : sum);
      w = w3 + weightsRow;
    }
    for (; output < width; output++) {
      const sum = dot(x, w, inputs) + load<f32>(biases + (output << 2));
      store<f32>(y + (output << 2), relu && sum < 0 ? 0 : sum);
      w += weightsRow;
    }
    x += xRow;
    y += yRow;
  }
}

export function dot(a: usize, b: usize, floats: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let i = 0;
  for (; i + 8 <= floats; i += 8) {
    const at = i << 2;
    s0 = madd(v128.load(a + at), v128.load(b + at), s0);
    s1 = madd(v128.load(a + at, 16), v128.load(b + at, 16), s1);
  }
  if (i + 4 <= floats) {
    s0 = madd(v128.load(a + (i << 2)), v128.load(b + (i << 2)), s0);
    i += 4;
  }
  let sum = sum4(f32x4.add(s0, s1));
  for (; i < floats; i++) sum += load<f32>(a + (i << 2)) * load<f32>(b + (i << 2));
  return sum;
}

/** turned[i][o] = weights[o][i], its rows `turnedRow` bytes apart. */
export function turn(rows: i32, columns: i32, weights: usize, turned: usize, turnedRow: i32): void {
  const weightsRow = columns << 2;
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    let from = weights + row * weightsRow;
    let to = turned + (row << 2);
    let column = 0;
    for (; column + 4 <= columns; column += 4) {
      const a = v128.load(from);
      const b = v128.load(from + weightsRow);
      const c = v128.load(from + 2 * weightsRow);
      const d = v128.load(from + 3 * weightsRow);
      const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<i64>(ab0, cd0, 0, 2));
      v128.store(to + turnedRow, v128.shuffle<i64>(ab0, cd0, 1, 3));
      v128.store(to + 2 * turnedRow, v128.shuffle<i64>(ab1, cd1, 0, 2));
      v128.store(to + 3 * turnedRow, v128.shuffle<i64>(ab1, cd1, 1, 3));
      from += 16;
      to += 4 * turnedRow;
    }
    for (; column < columns; column++) {
      for (let i = 0; i < 4; i++) store<f32>(to + (i << 2), load<f32>(from + i * weightsRow));
      from += 4;
      to += turnedRow;
    }
  }
  for (; row < rows; row++) {
    let to = turned + (row << 2);
    const from = weights + row * weightsRow;
    for (let column = 0; column < columns; column++) {
      store<f32>(to, load<f32>(from + (column << 2)));
      to += turnedRow;
    }
  }
}

/** out = x + b. */
export function addBiases(rows: i32, width: i32, x: usize, xRow: i32, biases: usize, out: usize, outRow: i32): void {
  for (let row = 0; row < rows; row++) {
    copyFloats(out, x, width);
    addFloats(out, biases, width);
    x += xRow;
    out += outRow;
  }
}

/** sums[c] = the sum of column c, or += where it is not the first part of a batch. */
export function columnSums(rows: i32, width: i32, x: usize, xRow: i32, sums: usize, mode: i32): void {
  let column = 0;
  for (; column + 4 <= width; column += 4) {
    let at = x + (column << 2);
    let sum = mode == ADD ? v128.load(sums + (column << 2)) : f32x4.splat(0);
    for (let row = 0; row < rows; row++) {
      sum = f32x4.add(sum, v128.load(at));
      at += xRow;
    }
    v128.store(sums + (column << 2), sum);
  }
  for (; column < width; column++) {
    let at = x + (column << 2);
    let sum: f32 = mode == ADD ? load<f32>(sums + (column << 2)) : 0;
    for (let row = 0; row < rows; row++) {
      sum += load<f32>(at);
      at += xRow;
    }
    store<f32>(sums + (column << 2), sum);
  }
}

/** Where an output of a ReLU is not above 0, its gradient is 0; where it is NaN, the gradient stays. */
export function maskRelu(rows: i32, width: i32, out: usize, outRow: i32, delta: usize, deltaRow: i32): void {
  const zero = f32x4.splat(0);
  for (let row = 0; row < rows; row++) {
    let column = 0;
    for (; column + 4 <= width; column += 4) {
      const at = delta + (column << 2);
      v128.store(at, v128.andnot(v128.load(at), f32x4.le(v128.load(out + (column << 2)), zero)));
    }
    for (; column < width; column++) {
      if (load<f32>(out + (column << 2)) <= 0) store<f32>(delta + (column << 2), 0);
    }
    out += outRow;
    delta += deltaRow;
  }
}
