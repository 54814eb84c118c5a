/*
 * The update cache (Ekko, section 4, with other words): the rows that changed lately, so that a pull costs what changed and not
 * what there is. It lies beside the row store and knows rows by slot only.
 *
 * The floor says how far back it reaches: writer -> t. Invariants, between any two events:
 *   1. Every row outside the cache has t <= floor[writer]. So for whoever knows all up to the floor, the lacking rows of the cache
 *      are the lacking rows of the store.
 *   2. Every row in the cache has t > floor[writer]: with a slice that leaves, the floor is raised to what it goes up to.
 *   3. A closed slice holds the rows that the knowledge `upTo`, taken when it was closed, covers, and that those of older slices do
 *      not. So whoever knows `upTo` lacks nothing in it or in older slices.
 *   4. Early rows are in a set of their own, and enter the open slice when knowledge covers them: their age counts from then.
 *   5. There are never more rows than `rowsMax`. Full, the oldest slices leave; full of early rows alone, these leave too, and only
 *      then is the floor ahead of knowledge somewhere. Pulls then scan; none misses a row.
 *
 * By 2 and 3 the version of a row says in which slice it is, so nothing is kept by slot: who files a row says which version it had before, and the
 * row that enters a later slice stays in the list of the one it left. Such entries mean nothing; rows are looked up only when there are too many of these.
 * By 3 a slice leaves without a look at its rows: all that are left in it lie between the floor and what it goes up to, and nothing else of the cache does.
 *
 * A slice leaves when it was closed `TURNS` turns ago; turns are at least a step apart, so a clock that jumps ahead makes one turn and
 * not many. Ekko tunes for few misses: so a pull that had to scan lengthens the age, and one answered from here shortens it a little.
 */
import { type SyncLimits } from "../limits.ts";
import { type RowStore, type Slot, type SlotVersions, type StoredVersions } from "./row-store.ts";
import { SlotSet } from "./slot-set.ts";

/** Turns that a closed slice stays: its age is that many steps. */
const TURNS = 8;
/** An open slice is closed early at this part of the bound, so that a pull visits little more than what changed. */
const SLICES = 16;
/** Slices closed early at one time, the bound on slices together with `TURNS`. */
const SLICES_MAX = 32;
/** Entries of slices at most, for each row of the bound. Those that mean nothing go when there are more. */
const ENTRIES = 4;
const SLICE_ENTRIES_FIRST = 16;
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
  /** Early rows: all of them, until it is full of them. */
  readonly early: SlotSet;
  open: Slice;
  /** Oldest first. */
  closed: ClosedSlice[];
  turn: number;
  turnedAtMs: number;
  /** Since the start: pulls answered from here, pulls that scanned, slots that the former visited, and times it was full of early rows. */
  readonly counts: { hits: number; scans: number; visited: number; gaveUp: number };
}

/** The slots of its rows in order of coming, among those of rows that left it. */
interface Slice {
  slots: Float64Array<ArrayBuffer>;
  end: number;
  /** Rows that are in it. */
  size: number;
  /** A slot may stand in it twice. */
  repeats: boolean;
}

interface ClosedSlice extends Slice {
  readonly upTo: Float64Array;
  readonly turn: number;
}

/** The bounds of a cache, as in `SYNC_LIMITS`. */
export type CacheLimits = Pick<SyncLimits, "cacheRowsMax" | "cacheAgeMs" | "cacheAgeMsMin" | "cacheAgeMsMax">;

/** Where rows are, and which of them knowledge does not cover. */
export interface CachedRows {
  readonly store: RowStore;
  readonly early: SlotSet;
}

/** An empty cache. `covered` is the knowledge behind the store: the caller files every row ahead of it. */
export function createUpdateCache(covered: Float64Array, limits: CacheLimits): UpdateCache {
  return {
    rowsMax: limits.cacheRowsMax,
    ageMsMin: limits.cacheAgeMsMin,
    ageMsMax: limits.cacheAgeMsMax,
    ageMs: limits.cacheAgeMs,
    floor: [...covered],
    base: [...covered],
    early: new SlotSet(),
    open: emptySlice(),
    closed: [],
    turn: 0,
    turnedAtMs: 0,
    counts: { hits: 0, scans: 0, visited: 0, gaveUp: 0 },
  };
}

/**
 * Files rows just stored, or just covered by `known`, our knowledge: in the cache, and as early or not in `early`, which has all that knowledge does
 * not cover. After all rows of one change, call `boundCache`.
 */
