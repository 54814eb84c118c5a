/*
 * The index of keys: lines of the cache, of eight places each. A place is a row + 1 in its low half, 0 where it is empty, and the hash of its key
 * in the high one. A key is in the line that its hash says, or, where that is full, in the next that is not; the places of a line fill in order, so
 * a line is full when its last place is taken. Almost every search ends in its first line, which is looked at without a branch. An index that grows is twice as
 * large: it has memory of its own for half of its lines only (index-chunks.ts).
 */
import {
  addressOf,
  END,
  FRESH_CHUNKS,
  FRESH_CHUNKS_END,
  HELD,
  INDEX,
  INDEX_SEQUENCE,
  INDEX_USED,
  KEY,
  leaveSpare,
  LEFT_CHUNKS_COUNT,
  MOVED,
  OLD_INDEX,
  UNREAD,
  WAITING,
} from "./layout";
import {
  allocateLines,
  CHUNK_LINES,
  leaveLines,
  lineAt,
  lineIfAny,
  lineMade,
  LINE_LOG,
  makeLines,
} from "./index-chunks";
import { directoryOf, emptyIn, hashOf, homeOf, isFull, linesOf, placesOf } from "./index-lines";

/** The index grows where so many places of a line are taken, on average. With seven a key that is not there is looked for in 4.7 lines, with six in 1.7. */
const FULL: u32 = 6;
const LINES_MAX: u32 = 1 << 25;
const DELETED: u32 = 0xffff_ffff;

/** No row is there. */
const NONE: i32 = -1;
/** None is there in the old index, and what would stand behind its last line is in the new one. */
const BEYOND: i32 = -2;

/** The row of a key, or -1. Bounded by what is there: a reader may look while the index changes, and must ask again then. */
export function find(key: u64): i32 {
  return search(hashOf(key), key, true);
}

/** The first row whose key has this hash, or -1. */
export function likelyRow(hash: u32): i32 {
  return search(hash, 0, false);
}

function search(hash: u32, key: u64, isExact: bool): i32 {
  // Before the indexes: a key moves first.
  const moved = atomic.load<u32>(MOVED);
  const old = atomic.load<u64>(OLD_INDEX);
  if (old != 0 && homeOf(hash, linesOf(old)) >= moved) {
    const row = searchIn(old, hash, key, isExact, moved != 0);
    if (row != BEYOND) return row;
  }
  return searchIn(atomic.load<u64>(INDEX), hash, key, isExact, false);
}

/** `ends`: behind the last line comes nothing, as the first has moved. */
function searchIn(index: u64, hash: u32, key: u64, isExact: bool, ends: bool): i32 {
  const end = load<u32>(END);
  const wanted = i32x4.splat(hash);
  const lines = linesOf(index);
  for (let line = homeOf(hash, lines), seen: u32 = 0; seen < lines; line = next(line, lines), seen++) {
    if (ends && seen != 0 && line == 0) return BEYOND;
    const at = lineIfAny(directoryOf(index), line);
    if (at == 0) return NONE;
    for (let places = placesOf(at, wanted); places != 0; places &= places - 1) {
      const row = load<u32>(at + ((<usize>ctz(places)) << 3)) - 1;
      if (row < end && (!isExact || load<u64>(addressOf(row), KEY) == key)) return <i32>row;
    }
    if (!isFull(at)) return NONE;
  }
  return NONE;
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
  const old = load<u64>(OLD_INDEX);
  const moved = load<u32>(MOVED);
  if (old != 0 && homeOf(hash, linesOf(old)) >= moved) {
    const filed = fileIn(old, hash, key, row, moved != 0);
    if (filed == row) store<u32>(WAITING, load<u32>(WAITING) + 1);
    if (<i32>filed != BEYOND) return filed;
  }
  const filed = fileIn(load<u64>(INDEX), hash, key, row, false);
  if (filed == row) store<u32>(INDEX_USED, load<u32>(INDEX_USED) + 1);
  return filed;
}

