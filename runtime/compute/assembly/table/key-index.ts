/*
 * The index of keys: lines of the cache, of eight places each. A place is a row + 1 in its low half, 0 where it is empty, and the hash of its key
 * in the high one. A key is in the line that its hash says, or, where that is full, in the next that is not; the places of a line fill in order, so
 * a line is full when its last place is taken. Almost every search ends in its first line, which is looked at without a branch.
 */
import {
  addressOf,
  allocate,
  END,
  HELD,
  INDEX,
  INDEX_LINES,
  INDEX_SEQUENCE,
  INDEX_USED,
  KEY,
  leaveSpare,
  MOVED,
  OLD_INDEX,
  OLD_LINES,
  UNREAD,
  WAITING,
} from "./layout";

const LINE_LOG: usize = 6;
/** Of the system, at least: 4 KiB. */
const PAGE_LOG: usize = 12;
export const LINE_PLACES: u32 = 8;
/** The row of the last place of a line. */
const LAST: usize = 56;
/** The index grows where so many places of a line are taken, on average: a small one doubles, a larger one, of which that would take more memory than it saves time, by a half. */
const FULL: u32 = 7;
const SMALL_LINES: u32 = 1 << 16;
const LINES_MAX: u32 = 1 << 25;
/** No line is so far. */
const ALL_MOVED: u32 = 0xffff_ffff;
const DELETED: u32 = 0xffff_ffff;

export function hashOf(key: u64): u32 {
  let word = (key ^ (key >> 32)) * 0x9e37_79b9_7f4a_7c15;
  word = (word ^ (word >> 29)) * 0xbf58_476d_1ce4_e5b9;
  return <u32>(word >> 32);
}

/** The line where a hash is at home. In order of hashes, so that an index that grows is read and written from start to end. */
export function homeOf(hash: u32, lines: u32): u32 {
  return <u32>((<u64>hash * lines) >> 32);
}

export function lineAt(index: usize, line: u32): usize {
  return index + ((<usize>line) << LINE_LOG);
}

/** The places of a line that have a hash, a bit for each; `wanted` is four times the hash. Some may be empty or of a key that is gone. */
export function placesOf(line: usize, wanted: v128): u32 {
  const first = v128.shuffle<i32>(v128.load(line), v128.load(line, 16), 1, 3, 5, 7);
  const second = v128.shuffle<i32>(v128.load(line, 32), v128.load(line, 48), 1, 3, 5, 7);
  return i32x4.bitmask(i32x4.eq(first, wanted)) | (i32x4.bitmask(i32x4.eq(second, wanted)) << 4);
}

export function isFull(line: usize): bool {
  return load<u32>(line, LAST) != 0;
}

/** The row of a key, or -1. Bounded by what is there: a reader may look while the index changes, and must ask again then. */
export function find(key: u64): i32 {
  const hash = hashOf(key);
  // Before the indexes: a key moves first.
  const moved = atomic.load<u32>(MOVED);
  const old = load<u32>(OLD_INDEX);
  const lines = load<u32>(OLD_LINES);
  return old != 0 && homeOf(hash, lines) >= moved
    ? findIn(old, lines, hash, key)
    : findIn(load<u32>(INDEX), load<u32>(INDEX_LINES), hash, key);
}

function findIn(index: usize, lines: u32, hash: u32, key: u64): i32 {
  const end = load<u32>(END);
  const wanted = i32x4.splat(hash);
  for (let line = homeOf(hash, lines), seen: u32 = 0; seen < lines; line = next(line, lines), seen++) {
    const at = lineAt(index, line);
    for (let places = placesOf(at, wanted); places != 0; places &= places - 1) {
      const row = load<u32>(at + ((<usize>ctz(places)) << 3)) - 1;
      if (row < end && load<u64>(addressOf(row), KEY) == key) return <i32>row;
    }
    if (!isFull(at)) return -1;
  }
  return -1;
}

/** The first row in an index whose key has this hash, or -1. */
export function likelyRow(index: usize, lines: u32, hash: u32): i32 {
  const end = load<u32>(END);
  const wanted = i32x4.splat(hash);
  for (let line = homeOf(hash, lines), seen: u32 = 0; seen < lines; line = next(line, lines), seen++) {
    const at = lineAt(index, line);
    for (let places = placesOf(at, wanted); places != 0; places &= places - 1) {
      const row = load<u32>(at + ((<usize>ctz(places)) << 3)) - 1;
      if (row < end) return <i32>row;
    }
    if (!isFull(at)) return -1;
  }
  return -1;
}

function next(line: u32, lines: u32): u32 {
  return line + 1 == lines ? 0 : line + 1;
}

