/*
 * The distinct keys of one table in a batch, and which of them each sample has (protocols/learning/training-batch.ts is the reference: the same keys in the
 * same order). A set is `slots`, words of 0 or a key's number + 1, of which at least half are 0 and as many as 2^(32 - shift); and the keys by number.
 */
import { keyOf, shardWord } from "./text-key";

/** Forgets all keys of a set. */
export function clearSet(slots: usize, shift: u32): void {
  memory.fill(slots, 0, (<usize>4) << (32 - shift));
}

/**
 * Numbers the key of each text that a column holds, and puts the numbers of its samples' keys into `rowOf`. `lengths` are of 1, 2 or 4 bytes; `gaps` and `runs`
 * are bits as protocols/columns/column-head.ts says, or 0. `numbers` has room for one more than there are values. The set holds `count` keys; gives how many then.
 */
export function chooseTexts(
  units: usize,
  lengths: usize,
  lengthBytes: u32,
  wide: bool,
  values: u32,
  gaps: usize,
  runs: usize,
  size: u32,
  slots: usize,
  shift: u32,
  keys: usize,
  count: u32,
  numbers: usize,
  rowOf: usize,
): u32 {
  const isPlain = gaps == 0 && runs == 0;
  const to = isPlain ? rowOf : numbers;
  let at = units;
  for (let value: u32 = 0; value < values; value++) {
    const length = lengthAt(lengths, lengthBytes, value);
    const number = numberOf(keyOf(at, length, wide), slots, shift, keys, count);
    count += <u32>(number == count);
    store<u32>(to + ((<usize>value) << 2), number);
    at += (<usize>length) << (<u32>wide);
  }
  if (isPlain) return count;
  if (gaps != 0) {
    const number = numberOf(keyOf(0, 0, false), slots, shift, keys, count);
    count += <u32>(number == count);
    store<u32>(numbers + ((<usize>values) << 2), number);
  }
  placeNumbers(values, gaps, runs, size, numbers, rowOf);
  return count;
}

function lengthAt(lengths: usize, bytes: u32, value: u32): u32 {
  if (bytes == 1) return load<u8>(lengths + value);
  if (bytes == 2) return load<u16>(lengths + ((<usize>value) << 1));
  return load<u32>(lengths + ((<usize>value) << 2));
}

/** A key's number, which is the next one where it had none. */
function numberOf(key: u64, slots: usize, shift: u32, keys: usize, count: u32): u32 {
  const last = ((<u32>1) << (32 - shift)) - 1;
  let slot = ((<u32>key ^ (<u32>(key >> 32) * 0x85ebca6b)) * 0x9e3779b1) >>> shift;
  while (true) {
    const place = slots + ((<usize>slot) << 2);
    const held = load<u32>(place);
    if (held == 0) {
      store<u32>(place, count + 1);
      store<u64>(keys + ((<usize>count) << 3), key);
      return count;
    }
    if (load<u64>(keys + ((<usize>(held - 1)) << 3)) == key) return held - 1;
    slot = (slot + 1) & last;
  }
}

/** As `placesOf` says which value each sample has. */
function placeNumbers(values: u32, gaps: usize, runs: usize, size: u32, numbers: usize, rowOf: usize): void {
  let held: u32 = 0;
  let place: u32 = <u32>-1;
  for (let at: u32 = 0; at < size; at++) {
    let value = values;
    if (gaps == 0 || hasBit(gaps, at)) {
      place += runs == 0 ? 1 : hasBit(runs, held);
      value = place;
      held += 1;
    }
    store<u32>(rowOf + ((<usize>at) << 2), load<u32>(numbers + ((<usize>value) << 2)));
  }
}

function hasBit(bits: usize, at: u32): u32 {
  return (<u32>load<u8>(bits + (at >>> 3)) >>> (at & 7)) & 1;
}

/**
 * Puts keys side by side by shard, in the order of their numbers, into `sorted`, and has `rowOf`, of so many entries, say where. `starts` has a word for each
 * shard and one more, the end of the last; `shardOf` and `placeOf` have room for a word a key.
 */
export function splitKeys(
  table: u32,
  shards: u32,
  keys: usize,
  count: u32,
  starts: usize,
  shardOf: usize,
  placeOf: usize,
  sorted: usize,
  rowOf: usize,
  entries: u32,
): void {
  memory.fill(starts, 0, (<usize>shards + 1) << 2);
  for (let at: u32 = 0; at < count; at++) {
    const shard = shardWord(table, load<u64>(keys + ((<usize>at) << 3))) % shards;
    store<u32>(shardOf + ((<usize>at) << 2), shard);
    const size = starts + ((<usize>shard) << 2);
    store<u32>(size, load<u32>(size) + 1);
  }
  // From sizes to starts. Each then moves on by the keys that are placed, up to where the next one began.
  let next: u32 = 0;
  for (let shard: u32 = 0; shard < shards; shard++) {
    const start = starts + ((<usize>shard) << 2);
    const size = load<u32>(start);
    store<u32>(start, next);
    next += size;
  }
  store<u32>(starts + ((<usize>shards) << 2), next);
  for (let at: u32 = 0; at < count; at++) {
    const start = starts + ((<usize>load<u32>(shardOf + ((<usize>at) << 2))) << 2);
    const place = load<u32>(start);
    store<u32>(start, place + 1);
    store<u64>(sorted + ((<usize>place) << 3), load<u64>(keys + ((<usize>at) << 3)));
    store<u32>(placeOf + ((<usize>at) << 2), place);
  }
  // Where a shard's keys end the next one's begin.
  for (let shard = shards; shard > 0; shard--) {
    const start = starts + ((<usize>shard) << 2);
    store<u32>(start, load<u32>(start - 4));
  }
  store<u32>(starts, 0);
  for (let at: u32 = 0; at < entries; at++) {
    const row = rowOf + ((<usize>at) << 2);
    store<u32>(row, load<u32>(placeOf + ((<usize>load<u32>(row)) << 2)));
  }
}
