/*
 * Rows for keys that have none, a group at a time: first all rows are taken and filled, which nobody finds, then one fence, then they are filed. Publishing each by an atomic
 * store of its own would wait each time for all stores before it, and these miss the cache.
 */
import { addressOf, END, HELD } from "./layout";
import { fileMissing, publish, reserveKeys } from "./key-index";
import { findGroup, GROUP } from "./probe";
import { emptyRow, fillRow, takeRow, writeRow } from "./rows";

/** In a column of rows: the number was taken for its key and is not filed. No number of a row has this bit but -1, which is none. */
const TAKEN: u32 = 0x8000_0000;

/** How many of a group have no row. */
export function countMissing(rows: usize, count: u32): u32 {
  let missing: u32 = 0;
  for (let at: u32 = 0; at < count; at++) missing += load<u32>(rows + ((<usize>at) << 2)) >> 31;
  return missing;
}

/** Room in the index for as many rows as a table is to come to. Returns false where memory is at its end. */
export function reserveRows(total: u32): bool {
  const held = load<u32>(HELD);
  if (total <= held) return true;
  return reserveKeys(total - held);
}

/** Takes a row for a key that has none, with these contents. Returns false where memory is at its end. */
export function takeFilled(place: usize, key: u64, t: f64, writer: u32, flags: u32, values: usize, state: usize): bool {
  const end = load<u32>(END);
  const row = takeRow(key);
  if (row < 0) return false;
  // One that was used before may still be known to who reads.
  if (<u32>row < end) writeRow(addressOf(row), t, writer, flags, values, state);
  else fillRow(addressOf(row), t, writer, flags, values, state);
  store<u32>(place, TAKEN | row);
  return true;
}

/** Files a row that was taken for a key. Gives false where one came with an earlier place of the group, which stands in the column then. */
export function fileTaken(place: usize, key: u64): bool {
  const row = load<u32>(place) & ~TAKEN;
  const filed = fileMissing(key, row);
  store<u32>(place, filed);
  if (filed == row) return true;
  emptyRow(row);
  return false;
}

/** Rows for keys, added where there are none, and deleted until they are stored. Gives how many keys were done; fewer where memory ended. */
export function addRows(keys: usize, count: u32, rows: usize): u32 {
  for (let from: u32 = 0; from < count; from += GROUP) {
    const size = min(GROUP, count - from);
    const groupKeys = keys + ((<usize>from) << 3);
    const groupRows = rows + ((<usize>from) << 2);
    findGroup(groupKeys, size, groupRows);
    const missing = countMissing(groupRows, size);
    if (missing == 0) continue;
    if (!reserveKeys(missing)) return from;
    let taken: u32 = 0;
    for (; taken < size; taken++) {
      const place = groupRows + ((<usize>taken) << 2);
      if (load<i32>(place) >= 0) continue;
      const row = takeRow(load<u64>(groupKeys + ((<usize>taken) << 3)));
      if (row < 0) break;
      store<u32>(place, TAKEN | row);
    }
    publish();
    for (let at: u32 = 0; at < taken; at++) {
      const place = groupRows + ((<usize>at) << 2);
      if (load<i32>(place) < 0) fileTaken(place, load<u64>(groupKeys + ((<usize>at) << 3)));
    }
    if (taken < size) return from + taken;
  }
  return count;
}
