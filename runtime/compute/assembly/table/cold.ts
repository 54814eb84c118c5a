/*
 * Contents of rows that stand apart from their heads: in a frame of memory, or in a record of a log on disk, which is written and read outside (table/cold-rows.ts). A row that was
 * not written since it was read back has both, and leaves its frame without being written again. Only the writing thread is here.
 *
 * A record is the place of its head, a sum over what it is of, and the contents. The sum takes in the row's key, its time and the record's number: what the disk
 * gives back in place of what was written is not taken for it, not even a record that stood in its place before.
 */
import {
  addressOf,
  ANSWER,
  contentsOf,
  FRAME,
  FRAME_BYTES,
  FRAMES,
  FREE_COUNT,
  FREE_FRAMES,
  KEY,
  OWNERS,
  RECORD,
  REGION_LIVE,
  REGION_LOG,
  STATE_BYTES,
  T,
  TOP,
  UNREAD,
  USED,
  VALUE_BYTES,
} from "./layout";
import { beginRow, copy, endRow } from "./rows";

const RECORD_HEAD: usize = 8;
const TOP_UNIT_LOG: u64 = 6;
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/** Where the contents of a row that is being written go. Its record is of what it was. */
export function ownContentsOf(at: usize): usize {
  const contents = contentsOf(at);
  if (load<u32>(FRAME_BYTES) == 0) return contents;
  freeRecord(at);
  return contents == 0 ? takeFrame(at) : contents;
}

/** A free frame for a row that has none: there is one, as the caller of the caller saw to. */
function takeFrame(at: usize): usize {
  const frame = popFrame(at);
  atomic.store<u32>(at, frame + 1, FRAME);
  return frameAt(frame);
}

function popFrame(at: usize): u32 {
  const left = load<u32>(FREE_COUNT);
  if (left == 0) unreachable();
  store<u32>(FREE_COUNT, left - 1);
  const frame = load<u32>(<usize>load<u32>(FREE_FRAMES) + ((<usize>(left - 1)) << 2));
  store<u32>(<usize>load<u32>(OWNERS) + ((<usize>frame) << 2), <u32>at);
  store<u8>(<usize>load<u32>(USED) + frame, 0);
  return frame;
}

function frameAt(frame: u32): usize {
  return <usize>load<u32>(FRAMES) + <usize>frame * load<u32>(FRAME_BYTES);
}

export function freeFrame(at: usize): void {
  const frame = load<u32>(at, FRAME);
  if (frame == 0) return;
  const free = load<u32>(FREE_COUNT);
  atomic.store<u32>(at, 0, FRAME);
  store<u32>(<usize>load<u32>(OWNERS) + ((<usize>(frame - 1)) << 2), 0);
  store<u32>(<usize>load<u32>(FREE_FRAMES) + ((<usize>free) << 2), frame - 1);
  store<u32>(FREE_COUNT, free + 1);
}

export function freeRecord(at: usize): void {
  const record = load<u32>(at, RECORD);
  if (record == 0) return;
  store<u32>(at, 0, RECORD);
  countRecord(record - 1, -1);
}

function countRecord(record: u32, by: i32): void {
  const live = <usize>load<u32>(REGION_LIVE) + ((<usize>(record >> load<u32>(REGION_LOG))) << 2);
  store<u32>(live, load<u32>(live) + by);
}

function sumOf(contents: usize, at: usize, record: u32): u32 {
  let sum: u64 = (load<u64>(at, KEY) ^ ODD) * ODD;
  sum = (sum ^ (sum >> 32) ^ load<u64>(at, T)) * ODD;
  sum = (sum ^ (sum >> 32) ^ record) * ODD;
  const bytes = <usize>load<u32>(FRAME_BYTES);
  for (let byte: usize = 0; byte < bytes; byte += 8) sum = (sum ^ (sum >> 32) ^ load<u64>(contents + byte)) * ODD;
  return <u32>(sum >> 32);
}

function writeRecord(at: usize, contents: usize, record: u32, to: usize): void {
  store<u32>(to, <u32>at);
  store<u32>(to, sumOf(contents, at, record), 4);
  copy(to + RECORD_HEAD, contents, load<u32>(FRAME_BYTES));
  store<u32>(at, record + 1, RECORD);
  countRecord(record, 1);
}

