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
/** The index of keys (key-index.ts): where its directory is and, in the high half, how many lines it has, so that nobody sees one of two without the other; places of it that are not empty. */
export const INDEX: usize = 40;
export const INDEX_USED: usize = 48;
/** Chunks of the index that have memory, from the first on; others may (index-chunks.ts). */
export const NEW_CHUNKS: usize = 52;
/** Chunks that are no index's, as a list, and how many these are. */
export const LEFT_CHUNKS: usize = 56;
/** Lines of the old index that have moved. */
export const MOVED: usize = 60;
/** Odd while the words about the index change. */
export const INDEX_SEQUENCE: usize = 64;
/** What a function gives besides its result. */
export const ANSWER: usize = 68;
export const ANSWER_TOO: usize = 72;
export const ANSWER_T: usize = 88;
/** What an index left that is no longer, for segments. */
export const SPARE: usize = 76;
export const SPARE_END: usize = 80;
/** What the writing thread loaded only to have it in the cache. */
export const UNREAD: usize = 84;
/** Keys of the old index that have not moved, those that are gone since included. */
export const WAITING: usize = 96;
/**
 * Where a table's contents stand apart from its heads (cold.ts): bytes of a frame, or 0 where they follow their head; the frames; the numbers of those that are
 * free, as a stack, and how many these are; the head that each belongs to, or 0; a byte for each, 1 where it was used since it was last looked at.
 */
export const FRAME_BYTES: usize = 100;
export const FRAMES: usize = 104;
export const FREE_FRAMES: usize = 108;
export const FREE_COUNT: usize = 112;
export const OWNERS: usize = 116;
export const USED: usize = 120;
/** Records of a region of the log, as a power of two, and how many of each region's are of rows as they are. */
export const REGION_LOG: usize = 124;
export const REGION_LIVE: usize = 128;
/** While rows are loaded that are not filed (load.ts), or 0: how many belong to each part of the index, and memory behind that; all its bytes; how many rows more may come. */
export const LOADING: usize = 132;
export const LOAD_BYTES: usize = 136;
export const LOAD_LEFT: usize = 140;
/** The index that is replaced while it grows, as INDEX, or 0. */
export const OLD_INDEX: usize = 144;
export const LEFT_CHUNKS_COUNT: usize = 152;
/** Memory for chunks that was never used. */
export const FRESH_CHUNKS: usize = 156;
export const FRESH_CHUNKS_END: usize = 160;
/** By index of the writer: the place of its epoch, and of its text, among all, 16 bits each. */
export const RANKS: usize = 256;
const DIRECTORY: usize = 8512;
const DIRECTORY_SEGMENTS: u32 = 16384;
const DATA: usize = 81920;

const UNIT: usize = 64;
const PAGE_BYTES: u64 = 65536;
const SEGMENT_BYTES_MIN: u32 = 262144;
const INDEX_LINES_FIRST: u32 = 2;

/** A row's head, then its values, then its state; or, where these stand apart, the numbers of its frame and of its record, each + 1, or 0 for none. */
export const KEY: usize = 0;
export const T: usize = 8;
export const SEQUENCE: usize = 16;
export const WRITER: usize = 20;
export const FLAGS: usize = 22;
export const VALUES: usize = 24;
export const FRAME: usize = 24;
export const RECORD: usize = 28;
const HEAD_APART: u32 = 32;

export const TOMBSTONE: u32 = 1;
export const EMPTY: u32 = 2;

/**
 * Makes an empty table in a memory of zeros; nothing where there is one. With `frames` its contents stand apart, so many in memory and the others in a log of so many
 * regions of 2^`regionLog` records. Returns 0, or -1 where memory is at its end.
 */
export function createTable(valueBytes: u32, stateBytes: u32, frames: u32, regions: u32, regionLog: u32): i32 {
  if (load<u32>(STRIDE) != 0) return 0;
  const stride: u32 = frames > 0 ? HEAD_APART : (<u32>VALUES + valueBytes + stateBytes + 7) & ~7;
  let log: u32 = 0;
  // No smaller, or the directory would be full before the memory is.
  while (stride << log < SEGMENT_BYTES_MIN) log += 1;
  store<u32>(STRIDE, stride);
  store<u32>(VALUE_BYTES, valueBytes);
  store<u32>(STATE_BYTES, stateBytes);
  store<u32>(SEGMENT_LOG, log);
  store<u32>(SEGMENT_BYTES, stride << log);
  store<u32>(TOP, <u32>(DATA / UNIT));
  // A directory of one, and its lines.
  const index = allocate((1 + INDEX_LINES_FIRST) * <u32>UNIT);
  if (index == 0) return -1;
  store<u32>(index, <u32>(index + UNIT));
  store<u64>(INDEX, ((<u64>INDEX_LINES_FIRST) << 32) | index);
  return frames == 0 || createFrames((valueBytes + stateBytes + 7) & ~7, frames, regions, regionLog) ? 0 : -1;
}

