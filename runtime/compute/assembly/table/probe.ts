/*
 * Keys looked for together. WebAssembly cannot prefetch, so loads that miss the cache overlap only where none of them waits for another, nor for a
 * branch that another decides: first the home places of all keys are loaded, then what stands in them is looked at, then all rows are loaded.
 */
import {
  addressOf,
  END,
  find,
  FLAGS,
  hashOf,
  INDEX,
  INDEX_LOG,
  KEY,
  OLD_INDEX,
  OLD_LOG,
  STRIDE,
  UNREAD,
} from "./layout";

/** As many as keep their places, rows and pages of both in the caches of one core, and more than it has loads on their way. */
export const GROUP: u32 = 256;

const LINE: usize = 64;
/** A longer row is copied by the engine's own code, and the machine sees by itself where that goes on. */
const TOUCHED_MAX: usize = 512;

/** The rows of keys, -1 where there is none. */
export function findRows(keys: usize, count: u32, rows: usize): void {
  for (let from: u32 = 0; from < count; from += GROUP)
    findGroup(keys + ((<usize>from) << 3), min(GROUP, count - from), rows + ((<usize>from) << 2));
}

/** The same, without those that are deleted. */
export function findLiveRows(keys: usize, count: u32, rows: usize): void {
  findRows(keys, count, rows);
  for (let at: u32 = 0; at < count; at++) {
    const row = load<i32>(rows + ((<usize>at) << 2));
    if (row >= 0 && load<u8>(addressOf(row), FLAGS) != 0) store<i32>(rows + ((<usize>at) << 2), -1);
  }
}

/** The rows of at most GROUP keys. Reads as much as one line of each row that there is. */
export function findGroup(keys: usize, count: u32, rows: usize): void {
  const end = load<u32>(END);
  const index = <usize>load<u32>(INDEX);
  const mask: u32 = (1 << load<u32>(INDEX_LOG)) - 1;
  const old = <usize>load<u32>(OLD_INDEX);
  const oldMask: u32 = (1 << load<u32>(OLD_LOG)) - 1;
  for (let at: u32 = 0; at < count; at++) store<i32>(rows + ((<usize>at) << 2), -1);
  if (old != 0) lookAtHomes(keys, count, rows, old, oldMask, end);
  lookAtHomes(keys, count, rows, index, mask, end);
  for (let at: u32 = 0; at < count; at++) {
    if (load<i32>(rows + ((<usize>at) << 2)) >= 0) continue;
    const hash = hashOf(load<u64>(keys + ((<usize>at) << 3)));
    let row = likelyRow(index, mask, hash, end);
    if (row < 0 && old != 0) row = likelyRow(old, oldMask, hash, end);
    store<i32>(rows + ((<usize>at) << 2), row);
  }
  for (let at: u32 = 0; at < count; at++) {
    const row = load<i32>(rows + ((<usize>at) << 2));
    if (row < 0) continue;
    const key = load<u64>(keys + ((<usize>at) << 3));
    // Another key has the same hash.
    if (load<u64>(addressOf(row), KEY) != key) store<i32>(rows + ((<usize>at) << 2), find(key));
  }
}

/** For each key the row in its home place, if that place has its hash. */
function lookAtHomes(keys: usize, count: u32, rows: usize, index: usize, mask: u32, end: u32): void {
  for (let at: u32 = 0; at < count; at++) {
    const hash = hashOf(load<u64>(keys + ((<usize>at) << 3)));
    const place = load<u64>(index + ((<usize>(hash & mask)) << 3));
    const row = <u32>place - 1;
    const to = rows + ((<usize>at) << 2);
    store<i32>(to, select<i32>(row, load<i32>(to), (<u32>(place >> 32) == hash) & (row < end)));
  }
}

/** The first row in an index whose key has this hash, or -1. */
function likelyRow(index: usize, mask: u32, hash: u32, end: u32): i32 {
  for (let at: u32 = hash & mask, seen: u32 = 0; seen <= mask; at = (at + 1) & mask, seen++) {
    const place = load<u64>(index + ((<usize>at) << 3));
    if (<u32>place == 0) return -1;
    if (<u32>(place >> 32) == hash && <u32>place - 1 < end) return <i32>(<u32>place - 1);
  }
  return -1;
}

/** Loads something of each line of a row, so that it is in the cache. What it gives means nothing; without a use the loads might be left out. */
export function touch(address: usize, bytes: usize): u32 {
  const last = min(bytes, TOUCHED_MAX) - 4;
  let seen = load<u32>(address + last);
  for (let byte: usize = 0; byte < last; byte += LINE) seen ^= load<u32>(address + byte);
  return seen;
}

/** The same for rows by number, of which -1 is none, by the writing thread. */
export function touchRows(rows: usize, count: u32): void {
  const stride = <usize>load<u32>(STRIDE);
  let seen: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    const row = load<i32>(rows + ((<usize>at) << 2));
    // At 0 is the table's own head, which is always in the cache.
    seen ^= touch(row < 0 ? 0 : addressOf(row), stride);
  }
  store<u32>(UNREAD, seen);
}
