// What a line of the index of keys is (key-index.ts), and which is the home of a key.
export const LINE_PLACES: u32 = 8;
/** The row of the last place of a line. */
const LAST: usize = 56;

export function hashOf(key: u64): u32 {
  let word = (key ^ (key >> 32)) * 0x9e37_79b9_7f4a_7c15;
  word = (word ^ (word >> 29)) * 0xbf58_476d_1ce4_e5b9;
  return <u32>(word >> 32);
}

/** The line where a hash is at home. In order of hashes, so that an index that grows is read and written from start to end. */
export function homeOf(hash: u32, lines: u32): u32 {
  return <u32>((<u64>hash * lines) >> 32);
}

/** Where the directory of an index is, of a word that says that and how many lines there are. */
export function directoryOf(index: u64): usize {
  return <usize>(<u32>index);
}

export function linesOf(index: u64): u32 {
  return <u32>(index >> 32);
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

/** The places of a line that are empty, a bit for each. */
export function emptyIn(line: usize): u32 {
  const first = v128.shuffle<i32>(v128.load(line), v128.load(line, 16), 0, 2, 4, 6);
  const second = v128.shuffle<i32>(v128.load(line, 32), v128.load(line, 48), 0, 2, 4, 6);
  const none = i32x4.splat(0);
  return i32x4.bitmask(i32x4.eq(first, none)) | (i32x4.bitmask(i32x4.eq(second, none)) << 4);
}
