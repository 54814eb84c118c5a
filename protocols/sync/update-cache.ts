/*
 * The update cache (Ekko, section 4, with other words): the rows that changed lately, so that a pull costs what changed and not
 * what there is. It lies beside the row store and knows rows by slot only.
 *
 * The floor says how far back it reaches: writer -> t. Invariants, between any two events:
 *   1. Every row outside the cache has t <= floor[writer]. So for whoever knows all up to the floor, the lacking rows of the cache
 *      are the lacking rows of the store.
 *   2. Every row in the cache has t > floor[writer]: the floor was raised by exactly what left.
 *   3. A closed slice holds rows that the knowledge `upTo`, taken when it was closed, covers, and that those of older slices do
 *      not. So whoever knows `upTo` lacks nothing in it or in older slices.
 *   4. Early rows are in a set of their own, and enter the open slice when knowledge covers them: their age counts from then.
 *   5. There are never more rows than `rowsMax`. Full, the oldest slices leave; full of early rows alone, these leave too, and only
 *      then is the floor ahead of knowledge somewhere. Pulls then scan; none misses a row.
 *
 * A slice leaves when it was closed `TURNS` turns ago; turns are at least a step apart, so a clock that jumps ahead makes one turn and
 * not many. Ekko tunes for few misses: so a pull that had to scan lengthens the age, and one answered from here shortens it a little.
 */
import { type SyncLimits } from "../limits.ts";
import { type RowStore, type Slot, type SlotVersions } from "./row-store.ts";
import { SlotNumbers } from "./slot-numbers.ts";

/** Turns that a closed slice stays: its age is that many steps. */
const TURNS = 8;
/** An open slice is closed early at this part of the bound, so that a pull visits little more than what changed. */
const SLICES = 16;
/** Slices closed early at one time, the bound on slices together with `TURNS`. */
const SLICES_MAX = 32;
/** At rest, misses and hits balance: log(LONGER) * misses = -log(SHORTER) * hits, at 4 misses in 1,000 pulls. */
const LONGER = 1.5;
const SHORTER = 0.99837;

/** Plain data, owned by the functions of this file. Columns are by writer index of the store. */
export interface UpdateCache {
  readonly rowsMax: number;
  readonly ageMsMin: number;
  readonly ageMsMax: number;
  /** How long a row stays after knowledge covered it, milliseconds; tuned. */
  ageMs: number;
  readonly floor: number[];
  /** The floor at the start: no age would have answered a pull from below it. */
  readonly base: readonly number[];
  readonly early: Slice;
  open: Slice;
  /** Oldest first. */
  closed: ClosedSlice[];
  /** Each cached slot -> its number in the slice that holds it. */
  readonly place: SlotNumbers;
  turn: number;
  turnedAtMs: number;
  /** Since the start: pulls answered from here, pulls that scanned, slots that the former visited, and times it was full of early rows. */
  readonly counts: { hits: number; scans: number; visited: number; gaveUp: number };
}

/**
 * Slots in order of coming, numbered one after the other from `first`. Who left for another slice, or came again later, has another
 * number by then, so that its entry here means nothing. Numbers of a later slice are higher, and those of early rows higher than all.
 */
interface Slice {
  first: number;
  slots: Float64Array<ArrayBuffer>;
  end: number;
  /** Entries that mean something. */
  size: number;
}

interface ClosedSlice extends Slice {
  readonly upTo: Float64Array;
  readonly turn: number;
}

const EARLY_FIRST = 2 ** 31;
/** Numbers begin anew when they get here, long before those of early rows. */
const NUMBERS_MAX = 2 ** 30;
const SLICE_ENTRIES_FIRST = 16;

/** The bounds of a cache, as in `SYNC_LIMITS`. */
export type CacheLimits = Pick<SyncLimits, "cacheRowsMax" | "cacheAgeMs" | "cacheAgeMsMin" | "cacheAgeMsMax">;

/** An empty cache. `covered` is the knowledge behind the store: the caller files every row ahead of it. */
export function createUpdateCache(covered: Float64Array, limits: CacheLimits): UpdateCache {
  return {
    rowsMax: limits.cacheRowsMax,
    ageMsMin: limits.cacheAgeMsMin,
    ageMsMax: limits.cacheAgeMsMax,
    ageMs: limits.cacheAgeMs,
    floor: [...covered],
    base: [...covered],
    early: emptySlice(EARLY_FIRST),
    open: emptySlice(1),
    closed: [],
    place: new SlotNumbers(),
    turn: 0,
    turnedAtMs: 0,
    counts: { hits: 0, scans: 0, visited: 0, gaveUp: 0 },
  };
}