export function fileRows(
  cache: UpdateCache,
  { slots, t, writers, before }: StoredVersions,
  { known, early }: { readonly known: Float64Array; readonly early: SlotSet },
): void {
  for (let at = 0; at < slots.length; at += 1) {
    const slot = slots[at] ?? 0;
    const time = t[at] ?? 0;
    const writer = writers[at] ?? 0;
    const wasEarly = early.size > 0 && early.has(slot);
    const left = wasEarly ? undefined : sliceOf(cache, before.t[at] ?? 0, before.writers[at] ?? 0);
    if (time > (known[writer] ?? 0)) {
      early.add(slot);
      if (time > (cache.floor[writer] ?? 0)) cache.early.add(slot);
      else cache.early.delete(slot);
      if (left !== undefined) takeOut(left);
      continue;
    }
    if (wasEarly) {
      early.delete(slot);
      cache.early.delete(slot);
    }
    const entered = sliceOf(cache, time, writer);
    if (entered === left) continue;
    if (left !== undefined) left.size -= 1;
    if (entered !== undefined) append(entered, slot);
    // Only a copy brings what was known before, and it may have been here.
    if (entered !== undefined && entered !== cache.open) entered.repeats = true;
  }
}

/** Forgets rows that were dropped from the store, at these versions. */
export function forgetRows(cache: UpdateCache, { slots, t, writers }: SlotVersions, early: SlotSet): void {
  for (let at = 0; at < slots.length; at += 1) {
    const slot = slots[at] ?? 0;
    cache.early.delete(slot);
    if (early.delete(slot)) continue;
    const left = sliceOf(cache, t[at] ?? 0, writers[at] ?? 0);
    if (left !== undefined) takeOut(left);
  }
}

/** The slice of a row that is not early; undefined for one at or below the floor. */
function sliceOf({ floor, open, closed }: UpdateCache, t: number, writer: number): Slice | undefined {
  if (t <= (floor[writer] ?? 0)) return undefined;
  let slice: Slice = open;
  // What changes again has mostly changed lately.
  for (let at = closed.length - 1; at >= 0; at -= 1) {
    const older = closed[at];
    if (older === undefined || t > (older.upTo[writer] ?? 0)) break;
    slice = older;
  }
  return slice;
}

/** A row leaves a slice for none, or becomes early. So it may come back, or another in its slot. */
function takeOut(slice: Slice): void {
  slice.size -= 1;
  slice.repeats = true;
}

function emptySlice(): Slice {
  return { slots: new Float64Array(SLICE_ENTRIES_FIRST), end: 0, size: 0, repeats: false };
}

function append(slice: Slice, slot: Slot): void {
  if (slice.end === slice.slots.length) {
    const slots = new Float64Array(Math.max(SLICE_ENTRIES_FIRST, 2 * slice.end));
    slots.set(slice.slots.subarray(0, slice.end));
    slice.slots = slots;
  }
  slice.slots[slice.end] = slot;
  slice.end += 1;
  slice.size += 1;
}

/** Lets rows leave until the bounds hold, after all rows of a change. `known` is our knowledge. */
export function boundCache(cache: UpdateCache, rows: CachedRows, known: Float64Array): void {
  while (cachedCount(cache) > cache.rowsMax) makeRoom(cache, rows.store, known);
  const { closed, open } = cache;
  if (closed.reduce((sum, { end }) => sum + end, open.end) <= ENTRIES * cache.rowsMax) return;
  for (const [at, slice] of [...closed, open].entries()) {
    const slots = slotsOf(cache, at, rows);
    slice.slots = slice.repeats ? once([slots]) : slots;
    slice.end = slice.slots.length;
    slice.repeats = false;
  }
}

/** How many rows are in the cache. */
export function cachedCount({ early, open, closed }: UpdateCache): number {
  return closed.reduce((sum, { size }) => sum + size, early.size + open.size);
}

/** The slots of all rows in the cache, as they are found there. */
export function cachedSlots(cache: UpdateCache, rows: CachedRows): Float64Array {
  const inSlices = [...cache.closed, cache.open].map((_, at) => slotsOf(cache, at, rows));
  return once([cache.early.column(), ...inSlices]);
}

