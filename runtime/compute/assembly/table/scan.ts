// Rows by number: what a knowledge lacks, columns of rows, digests.
import {
  addressOf,
  ANSWER,
  ANSWER_TOO,
  contentsOf,
  EMPTY,
  END,
  FLAGS,
  KEY,
  RECORD,
  STATE_BYTES,
  T,
  TOMBSTONE,
  VALUE_BYTES,
  WRITER,
} from "./layout";
import { copy } from "./rows";

function isAhead(at: usize, known: usize, writers: u32): bool {
  if (load<u8>(at, FLAGS) == EMPTY) return false;
  const writer = load<u16>(at, WRITER);
  return load<f64>(at, T) > (writer < writers ? load<f64>(known + ((<usize>writer) << 3)) : 0);
}

/** Rows from a number on that a knowledge lacks, as many as fit; in ANSWER where the next call goes on. */
export function collectRows(from: u32, known: usize, writers: u32, rows: usize, max: u32): u32 {
  let found: u32 = 0;
  let row = from;
  for (const end = load<u32>(END); row < end && found < max; row++) {
    if (!isAhead(addressOf(row), known, writers)) continue;
    store<u32>(rows + ((<usize>found) << 2), row);
    found += 1;
  }
  store<u32>(ANSWER, row);
  return found;
}

/** Leaves of a list of rows, in place, those that a knowledge lacks. */
export function collectAmong(rows: usize, count: u32, known: usize, writers: u32): u32 {
  let found: u32 = 0;
  const end = load<u32>(END);
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(rows + ((<usize>at) << 2));
    if (row >= end || !isAhead(addressOf(row), known, writers)) continue;
    store<u32>(rows + ((<usize>found) << 2), row);
    found += 1;
  }
  return found;
}

/**
 * Those of some rows that are not empty as columns, and their numbers; gives how many. `state` may be 0. Of rows on disk all but values and state, which are
 * read elsewhere.
 */
export function packRows(
  rows: usize,
  count: u32,
  keys: usize,
  t: usize,
  writers: usize,
  packedFlags: usize,
  values: usize,
  state: usize,
): u32 {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const stateBytes = <usize>load<u32>(STATE_BYTES);
  let packed: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    const number = load<u32>(rows + ((<usize>at) << 2));
    const row = addressOf(number);
    const flags = load<u8>(row, FLAGS);
    if (flags == EMPTY) continue;
    store<u32>(rows + ((<usize>packed) << 2), number);
    store<u64>(keys + ((<usize>packed) << 3), load<u64>(row, KEY));
    store<f64>(t + ((<usize>packed) << 3), load<f64>(row, T));
    store<u16>(writers + ((<usize>packed) << 1), load<u16>(row, WRITER));
    store<u8>(packedFlags + packed, flags);
    const contents = contentsOf(row);
    if (contents != 0) {
      copy(values + <usize>packed * valueBytes, contents, valueBytes);
      if (state) copy(state + <usize>packed * stateBytes, contents + valueBytes, stateBytes);
    } else if (load<u32>(row, RECORD) == 0) unreachable();
    packed += 1;
  }
  return packed;
}

/** The versions and flags of rows; one that is empty or never was has the flags EMPTY. */
export function readVersions(rows: usize, count: u32, t: usize, writers: usize, flags: usize): void {
  const end = load<u32>(END);
  for (let at: u32 = 0; at < count; at++) {
    const number = load<u32>(rows + ((<usize>at) << 2));
    if (number >= end) {
      store<u8>(flags + at, <u8>EMPTY);
      continue;
    }
    const row = addressOf(number);
    store<f64>(t + ((<usize>at) << 3), load<f64>(row, T));
    store<u16>(writers + ((<usize>at) << 1), load<u16>(row, WRITER));
    store<u8>(flags + at, load<u8>(row, FLAGS));
  }
}