/** Files a key that is not there. Returns false where memory is at its end. */
export function fileKey(key: u64, row: u32): bool {
  if (!reserveKeys(1)) return false;
  publish();
  fileMissing(key, row);
  return true;
}

/** Who finds what is filed from here on finds all that was stored before: an atomic change, of a word that nobody else has, is a fence. */
export function publish(): void {
  atomic.add<u32>(UNREAD, 0);
}

/**
 * Files a row under its key, for which there is room, unless one was filed since the key was looked for: gives the row that is filed. A key whose home has not moved yet stands
 * in the old index: it is looked for in one of the two only, and the new one is written from start to end, not all over memory that was never touched.
 */
export function fileMissing(key: u64, row: u32): u32 {
  const hash = hashOf(key);
  const old = load<u32>(OLD_INDEX);
  const lines = load<u32>(OLD_LINES);
  const moved = load<u32>(MOVED);
  return old != 0 && homeOf(hash, lines) >= moved
    ? fileIn(old, lines, hash, key, row, moved)
    : fileIn(load<u32>(INDEX), load<u32>(INDEX_LINES), hash, key, row, ALL_MOVED);
}

/** `moved`: how many lines of this index have moved, where it is the old one. */
function fileIn(index: usize, lines: u32, hash: u32, key: u64, row: u32, moved: u32): u32 {
  const wanted = i32x4.splat(hash);
  // What was filed since stands before the first empty place.
  for (let line = homeOf(hash, lines); ; line = next(line, lines)) {
    const at = lineAt(index, line);
    const empty = emptyIn(at);
    for (let places = placesOf(at, wanted) & ~empty; places != 0; places &= places - 1) {
      const other = load<u32>(at + ((<usize>ctz(places)) << 3));
      if (other != DELETED && load<u64>(addressOf(other - 1), KEY) == key) return other - 1;
    }
    if (empty == 0) continue;
    const word = ((<u64>hash) << 32) | (row + 1);
    store<u64>(at + ((<usize>ctz(empty)) << 3), word);
    if (line >= moved) store<u32>(WAITING, load<u32>(WAITING) + 1);
    else {
      // Behind the last line comes the first, which has moved.
      if (moved != ALL_MOVED) {
        const newLines = load<u32>(INDEX_LINES);
        store<u64>(emptyPlace(load<u32>(INDEX), newLines, homeOf(hash, newLines)), word);
      }
      store<u32>(INDEX_USED, load<u32>(INDEX_USED) + 1);
    }
    return row;
  }
}

/**
 * Makes room in the index for so many keys more, and moves twice as many lines of an old one, before they are filed: so the old one has room for those that are
 * filed there. Returns false where memory is at its end. */
export function reserveKeys(count: u32): bool {
  growIndex(count * 2);
  if (hasRoom(count)) return true;
  // Almost always all lines have moved by now: there is room for three keys for each, and each key moves two.
  growIndex(0xffff_ffff);
  if (hasRoom(count)) return true;
  let lines = load<u32>(INDEX_LINES);
  // Where a fifth of the places are of keys that are gone, the next one is as large.
  while ((<u64>load<u32>(HELD) + count) * 5 > <u64>lines * (FULL * 4))
    lines += lines < SMALL_LINES ? lines : lines >> 1;
  if (lines > LINES_MAX || !replaceIndex(lines)) return false;
  growIndex(count * 2);
  return true;
}

/** Writes to each page of an index that is empty, so that the system gives it at once, and not a page of zeros when it is read first. */
export function touchIndex(): void {
  const index = <usize>load<u32>(INDEX);
  const end = lineAt(index, load<u32>(INDEX_LINES));
  for (let at = index; at < end; at += 1 << PAGE_LOG) atomic.add<u32>(at, 0);
}

function hasRoom(count: u32): bool {
  return <u64>load<u32>(INDEX_USED) + load<u32>(WAITING) + count <= <u64>load<u32>(INDEX_LINES) * FULL;
}

/** An empty index in front of the one that there is, which moves over line by line. */
function replaceIndex(lines: u32): bool {
  const places = allocate(lines << (<u32>LINE_LOG));
  if (places == 0) return false;
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  store<u32>(OLD_INDEX, load<u32>(INDEX));
  store<u32>(OLD_LINES, load<u32>(INDEX_LINES));
  store<u32>(MOVED, 0);
  store<u32>(WAITING, load<u32>(HELD));
  store<u32>(INDEX, <u32>places);
  store<u32>(INDEX_LINES, lines);
  store<u32>(INDEX_USED, 0);
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  return true;
}

