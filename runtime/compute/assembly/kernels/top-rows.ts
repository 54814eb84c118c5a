/*
 * Which rows may be among those with the largest inner products: judged by rows of 7-bit codes, a third of the memory to read, with an error
 * that is bounded, so that none of the best is ever left out. Only who passes is looked at in full.
 */
import { quadProducts } from "../common/codes";

/** A code of 64 is 0, so that codes have no sign. */
const MIDDLE: i32 = 64;

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
 * codes with a sign. A row's inner product is within `error` of what the codes say. At `found`: how many entries there are, how many of the `k`
 * largest lower bounds are held; then, 16 bytes in, those as a heap with the least at its root; then, at `entries`, of each row that might be
 * among the best when it was met, its number and its upper bound.
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
  found: usize,
  entries: usize,
): void {
  let middle = 0;
  for (let i = 0; i < width; i++) middle += load<i8>(query + i);
  middle *= MIDDLE;
  const middles = i32x4.splat(middle);
  const scaleBy = f32x4.splat(queryScale);
  const heap = found + 16;
  let count = load<i32>(found);
  let held = load<i32>(found, 4);
  let least = held < k ? -f32.MAX_VALUE : load<f32>(heap) - error;
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
    if (!v128.any_true(f32x4.ge(scores, f32x4.splat(least)))) continue;
    const lanes = min(4, rows - row);
    for (let lane = 0; lane < lanes; lane++) {
      const score =
        lane == 0
          ? f32x4.extract_lane(scores, 0)
          : lane == 1
            ? f32x4.extract_lane(scores, 1)
            : lane == 2
              ? f32x4.extract_lane(scores, 2)
              : f32x4.extract_lane(scores, 3);
      if (score < least) continue;
      store<i32>(entries + (count << 3), first + row + lane);
      store<f32>(entries + (count << 3), score + error, 4);
      count++;
      if (held < k) {
        pushUp(heap, held, score - error);
        held++;
      } else if (score - error > load<f32>(heap)) {
        sinkDown(heap, held, score - error);
      }
      if (held == k) least = load<f32>(heap) - error;
    }
  }
  store<i32>(found, count);
  store<i32>(found, held, 4);
}

function pushUp(heap: usize, at: i32, value: f32): void {
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = load<f32>(heap + (parent << 2));
    if (above <= value) break;
    store<f32>(heap + (at << 2), above);
    at = parent;
  }
  store<f32>(heap + (at << 2), value);
}

/** Replaces the root. */
function sinkDown(heap: usize, held: i32, value: f32): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= held) break;
    if (child + 1 < held && load<f32>(heap + (child << 2), 4) < load<f32>(heap + (child << 2))) child++;
    const below = load<f32>(heap + (child << 2));
    if (below >= value) break;
    store<f32>(heap + (at << 2), below);
    at = child;
  }
  store<f32>(heap + (at << 2), value);
}

/**
 * Of what scanCodes noted, keeps the rows whose upper bound reaches `least`, one after the other from the first entry on, as 32-bit numbers; gives
 * how many. Their inner products, in 64 bits and added up in order, so that they are the bits that the reference has, go to `scores`. Four rows
 * at a time, because each waits for memory and for its own sum.
 */
export function scoreEntries(
  count: i32,
  least: f32,
  entries: usize,
  query: usize,
  dim: i32,
  values: usize,
  scores: usize,
): i32 {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (load<f32>(entries + (i << 3), 4) < least) continue;
    store<i32>(entries + (kept << 2), load<i32>(entries + (i << 3)));
    kept++;
  }
  const rowBytes = dim << 2;
  for (let i = 0; i < kept; i += 4) {
    const at = entries + (i << 2);
    let a = values + load<i32>(at) * rowBytes;
    let b = values + load<i32>(entries + (min(i + 1, kept - 1) << 2)) * rowBytes;
    let c = values + load<i32>(entries + (min(i + 2, kept - 1) << 2)) * rowBytes;
    let d = values + load<i32>(entries + (min(i + 3, kept - 1) << 2)) * rowBytes;
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
    const to = scores + (i << 3);
    store<f64>(to, sum0);
    store<f64>(to, sum1, 8);
    store<f64>(to, sum2, 16);
    store<f64>(to, sum3, 24);
  }
  return kept;
}
