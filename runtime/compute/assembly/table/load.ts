// Rows of an image, in bulk.
import { hashOf, find, put, reserveKeys } from "./key-index";
import { addressOf, HELD, STATE_BYTES, T, VALUE_BYTES, WRITER } from "./layout";
import { findGroup, GROUP } from "./probe";
import { fillRow, isNewer, takeRow, writeRow } from "./rows";

/**
 * Stores each row of a batch that is newer than what is held, as merging does where nothing is known. Room in the index is made for `total` rows of
 * the table, if there are to be more. Returns false where memory is at its end.
 */
export function loadRows(
  total: u32,
  count: u32,
  keys: usize,
  t: usize,
  writers: usize,
  flags: usize,
  values: usize,
  state: usize,
  rows: usize,
): bool {
  const held = load<u32>(HELD);
  if (!reserveKeys(max(count, total > held ? total - held : 0))) return false;
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const stateBytes = <usize>load<u32>(STATE_BYTES);
  for (let from: u32 = 0; from < count; from += GROUP) {
    const to = min(count, from + GROUP);
    findGroup(keys + ((<usize>from) << 3), to - from, rows);
    for (let at = from; at < to; at++) {
      const key = load<u64>(keys + ((<usize>at) << 3));
      const time = load<f64>(t + ((<usize>at) << 3));
      const writer = load<u16>(writers + ((<usize>at) << 1));
      const flag = load<u8>(flags + at);
      const rowValues = values + <usize>at * valueBytes;
      const rowState = state ? state + <usize>at * stateBytes : 0;
      let held = load<i32>(rows + ((<usize>(at - from)) << 2));
      // It may have come with an earlier row of this group.
      if (held < 0) held = find(key);
      if (held >= 0) {
        const row = addressOf(held);
        if (isNewer(time, writer, load<f64>(row, T), load<u16>(row, WRITER)))
          writeRow(row, time, writer, flag, rowValues, rowState);
        continue;
      }
      const row = takeRow(key);
      if (row < 0) return false;
      fillRow(addressOf(row), time, writer, flag, rowValues, rowState);
      put(hashOf(key), row);
    }
  }
  return true;
}
