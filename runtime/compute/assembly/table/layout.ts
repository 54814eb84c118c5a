/*
 * What stands where. All of a table is in its memory, so that every thread that has the memory has the table; nothing is in globals, which each
 * instance of this code would have for itself. The header is at 0:
 */
export const STRIDE: usize = 0; // bytes from one row to the next
export const VALUE_BYTES: usize = 4;
export const STATE_BYTES: usize = 8;
/** Rows in a segment, as a power of two; segments are listed in the directory and never move. */
export const SEGMENT_LOG: usize = 12;
export const SEGMENT_BYTES: usize = 16;
/** Rows from here on were never used. */
export const END: usize = 20;
/** The first place that was left, + 1; its key names the next. */
export const FREE: usize = 24;
export const LIVE: usize = 28;
export const HELD: usize = 32;
/** Memory that was never given out, in units of 64 bytes. */
export const TOP: usize = 36;
/** The index of keys, the size as a power of two, places of it that are not empty; and the one that it replaces while it grows, or 0. */
export const INDEX: usize = 40;
export const INDEX_LOG: usize = 44;
export const INDEX_USED: usize = 48;
export const OLD_INDEX: usize = 52;
export const OLD_LOG: usize = 56;
/** Places of the old index that have moved. */
export const MOVED: usize = 60;
/** Odd while the words about the index change. */
export const INDEX_SEQUENCE: usize = 64;
/** What a function gives besides its result. */
export const ANSWER: usize = 68;
export const ANSWER_TOO: usize = 72;
export const ANSWER_T: usize = 88;
/** What an old index left, for segments. */
export const SPARE: usize = 76;
export const SPARE_END: usize = 80;
/** What the writing thread loaded only to have it in the cache. */
export const UNREAD: usize = 84;
/** By index of the writer: the place of its epoch, and of its text, among all, 16 bits each. */
export const RANKS: usize = 256;
const DIRECTORY: usize = 8512;
const DIRECTORY_SEGMENTS: u32 = 16384;
const DATA: usize = 81920;

const UNIT: usize = 64;
const PAGE_BYTES: u64 = 65536;
const SEGMENT_BYTES_MIN: u32 = 262144;
const INDEX_LOG_FIRST: u32 = 4;
/** Beyond this part of its places the index grows; so it moves at least two old places for each key that is added. */
const MOVES_PER_KEY: u32 = 4;

/** A row's head, then its values, then its state. */
export const KEY: usize = 0;
export const T: usize = 8;
export const SEQUENCE: usize = 16;
export const WRITER: usize = 20;
export const FLAGS: usize = 22;
export const VALUES: usize = 24;

export const TOMBSTONE: u32 = 1;
export const EMPTY: u32 = 2;

const DELETED: u32 = 0xffff_ffff;

/** Makes an empty table in a memory of zeros; nothing where there is one. Returns 0, or -1 where memory is at its end. */
export function createTable(valueBytes: u32, stateBytes: u32): i32 {
  if (load<u32>(STRIDE) != 0) return 0;
  const stride: u32 = (<u32>VALUES + valueBytes + stateBytes + 7) & ~7;
  let log: u32 = 0;
  // No smaller, or the directory would be full before the memory is.
  while (stride << log < SEGMENT_BYTES_MIN) log += 1;
  store<u32>(STRIDE, stride);
  store<u32>(VALUE_BYTES, valueBytes);
  store<u32>(STATE_BYTES, stateBytes);
  store<u32>(SEGMENT_LOG, log);
  store<u32>(SEGMENT_BYTES, stride << log);
  store<u32>(TOP, <u32>(DATA / UNIT));
  const index = allocate(8 << INDEX_LOG_FIRST);
  if (index == 0) return -1;
  store<u32>(INDEX, <u32>index);
  store<u32>(INDEX_LOG, INDEX_LOG_FIRST);
  return 0;
}

