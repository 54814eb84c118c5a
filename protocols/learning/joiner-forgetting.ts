/*
 * What a joiner may forget: what no next one must know, and, where its memory is full, what came first. joiner.ts says in which order that goes,
 * as what is open gives a sample when it does.
 */
import { JOINER_ENTRIES_MAX, nameBytes } from "./joiner-memory.ts";
import {
  dropHeld,
  type Entry,
  type Held,
  impressionKey,
  isCorrectable,
  isStale,
  type JoinerState,
  type Origin,
  type Told,
} from "./joiner-state.ts";

/** Per source, the smallest number of an event that made something still open. Feedback nobody can use any more is dropped first. */
export function oldestNeeded(state: JoinerState): Map<string, number> {
  const needed = new Map<string, number>();
  function need({ source, sequence }: Origin): void {
    if (sequence < (needed.get(source) ?? Infinity)) needed.set(source, sequence);
  }
  for (const entry of state.pending.values()) need(entry);
  for (const { positive } of state.scattered) if (positive !== undefined) need(positive.origin);
  for (const [key, held] of state.held) {
    if (isStale(state, held)) dropHeld(state, key, held);
    else need(held);
  }
  return needed;
}

/**
 * The clock that a next joiner must begin with for a source, so that it judges the feedback of positives that are held now as this one did: it
 * reads their events again, and all that came after.
 */
export function clockToKeep(state: JoinerState, source: string): number {
  let clock = state.sources.get(source)?.newestTime ?? -Infinity;
  for (const { source: from, positive } of state.scattered) {
    if (from === source && positive !== undefined) clock = Math.min(clock, positive.clockMs);
  }
  return clock;
}

/**
 * The first published sample that a next joiner must know: those that can be corrected, and those it would read an event of again.
 * What lies before is remembered by name alone. `isReadAgain` says whether an event would be.
 */
export function oldestSampleNeeded(state: JoinerState, isReadAgain: (origin: Origin) => boolean): number {
  let oldest = state.publishedSeq + 1;
  for (const finished of [state.recalled, state.settled]) {
    for (const [key, entry] of finished) {
      if (isToldAgain(entry, isReadAgain) || isCorrectable(state, entry)) {
        oldest = Math.min(oldest, entry.after + 1);
        break;
      }
      finished.delete(key);
      state.bytes -= entry.bytes;
      if (entry.label === undefined) continue;
      state.past.set(key, entry.label);
      state.bytes += nameBytes(key);
    }
  }
  return oldest;
}

function isToldAgain({ source, last, others }: Told, isReadAgain: (origin: Origin) => boolean): boolean {
  if (isReadAgain({ source, sequence: last })) return true;
  return others !== undefined && [...others].some(([from, sequence]) => isReadAgain({ source: from, sequence }));
}

/** Forgets which events of a source told of what: they are gone, and others have their numbers. */
export function forgetNumbers({ pending, settled, recalled, held }: JoinerState, source: string): void {
  const all: readonly ReadonlyMap<string, Told>[] = [pending, settled, recalled, held];
  for (const some of all) {
    for (const told of some.values()) {
      if (told.source === source) told.last = 0;
      told.others?.delete(source);
    }
  }
}

/** Once there is too much, so much more goes: the first of a map is found past all that was deleted before it, which takes long for each alone. */
const ROOM = 1 / 256;

/** Whether there is more than there is room for, or, with `withRoom`, more than should be left once something goes. */
export function isOverfull(state: JoinerState, withRoom = false): boolean {
  const { pending, settled, recalled, past, held, bytes, bytesMax } = state;
  const entries = pending.size + settled.size + recalled.size + past.size + held.size;
  const share = withRoom ? 1 - ROOM : 1;
  return bytes > share * bytesMax || entries > share * JOINER_ENTRIES_MAX;
}

/**
 * Finished impressions, the first to be let go of first. While events are read again this leaves out those that were recalled and that these may
 * tell of: it would be taken for new.
 */
export function forgettable({ settled, recalled, isReading }: JoinerState): First<Entry> {
  return new First(isReading ? [settled] : [recalled, settled]);
}

/** The first values of some maps, one map after another, of which the first is deleted and others come last. */
export class First<T> {
  readonly #maps: readonly ReadonlyMap<string, T>[];
  #map: ReadonlyMap<string, T> | undefined;
  #values: MapIterator<T> | undefined;
  #value: T | undefined;

  constructor(maps: readonly ReadonlyMap<string, T>[]) {
    this.#maps = maps;
  }

  get value(): T | undefined {
    if (this.#value !== undefined) return this.#value;
    const map = this.#maps.find(({ size }) => size > 0);
    // It may have ended before others came.
    if (map === this.#map) this.#value = this.#values?.next().value;
    if (this.#value === undefined) {
      this.#map = map;
      this.#values = map?.values();
      this.#value = this.#values?.next().value;
    }
    return this.#value;
  }

  /** It is deleted. */
  next(): void {
    this.#value = undefined;
  }
}

/**
 * Lets go of the finished impression whose sample is the oldest, and of its name; of feedback that waits where there is none. Feedback that waited
 * since before it was shown goes first: for it a next joiner would read again that it was shown, and give its sample another time.
 */
export function forgetOldest(state: JoinerState, finished: First<Entry>, waiting: First<Held>): boolean {
  const oldest = finished.value;
  for (let held = waiting.value; held !== undefined; held = waiting.value) {
    if (oldest !== undefined && held.firstMessage > oldest.shownMessage) break;
    dropHeld(state, impressionKey(held.feedback), held);
    waiting.next();
    if (!isOverfull(state, true)) return true;
  }
  if (oldest === undefined) return false;
  finished.next();
  state.recalled.delete(oldest.key);
  state.settled.delete(oldest.key);
  state.bytes -= oldest.bytes;
  if (oldest.label === 0 && isCorrectable(state, oldest)) state.counts.forgotten += 1;
  // A heap of windows may know it yet.
  oldest.impression = undefined;
  return true;
}

/** Lets go of names of finished impressions that no next joiner must know, the oldest first. */
export function forgetNames(state: JoinerState): void {
  for (const name of state.past.keys()) {
    if (!isOverfull(state, true)) return;
    state.past.delete(name);
    state.bytes -= nameBytes(name);
  }
}