/** A place of an index for a key that is not there, and for which there is room. */
function emptyPlace(index: usize, lines: u32, home: u32): usize {
  let line = home;
  while (isFull(lineAt(index, line))) line = next(line, lines);
  const at = lineAt(index, line);
  // One place after the other, and no vectors: what was stored into this line a moment ago is not there yet for a load that is wider.
  let place = at + (load<u32>(at, 24) != 0 ? 32 : 0);
  place += load<u32>(place, 8) != 0 ? 16 : 0;
  return place + (load<u32>(place) != 0 ? 8 : 0);
}

/** The places of a line that are empty, a bit for each. */
export function emptyIn(line: usize): u32 {
  const first = v128.shuffle<i32>(v128.load(line), v128.load(line, 16), 0, 2, 4, 6);
  const second = v128.shuffle<i32>(v128.load(line, 32), v128.load(line, 48), 0, 2, 4, 6);
  const none = i32x4.splat(0);
  return i32x4.bitmask(i32x4.eq(first, none)) | (i32x4.bitmask(i32x4.eq(second, none)) << 4);
}

/**
 * Moves so many lines of an old index, if there is one, and goes on to the end of a line that is not full: so a key whose home has moved has moved
 * too. What moved stays readable where it was until all has.
 */
export function growIndex(lines: u32): void {
  const old = <usize>load<u32>(OLD_INDEX);
  if (old == 0) return;
  const size = load<u32>(OLD_LINES);
  let line = load<u32>(MOVED);
  let left = min(size - line, lines);
  let moved: u32 = 0;
  const index = <usize>load<u32>(INDEX);
  const newLines = load<u32>(INDEX_LINES);
  let touched: usize = 0;
  for (; line < size; line++) {
    const at = lineAt(old, line);
    if (left == 0 && (line == 0 || !isFull(at - (1 << LINE_LOG)))) break;
    if (left > 0) left -= 1;
    for (let place = at; place < at + (1 << LINE_LOG); place += 8) {
      const word = load<u64>(place);
      if (<u32>word == 0) break;
      if (<u32>word == DELETED) continue;
      const hash = <u32>(word >> 32);
      const home = homeOf(hash, newLines);
      // A page that was never touched is written before it is read: the system would give one of zeros to be read, and then another.
      const page = lineAt(index, home) >> PAGE_LOG;
      if (page != touched) atomic.add<u32>(lineAt(index, home), 0);
      touched = page;
      store<u64>(emptyPlace(index, newLines, home), word);
      moved += 1;
    }
  }
  store<u32>(INDEX_USED, load<u32>(INDEX_USED) + moved);
  store<u32>(WAITING, load<u32>(WAITING) - moved);
  // Not before what has moved is to be seen.
  atomic.store<u32>(MOVED, line);
  if (line < size) return;
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  store<u32>(OLD_INDEX, 0);
  store<u32>(WAITING, 0);
  leaveSpare(old, size << (<u32>LINE_LOG));
  atomic.add<u32>(INDEX_SEQUENCE, 1);
}

/** An empty index for the rows that are held, in the place of whatever index there was. */
export function renewIndex(): bool {
  const lines = max<u32>(2, load<u32>(HELD) / (FULL - 2) + 1);
  const places = allocate(lines << (<u32>LINE_LOG));
  if (places == 0) return false;
  store<u32>(INDEX_SEQUENCE, load<u32>(INDEX_SEQUENCE) | 1);
  store<u32>(OLD_INDEX, 0);
  store<u32>(WAITING, 0);
  store<u32>(INDEX, <u32>places);
  store<u32>(INDEX_LINES, lines);
  store<u32>(INDEX_USED, 0);
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  return true;
}

/** Takes a key out of the index. */
export function unfileKey(key: u64): void {
  const hash = hashOf(key);
  remove(load<u32>(INDEX), load<u32>(INDEX_LINES), hash, key);
  const old = load<u32>(OLD_INDEX);
  if (old != 0) remove(old, load<u32>(OLD_LINES), hash, key);
}

function remove(index: usize, lines: u32, hash: u32, key: u64): void {
  const end = load<u32>(END);
  const wanted = i32x4.splat(hash);
  for (let line = homeOf(hash, lines), seen: u32 = 0; seen < lines; line = next(line, lines), seen++) {
    const at = lineAt(index, line);
    for (let places = placesOf(at, wanted); places != 0; places &= places - 1) {
      const to = at + ((<usize>ctz(places)) << 3);
      const row = load<u32>(to) - 1;
      if (row >= end || load<u64>(addressOf(row), KEY) != key) continue;
      // The line stays as full as it was, or a search might end here; the place is taken for good, until the index grows.
      store<u32>(to, DELETED);
      return;
    }
    if (!isFull(at)) return;
  }
}
