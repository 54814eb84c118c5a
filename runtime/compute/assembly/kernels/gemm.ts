import { madd } from "../common/fused";

/** What becomes of a product: it replaces what was there, or is added to it. */
export const REPLACE: i32 = 0;
export const ADD: i32 = 1;

/**
 * C = A B, or C += A B, for C of m x n with rows `cRow` bytes apart; B of k x n with rows `bRow` apart; and A of m x k, whose element (i, j)
 * stands at a + i aRow + j aColumn, so that A may be read turned. With `bias`, each row of C starts at its n floats. With `relu`, what is below 0
 * becomes 0.
 *
 * Tiles of 6 x 8 sums live in registers; per step of k they take 6 + 2 loads and 12 multiply-adds. Edges run through the same tile: rows beyond m
 * repeat the last one and are not stored; columns beyond n are computed of whatever stands there and not stored, so up to 28 bytes beyond B's
 * last row are read.
 */
export function gemm(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: i32,
  aColumn: i32,
  b: usize,
  bRow: i32,
  c: usize,
  cRow: i32,
  mode: i32,
  bias: usize,
  relu: bool,
): void {
  for (let column = 0; column < n; column += 8) {
    const bAt = b + (column << 2);
    const columns = min(8, n - column);
    let start0 = f32x4.splat(0);
    let start1 = f32x4.splat(0);
    if (bias) {
      start0 = v128.load(bias + (column << 2));
      start1 = v128.load(bias + (column << 2), 16);
    }
    for (let row = 0; row < m; row += 6) {
      const last = m - 1 - row;
      const a0 = a + row * aRow;
      const o1 = min(1, last) * aRow;
      const o2 = min(2, last) * aRow;
      const o3 = min(3, last) * aRow;
      const o4 = min(4, last) * aRow;
      const o5 = min(5, last) * aRow;
      let s00 = start0;
      let s01 = start1;
      let s10 = start0;
      let s11 = start1;
      let s20 = start0;
      let s21 = start1;
      let s30 = start0;
      let s31 = start1;
      let s40 = start0;
      let s41 = start1;
      let s50 = start0;
      let s51 = start1;
      let from = a0;
      let bFrom = bAt;
      for (let i = 0; i < k; i++) {
        const b0 = v128.load(bFrom);
        const b1 = v128.load(bFrom, 16);
        let x = v128.load32_splat(from);
        s00 = madd(x, b0, s00);
        s01 = madd(x, b1, s01);
        x = v128.load32_splat(from + o1);
        s10 = madd(x, b0, s10);
        s11 = madd(x, b1, s11);
        x = v128.load32_splat(from + o2);
        s20 = madd(x, b0, s20);
        s21 = madd(x, b1, s21);
        x = v128.load32_splat(from + o3);
        s30 = madd(x, b0, s30);
        s31 = madd(x, b1, s31);
        x = v128.load32_splat(from + o4);
        s40 = madd(x, b0, s40);
        s41 = madd(x, b1, s41);
        x = v128.load32_splat(from + o5);
        s50 = madd(x, b0, s50);
        s51 = madd(x, b1, s51);
        from += aColumn;
        bFrom += bRow;
      }
      let to = c + row * cRow + (column << 2);
      putRow(to, s00, s01, columns, mode, relu);
      if (last < 1) continue;
      to += cRow;
      putRow(to, s10, s11, columns, mode, relu);
      if (last < 2) continue;
      to += cRow;
      putRow(to, s20, s21, columns, mode, relu);
      if (last < 3) continue;
      to += cRow;
      putRow(to, s30, s31, columns, mode, relu);
      if (last < 4) continue;
      to += cRow;
      putRow(to, s40, s41, columns, mode, relu);
      if (last < 5) continue;
      to += cRow;
      putRow(to, s50, s51, columns, mode, relu);
    }
  }
}

function putRow(to: usize, s0: v128, s1: v128, columns: i32, mode: i32, relu: bool): void {
  if (relu) {
    s0 = rectified(s0);
    s1 = rectified(s1);
  }
  if (columns == 8) {
    if (mode == ADD) {
      s0 = f32x4.add(s0, v128.load(to));
      s1 = f32x4.add(s1, v128.load(to, 16));
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    return;
  }
  let part = s0;
  if (columns >= 4) {
    if (mode == ADD) s0 = f32x4.add(s0, v128.load(to));
    v128.store(to, s0);
    part = s1;
    to += 16;
    columns -= 4;
  }
  putLane(to, f32x4.extract_lane(part, 0), columns, 0, mode);
  putLane(to, f32x4.extract_lane(part, 1), columns, 1, mode);
  putLane(to, f32x4.extract_lane(part, 2), columns, 2, mode);
}

function putLane(to: usize, value: f32, columns: i32, lane: i32, mode: i32): void {
  if (lane >= columns) return;
  const at = to + (lane << 2);
  store<f32>(at, mode == ADD ? value + load<f32>(at) : value);
}

/** What is below 0 becomes 0, and NaN passes through: a broken model must show, not hide behind a ReLU. */
export function rectified(x: v128): v128 {
  return v128.andnot(x, f32x4.lt(x, f32x4.splat(0)));
}
