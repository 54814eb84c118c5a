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
import { type RowStore, type Slot } from "./row-store.ts";

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
  readonly early: Set<Slot>;
  open: Set<Slot>;
  /** Oldest first. */
  closed: Slice[];
  /** Each cached slot -> the set that holds it. */
  readonly place: Map<Slot, Set<Slot>>;
  turn: number;
  turnedAtMs: number;
  /** Since the start: pulls answered from here, pulls that scanned, slots that the former visited, and times it was full of early rows. */
  readonly counts: { hits: number; scans: number; visited: number; gaveUp: number };
}

interface Slice {
  readonly slots: Set<Slot>;
  readonly upTo: Float64Array;
  readonly turn: number;
}

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
    early: new Set(),
    open: new Set(),
    closed: [],
    place: new Map(),
    turn: 0,
    turnedAtMs: 0,
    counts: { hits: 0, scans: 0, visited: 0, gaveUp: 0 },
  };
}

/** Files a row just stored, or just covered by knowledge. After all rows of one change, call `boundCache`. */
export function fileRow(
  cache: UpdateCache,
  row: { readonly slot: Slot; readonly t: number; readonly writer: number; readonly isEarly: boolean },
): void {
  const { slot, t, writer } = row;
  const before = cache.place.get(slot);
  const isNew = t > (cache.floor[writer] ?? 0);
  const after = isNew ? (row.isEarly ? cache.early : cache.open) : undefined;
  if (before === after) return;
  before?.delete(slot);
  if (after === undefined) {
    cache.place.delete(slot);
    return;
  }
  after.add(slot);
  cache.place.set(slot, after);
}

/** Forgets a row that was dropped from the store. */
export function forgetSlot(cache: UpdateCache, slot: Slot): void {
  cache.place.get(slot)?.delete(slot);
  cache.place.delete(slot);
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
  cache.closed = cache.closed.filter(({ slots }) => slots.size > 0);
  if (cache.open.size > 0) {
    cache.closed.push({ slots: cache.open, upTo: known(), turn: cache.turn });
    cache.open = new Set();
  }
  if (!isDue) return;
  cache.turn += 1;
  cache.turnedAtMs = nowMs;
  while (cache.closed[0] !== undefined && cache.closed[0].turn < cache.turn - TURNS) {
    leave(cache, store, cache.closed[0].slots);
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
  const slots = [...cache.early];
  if (!reaches(known, ours)) {
    for (const slot of cache.open) slots.push(slot);
    for (let at = cache.closed.length - 1; at >= 0; at -= 1) {
      const slice = cache.closed[at];
      if (slice === undefined || reaches(known, slice.upTo)) break;
      for (const slot of slice.slots) slots.push(slot);
    }
  }
  cache.counts.visited += slots.length;
  return Float64Array.from(slots);
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
    leave(cache, store, oldest.slots);
  } else if (cache.open.size > 0) {
    leave(cache, store, cache.open);
  } else {
    cache.counts.gaveUp += 1;
    leave(cache, store, cache.early);
  }
}

/** Takes these rows out and raises the floor by exactly them. */
function leave(cache: UpdateCache, store: RowStore, slots: Set<Slot>): void {
  for (const slot of slots) {
    const { t, writer } = store.versionAt(slot);
    while (cache.floor.length <= writer) cache.floor.push(0);
    if (t > (cache.floor[writer] ?? 0)) cache.floor[writer] = t;
    cache.place.delete(slot);
  }
  slots.clear();
}
