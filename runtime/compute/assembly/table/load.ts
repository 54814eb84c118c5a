/*
 * The first rows of a table, as many as an image says there are: nothing is looked for. They are taken in their order, and filed together once all are there, a part of the index after the
 * other that fits into a core's cache (a radix-partitioned build: Manegold, Boncz and Kersten, Optimizing Main-Memory Join on Modern Hardware, 2002). Until then what will stand in the lines of a
 * part stands at its start as it came: each is written from start to end, and memory beside is needed for one of them only.
 */
import {
  addressOf,
  allocate,
  HELD,
  INDEX,
  INDEX_SEQUENCE,
  INDEX_USED,
  KEY,
  leaveSpare,
  LOAD_BYTES,
  LOAD_LEFT,
  LOADING,
  STATE_BYTES,
  T,
  VALUE_BYTES,
  WRITER,
} from "./layout";
import { CHUNK_BYTES, lineAt, LINE_LOG } from "./index-chunks";
import { directoryOf, emptyIn, hashOf, homeOf, LINE_PLACES, linesOf, placesOf } from "./index-lines";
import { growIndex, reserveKeys } from "./key-index";
import { emptyRow, fillRow, isNewer, takeRow } from "./rows";

/** Lines of a part: 512 KiB, and no more for what goes there. The last one has up to twice as many. */
const PART_LOG: u32 = 13;

function partsOf(lines: u32): u32 {
  return max<u32>(1, lines >> PART_LOG);
}

/** How many places a part has. */
function roomOf(part: u32, lines: u32): u32 {
  const first = part << PART_LOG;
  return (part + 1 == partsOf(lines) ? lines - first : 1 << PART_LOG) * LINE_PLACES;
}

/** Where words of a part that is being filed are kept: behind the counts of all. */
function wordsOf(counts: usize, parts: u32): usize {
  return counts + ((((<usize>parts) << 2) + 63) & ~63);
}

/** For the words of one part, and those that the last one had no room for: no more than all. */
function scratchBytes(lines: u32, total: u32): u32 {
  const parts = partsOf(lines);
  return <u32>wordsOf(0, parts) + min<u32>(total, 2 * roomOf(parts - 1, lines)) * 8;
}

/** Room for so many rows; those of a table that never had any are not filed before `fileLoaded`. Returns false where memory is at its end. */
export function beginLoading(total: u32): bool {
  if (!reserveKeys(total)) return false;
  growIndex(0xffff_ffff);
  const bytes = scratchBytes(linesOf(load<u64>(INDEX)), total);
  const counts = allocate(bytes);
  if (counts == 0) return false;
  store<u32>(LOADING, <u32>counts);
  store<u32>(LOAD_BYTES, bytes);
  store<u32>(LOAD_LEFT, total);
  // Who reads meanwhile asks the writer.
  atomic.add<u32>(INDEX_SEQUENCE, 1);
  return true;
}

/** Takes rows without a look at whether there are others of the same keys. Returns false where not all were taken: too many, or memory ended. */
export function loadRows(
  count: u32,
  keys: usize,
  t: usize,
  writers: usize,
  flags: usize,
  values: usize,
  state: usize,
): bool {
  if (count > load<u32>(LOAD_LEFT)) return false;
  store<u32>(LOAD_LEFT, load<u32>(LOAD_LEFT) - count);
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const stateBytes = <usize>load<u32>(STATE_BYTES);
  const counts = <usize>load<u32>(LOADING);
  const index = directoryOf(load<u64>(INDEX));
  const lines = linesOf(load<u64>(INDEX));
  const last = partsOf(lines) - 1;
  const lastRoom = roomOf(last, lines);
  for (let i: usize = 0; i < count; i++) {
    const time = load<f64>(t + (i << 3));
    // As where nothing is known.
    if (time <= 0) continue;
    const key = load<u64>(keys + (i << 3));
    const hash = hashOf(key);
    const part = min(homeOf(hash, lines) >> PART_LOG, last);
    const place = counts + ((<usize>part) << 2);
    const held = load<u32>(place);
    if (held == (part == last ? lastRoom : (1 << PART_LOG) * LINE_PLACES)) return false;
    const row = takeRow(key);
    if (row < 0) return false;
    const rowState = state ? state + i * stateBytes : 0;
    fillRow(
      addressOf(row),
      time,
      load<u16>(writers + (i << 1)),
      load<u8>(flags + i),
      values + i * valueBytes,
      rowState,
    );
    const line = (part << PART_LOG) + held / LINE_PLACES;
    store<u64>(lineAt(index, line) + ((<usize>(held % LINE_PLACES)) << 3), ((<u64>hash) << 32) | (row + 1));
    store<u32>(place, held + 1);
  }
  return true;
}

