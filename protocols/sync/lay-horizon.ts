/*
 * Taking a horizon on. What this file and own-pull.ts keep true of every replica, S being the settled time that it holds:
 *   1. Of all that was stamped up to S it holds exactly the rows that are settled, newest of their key and not deleted; so do all
 *      others that hold S.
 *   2. It holds no entry of knowledge up to S, no tombstone up to S and no row that has expired.
 *   3. It takes no row up to S and no expired one, from whomever it comes, however late.
 */
import { foldKnowledge, type Horizon, isLate, isLater, joinHorizons, latestOf, sameHorizon } from "./horizon.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { closeAnswers } from "./over-pulls.ts";
import { dropRows, isSuperseded, knownTimes, newVersion } from "./row-notes.ts";
import { TOMBSTONE } from "./row-store.ts";
import { observe } from "./stamper.ts";
import { epochOf } from "./version.ts";

/**
 * Whether a row is held that came too late for this horizon, or one may be lacking that expired here in an earlier epoch and not in its own. It may
 * hide a settled one, so only a full copy makes things right.
 */
export function holdsLate({ store, horizon }: Replica, next: Horizon): boolean {
  if (!isLater(next, horizon)) return false;
  const isNewEpoch = next.epoch !== horizon.epoch;
  let found = false;
  for (const [table, t] of isNewEpoch ? horizon.expired : []) found ||= t > (next.expired.get(table) ?? 0);
  store.dropWhere(
    ({ t, writer }) => {
      const id = store.writers[writer];
      found ||= id === undefined || isLate(next, horizon, { t, writer: id });
      return false;
    },
    isNewEpoch ? {} : { after: horizon.settled, upTo: next.settled },
  );
  return found;
}

/** Moves on to a horizon that is within reach, with nothing late held; an earlier one changes nothing. */
export function layHorizon(replica: Replica, next: Horizon): ReplicaEffect[] {
  const before = replica.horizon;
  const joined = joinHorizons(before, next);
  if (sameHorizon(joined, before)) return [];
  const { epoch, settled, expired } = joined;
  replica.horizon = joined;
  if (epoch !== before.epoch) replica.follows = before.epoch;
  else if (settled !== before.settled) replica.follows = epoch;
  foldKnowledge(replica.knowledge, joined);
  // What we stamp from now on lies beyond it.
  observe(replica.stamper, latestOf(joined));
  const below = knownTimes(replica.store, { epoch, settled, knowledge: new Map() });
  if (epoch !== before.epoch) {
    // Their ends speak for an epoch in which rows that go from now on are still there.
    closeAnswers(replica);
    return dropRows(
      replica,
      ({ table, t, writer, flags }) =>
        (flags === TOMBSTONE && t <= (below[writer] ?? 0)) ||
        (t < (expired.get(table) ?? 0) && isJudged(replica, writer)),
    );
  }
  const effects = dropRows(replica, ({ t, writer }) => t <= (below[writer] ?? 0), { upTo: settled, deleted: true });
  const aged = [...expired].filter(([table, t]) => t > (before.expired.get(table) ?? 0));
  if (aged.length > 0) tellAges(replica);
  for (const [table, t] of aged) {
    effects.push(...dropRows(replica, ({ writer }) => isJudged(replica, writer), { table, upTo: t - 1 }));
  }
  return effects;
}

/**
 * Answers on their way tell of the ages as they are now: what they listed and is gone for its age is then missed by nobody. Were they closed instead, a long
 * one over a slow link would never end while rows go. Whoever takes such an end has not what its shard version stands for, so it must not adopt that, as if there
 * were early rows.
 */
function tellAges({ answers, horizon: { expired } }: Replica): void {
  for (const answer of answers.values()) {
    const { end, isEnded } = answer;
    if (!isEnded) answer.end = { ...end, horizon: { ...end.horizon, expired }, early: true };
  }
}

/** By index of the writer: the t up to which rows of a table are refused, for what we know or for their age; in a copy, for their age alone. */
export function refusedTimes(known: Float64Array, replica: Replica, table: number): Float64Array {
  const gone = (replica.horizon.expired.get(table) ?? 0) - 1;
  return gone < 0 ? known : known.map((t, writer) => (isJudged(replica, writer) ? Math.max(t, gone) : t));
}

/** Whether the horizon says anything of a writer's rows. In a later epoch newer rows may have earlier times than those they supersede. */
function isJudged({ store, horizon }: Replica, writer: number): boolean {
  const id = store.writers[writer];
  return id !== undefined && epochOf(id) <= horizon.epoch;
}

/** At the primary: rows of a table stamped before this t are gone, here at once and elsewhere with the horizon. Without any, nothing changes. */
export function expire(
  replica: Replica,
  { table, before }: { readonly table: number; readonly before: number },
): ReplicaEffect[] {
  let isDue = false;
  replica.store.dropWhere(
    () => {
      isDue = true;
      return false;
    },
    { table, upTo: before - 1 },
  );
  return isDue ? moveAge(replica, { table, before }) : [];
}

function moveAge(
  replica: Replica,
  { table, before }: { readonly table: number; readonly before: number },
): ReplicaEffect[] {
  if (isSuperseded(replica)) return [];
  const { horizon } = replica;
  const effects = layHorizon(replica, { ...horizon, expired: new Map(horizon.expired).set(table, before) });
  return [...effects, { kind: "changed", version: newVersion(replica) }];
}

/**
 * At the primary: where a table has more rows than this, those written longest ago are gone, as if they had expired: enough for `evictSlack` to be free, and at
 * once no more than about `evictRowsMax`, or `evictShare` of the table. So no replica needs a tombstone, and what is gone for its age is refused by all, from
 * whomever it comes.
 */
export function evict(
  replica: Replica,
  { table, rowsMax }: { readonly table: number; readonly rowsMax: number },
): ReplicaEffect[] {
  const { store, limits } = replica;
  const rows = store.rows(table);
  if (rows <= rowsMax) return [];
  const kept = Math.floor(rowsMax * (1 - limits.evictSlack));
  const atOnce = Math.max(limits.evictRowsMax, Math.floor(rows * limits.evictShare));
  return moveAge(replica, { table, before: store.oldest(table, Math.min(atOnce, rows - kept)) + 1 });
}
