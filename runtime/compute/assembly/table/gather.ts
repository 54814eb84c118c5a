// Reading values: by the writer itself, and by other threads while it writes.
import {
  addressOf,
  contentsOf,
  END,
  FLAGS,
  FRAME_BYTES,
  FRAMES,
  heldContentsOf,
  INDEX_SEQUENCE,
  KEY,
  SEQUENCE,
  USED,
  VALUE_BYTES,
  VALUES,
  WRITER,
} from "./layout";
import { findRows, GROUP, touch } from "./probe";
import { copy } from "./rows";

const MISSING: u8 = 0;
const FOUND: u8 = 1;
/** The row changed under each try, or the index did: the reader asks the writer instead. */
const GAVE_UP: u8 = 2;
/** Its contents are on disk: the reader asks the writer instead. */
const ON_DISK: u8 = 3;
/** It was copied, and its sequence number was not looked at again yet. */
const COPIED: u8 = 4;

/** Of each row of a group in `scratch`: where it stands, 0 for none, and then its sequence number. A last word is for what nobody reads. */
const SEQUENCES: usize = <usize>GROUP * 4;
const REST: usize = <usize>GROUP * 8;

/** By the writer's own thread: values of keys, with 1 where a row is there and not deleted. `rows` is room for 4 bytes a key. */
export function readRows(keys: usize, count: u32, found: usize, values: usize, rows: usize): void {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  findRows(keys, count, rows);
  for (let at: u32 = 0; at < count; at++) {
    const row = load<i32>(rows + ((<usize>at) << 2));
    const address: usize = row < 0 ? 0 : addressOf(row);
    const is = row >= 0 && load<u8>(address, FLAGS) == 0;
    store<u8>(found + at, is ? FOUND : MISSING);
    if (is) copy(values + <usize>at * valueBytes, heldContentsOf(address), valueBytes);
    else memory.fill(values + <usize>at * valueBytes, 0, valueBytes);
  }
}

/**
 * By any thread: values of rows, whole ones only. A row is copied between two looks at its sequence number, which must be even and the same; the
 * looks of a group of rows are taken together, with a fence between copies and second looks, and all rows of the group are loaded before the first
 * is copied, so that these loads overlap. `keys` are looked at again with the row, 0 for none. What did not hold is tried again, `tries` times in
 * all. `scratch` is the thread's own, 8 bytes for each of a group and 4 more. `writers` is room for the index of the writer of each row that is given, 2 bytes
 * each, or 0 where nobody asks. Gives how many tries more than one a row were made.
 */
export function gatherRows(
  rows: usize,
  keys: usize,
  count: u32,
  statuses: usize,
  values: usize,
  tries: u32,
  scratch: usize,
  writers: usize,
): u32 {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  let retries: u32 = 0;
  for (let from: u32 = 0; from < count; from += GROUP) {
    const size = min(GROUP, count - from);
    const groupRows = rows + ((<usize>from) << 2);
    const groupKeys: usize = keys == 0 ? 0 : keys + ((<usize>from) << 3);
    const groupValues = values + <usize>from * valueBytes;
    const groupWriters: usize = writers == 0 ? 0 : writers + ((<usize>from) << 1);
    placeGroup(groupRows, size, statuses + from, scratch);
    touchGroup(size, valueBytes, scratch);
    let left = copyGroup(groupKeys, size, statuses + from, groupValues, valueBytes, scratch, groupWriters);
    for (let again: u32 = 1; left > 0 && again < tries; again++) {
      retries += left;
      left = copyGroup(groupKeys, size, statuses + from, groupValues, valueBytes, scratch, groupWriters);
    }
  }
  return retries;
}

/** Where the rows of a group stand. Those that are there count as given up until they are copied. */
function placeGroup(rows: usize, size: u32, statuses: usize, scratch: usize): void {
  const end = atomic.load<u32>(END);
  for (let i: u32 = 0; i < size; i++) {
    const row = load<u32>(rows + ((<usize>i) << 2));
    // Of no row the number is -1, which is no less.
    const isThere = row < end;
    store<u32>(scratch + ((<usize>i) << 2), <u32>(isThere ? addressOf(row) : 0));
    store<u8>(statuses + i, isThere ? GAVE_UP : MISSING);
  }
}

