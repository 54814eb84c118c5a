/*
 * Rows that may be among the best k, noted in any order with bounds of their score, and the least score that one of the best can have. That is not
 * kept up to date with each row: a bound that is too low lets more rows pass and none too few. So rows are only added, and whenever a number of them
 * has come, the bound is raised and those below it go: nothing in it branches on what the scores are.
 *
 * `noted` is the address of five words: how many rows; with how many the bound is raised; the bound; the address of their numbers, and how far
 * apart columns are: numbers, then least scores, then largest ones.
 */
const COUNT: usize = 0;
const FULL: usize = 4;
const LEAST: usize = 8;
const NUMBERS: usize = 12;
const APART: usize = 16;

/**
 * Halvings of what lies between the least and the largest of some scores, as ordered bits: to a thousandth of a score where all have one sign and magnitude, as they have when
 * those below a bound are gone, and to a tenth where they have not.
 */
const HALVINGS = 12;

export function leastOf(noted: usize): f32 {
  return load<f32>(noted, LEAST);
}

export function numbersOf(noted: usize): usize {
  return load<u32>(noted, NUMBERS);
}

export function lowsOf(noted: usize): usize {
  return <usize>load<u32>(noted, NUMBERS) + load<u32>(noted, APART);
}

/** Notes those of four rows that `lanes` has a bit for; gives whether the bound was raised. */
export function noteRows(noted: usize, first: i32, lanes: i32, scores: v128, error: f32, k: i32): bool {
  let count = load<i32>(noted, COUNT);
  const numbers = numbersOf(noted);
  const apart = <usize>load<u32>(noted, APART);
  const lows = f32x4.sub(scores, f32x4.splat(error));
  const highs = f32x4.add(scores, f32x4.splat(error));
  // All four are stored, each over the one before unless that one has a bit.
  let to = numbers + (count << 2);
  store<i32>(to, first);
  store<f32>(to + apart, f32x4.extract_lane(lows, 0));
  store<f32>(to + 2 * apart, f32x4.extract_lane(highs, 0));
  to += (lanes & 1) << 2;
  store<i32>(to, first + 1);
  store<f32>(to + apart, f32x4.extract_lane(lows, 1));
  store<f32>(to + 2 * apart, f32x4.extract_lane(highs, 1));
  to += (lanes & 2) << 1;
  store<i32>(to, first + 2);
  store<f32>(to + apart, f32x4.extract_lane(lows, 2));
  store<f32>(to + 2 * apart, f32x4.extract_lane(highs, 2));
  to += lanes & 4;
  store<i32>(to, first + 3);
  store<f32>(to + apart, f32x4.extract_lane(lows, 3));
  store<f32>(to + 2 * apart, f32x4.extract_lane(highs, 3));
  to += (lanes & 8) >> 1;
  count = <i32>((to - numbers) >> 2);
  store<i32>(noted, count, COUNT);
  if (count < max(load<i32>(noted, FULL), 2 * k)) return false;
  count = keepLikely(noted, k);
  // In proportion to what is left, so that rows that are all as good as each other are not looked at again and again.
  store<i32>(noted, count + max(k, count >> 1), FULL);
  return true;
}

/** Raises the bound as far as the noted rows allow, and forgets those below; gives how many are left. */
export function keepLikely(noted: usize, k: i32): i32 {
  const count = load<i32>(noted, COUNT);
  if (count < k) return count;
  const numbers = numbersOf(noted);
  const apart = <usize>load<u32>(noted, APART);
  const least = reachedBy(k, count, numbers + apart);
  let to = numbers;
  for (let from = numbers; from < numbers + (count << 2); from += 4) {
    const high = load<f32>(from + 2 * apart);
    store<i32>(to, load<i32>(from));
    store<f32>(to + apart, load<f32>(from + apart));
    store<f32>(to + 2 * apart, high);
    to += (<usize>(high >= least)) << 2;
  }
  const left = <i32>((to - numbers) >> 2);
  store<f32>(noted, least, LEAST);
  store<i32>(noted, left, COUNT);
  return left;
}

/** A number that at least `k` of `count` numbers (no fewer, none of them NaN) are not below: the k-th largest, or a little less. There is room for three more behind them. */
export function reachedBy(k: i32, count: i32, numbers: usize): f32 {
  const end = numbers + (count << 2);
  // What stands behind the last is as the last.
  const last = load<f32>(end - 4);
  let lows = f32x4.splat(last);
  let highs = lows;
  for (let at = end; at < end + 12; at += 4) store<f32>(at, -Infinity);
  for (let at = numbers; at + 16 <= end; at += 16) {
    const four = v128.load(at);
    lows = f32x4.min(lows, four);
    highs = f32x4.max(highs, four);
  }
  let low = min(
    min(f32x4.extract_lane(lows, 0), f32x4.extract_lane(lows, 1)),
    min(f32x4.extract_lane(lows, 2), f32x4.extract_lane(lows, 3)),
  );
  let high = max(
    max(f32x4.extract_lane(highs, 0), f32x4.extract_lane(highs, 1)),
    max(f32x4.extract_lane(highs, 2), f32x4.extract_lane(highs, 3)),
  );
  for (let at = end - ((count & 3) << 2); at < end; at += 4) {
    low = min(low, load<f32>(at));
    high = max(high, load<f32>(at));
  }
  let from = orderedBits(low);
  let to = orderedBits(high);
  for (let halving = 0; halving < HALVINGS && from < to; halving++) {
    // Unsigned: the two may be further apart than a signed number is large.
    const middle = from + <i32>((<u32>(to - from) >> 1) + 1);
    if (countReaching(numberOf(middle), numbers, end) >= k) from = middle;
    else to = middle - 1;
  }
  return numberOf(from);
}

function countReaching(least: f32, numbers: usize, end: usize): i32 {
  const all = f32x4.splat(least);
  let counts = i32x4.splat(0);
  for (let at = numbers; at < end; at += 16) counts = i32x4.sub(counts, f32x4.ge(v128.load(at), all));
  return (
    i32x4.extract_lane(counts, 0) +
    i32x4.extract_lane(counts, 1) +
    (i32x4.extract_lane(counts, 2) + i32x4.extract_lane(counts, 3))
  );
}

/** Whole numbers in the order of the floats that they stand for. */
function orderedBits(x: f32): i32 {
  const bits = reinterpret<i32>(x);
  return bits ^ ((bits >> 31) & 0x7fff_ffff);
}

function numberOf(ordered: i32): f32 {
  return reinterpret<f32>(ordered ^ ((ordered >> 31) & 0x7fff_ffff));
}