/** So many bytes of zeros, aligned to 64; 0 where memory is at its end. */
export function allocate(bytes: u32): usize {
  const units: u32 = (bytes + <u32>UNIT - 1) / <u32>UNIT;
  const from = atomic.add<u32>(TOP, units);
  const end = (<u64>from + units) * UNIT;
  const held = <u64>memory.size() * PAGE_BYTES;
  if (end > held) {
    if (end > 0xffff_0000) return 0;
    // In large steps: growing is a call of the operating system.
    const pages = <i32>max((end - held + PAGE_BYTES - 1) / PAGE_BYTES, min(held / PAGE_BYTES / 8, 1024));
    if (memory.grow(pages) < 0 && memory.grow(<i32>((end - held + PAGE_BYTES - 1) / PAGE_BYTES)) < 0) return 0;
  }
  return <usize>from * UNIT;
}

/** Where a row stands. */
export function addressOf(row: u32): usize {
  const log = load<u32>(SEGMENT_LOG);
  const segment = <usize>load<u32>(DIRECTORY + ((<usize>(row >> log)) << 2));
  return segment + <usize>(row & ((1 << log) - 1)) * load<u32>(STRIDE);
}

/** Makes sure that there is memory for a row that was never used. */
export function reserveRow(row: u32): bool {
  const log = load<u32>(SEGMENT_LOG);
  const segment = row >> log;
  if (segment >= DIRECTORY_SEGMENTS) return false;
  const entry = DIRECTORY + ((<usize>segment) << 2);
  if (load<u32>(entry) != 0) return true;
  const bytes = load<u32>(SEGMENT_BYTES);
  const spare = load<u32>(SPARE);
  if (load<u32>(SPARE_END) - spare >= bytes) {
    store<u32>(entry, spare);
    store<u32>(SPARE, spare + ((bytes + 63) & ~63));
    if (load<u32>(SPARE) > load<u32>(SPARE_END)) store<u32>(SPARE, load<u32>(SPARE_END));
    return true;
  }
  const at = allocate(bytes);
  if (at == 0) return false;
  store<u32>(entry, <u32>at);
  return true;
}

/** A place of the index is a row + 1 in its low half, 0 where it is empty, and the hash of its key in the high one; the hash is its home. */
export function hashOf(key: u64): u32 {
  let word = (key ^ (key >> 32)) * 0x9e37_79b9_7f4a_7c15;
  word = (word ^ (word >> 29)) * 0xbf58_476d_1ce4_e5b9;
  return <u32>(word >> 32);
}

/** The row of a key, or -1. Bounded by what is there: a reader may look while the index changes, and must ask again then. */
export function find(key: u64): i32 {
  const hash = hashOf(key);
  const row = findIn(load<u32>(INDEX), load<u32>(INDEX_LOG), hash, key);
  if (row >= 0) return row;
  const old = load<u32>(OLD_INDEX);
  return old == 0 ? -1 : findIn(old, load<u32>(OLD_LOG), hash, key);
}

function findIn(index: usize, log: u32, hash: u32, key: u64): i32 {
  const mask: u32 = (1 << log) - 1;
  const end = load<u32>(END);
  for (let at: u32 = hash & mask, seen: u32 = 0; seen <= mask; at = (at + 1) & mask, seen++) {
    const place = load<u64>(index + ((<usize>at) << 3));
    const row1 = <u32>place;
    if (row1 == 0) return -1;
    if (<u32>(place >> 32) == hash && row1 - 1 < end && load<u64>(addressOf(row1 - 1), KEY) == key)
      return <i32>(row1 - 1);
  }
  return -1;
}

/** Files a key that is not there. Returns false where memory is at its end. */
export function fileKey(key: u64, row: u32): bool {
  if (load<u32>(OLD_INDEX) != 0) growIndex(MOVES_PER_KEY);
  const log = load<u32>(INDEX_LOG);
  if (<u64>load<u32>(INDEX_USED) * 4 >= (<u64>3) << log) {
    // Its places have moved by now, as four moved for each key.
    growIndex(0xffff_ffff);
    // Where half of the places are of keys that are gone, the next one is as large.
    if (!replaceIndex(load<u32>(HELD) > (1 << log) >> 1 ? log + 1 : log)) return false;
  }
  put(hashOf(key), row);
  return true;
}

