/*
 * The horizon of a shard: below it nothing is early, late or on its way any more. The primary moves it (settling.ts), it travels with
 * the end of each answer, never goes back, and every replica drops and refuses what lies below the one that it holds. No clock
 * of a follower decides anything.
 *
 *   expired    per table: rows stamped before this are gone.
 *   settled    S: all that was ever stamped up to S is known to every member, or refused for ever. So a knowledge with S covers
 *              (t, writer) when t <= S, whoever the writer is, and holds entries for later times only: writers that are no more
 *              leave the vectors by themselves, and S is all the number that a list of retired writers would need.
 *   graveyard  G: what of each writer is settled. What was stamped up to S and is not in G came too late: it is refused.
 *              Deletions up to S need no tombstone: what they delete is older, so it is known (not held, never taken again) or
 *              late.
 *
 * Who holds the horizon before this one, covers G by its entries, and holds nothing late, may take it on as it is. Everybody else may
 * have missed deletions that nobody can tell it any more, and takes a full copy that replaces what it holds. `before` is the
 * settled time before this one: G says nothing below it, so that its size is that of a round and not that of history.
 */
import { type Knowledge, type ReadonlyKnowledge } from "./knowledge.ts";
import { type WriterId } from "./version.ts";

export interface Horizon {
  /** S, microseconds; 0 before the first. */
  readonly settled: number;
  /** The settled time that this one follows. */
  readonly before: number;
  /** Writer -> the greatest t of it that is settled; every t in (before, settled]. */
  readonly graveyard: ReadonlyKnowledge;
  /** Index of a table -> t below which its rows are gone. */
  readonly expired: ReadonlyMap<number, number>;
}

/** What a replica says of itself: all up to `settled`, and of each writer up to its entry. */
export interface Known {
  readonly settled: number;
  readonly knowledge: ReadonlyKnowledge;
}

export const NO_HORIZON: Horizon = { settled: 0, before: 0, graveyard: new Map(), expired: new Map() };

/** The later of two horizons of one shard, and of each expiry the later. */
export function joinHorizons(a: Horizon, b: Horizon): Horizon {
  const expired = new Map(a.expired);
  for (const [table, t] of b.expired) if (t > (expired.get(table) ?? 0)) expired.set(table, t);
  return { ...(b.settled > a.settled ? b : a), expired };
}

/** Whether two horizons of one shard are the same. */
export function sameHorizon(a: Horizon, b: Horizon): boolean {
  if (a.settled !== b.settled || a.expired.size !== b.expired.size) return false;
  for (const [table, t] of a.expired) if (b.expired.get(table) !== t) return false;
  return true;
}

/** Whether what a replica lacks is all there is to tell it: no deletion that it misses has been dropped. */
export function isWithinReach({ settled, before, graveyard }: Horizon, known: Known): boolean {
  if (known.settled >= settled) return true;
  if (known.settled !== before) return false;
  for (const [writer, t] of graveyard) if ((known.knowledge.get(writer) ?? 0) < t) return false;
  return true;
}

/** Whether a version was stamped too late to be settled, as seen by who held an earlier horizon settled up to `since`. */
export function isLate(
  { settled, graveyard }: Horizon,
  { t, writer, since }: { readonly t: number; readonly writer: WriterId | undefined; readonly since: number },
): boolean {
  return t <= settled && t > since && (writer === undefined || t > (graveyard.get(writer) ?? 0));
}

/** Takes the entries out that say no more than the settled time does. */
export function foldKnowledge(knowledge: Knowledge, settled: number): void {
  for (const [writer, t] of knowledge) if (t <= settled) knowledge.delete(writer);
}

/** The latest time that a horizon speaks of. */
export function latestOf({ settled, expired }: Horizon): number {
  return Math.max(settled, ...expired.values());
}
