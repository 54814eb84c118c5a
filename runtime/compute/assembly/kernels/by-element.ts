// Rows multiplied and added element by element, and sums over a row.
import { madd, sum4 } from "../common/fused";
import { ADD } from "./gemm";
import { dot } from "./rows";

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
