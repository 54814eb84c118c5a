// Rows of others, newest wins.
import { addressOf, ANSWER, STATE_BYTES, T, VALUE_BYTES, WRITER } from "./layout";
import { countMissing, fileTaken, takeFilled } from "./add";
import { publish, reserveKeys } from "./key-index";
import { findGroup, findRows, GROUP, touchRows } from "./probe";
import { isNewer, writeRow } from "./rows";

function knownTo(known: usize, writers: u32, writer: u32): f64 {
  return writer < writers ? load<f64>(known + ((<usize>writer) << 3)) : 0;
}

/** The rows that a merge of this batch would change, where they are now. Gives how many; in ANSWER how many it would add, with those that stand there twice counted twice. */
export function rowsToMerge(
  count: u32,
  keys: usize,
  t: usize,
  writers: usize,
  known: usize,
  knownWriters: u32,
  rows: usize,
): u32 {
  let found: u32 = 0;
  let missing: u32 = 0;
  findRows(keys, count, rows);
  for (let at: u32 = 0; at < count; at++) {
    const time = load<f64>(t + ((<usize>at) << 3));
    const writer = load<u16>(writers + ((<usize>at) << 1));
    if (time <= knownTo(known, knownWriters, writer)) continue;
    const row = load<i32>(rows + ((<usize>at) << 2));
    if (row < 0) {
      missing += 1;
      continue;
    }
    const held = addressOf(row);
    if (!isNewer(time, writer, load<f64>(held, T), load<u16>(held, WRITER))) continue;
    store<u32>(rows + ((<usize>found) << 2), row);
    found += 1;
  }
  store<u32>(ANSWER, missing);
  return found;
}

/**
 * Stores each row of a batch that is newer than what is held and not known already. Gives how many were stored; their places in the batch, their
 * rows, whether each is new here (1), and the versions before, of new ones a time of 0, as columns; in ANSWER how many were known. Negative: memory ended after that many, less 1.
 */
export function mergeRows(
  count: u32,
  keys: usize,
  t: usize,
  writers: usize,
  flags: usize,
  values: usize,
  state: usize,
  known: usize,
  knownWriters: u32,
  places: usize,
  rows: usize,
  added: usize,
  beforeTimes: usize,
  beforeWriters: usize,
): i32 {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const stateBytes = <usize>load<u32>(STATE_BYTES);
  let stored: u32 = 0;
  let ignored: u32 = 0;
  for (let from: u32 = 0; from < count; from += GROUP) {
    const size = min(GROUP, count - from);
    // Of this column what lies before `from` is done with, so that its start already takes what is stored.
    const groupRows = rows + ((<usize>from) << 2);
    findGroup(keys + ((<usize>from) << 3), size, groupRows);
    touchRows(groupRows, size);
    const missing = countMissing(groupRows, size);
    if (missing != 0 && !reserveKeys(missing)) return -1 - <i32>stored;
    let at = missing == 0 ? from + size : from;
    for (const end = from + size; at < end; at++) {
      const place = rows + ((<usize>at) << 2);
      if (load<i32>(place) >= 0) continue;
      const time = load<f64>(t + ((<usize>at) << 3));
      const writer = load<u16>(writers + ((<usize>at) << 1));
      if (time <= knownTo(known, knownWriters, writer)) continue;
      const key = load<u64>(keys + ((<usize>at) << 3));
      const rowState = state ? state + <usize>at * stateBytes : 0;
      if (!takeFilled(place, key, time, writer, load<u8>(flags + at), values + <usize>at * valueBytes, rowState)) break;
    }
    if (missing != 0) publish();
    const taken = at;
    for (at = from; at < taken; at++) {
      const place = rows + ((<usize>at) << 2);
      const time = load<f64>(t + ((<usize>at) << 3));
      const writer = load<u16>(writers + ((<usize>at) << 1));
      if (time <= knownTo(known, knownWriters, writer)) {
        ignored += 1;
        continue;
      }
      const isNew = load<i32>(place) < 0 && fileTaken(place, load<u64>(keys + ((<usize>at) << 3)));
      const row = load<u32>(place);
      let beforeTime: f64 = 0;
      let beforeWriter: u32 = 0;
      if (!isNew) {
        const held = addressOf(row);
        beforeTime = load<f64>(held, T);
        beforeWriter = load<u16>(held, WRITER);
        if (!isNewer(time, writer, beforeTime, beforeWriter)) continue;
        const rowState = state ? state + <usize>at * stateBytes : 0;
        writeRow(held, time, writer, load<u8>(flags + at), values + <usize>at * valueBytes, rowState);
      }
      store<u32>(places + ((<usize>stored) << 2), at);
      store<u32>(rows + ((<usize>stored) << 2), row);
      store<u8>(added + stored, isNew ? 1 : 0);
      store<f64>(beforeTimes + ((<usize>stored) << 3), beforeTime);
      store<u16>(beforeWriters + ((<usize>stored) << 1), <u16>beforeWriter);
      stored += 1;
    }
    if (taken < from + size) return -1 - <i32>stored;
  }
  store<u32>(ANSWER, ignored);
  return <i32>stored;
}
