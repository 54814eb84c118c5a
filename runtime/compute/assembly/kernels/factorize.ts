// The sum of the inner products of all pairs of a sample's vectors, without computing each, and its gradients (factorization machines).
import { madd, sum4 } from "../common/fused";
import { layVectors, putGradients, strideOf } from "./laid-vectors";

/** Column by column half of what the square of the sum has over the sum of squares. `sums` is one vector. */
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