/** Files rows just stored, or just covered by `known`, our knowledge. After all rows of one change, call `boundCache`. */
export function fileRows(cache: UpdateCache, { slots, t, writers }: SlotVersions, known: Float64Array): void {
  for (let at = 0; at < slots.length; at += 1) {
    const writer = writers[at] ?? 0;
    const isEarly = (t[at] ?? 0) > (known[writer] ?? 0);
    const isNew = (t[at] ?? 0) > (cache.floor[writer] ?? 0);
    file(cache, slots[at] ?? 0, isNew ? (isEarly ? cache.early : cache.open) : undefined);
  }
}

/** Puts a slot into a slice, out of that where it was; where it is there already it keeps its place. */
function file(cache: UpdateCache, slot: Slot, after: Slice | undefined): void {
  const { place } = cache;
  const at = place.placeOf(slot);
  const before = sliceOf(cache, place.numberAt(at));
  if (before === after) return;
  if (before !== undefined) before.size -= 1;
  if (after === undefined) {
    place.delete(slot);
    return;
  }
  if (after.end === after.slots.length) makeSpace(cache, after);
  after.slots[after.end] = slot;
  place.setAt(at, slot, after.first + after.end);
  after.end += 1;
  after.size += 1;
}

/** The slice of a number, 0 being of none. */
function sliceOf({ early, open, closed }: UpdateCache, number: number): Slice | undefined {
  if (number >= EARLY_FIRST) return early;
  if (number >= open.first) return open;
  if (number === 0) return undefined;
  // What changes again has mostly changed lately.
  for (let at = closed.length - 1; at >= 0; at -= 1) {
    const slice = closed[at];
    if (slice !== undefined && number >= slice.first) return slice;
  }
  throw new RangeError(`Cannot find the slice of entry ${number}: it has left`);
}

function emptySlice(first: number): Slice {
  return { first, slots: new Float64Array(SLICE_ENTRIES_FIRST), end: 0, size: 0 };
}

/** The slots of a slice that are still its own, into a column; returns where they end. */
function copySlots({ place }: UpdateCache, slice: Slice, { into, from }: { into: Float64Array; from: number }): number {
  let end = from;
  for (let at = 0; at < slice.end; at += 1) {
    const slot = slice.slots[at] ?? 0;
    if (place.get(slot) !== slice.first + at) continue;
    into[end] = slot;
    end += 1;
  }
  return end;
}

/** Makes room for more in a slice: twice what means something, so that its memory is bounded by that. */
function makeSpace(cache: UpdateCache, slice: Slice): void {
  const slots = new Float64Array(Math.max(SLICE_ENTRIES_FIRST, 2 * slice.size));
  if (slice.size === slice.end) {
    slots.set(slice.slots.subarray(0, slice.end));
    slice.slots = slots;
    return;
  }
  slice.end = copySlots(cache, slice, { into: slots, from: 0 });
  slice.slots = slots;
  for (let at = 0; at < slice.end; at += 1) cache.place.set(slots[at] ?? 0, slice.first + at);
}

/** Gives all entries but the early ones low numbers, in the same order. */
function renumber(cache: UpdateCache): void {
  let first = 1;
  for (const slice of [...cache.closed, cache.open]) {
    const slots = new Float64Array(Math.max(SLICE_ENTRIES_FIRST, slice.size));
    slice.end = copySlots(cache, slice, { into: slots, from: 0 });
    slice.slots = slots;
    slice.first = first;
    first += slice.end;
  }
  for (const { first: number, slots, end } of [...cache.closed, cache.open]) {
    for (let at = 0; at < end; at += 1) cache.place.set(slots[at] ?? 0, number + at);
  }
}

/** Forgets a row that was dropped from the store. */
export function forgetSlot(cache: UpdateCache, slot: Slot): void {
  file(cache, slot, undefined);
}

/** Lets rows leave until the bound holds. Not within a change: the store would tell versions of rows that are not filed yet. */
export function boundCache(cache: UpdateCache, store: RowStore): void {
  while (cache.place.size > cache.rowsMax) makeRoom(cache, store);
}

