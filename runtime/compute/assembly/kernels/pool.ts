// From distinct rows to samples, and gradients back (protocols/compute/pooling.ts is the reference: the same sums in the same order).
import { madd, sum4 } from "../common/fused";
import { addFloats, copyFloats } from "./rows";

const SUM: i32 = 0;
const MEAN: i32 = 1;
const MAX: i32 = 2;

/** `starts` is 0 where each sample has one row. Samples stand `toRow` bytes apart. */
export function spreadRows(
  size: i32,
  dim: i32,
  rows: usize,
  rowOf: usize,
  starts: usize,
  pooling: i32,
  to: usize,
  toRow: i32,
): void {
  const rowBytes = (<usize>dim) << 2;
  for (let sample = 0; sample < size; sample++) {
    if (starts == 0) {
      copyFloats(to, rows + <usize>load<u32>(rowOf + (sample << 2)) * rowBytes, dim);
      to += toRow;
      continue;
    }
    const from = load<u32>(starts + (sample << 2));
    const end = load<u32>(starts + ((sample + 1) << 2));
    if (from == end) memory.fill(to, 0, rowBytes);
    else copyFloats(to, rows + <usize>load<u32>(rowOf + (from << 2)) * rowBytes, dim);
    for (let entry = from + 1; entry < end; entry++) {
      const row = rows + <usize>load<u32>(rowOf + (entry << 2)) * rowBytes;
      if (pooling == MAX) raiseFloats(to, row, dim);
      else addFloats(to, row, dim);
    }
    if (pooling == MEAN && end > from) divideFloats(to, dim, <f32>(end - from));
    to += toRow;
  }
}

/**
 * Adds samples' gradients, `fromRow` bytes apart, to those by `count` rows, which it clears before. `share` has room for a row. Gives about the sum of the squares
 * of all that it leaves there: to a hundredth, and no number or an infinite one where some are.
 */
export function sumRows(
  size: i32,
  dim: i32,
  count: i32,
  rows: usize,
  rowOf: usize,
  starts: usize,
  pooling: i32,
  from: usize,
  fromRow: i32,
  sums: usize,
  share: usize,
): f64 {
  const rowBytes = (<usize>dim) << 2;
  memory.fill(sums, 0, <usize>count * rowBytes);
  for (let sample = 0; sample < size; sample++) {
    if (starts == 0) {
      addFloats(sums + <usize>load<u32>(rowOf + (sample << 2)) * rowBytes, from, dim);
      from += fromRow;
      continue;
    }
    const first = load<u32>(starts + (sample << 2));
    const end = load<u32>(starts + ((sample + 1) << 2));
    if (pooling == MAX) {
      for (let d: usize = 0; d < rowBytes && first < end; d += 4) {
        const at = sums + largest(rows + d, rowOf, rowBytes, first, end) + d;
        store<f32>(at, load<f32>(at) + load<f32>(from + d));
      }
    } else {
      copyFloats(share, from, dim);
      if (pooling == MEAN && end > first) divideFloats(share, dim, <f32>(end - first));
      for (let entry = first; entry < end; entry++) {
        addFloats(sums + <usize>load<u32>(rowOf + (entry << 2)) * rowBytes, share, dim);
      }
    }
    from += fromRow;
  }
  return squaresOf(sums, count, dim);
}

/** Row by row in 32 bits, and all rows together in 64. */
function squaresOf(rows: usize, count: i32, dim: i32): f64 {
  let squares: f64 = 0;
  for (let row = 0; row < count; row++) {
    const end = rows + (dim << 2);
    let lanes = f32x4.splat(0);
    for (const last = end - 15; rows < last; rows += 16) {
      const values = v128.load(rows);
      lanes = madd(values, values, lanes);
    }
    let rest: f32 = 0;
    for (; rows < end; rows += 4) rest += load<f32>(rows) * load<f32>(rows);
    squares += <f64>(sum4(lanes) + rest);
  }
  return squares;
}

/** How far the row that has the largest number of a column stands from the first row. */
function largest(column: usize, rowOf: usize, rowBytes: usize, first: u32, end: u32): usize {
  let at = <usize>load<u32>(rowOf + (first << 2)) * rowBytes;
  for (let entry = first + 1; entry < end; entry++) {
    const other = <usize>load<u32>(rowOf + (entry << 2)) * rowBytes;
    if (isAbove(load<f32>(column + other), load<f32>(column + at))) at = other;
  }
  return at;
}

function raiseFloats(to: usize, from: usize, floats: i32): void {
  const end = to + (floats << 2);
  for (; to < end; to += 4) {
    const value = load<f32>(from);
    if (isAbove(value, load<f32>(to))) store<f32>(to, value);
    from += 4;
  }
}

function divideFloats(at: usize, floats: i32, by: f32): void {
  const end = at + (floats << 2);
  for (; at < end; at += 4) store<f32>(at, load<f32>(at) / by);
}

function isAbove(value: f32, held: f32): bool {
  return value > held || (isNaN(value) && !isNaN(held));
}