/** Whether the bytes from here on are the record that a row names. */
function isRecordOf(at: usize, from: usize): bool {
  const record = load<u32>(at, RECORD);
  return record != 0 && load<u32>(from) == <u32>at && load<u32>(from, 4) == sumOf(from + RECORD_HEAD, at, record - 1);
}

/** Of each of some rows, -1 for none: its frame and its record, each + 1, or 0. */
export function placesOf(rows: usize, count: u32, frames: usize, records: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const row = load<i32>(rows + ((<usize>i) << 2));
    const at: usize = row < 0 ? 0 : addressOf(row);
    store<u32>(frames + ((<usize>i) << 2), row < 0 ? 0 : load<u32>(at, FRAME));
    store<u32>(records + ((<usize>i) << 2), row < 0 ? 0 : load<u32>(at, RECORD));
  }
}

/**
 * Frees these frames; what is not on disk as it is becomes records from a number on, one after the other, as many as there is room for. Gives how many frames
 * it came to, and in ANSWER how many records. Readers see a row without a frame before anything else is in that frame.
 */
export function spillFrames(frames: usize, count: u32, record: u32, to: usize, room: u32): u32 {
  const owners = <usize>load<u32>(OWNERS);
  const recordBytes = RECORD_HEAD + load<u32>(FRAME_BYTES);
  let written: u32 = 0;
  let i: u32 = 0;
  for (; i < count; i++) {
    const frame = load<u32>(frames + ((<usize>i) << 2));
    const at = <usize>load<u32>(owners + ((<usize>frame) << 2));
    if (at == 0) continue;
    if (load<u32>(at, RECORD) == 0) {
      if (written == room) break;
      writeRecord(at, frameAt(frame), record + written, to + <usize>written * recordBytes);
      written += 1;
    }
    beginRow(at);
    freeFrame(at);
    endRow(at);
  }
  // An atomic change, of a word that nobody else has, is a fence (gather.ts).
  atomic.add<u32>(UNREAD, 0);
  store<u32>(ANSWER, written);
  return i;
}

/** Puts a row's record, which was read from disk, into a free frame. Returns false where it is not the row's. */
export function bringRow(row: u32, from: usize): bool {
  const at = addressOf(row);
  if (!isRecordOf(at, from)) return false;
  const frame = popFrame(at);
  copy(frameAt(frame), from + RECORD_HEAD, load<u32>(FRAME_BYTES));
  // Last: who finds the frame finds all that is in it.
  atomic.store<u32>(at, frame + 1, FRAME);
  return true;
}

/** Values and state (where `state` is not 0) of a row from its record, which was read from disk. Returns false where it is not the row's. */
export function copyRecord(row: u32, from: usize, values: usize, state: usize): bool {
  const at = addressOf(row);
  if (!isRecordOf(at, from)) return false;
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  copy(values, from + RECORD_HEAD, valueBytes);
  if (state) copy(state, from + RECORD_HEAD + valueBytes, load<u32>(STATE_BYTES));
  return true;
}

/**
 * Of records from a number on, which were read from disk, those that rows still name: a row that is in memory as well forgets its record, the others are written again as
 * records from another number on. Gives how many, or -1 where one is not as it was written.
 */
export function moveRecords(from: usize, first: u32, count: u32, to: usize, record: u32): i32 {
  const recordBytes = RECORD_HEAD + load<u32>(FRAME_BYTES);
  const end = (<u64>load<u32>(TOP)) << TOP_UNIT_LOG;
  let moved: u32 = 0;
  for (let i: u32 = 0; i < count; i++, from += recordBytes) {
    const at = <usize>load<u32>(from);
    if ((at & 7) != 0 || <u64>at + 32 > end || load<u32>(at, RECORD) != first + i + 1) continue;
    if (!isRecordOf(at, from)) return -1;
    freeRecord(at);
    if (load<u32>(at, FRAME) != 0) continue;
    writeRecord(at, from + RECORD_HEAD, record + moved, to + <usize>moved * recordBytes);
    moved += 1;
  }
  return <i32>moved;
}