function fileIn(index: u64, hash: u32, key: u64, row: u32, ends: bool): u32 {
  const wanted = i32x4.splat(hash);
  const lines = linesOf(index);
  // What was filed since stands before the first empty place.
  for (let line = homeOf(hash, lines), seen: u32 = 0; ; line = next(line, lines), seen++) {
    if (ends && seen != 0 && line == 0) return <u32>BEYOND;
    const at = lineMade(directoryOf(index), line);
    const empty = emptyIn(at);
    for (let places = placesOf(at, wanted) & ~empty; places != 0; places &= places - 1) {
      const other = load<u32>(at + ((<usize>ctz(places)) << 3));
      if (other != DELETED && load<u64>(addressOf(other - 1), KEY) == key) return other - 1;
    }
    if (empty == 0) continue;
    store<u64>(at + ((<usize>ctz(empty)) << 3), ((<u64>hash) << 32) | (row + 1));
    return row;
  }
}

/**
 * Makes room in the index for so many keys more, and moves twice as many lines of an old one, before they are filed: so the old one has room for those that are
 * filed there. Returns false where memory is at its end. */
export function reserveKeys(count: u32): bool {
  growIndex(count * 2);
  if (hasRoom(count)) return true;
  // Almost always all lines have moved by now: there is room for six keys for each, and each key moves two.
  growIndex(0xffff_ffff);
  if (hasRoom(count)) return true;
  let lines = linesOf(load<u64>(INDEX));
  // Where a fifth of the places are of keys that are gone, the next one is as large.
  while ((<u64>load<u32>(HELD) + count) * 5 > <u64>lines * (FULL * 4)) lines <<= 1;
  if (lines > LINES_MAX || !replaceIndex(lines)) return false;
  growIndex(count * 2);
  return true;
}

function hasRoom(count: u32): bool {
  return <u64>load<u32>(INDEX_USED) + load<u32>(WAITING) + count <= <u64>linesOf(load<u64>(INDEX)) * FULL;
}

/** An empty index in front of the one that there is, which moves over line by line. */
function replaceIndex(lines: u32): bool {
  const before = load<u64>(INDEX);
  const index = allocateLines(lines, linesOf(before));
  if (index == 0) return false;
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  store<u32>(MOVED, 0);
  atomic.store<u64>(OLD_INDEX, before);
  store<u32>(WAITING, load<u32>(HELD));
  atomic.store<u64>(INDEX, ((<u64>lines) << 32) | index);
  store<u32>(INDEX_USED, 0);
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  return true;
}

/** A place of an index for a key that is not there, and for which there is room. */
function emptyPlace(index: usize, lines: u32, home: u32): usize {
  let at = lineMade(index, home);
  for (let line = home; isFull(at); at = lineMade(index, line)) line = next(line, lines);
  // One place after the other, and no vectors: what was stored into this line a moment ago is not there yet for a load that is wider.
  let place = at + (load<u32>(at, 24) != 0 ? 32 : 0);
  place += load<u32>(place, 8) != 0 ? 16 : 0;
  return place + (load<u32>(place) != 0 ? 8 : 0);
}

/**
 * Moves so many lines of an old index, if there is one, chunk by chunk, so that it needs no memory but what was taken for that: each is left before the next one moves. What moved stays readable where it
 * was until that is to be seen.
 */
export function growIndex(count: u32): void {
  const old = load<u64>(OLD_INDEX);
  if (old == 0) return;
  const size = linesOf(old);
  let line = load<u32>(MOVED);
  const to = line + min(size - line, count);
  while (line < to) line = moveLines(old, line, min(to, (line | (CHUNK_LINES - 1)) + 1));
  if (line < size) return;
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  store<u64>(OLD_INDEX, 0);
  store<u32>(WAITING, 0);
  if (size < CHUNK_LINES) leaveSpare(lineAt(directoryOf(old), 0), size << (<u32>LINE_LOG));
  atomic.add<u32>(INDEX_SEQUENCE, 1);
}

