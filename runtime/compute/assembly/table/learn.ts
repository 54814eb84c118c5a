/*
 * Optimizers, applied where the rows are. The arithmetic is that of protocols/learning/optimizer.ts, step by step: 64-bit floats, stored as 32-bit
 * ones. It differs in one thing: Adam's powers of beta are products, which may be off by the last bits of a 64-bit float.
 */
import { addressOf, ANSWER, ANSWER_TOO, FLAGS, heldContentsOf, STATE_BYTES, T, VALUE_BYTES, WRITER } from "./layout";
import { find } from "./key-index";
import { loadBytes, packBytes } from "./bytes";
import { fromHalf, toHalf } from "./half";
import { GROUP, touchRows } from "./probe";
import { addRow, copy, isNewer, writeRow } from "./rows";

/** How a row's numbers are held: as 32-bit floats, 16-bit floats, or bytes with a scale. */
const HALVES: u32 = 1;
const BYTES: u32 = 2;

const OGD: u32 = 0;
const ADAGRAD: u32 = 1;
const ROWWISE: u32 = 2;
const FTRL: u32 = 3;
const ADAMOM: u32 = 4;
const ADAM: u32 = 5;

/** Numbers of an optimizer, 64-bit floats one after the other. */
const RATE: usize = 0;
const EPSILON: usize = 8;
/** 1 where epsilon stands inside the root. */
const INSIDE: usize = 16;
const L1: usize = 24;
const L2: usize = 32;
const BETA: usize = 40;
const SHRINKAGE: usize = 48;
const BETA1: usize = 56;
const BETA2: usize = 64;
const INITIAL: usize = 72;
const COLD: usize = 80;
const LAMBDA: usize = 88;

/**
 * Applies one gradient to each of these rows and stamps them with consecutive times. `rows` has -1 where a key has no row; such a row starts
 * from the next `dim` floats of `initial`. `read`, where it is not 0, has the values that the gradients were computed at. `values` and `state` are
 * room for one row, in its own form and as floats. Gives how many rows were stored (negative: memory ended after that many, less 1), with
 * their places, times, rows, whether they are new, the versions they had before (a time of 0 for none), and the sums of what their values changed by; in ANSWER how many times were taken, in ANSWER_TOO how
 * many rows were refused.
 */
