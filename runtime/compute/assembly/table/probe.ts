/*
 * Keys looked for together. WebAssembly cannot prefetch, so loads that miss the cache overlap only where none of them waits for another, nor for a
 * branch that another decides: first the home places of all keys are loaded, then what stands in them is looked at, then all rows are loaded.
 */
import { addressOf, contentsOf, END, FLAGS, FRAME_BYTES, INDEX, KEY, MOVED, OLD_INDEX, STRIDE, UNREAD } from "./layout";
import { lineAt } from "./index-chunks";
import { directoryOf, hashOf, homeOf, isFull, linesOf, placesOf } from "./index-lines";
import { find, likelyRow } from "./key-index";

/** As many as keep their places, rows and pages of both in the caches of one core, and more than it has loads on their way. */
export const GROUP: u32 = 256;

const NONE: i32 = -1;
const ELSEWHERE: i32 = -2;

const LINE: usize = 64;
/** A longer row is copied by the engine's own code, and the machine sees by itself where that goes on. */
const TOUCHED_MAX: usize = 512;

/** The rows of keys, -1 where there is none. */
export function findRows(keys: usize, count: u32, rows: usize): void {
  for (let from: u32 = 0; from < count; from += GROUP)
    findGroup(keys + ((<usize>from) << 3), min(GROUP, count - from), rows + ((<usize>from) << 2));
}

/** The same, and each row is in the cache then, as far as the cache reaches. */
export function fetchRows(keys: usize, count: u32, rows: usize): void {
  findRows(keys, count, rows);
  touchRows(rows, count);
}

/** The rows of keys without those that are deleted. */
export function findLiveRows(keys: usize, count: u32, rows: usize): void {
  findRows(keys, count, rows);
  for (let at: u32 = 0; at < count; at++) {
    const row = load<i32>(rows + ((<usize>at) << 2));
    if (row >= 0 && load<u8>(addressOf(row), FLAGS) != 0) store<i32>(rows + ((<usize>at) << 2), -1);
  }
}

/** The rows of at most GROUP keys. Reads as much as one line of each row that there is. */
export function findGroup(keys: usize, count: u32, rows: usize): void {
  // Before the indexes: a key moves first.
  const moved = atomic.load<u32>(MOVED);
  const old = atomic.load<u64>(OLD_INDEX);
  const index = atomic.load<u64>(INDEX);
  if (old == 0) lookAtHomes(keys, count, rows, directoryOf(index), linesOf(index));
  else lookAtEither(keys, count, rows, index, old, moved);
  for (let at: u32 = 0; at < count; at++) {
    if (load<i32>(rows + ((<usize>at) << 2)) != ELSEWHERE) continue;
    store<i32>(rows + ((<usize>at) << 2), likelyRow(hashOf(load<u64>(keys + ((<usize>at) << 3)))));
  }
  for (let at: u32 = 0; at < count; at++) {
    const row = load<i32>(rows + ((<usize>at) << 2));
    if (row < 0) continue;
    const key = load<u64>(keys + ((<usize>at) << 3));
    // Another key has the same hash.
    if (load<u64>(addressOf(row), KEY) != key) store<i32>(rows + ((<usize>at) << 2), find(key));
  }
}

/** For each key a row in its home line that has its hash, NONE where there is none and the line is not full, or ELSEWHERE. */
function lookAtHomes(keys: usize, count: u32, rows: usize, index: usize, lines: u32): void {
  const end = load<u32>(END);
  // What is loaded here is of no use but that it is in the cache afterwards; it is stored lest the load be left out.
  for (let at: u32 = 0; at < count; at++) {
    const hash = hashOf(load<u64>(keys + ((<usize>at) << 3)));
    store<u32>(rows + ((<usize>at) << 2), load<u32>(lineAt(index, homeOf(hash, lines))));
  }
  for (let at: u32 = 0; at < count; at++) {
    const hash = hashOf(load<u64>(keys + ((<usize>at) << 3)));
    store<i32>(rows + ((<usize>at) << 2), lookAt(lineAt(index, homeOf(hash, lines)), hash, end));
  }
}

/** The same while the index grows: keys whose home has not moved are in the old one. */
function lookAtEither(keys: usize, count: u32, rows: usize, index: u64, old: u64, moved: u32): void {
  const end = load<u32>(END);
  const lines = linesOf(index);
  const oldLines = linesOf(old);
  for (let at: u32 = 0; at < count; at++) {
    const hash = hashOf(load<u64>(keys + ((<usize>at) << 3)));
    const home = homeOf(hash, oldLines);
    const isOld = home >= moved;
    const directory = select<usize>(directoryOf(old), directoryOf(index), isOld);
    const line = lineAt(directory, select<u32>(home, homeOf(hash, lines), isOld));
    // As above, a bit of what is loaded.
    store<u32>(rows + ((<usize>at) << 2), <u32>line | (load<u8>(line) & 1));
  }
  for (let at: u32 = 0; at < count; at++) {
    const to = rows + ((<usize>at) << 2);
    store<i32>(to, lookAt(<usize>(load<u32>(to) & ~1), hashOf(load<u64>(keys + ((<usize>at) << 3))), end));
  }
}

function lookAt(line: usize, hash: u32, end: u32): i32 {
  const places = placesOf(line, i32x4.splat(hash));
  const row = load<u32>(line + ((<usize>(ctz(places) & 7)) << 3)) - 1;
  // A place that has the hash may be of a key that is gone, with another behind it.
  const none = select<i32>(ELSEWHERE, NONE, <i32>isFull(line) | <i32>(places != 0));
  return select<i32>(<i32>row, none, <i32>(places != 0) & <i32>(row < end));
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
  const frameBytes = <usize>load<u32>(FRAME_BYTES);
  if (frameBytes != 0) {
    for (let at: u32 = 0; at < count; at++) {
      const row = load<i32>(rows + ((<usize>at) << 2));
      seen ^= touch(row < 0 ? 0 : contentsOf(addressOf(row)), frameBytes);
    }
  }
  store<u32>(UNREAD, seen);
}
