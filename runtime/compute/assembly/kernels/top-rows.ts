/*
 * Which rows may be among those with the largest inner products: judged by rows of 7-bit codes, a third of the memory to read, with an error
 * that is bounded, so that none of the best is ever left out. Only who passes is looked at in full.
 */
import { quadProducts } from "../common/codes";
import { keepLikely, leastOf, lowsOf, noteRows, numbersOf, reachedBy } from "./noted-rows";

/** A code of 64 is 0, so that codes have no sign. */
const MIDDLE: i32 = 64;
/** Rows whose loads are on their way at the same time. */
const TOGETHER: i32 = 64;

/**
 * Makes codes of a row of `dim` floats: x is about scale (code - 64). Four rows stand together, four codes of each in turn, so that a vector of
 * sums is of four rows: the next four codes of this one are 16 bytes on. Stores at `about` the scale (32 bits), and in 64 bits how long the row is,
 * and how long what the codes leave out.
 */
export function encodeRow(row: usize, dim: i32, codes: usize, about: usize): void {
  let largest: f32 = 0;
  for (let d = 0; d < dim; d++) largest = max(largest, abs(load<f32>(row + (d << 2))));
  const scale = largest / 63;
  let squares: f64 = 0;
  let rest: f64 = 0;
  for (let d = 0; d < dim; d++) {
    const x = load<f32>(row + (d << 2));
    const code = scale > 0 ? i32(nearest(x / scale)) : 0;
    const left = f64(x) - f64(scale) * code;
    squares += f64(x) * x;
    rest += left * left;
    store<u8>(codes + ((d >> 2) << 4) + (d & 3), code + MIDDLE);
  }
  store<f32>(about, scale);
  store<f64>(about, sqrt(squares), 8);
  store<f64>(about, sqrt(rest), 16);
}

/**
 * Looks through `rows` rows of codes, each `width` bytes (a multiple of 8), numbered from `first`; `scales` has one float a row, and `query` its
 * codes with a sign. A row's inner product is within `error` of what the codes say. Notes each row that might be among the best `k` when it was met
 * (noted-rows.ts).
 */
export function scanCodes(
  rows: i32,
  width: i32,
  codes: usize,
  scales: usize,
  query: usize,
  queryScale: f32,
  error: f32,
  first: i32,
  k: i32,
  noted: usize,
): void {
  let middle = 0;
  for (let i = 0; i < width; i++) middle += load<i8>(query + i);
  middle *= MIDDLE;
  const middles = i32x4.splat(middle);
  const scaleBy = f32x4.splat(queryScale);
  let least = f32x4.splat(leastOf(noted) - error);
  const q0 = v128.load32_splat(query);
  const q1 = v128.load32_splat(query, 4);
  const q2 = v128.load32_splat(query, 8);
  const q3 = v128.load32_splat(query, 12);
  const q4 = v128.load32_splat(query, 16);
  const q5 = v128.load32_splat(query, 20);
  const q6 = v128.load32_splat(query, 24);
  const q7 = v128.load32_splat(query, 28);
  // A number that the compiler cannot know: a constant it would make anew in every turn.
  const ones = i16x8.splat(<i16>(k >= 1 ? 1 : 0));
  let at = codes;
  for (let row = 0; row < rows; row += 4) {
    let sums: v128;
    if (width == 32) {
      sums = i32x4.add(
        i32x4.add(
          quadProducts(q0, v128.load(at), q1, v128.load(at, 16), ones),
          quadProducts(q2, v128.load(at, 32), q3, v128.load(at, 48), ones),
        ),
        i32x4.add(
          quadProducts(q4, v128.load(at, 64), q5, v128.load(at, 80), ones),
          quadProducts(q6, v128.load(at, 96), q7, v128.load(at, 112), ones),
        ),
      );
    } else {
      sums = quadProducts(q0, v128.load(at), q1, v128.load(at, 16), ones);
      for (let i = 8; i < width; i += 8) {
        const next = at + (i << 2);
        const a0 = v128.load32_splat(query + i);
        const a1 = v128.load32_splat(query + i, 4);
        sums = i32x4.add(sums, quadProducts(a0, v128.load(next), a1, v128.load(next, 16), ones));
      }
    }
    at += 4 * width;
    const dots = f32x4.convert_i32x4_s(i32x4.sub(sums, middles));
    const scores = f32x4.mul(dots, f32x4.mul(scaleBy, v128.load(scales)));
    scales += 16;
    const passes = f32x4.ge(scores, least);
    if (!v128.any_true(passes)) continue;
    // Behind the last row are some memory's codes.
    const lanes = i32x4.bitmask(passes) & ((1 << min(4, rows - row)) - 1);
    if (noteRows(noted, first + row, lanes, scores, error, k)) least = f32x4.splat(leastOf(noted) - error);
  }
}