export function stepRows(
  kind: u32,
  numbers: usize,
  form: u32,
  count: u32,
  keys: usize,
  rows: usize,
  gradients: usize,
  initial: usize,
  read: usize,
  firstT: f64,
  writer: u32,
  scratch: usize,
  places: usize,
  times: usize,
  added: usize,
  norms: usize,
  beforeTimes: usize,
  beforeWriters: usize,
): i32 {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const stateBytes = <usize>load<u32>(STATE_BYTES);
  const dim = <u32>(form == HALVES ? valueBytes >> 1 : form == BYTES ? valueBytes - 4 : valueBytes >> 2);
  const exactBytes: usize = form != 0 ? (<usize>dim) << 2 : 0;
  const hasState = stateBytes > exactBytes;
  // Work on copies: a row that is refused stays as it was.
  const w = scratch;
  const s = w + ((<usize>dim) << 2);
  const g = s + stateBytes + 16;
  const packed = g + ((<usize>dim) << 2);
  const whole = packed + ((valueBytes + 15) & ~15);
  let stored: u32 = 0;
  let stamped: u32 = 0;
  let refused: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    if (at % GROUP == 0) touchRows(rows + ((<usize>at) << 2), min(GROUP, count - at));
    const key = load<u64>(keys + ((<usize>at) << 3));
    let row = load<i32>(rows + ((<usize>at) << 2));
    const begin = row < 0 ? initial : 0;
    if (row < 0) {
      initial += (<usize>dim) << 2;
      // It may have come with an earlier place of this batch.
      row = find(key);
    }
    const isNew = row < 0 || load<u8>(addressOf(row), FLAGS) != 0;
    if (isNew) {
      copy(w, begin, (<usize>dim) << 2);
      startState(kind, numbers, dim, w, s, load<f64>(numbers, INITIAL));
    } else {
      const held = heldContentsOf(addressOf(row));
      const exact = held + valueBytes;
      if (form == HALVES) loadHalves(held, exact, dim, w);
      else if (form == BYTES) loadBytes(held, exact, dim, w, packed);
      else copy(w, held, valueBytes);
      copy(s, exact + exactBytes, stateBytes - exactBytes);
      // The row came from a replica without optimizer state. No optimizer leaves its state at zero.
      if (hasState && isBlank(s, stateBytes - exactBytes))
        startState(kind, numbers, dim, w, s, load<f64>(numbers, COLD));
    }
    compensate(
      gradients + ((<usize>at * dim) << 2),
      read ? read + ((<usize>at * dim) << 2) : 0,
      dim,
      w,
      load<f64>(numbers, LAMBDA),
      g,
    );
    const norm = step(kind, numbers, dim, w, s, g);
    const values = form == 0 ? w : packed;
    let isFinite = areFinite(w, dim) && areFinite(s, <u32>((stateBytes - exactBytes) >> 2));
    if (form == HALVES) isFinite = packHalves(w, dim, packed) && isFinite;
    if (form == BYTES) isFinite = packBytes(w, dim, packed) && isFinite;
    if (!isFinite) {
      refused += 1;
      continue;
    }
    const t = firstT + <f64>stamped;
    stamped += 1;
    if (row >= 0 && !isNewer(t, writer, load<f64>(addressOf(row), T), load<u16>(addressOf(row), WRITER))) {
      refused += 1;
      continue;
    }
    const isAdded = row < 0;
    if (isAdded) {
      row = addRow(key);
      if (row < 0) return -1 - <i32>stored;
    }
    // Of a row that was just added both are 0.
    store<f64>(beforeTimes + ((<usize>stored) << 3), load<f64>(addressOf(row), T));
    store<u16>(beforeWriters + ((<usize>stored) << 1), load<u16>(addressOf(row), WRITER));
    let state = s;
    if (form != 0) {
      copy(whole, w, exactBytes);
      copy(whole + exactBytes, s, stateBytes - exactBytes);
      state = whole;
    }
    writeRow(addressOf(row), t, writer, 0, values, stateBytes ? state : 0);
    store<u32>(places + ((<usize>stored) << 2), at);
    store<f64>(times + ((<usize>stored) << 3), t);
    store<i32>(rows + ((<usize>at) << 2), row);
    store<u8>(added + stored, (isNew ? 1 : 0) | (isAdded ? 2 : 0));
    store<f64>(norms + ((<usize>stored) << 3), norm);
    stored += 1;
  }
  store<u32>(ANSWER, stamped);
  store<u32>(ANSWER_TOO, refused);
  return <i32>stored;
}

/** The exact numbers of an f16 row; where they do not round to its values, the values are the row. */
function loadHalves(values: usize, exact: usize, dim: u32, w: usize): void {
  for (let i: u32 = 0; i < dim; i++) {
    const bits = <u32>load<u16>(values + ((<usize>i) << 1));
    const number = load<f32>(exact + ((<usize>i) << 2));
    store<f32>(w + ((<usize>i) << 2), fromHalf(toHalf(number)) == fromHalf(bits) ? number : fromHalf(bits));
  }
}

function startState(kind: u32, numbers: usize, dim: u32, w: usize, s: usize, accumulator: f64): void {
  if (kind == ADAGRAD) {
    for (let i: u32 = 0; i < dim; i++) store<f32>(s + ((<usize>i) << 2), <f32>accumulator);
  } else if (kind == ROWWISE) {
    store<f32>(s, <f32>accumulator);
  } else if (kind == FTRL) {
    const bend = curvature(numbers, <f64>(<f32>accumulator));
    for (let i: u32 = 0; i < dim; i++) {
      const x = <f64>load<f32>(w + ((<usize>i) << 2));
      store<f32>(s + ((<usize>i) << 2), <f32>(-x * bend - sign(x) * load<f64>(numbers, L1)));
      store<f32>(s + ((<usize>(dim + i)) << 2), <f32>accumulator);
    }
  } else if (kind == OGD) {
    store<f32>(s, 0);
  } else memory.fill(s, 0, (<usize>(2 * dim + 1)) << 2);
}

function isBlank(s: usize, bytes: usize): bool {
  // Minus zero is zero.
  for (let at: usize = 0; at < bytes; at += 4) if (load<f32>(s + at) != 0) return false;
  return true;
}