/** Makes room in the index for so many keys more, all at once. Returns false where memory is at its end. */
export function reserveKeys(count: u32): bool {
  growIndex(0xffff_ffff);
  let log = load<u32>(INDEX_LOG);
  if ((<u64>load<u32>(INDEX_USED) + count) * 4 < (<u64>3) << log) return true;
  const keys = <u64>load<u32>(HELD) + count;
  while (keys > ((<u64>1) << log) >> 1) log += 1;
  if (!replaceIndex(log)) return false;
  growIndex(0xffff_ffff);
  return true;
}

/** An empty index in front of the one there is, which moves over bit by bit. */
function replaceIndex(log: u32): bool {
  if (log > 28) return false;
  const places = allocate((<u32>8) << log);
  if (places == 0) return false;
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  store<u32>(OLD_INDEX, load<u32>(INDEX));
  store<u32>(OLD_LOG, load<u32>(INDEX_LOG));
  store<u32>(MOVED, 0);
  store<u32>(INDEX, <u32>places);
  store<u32>(INDEX_LOG, log);
  store<u32>(INDEX_USED, 0);
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  return true;
}

/** Files a key that is not there, by its hash, in an index that has room. */
export function put(hash: u32, row: u32): void {
  const index = <usize>load<u32>(INDEX);
  const mask: u32 = (1 << load<u32>(INDEX_LOG)) - 1;
  let at: u32 = hash & mask;
  while (load<u32>(index + ((<usize>at) << 3)) != 0) at = (at + 1) & mask;
  // At once and last: who finds the row finds all of it.
  atomic.store<u64>(index + ((<usize>at) << 3), ((<u64>hash) << 32) | (row + 1));
  store<u32>(INDEX_USED, load<u32>(INDEX_USED) + 1);
}

/** Moves so many places of an old index, if there is one. What moved stays readable where it was until all has. */
export function growIndex(moves: u32): void {
  const old = <usize>load<u32>(OLD_INDEX);
  if (old == 0) return;
  const size: u32 = 1 << load<u32>(OLD_LOG);
  let at = load<u32>(MOVED);
  const end = at + min(size - at, moves);
  for (; at < end; at++) {
    const place = load<u64>(old + ((<usize>at) << 3));
    const row1 = <u32>place;
    if (row1 != 0 && row1 != DELETED) put(<u32>(place >> 32), row1 - 1);
  }
  store<u32>(MOVED, end);
  if (end < size) return;
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  store<u32>(OLD_INDEX, 0);
  const bytes = size << 3;
  if (bytes > load<u32>(SPARE_END) - load<u32>(SPARE)) {
    store<u32>(SPARE, <u32>old);
    store<u32>(SPARE_END, <u32>old + bytes);
  }
  atomic.add<u32>(INDEX_SEQUENCE, 1);
}

/** An empty index for the rows that are held, in the place of whatever index there was. */
export function renewIndex(): bool {
  let log = INDEX_LOG_FIRST;
  while (<u64>load<u32>(HELD) * 2 > (<u64>1) << log) log += 1;
  const places = allocate((<u32>8) << log);
  if (places == 0) return false;
  store<u32>(INDEX_SEQUENCE, load<u32>(INDEX_SEQUENCE) | 1);
  store<u32>(OLD_INDEX, 0);
  store<u32>(INDEX, <u32>places);
  store<u32>(INDEX_LOG, log);
  store<u32>(INDEX_USED, 0);
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  return true;
}

/** Takes a key out of the index. */
export function unfileKey(key: u64): void {
  const hash = hashOf(key);
  remove(load<u32>(INDEX), load<u32>(INDEX_LOG), hash, key);
  const old = load<u32>(OLD_INDEX);
  if (old != 0) remove(old, load<u32>(OLD_LOG), hash, key);
}

function remove(index: usize, log: u32, hash: u32, key: u64): void {
  const mask: u32 = (1 << log) - 1;
  for (let at: u32 = hash & mask; ; at = (at + 1) & mask) {
    const to = index + ((<usize>at) << 3);
    const row1 = load<u32>(to);
    if (row1 == 0) return;
    if (row1 == DELETED || load<u32>(to, 4) != hash || load<u64>(addressOf(row1 - 1), KEY) != key) continue;
    // No search may end here, so the place is taken for good, until the index grows.
    store<u32>(to, DELETED);
    return;
  }
}