function createFrames(bytes: u32, frames: u32, regions: u32, regionLog: u32): bool {
  const at = allocate(bytes * frames);
  const free = allocate(4 * frames);
  const owners = allocate(4 * frames);
  const used = allocate(frames);
  const live = allocate(4 * regions);
  if (at == 0 || free == 0 || owners == 0 || used == 0 || live == 0) return false;
  store<u32>(FRAMES, <u32>at);
  store<u32>(FREE_FRAMES, <u32>free);
  store<u32>(FREE_COUNT, frames);
  store<u32>(OWNERS, <u32>owners);
  store<u32>(USED, <u32>used);
  store<u32>(REGION_LOG, regionLog);
  store<u32>(REGION_LIVE, <u32>live);
  // The first is on top.
  for (let frame: u32 = 0; frame < frames; frame++) store<u32>(free + ((<usize>(frames - 1 - frame)) << 2), frame);
  store<u32>(FRAME_BYTES, bytes);
  return true;
}

/** 8 and 64 MiB: what memory grows by is as much as there is, within these. */
const STEP_PAGES_MIN: u64 = 128;
const STEP_PAGES_MAX: u64 = 1024;

/** So many bytes of zeros, aligned to 64; 0 where memory is at its end, and then nothing was taken. Readers take some too, each in its own thread. */
export function allocate(bytes: u32): usize {
  const units: u32 = (bytes + <u32>UNIT - 1) / <u32>UNIT;
  while (true) {
    const from = atomic.load<u32>(TOP);
    const end = (<u64>from + units) * UNIT;
    if (!holdMemory(end)) return 0;
    // Not before there is memory, and only from where it was looked for: what was added and is taken back may be below what another thread got.
    if (atomic.cmpxchg<u32>(TOP, from, from + units) == from) return <usize>from * UNIT;
  }
}

/** Has memory up to there. Returns false where that is beyond its end. */
function holdMemory(end: u64): bool {
  if (end > 0xffff_0000) return false;
  while (true) {
    const pages = <u64>memory.size();
    if (end <= pages * PAGE_BYTES) return true;
    // In large steps, as what is not touched costs nothing: each step gives every thread that sees the memory a new buffer, which its collector counts whole.
    const needed = (end + PAGE_BYTES - 1) / PAGE_BYTES - pages;
    const step = min(max(pages, STEP_PAGES_MIN), STEP_PAGES_MAX);
    if (memory.grow(<i32>max(needed, step)) >= 0 || memory.grow(<i32>needed) >= 0) return true;
    // Another thread may have taken it meanwhile, for all.
    if (<u64>memory.size() == pages) return false;
  }
}

/** Memory that nobody needs any more, for segments, if it is more than what there is for them. */
export function leaveSpare(at: usize, bytes: u32): void {
  if (bytes <= load<u32>(SPARE_END) - load<u32>(SPARE)) return;
  store<u32>(SPARE, <u32>at);
  store<u32>(SPARE_END, <u32>at + bytes);
}

/** Where a row stands. */
export function addressOf(row: u32): usize {
  const log = load<u32>(SEGMENT_LOG);
  const segment = <usize>load<u32>(DIRECTORY + ((<usize>(row >> log)) << 2));
  return segment + <usize>(row & ((1 << log) - 1)) * load<u32>(STRIDE);
}

/** Where a row's values stand, and its state behind them; 0 where they are on disk, or never were written. `at` is where its head stands. */
export function contentsOf(at: usize): usize {
  const frameBytes = <usize>load<u32>(FRAME_BYTES);
  if (frameBytes == 0) return at + VALUES;
  const frame = atomic.load<u32>(at, FRAME);
  return frame == 0 ? 0 : <usize>load<u32>(FRAMES) + <usize>(frame - 1) * frameBytes;
}

/** The same of a row whose contents are in memory, or the caller would not be here: the code stops otherwise, and gives no zeros. */
export function heldContentsOf(at: usize): usize {
  const contents = contentsOf(at);
  if (contents == 0) unreachable();
  return contents;
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