/**
 * Heads of the rows from a number on that are not empty, with a time in (after, upTo], and only those that are deleted where that is asked; as many
 * as fit; in ANSWER where the next call goes on.
 */
export function glanceRows(
  from: u32,
  after: f64,
  upTo: f64,
  deleted: bool,
  max: u32,
  rows: usize,
  keys: usize,
  t: usize,
  writers: usize,
  flags: usize,
): u32 {
  let found: u32 = 0;
  let row = from;
  for (const end = load<u32>(END); row < end && found < max; row++) {
    const at = addressOf(row);
    const flag = load<u8>(at, FLAGS);
    if (flag == EMPTY || (deleted && flag != TOMBSTONE)) continue;
    const time = load<f64>(at, T);
    if (time <= after || time > upTo) continue;
    store<u32>(rows + ((<usize>found) << 2), row);
    store<u64>(keys + ((<usize>found) << 3), load<u64>(at, KEY));
    store<f64>(t + ((<usize>found) << 3), time);
    store<u16>(writers + ((<usize>found) << 1), load<u16>(at, WRITER));
    store<u8>(flags + found, flag);
    found += 1;
  }
  store<u32>(ANSWER, row);
  return found;
}

function mix(seed: u32, value: u32): u32 {
  let word: u32 = (seed ^ 0x5bd1e995) * 0x2c1b3c6d + value * 0x9e3779b1 + 0x7f4a7c15;
  word = (word ^ (word >> 16)) * 0x85ebca6b;
  word = (word ^ (word >> 13)) * 0xc2b2ae35;
  return word ^ (word >> 16);
}

/**
 * The sums of the hashes of the rows from a number on, of so many, as protocols/sync/content-hash.ts has them, in ANSWER and ANSWER_TOO; gives how many rows. Of those that are
 * on disk the values stand in `cold`, each in its place from `from` on.
 */
export function digestRows(from: u32, size: u32, table: u32, writerHashes: usize, cold: usize): u32 {
  const valueBytes = load<u32>(VALUE_BYTES);
  const words = valueBytes & ~3;
  let sum: u32 = 0;
  let sumToo: u32 = 0;
  let count: u32 = 0;
  for (let row = from, end = min(load<u32>(END), from + size); row < end; row++) {
    const at = addressOf(row);
    const flags = load<u8>(at, FLAGS);
    if (flags == EMPTY) continue;
    let values = contentsOf(at);
    if (values == 0) {
      if (load<u32>(at, RECORD) == 0) unreachable();
      values = cold + <usize>(row - from) * valueBytes;
    }
    const t = <u64>load<f64>(at, T);
    const writerHash = load<u32>(writerHashes + ((<usize>load<u16>(at, WRITER)) << 2));
    let first: u32 = 1;
    let second: u32 = 2;
    first = mix(first, table);
    second = mix(second, table);
    first = mix(first, load<u32>(at, KEY));
    second = mix(second, load<u32>(at, KEY));
    first = mix(first, load<u32>(at, KEY + 4));
    second = mix(second, load<u32>(at, KEY + 4));
    first = mix(first, <u32>t);
    second = mix(second, <u32>t);
    first = mix(first, <u32>(t >> 32));
    second = mix(second, <u32>(t >> 32));
    first = mix(first, writerHash);
    second = mix(second, writerHash);
    first = mix(first, flags);
    second = mix(second, flags);
    for (let byte: u32 = 0; byte < words; byte += 4) {
      const word = bswap(load<u32>(values + byte));
      first = mix(first, word);
      second = mix(second, word);
    }
    let rest: u32 = words == valueBytes ? 0 : 1;
    for (let byte: u32 = words; byte < valueBytes; byte++) rest = (rest << 8) | load<u8>(values + byte);
    sum += mix(first, rest);
    sumToo += mix(second, rest);
    count += 1;
  }
  store<u32>(ANSWER, sum);
  store<u32>(ANSWER_TOO, sumToo);
  return count;
}