/** Lets time pass: closes the open slice, and lets the oldest leave. Call it between events; `known` is our knowledge. */
export function turnCache(
  cache: UpdateCache,
  store: RowStore,
  { nowMs, known }: { readonly nowMs: number; readonly known: () => Float64Array },
): void {
  // A clock that was set back starts its step anew.
  if (nowMs < cache.turnedAtMs) cache.turnedAtMs = nowMs;
  const isDue = nowMs - cache.turnedAtMs >= cache.ageMs / TURNS;
  const isLarge = cache.open.size >= cache.rowsMax / SLICES && cache.closed.length < SLICES_MAX;
  if (!isDue && !isLarge) return;
  cache.closed = cache.closed.filter(({ size }) => size > 0);
  if (cache.open.size > 0) {
    cache.closed.push({ ...cache.open, upTo: known(), turn: cache.turn });
    cache.open = emptySlice(cache.open.first + cache.open.end);
    if (cache.open.first > NUMBERS_MAX) renumber(cache);
  }
  if (!isDue) return;
  cache.turn += 1;
  cache.turnedAtMs = nowMs;
  while (cache.closed[0] !== undefined && cache.closed[0].turn < cache.turn - TURNS) {
    leave(cache, store, cache.closed[0]);
    cache.closed.shift();
  }
}

/**
 * Every cached slot that may hold a row ahead of `known`, or undefined when the store must be scanned. `ours` is our knowledge.
 */
export function lackingSlots(
  cache: UpdateCache,
  { known, ours }: { readonly known: Float64Array; readonly ours: Float64Array },
): Float64Array | undefined {
  if (!reaches(known, cache.floor)) {
    cache.counts.scans += 1;
    if (reaches(known, cache.base)) cache.ageMs = Math.min(cache.ageMs * LONGER, cache.ageMsMax);
    return undefined;
  }
  cache.counts.hits += 1;
  cache.ageMs = Math.max(cache.ageMs * SHORTER, cache.ageMsMin);
  const slices = [cache.early];
  if (!reaches(known, ours)) {
    slices.push(cache.open);
    for (let at = cache.closed.length - 1; at >= 0; at -= 1) {
      const slice = cache.closed[at];
      if (slice === undefined || reaches(known, slice.upTo)) break;
      slices.push(slice);
    }
  }
  return visit(cache, slices);
}

/** The slots of these slices, one after the other, counted as visited. */
function visit(cache: UpdateCache, slices: readonly Slice[]): Float64Array {
  const slots = new Float64Array(slices.reduce((sum, { size }) => sum + size, 0));
  let end = 0;
  for (const slice of slices) end = copySlots(cache, slice, { into: slots, from: end });
  cache.counts.visited += end;
  return slots;
}

/** Whether `known` is at least `bound` for every writer. */
function reaches(known: Float64Array, bound: readonly number[] | Float64Array): boolean {
  for (let writer = 0; writer < bound.length; writer += 1) {
    if ((bound[writer] ?? 0) > (known[writer] ?? 0)) return false;
  }
  return true;
}

function makeRoom(cache: UpdateCache, store: RowStore): void {
  const oldest = cache.closed.shift();
  if (oldest !== undefined) {
    leave(cache, store, oldest);
  } else if (cache.open.size > 0) {
    leave(cache, store, cache.open);
  } else {
    cache.counts.gaveUp += 1;
    leave(cache, store, cache.early);
  }
}

/** Takes the rows of a slice out and raises the floor by exactly them. */
function leave(cache: UpdateCache, store: RowStore, slice: Slice): void {
  const { t: times, writers } = store.versionsAt(takeSlots(cache, slice));
  for (let at = 0; at < times.length; at += 1) {
    const t = times[at] ?? 0;
    const writer = writers[at] ?? 0;
    while (cache.floor.length <= writer) cache.floor.push(0);
    if (t > (cache.floor[writer] ?? 0)) cache.floor[writer] = t;
  }
  slice.end = 0;
  slice.size = 0;
}

/** The slots of a slice that are still its own, which are in none from now on. */
function takeSlots({ place }: UpdateCache, slice: Slice): Float64Array {
  const slots = new Float64Array(slice.size);
  let end = 0;
  for (let at = 0; at < slice.end; at += 1) {
    const slot = slice.slots[at] ?? 0;
    const stands = place.placeOf(slot);
    if (place.numberAt(stands) !== slice.first + at) continue;
    place.deleteAt(stands);
    slots[end] = slot;
    end += 1;
  }
  return slots;
}
