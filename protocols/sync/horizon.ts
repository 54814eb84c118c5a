/*
 * The horizon of a shard: below it nothing is early, late or on its way any more. The primary moves it (settling.ts), it travels with
 * the end of each answer, never goes back, and every replica drops and refuses what lies below the one that it holds. No clock
 * of a follower decides anything.
 *
 *   expired    per table: rows stamped before this are gone.
 *   settled    S: all that was ever stamped up to S is known to every member, or refused for ever. So a knowledge with S covers
 *              (t, writer) when t <= S, whoever the writer is, and holds entries for later times only: writers that are no more
 *              leave the vectors by themselves, and S is all the number that a list of retired writers would need.
 *   epoch      E: all that writers of earlier epochs ever stamped, whatever its t, is settled as well. S is of the writers of E.
 *   graveyard  G: what of each writer is settled. What was stamped up to S, or in an earlier epoch, and is not in G came too late: it is
 *              refused. Deletions up to S need no tombstone: what they delete is older, so it is known (not held, never taken again) or
 *              late.
 *
 * Horizons come in order of their epochs, then of S. Who holds the horizon before this one, covers G by its entries, and holds nothing late, may
 * take it on as it is. Everybody else may have missed deletions that nobody can tell it any more, and takes a full copy that replaces what it
 * holds. `before` is the settled time before this one: G says nothing below it, so that its size is that of a round and not that of history.
 */
import { T_MAX } from "../limits.ts";
import { type Knowledge, type ReadonlyKnowledge } from "./knowledge.ts";
import { epochOf, type Version, type WriterId } from "./version.ts";

/** Up to where all is settled. */
export interface Settled {
  /** E; 0 before the first forced promotion. */
  readonly epoch: number;
  /** S, microseconds; 0 before the first. */
  readonly settled: number;
}

export interface Horizon extends Settled {
  /** The settled time that this one follows. */
  readonly before: number;
  /** Writer -> the greatest t of it that is settled; every t in (before, settled]. */
  readonly graveyard: ReadonlyKnowledge;
  /** Index of a table -> t below which its rows are gone. */
  readonly expired: ReadonlyMap<number, number>;
}

/** What a replica says of itself: all that is settled, and of each writer up to its entry. */
export interface Known extends Settled {
  readonly knowledge: ReadonlyKnowledge;
}

export const NO_HORIZON: Horizon = { epoch: 0, settled: 0, before: 0, graveyard: new Map(), expired: new Map() };

/** Up to which t all of a writer is settled. */
export function settledOf({ epoch, settled }: Settled, writer: WriterId): number {
  const own = epochOf(writer);
  if (own === epoch) return settled;
  return own < epoch ? T_MAX : 0;
}

/** Whether more is settled by `a`. */
export function isLater(a: Settled, b: Settled): boolean {
  return a.epoch === b.epoch ? a.settled > b.settled : a.epoch > b.epoch;
}

/** The later of two horizons of one shard, and of each expiry the later. What an earlier epoch let expire counts only as far as the later one has it. */
export function joinHorizons(a: Horizon, b: Horizon): Horizon {
  const later = isLater(b, a) ? b : a;
  if (a.epoch !== b.epoch) return later;
  const expired = new Map(a.expired);
  for (const [table, t] of b.expired) if (t > (expired.get(table) ?? 0)) expired.set(table, t);
  return { ...later, expired };
}

/** Whether two horizons of one shard are the same. */
export function sameHorizon(a: Horizon, b: Horizon): boolean {
  if (!sameSettled(a, b) || a.expired.size !== b.expired.size) return false;
  for (const [table, t] of a.expired) if (b.expired.get(table) !== t) return false;
  return true;
}

/** Whether the same is settled. */
export function sameSettled(a: Settled, b: Settled): boolean {
  return a.epoch === b.epoch && a.settled === b.settled;
}

/**
 * Whether what a replica lacks is all there is to tell it: no deletion that it misses has been dropped. `follows` is the epoch of the horizon before this one: a
 * time alone does not name that, as epochs that began apart from the same rows begin at the same time.
 */
export function isWithinReach(horizon: Horizon, known: Known, follows = horizon.epoch): boolean {
  if (!isLater(horizon, known)) return true;
  if (known.epoch !== follows || known.settled !== horizon.before) return false;
  for (const [writer, t] of horizon.graveyard) if ((known.knowledge.get(writer) ?? 0) < t) return false;
  return true;
}

/** Whether a version came too late for a horizon, as seen by who held an earlier one. */
export function isLate(horizon: Horizon, since: Settled, { t, writer }: Version): boolean {
  return t <= settledOf(horizon, writer) && t > settledOf(since, writer) && t > (horizon.graveyard.get(writer) ?? 0);
}

/** Takes the entries out that say no more than what is settled. */
export function foldKnowledge(knowledge: Knowledge, settled: Settled): void {
  for (const [writer, t] of knowledge) if (t <= settledOf(settled, writer)) knowledge.delete(writer);
}

/** The latest time that a horizon speaks of. */
export function latestOf({ settled, expired }: Horizon): number {
  return Math.max(settled, ...expired.values());
}