function touchGroup(size: u32, valueBytes: usize, scratch: usize): void {
  let seen: u32 = 0;
  const frameBytes = <usize>load<u32>(FRAME_BYTES);
  const bytes = VALUES + (frameBytes == 0 ? valueBytes : 0);
  // At 0 is the table's own head, which is always in the cache.
  for (let i: u32 = 0; i < size; i++) seen ^= touch(<usize>load<u32>(scratch + ((<usize>i) << 2)), bytes);
  if (frameBytes != 0) {
    for (let i: u32 = 0; i < size; i++) {
      const address = <usize>load<u32>(scratch + ((<usize>i) << 2));
      seen ^= touch(address == 0 ? 0 : contentsOf(address), frameBytes);
    }
  }
  store<u32>(scratch + REST, seen);
}

/** Copies those rows of a group that gave up; gives how many (still) do. */
function copyGroup(
  keys: usize,
  size: u32,
  statuses: usize,
  values: usize,
  valueBytes: usize,
  scratch: usize,
  writers: usize,
): u32 {
  for (let i: u32 = 0; i < size; i++) {
    if (load<u8>(statuses + i) != GAVE_UP) continue;
    const address = <usize>load<u32>(scratch + ((<usize>i) << 2));
    store<u32>(scratch + SEQUENCES + ((<usize>i) << 2), atomic.load<u32>(address, SEQUENCE));
    const isOther = keys != 0 && load<u64>(address, KEY) != load<u64>(keys + ((<usize>i) << 3));
    const isMissing = isOther || load<u8>(address, FLAGS) != 0;
    if (writers != 0) store<u16>(writers + ((<usize>i) << 1), load<u16>(address, WRITER));
    const contents = contentsOf(address);
    store<u8>(statuses + i, COPIED | (isMissing ? MISSING : contents == 0 ? ON_DISK : FOUND));
    if (contents == 0) continue;
    copy(values + <usize>i * valueBytes, contents, valueBytes);
    use(contents);
  }
  // On machines that reorder loads the copies end before the second looks begin: an atomic change, of a word that nobody else has, is a fence.
  atomic.add<u32>(scratch + REST, 0);
  let left: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const status = load<u8>(statuses + i);
    if ((status & COPIED) == 0) continue;
    const address = <usize>load<u32>(scratch + ((<usize>i) << 2));
    const before = load<u32>(scratch + SEQUENCES + ((<usize>i) << 2));
    const isWhole = (before & 1) == 0 && load<u32>(address, SEQUENCE) == before;
    store<u8>(statuses + i, isWhole ? status & ~COPIED : GAVE_UP);
    left += isWhole ? 0 : 1;
  }
  return left;
}

/** The frame of these contents, where they have one, was used. Any thread says so; where two do at once, or it is another row's by now, nothing is lost but a chance. */
function use(contents: usize): void {
  const frameBytes = <usize>load<u32>(FRAME_BYTES);
  if (frameBytes == 0) return;
  const used = <usize>load<u32>(USED) + (contents - load<u32>(FRAMES)) / frameBytes;
  if (load<u8>(used) == 0) store<u8>(used, 1);
}

/** The same by keys. Where the index changed meanwhile, what was not found counts as given up. */
export function gatherKeys(
  keys: usize,
  count: u32,
  statuses: usize,
  values: usize,
  tries: u32,
  scratch: usize,
  rows: usize,
  writers: usize,
): u32 {
  const before = atomic.load<u32>(INDEX_SEQUENCE);
  findRows(keys, count, rows);
  const retries = gatherRows(rows, keys, count, statuses, values, tries, scratch, writers);
  if ((before & 1) == 0 && atomic.load<u32>(INDEX_SEQUENCE) == before) return retries;
  for (let at: u32 = 0; at < count; at++) if (load<u8>(statuses + at) == MISSING) store<u8>(statuses + at, GAVE_UP);
  return retries;
}

/** For whoever looks for torn rows: how many of the rows that were given have 32-bit words that are not all the same. */
export function unevenRows(count: u32, statuses: usize, values: usize): u32 {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  let uneven: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    if (load<u8>(statuses + at) != FOUND) continue;
    const row = values + <usize>at * valueBytes;
    const first = load<u32>(row);
    let differences: u32 = 0;
    for (let byte: usize = 4; byte + 4 <= valueBytes; byte += 4) differences |= load<u32>(row + byte) ^ first;
    if (differences != 0) uneven += 1;
  }
  return uneven;
}