/**
 * Of the rows that are noted, leaves those that are among the best `k`, ties with the last of them and what 32 bits cannot tell from it; gives how many. Their inner
 * products, in 64 bits and added up in order, so that they are the bits that the reference has, go to `scores`.
 */
export function scoreNoted(k: i32, noted: usize, query: usize, dim: i32, values: usize, scores: usize): i32 {
  const count = keepLikely(noted, k);
  const numbers = numbersOf(noted);
  const rounded = lowsOf(noted);
  const rowBytes = dim << 2;
  for (let from = 0; from < count; from += TOGETHER) {
    const end = min(count, from + TOGETHER);
    // All of them first, so that their loads overlap; stored lest they be left out.
    let seen: u32 = 0;
    for (let i = from; i < end; i++) {
      const row = values + load<i32>(numbers + (i << 2)) * rowBytes;
      for (let byte = 0; byte < rowBytes; byte += 64) seen ^= load<u32>(row + byte);
      seen ^= load<u32>(row + rowBytes - 4);
    }
    store<u32>(scores + (from << 3), seen);
    for (let i = from; i < end; i += 4)
      scoreFour(numbers + (i << 2), count - 1 - i, query, rowBytes, values, scores + (i << 3));
  }
  for (let i = 0; i < count; i++) {
    const score = <f32>load<f64>(scores + (i << 3));
    store<f32>(rounded + (i << 2), score == score ? score : f32.MAX_VALUE);
  }
  const least = count < k ? -f32.MAX_VALUE : reachedBy(k, count, rounded);
  let kept = 0;
  for (let i = 0; i < count; i++) {
    store<i32>(numbers + (kept << 2), load<i32>(numbers + (i << 2)));
    store<f64>(scores + (kept << 3), load<f64>(scores + (i << 3)));
    kept += <i32>(load<f32>(rounded + (i << 2)) >= least);
  }
  return kept;
}

/** Four rows at a time, because each waits for its own sum; of the last ones some may be the same. */
function scoreFour(numbers: usize, last: i32, query: usize, rowBytes: i32, values: usize, to: usize): void {
  let a = values + load<i32>(numbers) * rowBytes;
  let b = values + load<i32>(numbers + (min(1, last) << 2)) * rowBytes;
  let c = values + load<i32>(numbers + (min(2, last) << 2)) * rowBytes;
  let d = values + load<i32>(numbers + (min(3, last) << 2)) * rowBytes;
  let sum0: f64 = 0;
  let sum1: f64 = 0;
  let sum2: f64 = 0;
  let sum3: f64 = 0;
  for (let q = query; q < query + rowBytes; q += 4) {
    const x = f64(load<f32>(q));
    sum0 += x * f64(load<f32>(a));
    sum1 += x * f64(load<f32>(b));
    sum2 += x * f64(load<f32>(c));
    sum3 += x * f64(load<f32>(d));
    a += 4;
    b += 4;
    c += 4;
    d += 4;
  }
  store<f64>(to, sum0);
  store<f64>(to, sum1, 8);
  store<f64>(to, sum2, 16);
  store<f64>(to, sum3, 24);
}