function areFinite(numbers: usize, count: u32): bool {
  const exponent = i32x4.splat(0x7f80_0000);
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) {
    const bits = v128.and(v128.load(numbers + ((<usize>i) << 2)), exponent);
    if (v128.any_true(i32x4.eq(bits, exponent))) return false;
  }
  for (; i < count; i++) {
    if ((load<u32>(numbers + ((<usize>i) << 2)) & 0x7f80_0000) == 0x7f80_0000) return false;
  }
  return true;
}

/** Writes numbers as halves. Gives whether all are numbers then. */
function packHalves(numbers: usize, dim: u32, to: usize): bool {
  let isFinite = true;
  for (let i: u32 = 0; i < dim; i++) {
    const bits = toHalf(load<f32>(numbers + ((<usize>i) << 2)));
    store<u16>(to + ((<usize>i) << 1), <u16>bits);
    isFinite = isFinite && (bits & 0x7c00) != 0x7c00;
  }
  return isFinite;
}

/** The gradient, corrected by how far the values moved since it was computed (Zheng et al. 2017). */
function compensate(gradient: usize, read: usize, dim: u32, w: usize, lambda: f64, out: usize): void {
  if (read == 0) {
    copy(out, gradient, (<usize>dim) << 2);
    return;
  }
  for (let i: u32 = 0; i < dim; i++) {
    const at = (<usize>i) << 2;
    const g = <f64>load<f32>(gradient + at);
    const moved = <f64>load<f32>(w + at) - <f64>load<f32>(read + at);
    store<f32>(out + at, <f32>(g + lambda * g * g * moved));
  }
}

function sign(x: f64): f64 {
  return x > 0 ? 1 : x < 0 ? -1 : x;
}

function curvature(numbers: usize, n: f64): f64 {
  return (load<f64>(numbers, BETA) + sqrt(n)) / load<f64>(numbers, RATE) + load<f64>(numbers, L2);
}

/** One step of w and s by the gradient g; gives the sum of what the values changed by. */
function step(kind: u32, numbers: usize, dim: u32, w: usize, s: usize, g: usize): f64 {
  const rate = load<f64>(numbers, RATE);
  const epsilon = load<f64>(numbers, EPSILON);
  const isInside = load<f64>(numbers, INSIDE) != 0;
  if (kind == ADAGRAD) return stepAdaGrad(rate, isInside ? epsilon : 0, isInside ? 0 : epsilon, dim, w, s, g);
  if (kind == FTRL) return stepFtrl(numbers, dim, w, s, g);
  if (kind == ADAMOM || kind == ADAM) return stepMoments(kind, numbers, dim, w, s, g);
  let scaled: f64;
  if (kind == OGD) {
    const steps = <f64>load<f32>(s) + 1;
    store<f32>(s, <f32>steps);
    scaled = rate / sqrt(steps);
  } else {
    let squares: f64 = 0;
    for (let i: u32 = 0; i < dim; i++) {
      const x = <f64>load<f32>(g + ((<usize>i) << 2));
      squares += x * x;
    }
    if (squares == 0) return 0;
    const n = <f64>load<f32>(s) + squares / <f64>dim;
    store<f32>(s, <f32>n);
    scaled = rate / (isInside ? sqrt(n + epsilon) : sqrt(n) + epsilon);
  }
  let norm: f64 = 0;
  for (let i: u32 = 0; i < dim; i++) {
    const at = (<usize>i) << 2;
    norm += move(w + at, <f64>load<f32>(w + at) - scaled * <f64>load<f32>(g + at));
  }
  return norm;
}

/** Stores a value; gives by how much it changed. */
function move(to: usize, value: f64): f64 {
  const before = <f64>load<f32>(to);
  store<f32>(to, <f32>value);
  return abs(<f64>(<f32>value) - before);
}

