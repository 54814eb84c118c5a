// Reading values: by the writer itself, and by other threads while it writes.
import { addressOf, END, find, FLAGS, INDEX_SEQUENCE, KEY, SEQUENCE, VALUE_BYTES, VALUES } from "./layout";
import { copy } from "./rows";

const MISSING: u8 = 0;
const FOUND: u8 = 1;
/** The row changed under each try, or the index did: the reader asks the writer instead. */
const GAVE_UP: u8 = 2;

/** Rows that are copied between two fences: as many as a word has bits. */
const BLOCK: u32 = 64;

/** By the writer's own thread: values of keys, with 1 where a row is there and not deleted. */
export function readRows(keys: usize, count: u32, found: usize, values: usize): void {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  for (let at: u32 = 0; at < count; at++) {
    const row = find(load<u64>(keys + ((<usize>at) << 3)));
    const address: usize = row < 0 ? 0 : addressOf(row);
    const is = row >= 0 && load<u8>(address, FLAGS) == 0;
    store<u8>(found + at, is ? FOUND : MISSING);
    if (is) copy(values + <usize>at * valueBytes, address + VALUES, valueBytes);
    else memory.fill(values + <usize>at * valueBytes, 0, valueBytes);
  }
}

/**
 * By any thread: values of rows, whole ones only. A row is copied between two looks at its sequence number, which must be even and the same; the
 * looks of a block of rows are taken together, with a fence between copies and second looks, so that loads of different rows overlap. `keys` are
 * looked at again with the row, 0 for none. What did not hold is tried again, `tries` times in all. `scratch` is the thread's own, 4 bytes for each of a block and 4 more.
 * Gives how many tries more than one a row were made.
 */
export function gatherRows(
  rows: usize,
  keys: usize,
  count: u32,
  statuses: usize,
  values: usize,
  tries: u32,
  scratch: usize,
): u32 {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  const end = atomic.load<u32>(END);
  let retries: u32 = 0;
  for (let from: u32 = 0; from < count; from += BLOCK) {
    const size = min(BLOCK, count - from);
    let left = copyBlock(rows, keys, from, size, statuses, values, valueBytes, end, scratch, false);
    for (let again: u32 = 1; left > 0 && again < tries; again++) {
      retries += left;
      left = copyBlock(rows, keys, from, size, statuses, values, valueBytes, end, scratch, true);
    }
  }
  return retries;
}

/** Copies the rows of one block, or those of them that gave up; gives how many (still) do. */
function copyBlock(
  rows: usize,
  keys: usize,
  from: u32,
  size: u32,
  statuses: usize,
  values: usize,
  valueBytes: usize,
  end: u32,
  scratch: usize,
  again: bool,
): u32 {
  let copied: u64 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const at = from + i;
    if (again && load<u8>(statuses + at) != GAVE_UP) continue;
    const row = load<i32>(rows + ((<usize>at) << 2));
    if (row < 0 || <u32>row >= end) {
      store<u8>(statuses + at, MISSING);
      continue;
    }
    copied |= (<u64>1) << i;
    const address = addressOf(row);
    const sequence = atomic.load<u32>(address, SEQUENCE);
    store<u32>(scratch + ((<usize>i) << 2), sequence);
    const isOther = keys != 0 && load<u64>(address, KEY) != load<u64>(keys + ((<usize>at) << 3));
    store<u8>(statuses + at, isOther || load<u8>(address, FLAGS) != 0 ? MISSING : FOUND);
    copy(values + <usize>at * valueBytes, address + VALUES, valueBytes);
  }
  // On machines that reorder loads the copies end before the second looks begin: an atomic change, of a word that nobody else has, is a fence.
  atomic.add<u32>(scratch + ((<usize>BLOCK) << 2), 0);
  let left: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const at = from + i;
    if (((copied >> i) & 1) == 0) continue;
    const row = load<u32>(rows + ((<usize>at) << 2));
    const before = load<u32>(scratch + ((<usize>i) << 2));
    if ((before & 1) == 0 && load<u32>(addressOf(row), SEQUENCE) == before) continue;
    store<u8>(statuses + at, GAVE_UP);
    left += 1;
  }
  return left;
}

/** The same by keys. Where the index changed meanwhile, what was not found counts as given up. */
export function gatherKeys(
  keys: usize,
  count: u32,
  statuses: usize,
  values: usize,
  tries: u32,
  scratch: usize,
  rows: usize,
): u32 {
  const before = atomic.load<u32>(INDEX_SEQUENCE);
  for (let at: u32 = 0; at < count; at++)
    store<i32>(rows + ((<usize>at) << 2), find(load<u64>(keys + ((<usize>at) << 3))));
  const retries = gatherRows(rows, keys, count, statuses, values, tries, scratch);
  if ((before & 1) == 0 && atomic.load<u32>(INDEX_SEQUENCE) == before) return retries;
  for (let at: u32 = 0; at < count; at++) if (load<u8>(statuses + at) == MISSING) store<u8>(statuses + at, GAVE_UP);
  return retries;
}

/** For whoever looks for torn rows: how many of the rows that were given have 32-bit words that are not all the same. */
export function unevenRows(count: u32, statuses: usize, values: usize): u32 {
  const valueBytes = <usize>load<u32>(VALUE_BYTES);
  let uneven: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    if (load<u8>(statuses + at) != FOUND) continue;
    const row = values + <usize>at * valueBytes;
    const first = load<u32>(row);
    let differences: u32 = 0;
    for (let byte: usize = 4; byte + 4 <= valueBytes; byte += 4) differences |= load<u32>(row + byte) ^ first;
    if (differences != 0) uneven += 1;
  }
  return uneven;
}