/** Lets time pass: closes the open slice, and lets the oldest leave. Call it between events; `known` is our knowledge. */
export function turnCache(
  cache: UpdateCache,
  { nowMs, known }: { readonly nowMs: number; readonly known: () => Float64Array },
): void {
  // A clock that was set back starts its step anew.
  if (nowMs < cache.turnedAtMs) cache.turnedAtMs = nowMs;
  const isDue = nowMs - cache.turnedAtMs >= cache.ageMs / TURNS;
  const isLarge = cache.open.size >= cache.rowsMax / SLICES && cache.closed.length < SLICES_MAX;
  if (!isDue && !isLarge) return;
  cache.closed = cache.closed.filter(({ size }) => size > 0);
  if (cache.open.size > 0) cache.closed.push({ ...cache.open, upTo: known(), turn: cache.turn });
  cache.open = emptySlice();
  if (!isDue) return;
  cache.turn += 1;
  cache.turnedAtMs = nowMs;
  while (cache.closed[0] !== undefined && cache.closed[0].turn < cache.turn - TURNS) leave(cache, cache.closed[0]);
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
  const slices: Slice[] = [];
  if (!reaches(known, ours)) {
    slices.push(cache.open);
    for (let at = cache.closed.length - 1; at >= 0; at -= 1) {
      const slice = cache.closed[at];
      if (slice === undefined || reaches(known, slice.upTo)) break;
      slices.push(slice);
    }
  }
  const slots = slotsIn(slices, cache.early);
  cache.counts.visited += slots.length;
  return slots;
}

/** The slots of these slices and of early rows, each once. A row that left one for a later slice is visited there anyway. */
function slotsIn(slices: readonly Slice[], early: SlotSet): Float64Array {
  const columns = slices.flatMap(({ slots, end }) => (end === 0 ? [] : [slots.subarray(0, end)]));
  if (early.size > 0) columns.unshift(early.column());
  const [only] = columns;
  const isOnce = columns.length === 1 && !slices.some(({ repeats }) => repeats);
  return only !== undefined && isOnce ? only.slice() : once(columns);
}

/** What stands in these columns, once. */
function once(columns: readonly Float64Array[]): Float64Array<ArrayBuffer> {
  const all = new SlotSet();
  for (const slots of columns) for (let at = 0; at < slots.length; at += 1) all.add(slots[at] ?? 0);
  return all.column();
}

/** Whether `known` is at least `bound` for every writer. */
function reaches(known: Float64Array, bound: readonly number[] | Float64Array): boolean {
  for (let writer = 0; writer < bound.length; writer += 1) {
    if ((bound[writer] ?? 0) > (known[writer] ?? 0)) return false;
  }
  return true;
}

function makeRoom(cache: UpdateCache, store: RowStore, known: Float64Array): void {
  const [oldest] = cache.closed;
  if (oldest !== undefined) leave(cache, oldest);
  else if (cache.open.size > 0) {
    for (let writer = 0; writer < known.length; writer += 1) raiseFloor(cache, writer, known[writer] ?? 0);
    cache.open = emptySlice();
  } else {
    cache.counts.gaveUp += 1;
    const { t, writers } = store.versionsAt(cache.early.column());
    for (let at = 0; at < t.length; at += 1) raiseFloor(cache, writers[at] ?? 0, t[at] ?? 0);
    cache.early.clear();
  }
}

/**
 * The rows that are in a closed slice, or in the open one, which comes after the last of these. All that is in its list and is not, went to a later slice, is early, or
 * is gone. A slot that stands there twice is given twice.
 */
function slotsOf(
  { floor, open, closed }: UpdateCache,
  at: number,
  { store, early }: CachedRows,
): Float64Array<ArrayBuffer> {
  const { slots: listed, end } = closed[at] ?? open;
  const [after, upTo] = [closed[at - 1]?.upTo ?? floor, closed[at]?.upTo];
  const found = store.versionsAt(listed.subarray(0, end));
  return found.slots.filter((slot, entry) => {
    const [t = 0, writer = 0] = [found.t[entry], found.writers[entry]];
    if (t <= (after[writer] ?? 0) || (upTo !== undefined && t > (upTo[writer] ?? 0))) return false;
    return !early.has(slot);
  });
}

/** The oldest slice leaves. */
function leave(cache: UpdateCache, { upTo }: ClosedSlice): void {
  for (let writer = 0; writer < upTo.length; writer += 1) raiseFloor(cache, writer, upTo[writer] ?? 0);
  cache.closed.shift();
}

function raiseFloor({ floor }: UpdateCache, writer: number, t: number): void {
  while (floor.length <= writer) floor.push(0);
  if (t > (floor[writer] ?? 0)) floor[writer] = t;
}
