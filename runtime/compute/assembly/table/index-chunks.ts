/*
 * The memory of the index of keys: chunks of lines, which a directory lists. So an index that doubles takes over the memory of the one before chunk by chunk, as its lines
 * move, and both together are hardly more than the larger. A directory is never used again for anything else, and the chunks that it lists are memory for good: who reads an index that is no
 * longer reads nonsense at worst, and asks again (INDEX_SEQUENCE).
 */
import {
  allocate,
  FRESH_CHUNKS,
  FRESH_CHUNKS_END,
  INDEX_SEQUENCE,
  LEFT_CHUNKS,
  LEFT_CHUNKS_COUNT,
  NEW_CHUNKS,
} from "./layout";

export const LINE_LOG: usize = 6;
/** Lines of a chunk; an index of fewer is one that is smaller. */
const CHUNK_LOG: u32 = 8;
export const CHUNK_LINES: u32 = 1 << CHUNK_LOG;
export const CHUNK_BYTES: u32 = CHUNK_LINES << (<u32>LINE_LOG);
/** Of the system, at least: 4 KiB. */
const PAGE_BYTES: usize = 1 << 12;
/**
 * Beyond what it holds an index that grows needs a chunk because the old one that is moving is not left yet, another because the first lines of the next may move with it, and keys stand
 * behind their home, and a third for keys that stood behind the last line. One as large as the index before needs all three.
 */
const CHUNKS_MORE: u32 = 3;

/** Where a line stands that has memory. */
export function lineAt(index: usize, line: u32): usize {
  return (
    <usize>load<u32>(index + ((<usize>(line >> CHUNK_LOG)) << 2)) + ((<usize>(line & (CHUNK_LINES - 1))) << LINE_LOG)
  );
}

/** The same, or 0 where nothing came to its chunk so far. */
export function lineIfAny(index: usize, line: u32): usize {
  return load<u32>(index + ((<usize>(line >> CHUNK_LOG)) << 2)) == 0 ? 0 : lineAt(index, line);
}

/** The same; its chunk has memory from here on. */
export function lineMade(index: usize, line: u32): usize {
  const entry = index + ((<usize>(line >> CHUNK_LOG)) << 2);
  if (load<u32>(entry) == 0) atomic.store<u32>(entry, <u32>takeChunk());
  return lineAt(index, line);
}

function chunksOf(lines: u32): u32 {
  return (lines + CHUNK_LINES - 1) >> CHUNK_LOG;
}

/**
 * A directory for so many lines, a power of two, and memory for them, as far as what an index of `before` lines leaves while it moves is not enough. Gives 0 where memory is at its end: it is
 * taken at once, or none.
 */
export function allocateLines(lines: u32, before: u32): usize {
  const chunks = chunksOf(lines);
  const directoryBytes = ((chunks << 2) + 63) & ~63;
  if (lines < CHUNK_LINES) {
    const index = allocate(directoryBytes + (lines << (<u32>LINE_LOG)));
    if (index == 0) return 0;
    store<u32>(index, <u32>index + directoryBytes);
    store<u32>(NEW_CHUNKS, 1);
    return index;
  }
  for (let chunk = load<u32>(FRESH_CHUNKS); chunk < load<u32>(FRESH_CHUNKS_END); chunk += CHUNK_BYTES)
    leaveChunk(chunk);
  store<u32>(FRESH_CHUNKS, 0);
  store<u32>(FRESH_CHUNKS_END, 0);
  const wanted = before < CHUNK_LINES ? chunks : chunks + CHUNKS_MORE;
  const left = load<u32>(LEFT_CHUNKS_COUNT) + (before < CHUNK_LINES ? 0 : chunksOf(before));
  const freshBytes = wanted <= left ? 0 : (wanted - left) * CHUNK_BYTES;
  const index = allocate(directoryBytes + freshBytes);
  if (index == 0) return 0;
  store<u32>(NEW_CHUNKS, 0);
  store<u32>(FRESH_CHUNKS, <u32>index + directoryBytes);
  store<u32>(FRESH_CHUNKS_END, <u32>index + directoryBytes + freshBytes);
  return index;
}

/** Memory for the lines up to one, in their order. */
export function makeLines(index: usize, upTo: u32): void {
  const chunks = chunksOf(upTo);
  for (let chunk = load<u32>(NEW_CHUNKS); chunk < chunks; chunk++) {
    lineMade(index, chunk << CHUNK_LOG);
    store<u32>(NEW_CHUNKS, chunk + 1);
  }
}

function takeChunk(): usize {
  const fresh = <usize>load<u32>(FRESH_CHUNKS);
  if (fresh != load<u32>(FRESH_CHUNKS_END)) {
    store<u32>(FRESH_CHUNKS, <u32>fresh + CHUNK_BYTES);
    return touched(fresh);
  }
  const left = load<u32>(LEFT_CHUNKS_COUNT);
  if (left == 0) {
    // Only where lines in a row are full for longer than a chunk, which takes keys that were chosen for it.
    const more = allocate(CHUNK_BYTES);
    if (more == 0) unreachable();
    return touched(more);
  }
  const chunk = <usize>load<u32>(LEFT_CHUNKS);
  store<u32>(LEFT_CHUNKS, load<u32>(chunk));
  store<u32>(LEFT_CHUNKS_COUNT, left - 1);
  memory.fill(chunk, 0, CHUNK_BYTES);
  return chunk;
}

/** Writes to each page of a chunk that is new, so that the system gives it at once, and not a page of zeros when it is read first. */
function touched(chunk: usize): usize {
  for (let at = chunk; at < chunk + CHUNK_BYTES; at += PAGE_BYTES) atomic.add<u32>(at, 0);
  return chunk;
}

/** Chunks of an index whose lines from one on, up to another, moved, and are to be seen where they are now, are for others. */
export function leaveLines(index: usize, from: u32, to: u32): void {
  if (from >> CHUNK_LOG == to >> CHUNK_LOG) return;
  // Who was on its way there asks again.
  atomic.add<u32>(INDEX_SEQUENCE, 2);
  for (let chunk = from >> CHUNK_LOG; chunk < to >> CHUNK_LOG; chunk++) {
    leaveChunk(<u32>lineAt(index, chunk << CHUNK_LOG));
  }
}

function leaveChunk(chunk: u32): void {
  store<u32>(chunk, load<u32>(LEFT_CHUNKS));
  store<u32>(LEFT_CHUNKS, chunk);
  store<u32>(LEFT_CHUNKS_COUNT, load<u32>(LEFT_CHUNKS_COUNT) + 1);
}
