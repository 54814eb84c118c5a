// One row at a time, and the sequence word that tells readers of a row that is being written.
import { freeFrame, freeRecord, ownContentsOf } from "./cold";
import {
  addressOf,
  ANSWER,
  ANSWER_T,
  ANSWER_TOO,
  EMPTY,
  END,
  FLAGS,
  FRAME,
  FRAME_BYTES,
  FREE,
  HELD,
  heldContentsOf,
  KEY,
  LIVE,
  LOADING,
  RANKS,
  RECORD,
  reserveRow,
  SEQUENCE,
  STATE_BYTES,
  T,
  TOMBSTONE,
  VALUE_BYTES,
  WRITER,
} from "./layout";
import { fileKey, fileMissing, renewIndex, reserveKeys, unfileKey } from "./key-index";

/** A row for a key that has none, deleted until it is stored; -1 where memory is at its end. */
export function addRow(key: u64): i32 {
  const row = takeRow(key);
  if (row >= 0 && !fileKey(key, row)) {
    leave(addressOf(row), row);
    return -1;
  }
  return row;
}

/** A row for a key, deleted until it is stored, that nobody finds until it is filed; -1 where memory is at its end. */
export function takeRow(key: u64): i32 {
  const free = load<u32>(FREE);
  const row = free == 0 ? load<u32>(END) : free - 1;
  if (!reserveRow(row)) return -1;
  const at = addressOf(row);
  if (free == 0) {
    // This memory may have been an index.
    store<u32>(at, 0, SEQUENCE);
    if (load<u32>(FRAME_BYTES) != 0) {
      store<u32>(at, 0, FRAME);
      store<u32>(at, 0, RECORD);
    }
    store<u32>(END, row + 1);
  } else store<u32>(FREE, <u32>load<u64>(at, KEY));
  store<u64>(at, key, KEY);
  store<f64>(at, 0, T);
  store<u16>(at, 0, WRITER);
  store<u8>(at, <u8>TOMBSTONE, FLAGS);
  store<u32>(HELD, load<u32>(HELD) + 1);
  return <i32>row;
}

function leave(at: usize, row: u32): void {
  store<u8>(at, <u8>EMPTY, FLAGS);
  store<u64>(at, load<u32>(FREE), KEY);
  store<u32>(FREE, row + 1);
  store<u32>(HELD, load<u32>(HELD) - 1);
}

/** Forgets a row. */
export function dropRow(row: u32): void {
  unfileKey(load<u64>(addressOf(row), KEY));
  emptyRow(row);
}

/** Gives back a row that is not filed. */
export function emptyRow(row: u32): void {
  const at = addressOf(row);
  if (load<u8>(at, FLAGS) == 0) store<u32>(LIVE, load<u32>(LIVE) - 1);
  beginRow(at);
  leave(at, row);
  if (load<u32>(FRAME_BYTES) != 0) {
    freeRecord(at);
    freeFrame(at);
  }
  endRow(at);
}

/** Tells readers that the row is being written: what they read from here on is not to be used. */
export function beginRow(at: usize): void {
  // An exchange and not a store: nothing that follows is seen before it.
  atomic.xchg<u32>(at, load<u32>(at, SEQUENCE) | 1, SEQUENCE);
}

/** The row is whole. The number goes on from 2^32 to 0. */
export function endRow(at: usize): void {
  atomic.store<u32>(at, (load<u32>(at, SEQUENCE) | 1) + 1, SEQUENCE);
}

/** Gives a row this version, flags and contents. `state` may be 0: the row's state stays. */
export function writeRow(at: usize, t: f64, writer: u32, flags: u32, values: usize, state: usize): void {
  beginRow(at);
  fillRow(at, t, writer, flags, values, state);
  endRow(at);
}

