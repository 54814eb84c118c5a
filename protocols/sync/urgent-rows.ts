/*
 * The urgent rows of one replica: a bounded list, in the order in which they became urgent here, numbered from 1 by this start. Who
 * pulls from us holds a cursor into it: everything up to that number was applied there, or left the list before it was sent.
 *
 * Why this is sound: the list says only what travels first. Urgent rows are applied as early rows and move no knowledge, so a
 * row that was pushed out of the list, a lost frame or a lost cursor cost time and never a row: the next ordinary pull owes it.
 */
import { type Slot } from "./row-store.ts";
import { type WriterId } from "./version.ts";

/** A place in the urgent list of one start of a replica. Means nothing to another start. */
export interface UrgentCursor {
  readonly writer: WriterId;
  readonly number: number;
}

/** Plain data; slots are in order of their numbers. */
export interface UrgentList {
  readonly rowsMax: number;
  latest: number;
  readonly places: Map<Slot, { readonly number: number; readonly bytes: number }>;
}

export function createUrgentList(rowsMax: number): UrgentList {
  return { rowsMax, latest: 0, places: new Map() };
}

/** Rows that are urgent. `bytes` is the most that one of them takes in a frame. */
export interface UrgentRows {
  readonly slots: Iterable<Slot>;
  readonly bytes: number;
}

/** Rows became urgent here, again or for the first time. The oldest give way. */
export function noteUrgent(list: UrgentList, ...batches: readonly UrgentRows[]): void {
  const { places } = list;
  for (const { slots, bytes } of batches) {
    for (const slot of slots) {
      list.latest += 1;
      places.delete(slot);
      places.set(slot, { number: list.latest, bytes });
    }
  }
  // Once for all of them: to find the first of a Map takes as long as many went from its front.
  for (const oldest of places.keys()) {
    if (places.size <= list.rowsMax) return;
    places.delete(oldest);
  }
}

/** The rows after a number, as many as fit, and the number up to which these are all. */
export function urgentAfter(
  list: UrgentList,
  { number, bytesMax }: { readonly number: number; readonly bytesMax: number },
): { readonly slots: Float64Array; readonly upTo: number } {
  const slots: Slot[] = [];
  let upTo = number;
  let size = 0;
  for (const [slot, place] of list.places) {
    if (place.number <= number) continue;
    size += place.bytes;
    if (slots.length > 0 && size > bytesMax) return { slots: Float64Array.from(slots), upTo };
    slots.push(slot);
    upTo = place.number;
  }
  return { slots: Float64Array.from(slots), upTo: list.latest };
}

/** The later of two places where both are of one start; else the new one. So a late frame never makes a row come again. */
export function laterCursor(held: UrgentCursor | undefined, given: UrgentCursor): UrgentCursor {
  return held?.writer === given.writer && held.number >= given.number ? held : given;
}