/** Files all rows that were loaded; of those of one key the newest. */
export function fileLoaded(): void {
  const counts = <usize>load<u32>(LOADING);
  const index = directoryOf(load<u64>(INDEX));
  const lines = linesOf(load<u64>(INDEX));
  const parts = partsOf(lines);
  const words = wordsOf(counts, parts);
  // From the last to the first: what a part has no room for goes to the next, which is filed by then. Behind the last comes the first, which is not.
  let rest: usize = 0;
  for (let part = parts; part-- > 0;) {
    const bytes = (<usize>load<u32>(counts + ((<usize>part) << 2))) << 3;
    const room = (<usize>roomOf(part, lines)) << 3;
    for (let at: usize = 0; at < room; at += CHUNK_BYTES) {
      const from = lineAt(index, (part << PART_LOG) + <u32>(at >> LINE_LOG));
      if (at < bytes) memory.copy(words + rest + at, from, min<usize>(bytes - at, CHUNK_BYTES));
      memory.fill(from, 0, min<usize>(room - at, CHUNK_BYTES));
    }
    for (let at = words + rest, end = at + bytes; at < end; at += 8) {
      const word = load<u64>(at);
      if (fileFrom(homeOf(<u32>(word >> 32), lines), index, lines, word)) continue;
      store<u64>(words + rest, word);
      rest += 8;
    }
  }
  for (let at = words; at < words + rest; at += 8) fileFrom(0, index, lines, load<u64>(at));
  store<u32>(INDEX_USED, load<u32>(HELD));
  store<u32>(LOADING, 0);
  leaveSpare(counts, load<u32>(LOAD_BYTES));
  atomic.add<u32>(INDEX_SEQUENCE, 1);
}

/** Puts a word into the first line from one on that has room. Returns false where none has. */
function fileFrom(first: u32, index: usize, lines: u32, word: u64): bool {
  const wanted = i32x4.splat(<u32>(word >> 32));
  for (let line = first; line < lines; line++) {
    const at = lineAt(index, line);
    const empty = emptyIn(at);
    for (let places = placesOf(at, wanted) & ~empty; places != 0; places &= places - 1) {
      const place = at + ((<usize>ctz(places)) << 3);
      if (hasKeyOf(load<u32>(place) - 1, <u32>word - 1)) {
        keepNewer(place, <u32>word - 1);
        return true;
      }
    }
    if (empty == 0) continue;
    store<u64>(at + ((<usize>ctz(empty)) << 3), word);
    return true;
  }
  return false;
}

function hasKeyOf(row: u32, other: u32): bool {
  return load<u64>(addressOf(row), KEY) == load<u64>(addressOf(other), KEY);
}

/** Of the row that stands in a place and another of its key, which came later, the older goes. */
function keepNewer(place: usize, row: u32): void {
  const held = load<u32>(place) - 1;
  const at = addressOf(row);
  const other = addressOf(held);
  const wins = isNewer(load<f64>(at, T), load<u16>(at, WRITER), load<f64>(other, T), load<u16>(other, WRITER));
  if (wins) store<u32>(place, row + 1);
  emptyRow(wins ? held : row);
}