/** The same for a row that nobody can read meanwhile. */
export function fillRow(at: usize, t: f64, writer: u32, flags: u32, values: usize, state: usize): void {
  const before = load<u8>(at, FLAGS);
  store<u16>(at, <u16>writer, WRITER);
  store<u8>(at, <u8>flags, FLAGS);
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const contents = ownContentsOf(at);
  copy(contents, values, valueBytes);
  if (state) copy(contents + valueBytes, state, load<u32>(STATE_BYTES));
  // Last: a row without a time was being added (repairRows).
  store<f64>(at, t, T);
  const lives = load<u32>(LIVE);
  if ((before == 0) != (flags == 0)) store<u32>(LIVE, flags == 0 ? lives + 1 : lives - 1);
}

export function storeRow(row: u32, t: f64, writer: u32, flags: u32, values: usize, state: usize): void {
  writeRow(addressOf(row), t, writer, flags, values, state);
}

/** Of a row its values, its state, and in the answers its flags, its writer and its t. */
export function openRow(row: u32, values: usize, state: usize): void {
  const at = addressOf(row);
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const contents = heldContentsOf(at);
  copy(values, contents, valueBytes);
  copy(state, contents + valueBytes, load<u32>(STATE_BYTES));
  store<u32>(ANSWER, load<u8>(at, FLAGS));
  store<u32>(ANSWER_TOO, load<u16>(at, WRITER));
  store<f64>(ANSWER_T, load<f64>(at, T));
}

/** Short copies inline; the engine's own costs a call. */
export function copy(to: usize, from: usize, bytes: usize): void {
  if (bytes > 512) {
    memory.copy(to, from, bytes);
    return;
  }
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) v128.store(to + at, v128.load(from + at));
  for (; at + 4 <= bytes; at += 4) store<u32>(to + at, load<u32>(from + at));
  for (; at < bytes; at++) store<u8>(to + at, load<u8>(from + at));
}

/** Whether version a wins over b: the newer epoch, then the later t, then the greater text of the writer. */
export function isNewer(tA: f64, writerA: u32, tB: f64, writerB: u32): bool {
  if (writerA == writerB) return tA > tB;
  const rankA = load<u32>(RANKS + ((<usize>writerA) << 2));
  const rankB = load<u32>(RANKS + ((<usize>writerB) << 2));
  const epochA = rankA & 0xffff;
  const epochB = rankB & 0xffff;
  if (epochA != epochB) return epochA > epochB;
  if (tA != tB) return tA > tB;
  return rankA >> 16 > rankB >> 16;
}

/**
 * After a writer that died in the middle: rows whose number is odd are torn, and those without a time were being added; they are emptied, and the keys of
 * the torn ones given, as many as fit. The counts, the list of empty places and the index are made anew of what is left. Gives how many were
 * torn, or -1 where memory ended.
 */
export function repairRows(keys: usize, max: u32): i32 {
  let torn: u32 = 0;
  let live: u32 = 0;
  let held: u32 = 0;
  const end = load<u32>(END);
  store<u32>(FREE, 0);
  store<u32>(LOADING, 0);
  for (let row = end; row > 0; row--) {
    const at = addressOf(row - 1);
    const isTorn = (load<u32>(at, SEQUENCE) & 1) != 0;
    if (isTorn) {
      if (torn < max) store<u64>(keys + ((<usize>torn) << 3), load<u64>(at, KEY));
      torn += 1;
    }
    if (isTorn || load<f64>(at, T) == 0 || load<u8>(at, FLAGS) == EMPTY) {
      store<u8>(at, <u8>EMPTY, FLAGS);
      store<u64>(at, load<u32>(FREE), KEY);
      store<u32>(FREE, row);
      if (isTorn) endRow(at);
      continue;
    }
    held += 1;
    if (load<u8>(at, FLAGS) == 0) live += 1;
  }
  store<u32>(LIVE, live);
  store<u32>(HELD, held);
  if (!renewIndex()) return -1;
  for (let row: u32 = 0; row < end; row++) {
    const at = addressOf(row);
    if (load<u8>(at, FLAGS) == EMPTY) continue;
    if (!reserveKeys(1)) return -1;
    // Two may have been taken for one key, and neither filed.
    if (fileMissing(load<u64>(at, KEY), row) != row) emptyRow(row);
  }
  return <i32>torn;
}