function stepAdaGrad(rate: f64, inside: f64, outside: f64, dim: u32, w: usize, s: usize, g: usize): f64 {
  const rates = f64x2.splat(rate);
  const zeros = f64x2.splat(0);
  let norm: f64 = 0;
  let i: u32 = 0;
  // Root and division are most of it, and exact: two at a time give the same bits.
  for (; i + 2 <= dim; i += 2) {
    const at = (<usize>i) << 2;
    const x = f64x2.promote_low_f32x4(v128.load64_zero(g + at));
    const n = f64x2.add(f64x2.promote_low_f32x4(v128.load64_zero(s + at)), f64x2.mul(x, x));
    v128.store64_lane(s + at, f32x4.demote_f64x2_zero(n), 0);
    const root = f64x2.add(f64x2.sqrt(f64x2.add(n, f64x2.splat(inside))), f64x2.splat(outside));
    const moved = v128.andnot(f64x2.div(f64x2.mul(rates, x), root), f64x2.eq(x, zeros));
    const before = f64x2.promote_low_f32x4(v128.load64_zero(w + at));
    const after = f32x4.demote_f64x2_zero(f64x2.sub(before, moved));
    v128.store64_lane(w + at, after, 0);
    const by = f64x2.abs(f64x2.sub(f64x2.promote_low_f32x4(after), before));
    norm += f64x2.extract_lane(by, 0);
    norm += f64x2.extract_lane(by, 1);
  }
  for (; i < dim; i++) {
    const at = (<usize>i) << 2;
    const x = <f64>load<f32>(g + at);
    const n = <f64>load<f32>(s + at) + x * x;
    store<f32>(s + at, <f32>n);
    norm += move(w + at, <f64>load<f32>(w + at) - (x == 0 ? 0 : (rate * x) / (sqrt(n + inside) + outside)));
  }
  return norm;
}

function stepFtrl(numbers: usize, dim: u32, w: usize, s: usize, g: usize): f64 {
  const rate = load<f64>(numbers, RATE);
  const l1 = load<f64>(numbers, L1);
  const shrinkage = load<f64>(numbers, SHRINKAGE);
  let norm: f64 = 0;
  for (let i: u32 = 0; i < dim; i++) {
    const at = (<usize>i) << 2;
    const nAt = s + ((<usize>(dim + i)) << 2);
    const x = <f64>load<f32>(g + at);
    const value = <f64>load<f32>(w + at);
    const before = <f64>load<f32>(nAt);
    const n = before + x * x;
    const sigma = (sqrt(n) - sqrt(before)) / rate;
    const z = <f64>load<f32>(s + at) + x + 2 * shrinkage * value - sigma * value;
    store<f32>(s + at, <f32>z);
    store<f32>(nAt, <f32>n);
    const bend = curvature(numbers, n);
    // NaN too: nothing of it may get lost on the way to the check.
    if (!(bend <= 0)) norm += move(w + at, abs(z) <= l1 ? 0 : (sign(z) * l1 - z) / bend);
  }
  return norm;
}

function stepMoments(kind: u32, numbers: usize, dim: u32, w: usize, s: usize, g: usize): f64 {
  const rate = load<f64>(numbers, RATE);
  const beta1 = load<f64>(numbers, BETA1);
  const beta2 = load<f64>(numbers, BETA2);
  const epsilon = load<f64>(numbers, EPSILON);
  const counter = s + ((<usize>(2 * dim)) << 2);
  const c = kind == ADAMOM ? beta2 * <f64>load<f32>(counter) + 1 : <f64>load<f32>(counter) + 1;
  store<f32>(counter, <f32>c);
  const correction1 = kind == ADAM ? 1 - power(beta1, c) : 1;
  const correction2 = kind == ADAM ? 1 - power(beta2, c) : 1;
  let norm: f64 = 0;
  for (let i: u32 = 0; i < dim; i++) {
    const at = (<usize>i) << 2;
    const vAt = s + ((<usize>(dim + i)) << 2);
    const x = <f64>load<f32>(g + at);
    const m = beta1 * <f64>load<f32>(s + at) + (1 - beta1) * x;
    const v = beta2 * <f64>load<f32>(vAt) + (kind == ADAMOM ? x * x : (1 - beta2) * x * x);
    store<f32>(s + at, <f32>m);
    store<f32>(vAt, <f32>v);
    const value = <f64>load<f32>(w + at);
    const moved =
      kind == ADAMOM
        ? (rate * m) / sqrt(v / c + epsilon)
        : (rate * (m / correction1)) / (sqrt(v / correction2) + epsilon);
    norm += move(w + at, value - moved);
  }
  return norm;
}

/** base to the power of a whole number. */
function power(base: f64, exponent: f64): f64 {
  let result: f64 = 1;
  let square = base;
  for (let left = <u32>min(exponent, <f64>0xffff_ffff); left > 0; left >>= 1) {
    if (left & 1) result *= square;
    square *= square;
  }
  return result;
}