/**
 * Moves the lines of an old index from the first that has not moved, up to another, and goes on to the end of a line that is not full: so a key whose home has moved has moved too. Gives the first that
 * has not moved then.
 */
function moveLines(word: u64, from: u32, to: u32): u32 {
  const old = directoryOf(word);
  const size = linesOf(word);
  const index = directoryOf(load<u64>(INDEX));
  const lines = linesOf(load<u64>(INDEX));
  // Both are powers of two.
  const log = ctz(lines) - ctz(size);
  let moved: u32 = 0;
  let line = from;
  // The line before is not full: so it was when it had moved, and nothing was filed there since.
  for (let isOpen = true; line < size && (line < to || !isOpen); line++) {
    const at = lineAt(old, line);
    isOpen = !isFull(at);
    makeLines(index, (line + 1) << log);
    for (let place = at; place < at + (1 << LINE_LOG); place += 8) {
      const held = load<u64>(place);
      if (<u32>held == 0) break;
      if (<u32>held == DELETED) continue;
      store<u64>(emptyPlace(index, lines, homeOf(<u32>(held >> 32), lines)), held);
      moved += 1;
    }
  }
  store<u32>(INDEX_USED, load<u32>(INDEX_USED) + moved);
  store<u32>(WAITING, load<u32>(WAITING) - moved);
  // Not before what has moved is to be seen.
  atomic.store<u32>(MOVED, line);
  leaveLines(old, from, line);
  return line;
}

/** An empty index for the rows that are held, in the place of whatever index there was. */
export function renewIndex(): bool {
  let lines: u32 = 2;
  while (lines * (FULL - 1) <= load<u32>(HELD)) lines <<= 1;
  // What the last owner did with these it may not have done to its end.
  store<u32>(LEFT_CHUNKS_COUNT, 0);
  store<u32>(FRESH_CHUNKS_END, load<u32>(FRESH_CHUNKS));
  const index = allocateLines(lines, 0);
  if (index == 0) return false;
  makeLines(index, lines);
  store<u32>(INDEX_SEQUENCE, load<u32>(INDEX_SEQUENCE) | 1);
  store<u64>(OLD_INDEX, 0);
  store<u32>(WAITING, 0);
  atomic.store<u64>(INDEX, ((<u64>lines) << 32) | index);
  store<u32>(INDEX_USED, 0);
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  return true;
}

/** Takes a key out of the index. */
export function unfileKey(key: u64): void {
  const hash = hashOf(key);
  const old = load<u64>(OLD_INDEX);
  const moved = load<u32>(MOVED);
  if (old != 0 && homeOf(hash, linesOf(old)) >= moved && remove(old, hash, key, moved != 0)) return;
  remove(load<u64>(INDEX), hash, key, false);
}

/** Returns whether it was there. */
function remove(index: u64, hash: u32, key: u64, ends: bool): bool {
  const end = load<u32>(END);
  const wanted = i32x4.splat(hash);
  const lines = linesOf(index);
  for (let line = homeOf(hash, lines), seen: u32 = 0; seen < lines; line = next(line, lines), seen++) {
    if (ends && seen != 0 && line == 0) return false;
    const at = lineIfAny(directoryOf(index), line);
    if (at == 0) return false;
    for (let places = placesOf(at, wanted); places != 0; places &= places - 1) {
      const to = at + ((<usize>ctz(places)) << 3);
      const row = load<u32>(to) - 1;
      if (row >= end || load<u64>(addressOf(row), KEY) != key) continue;
      // The line stays as full as it was, or a search might end here; the place is taken for good, until the index grows.
      store<u32>(to, DELETED);
      return true;
    }
    if (!isFull(at)) return false;
  }
  return false;
}
