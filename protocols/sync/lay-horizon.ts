/*
 * Taking a horizon on. What this file and own-pull.ts keep true of every replica, S being the settled time that it holds:
 *   1. Of all that was stamped up to S it holds exactly the rows that are settled, newest of their key and not deleted; so do all
 *      others that hold S.
 *   2. It holds no entry of knowledge up to S, no tombstone up to S and no row that has expired.
 *   3. It takes no row up to S and no expired one, from whomever it comes, however late.
 */
import { foldKnowledge, type Horizon, isLate, joinHorizons, latestOf, sameHorizon } from "./horizon.ts";
import { dropRows, newVersion, type Replica, type ReplicaEffect } from "./replica-state.ts";
import { TOMBSTONE } from "./row-store.ts";
import { observe } from "./stamper.ts";

/** Whether a row is held that came too late for this horizon. It may hide a settled one, so only a full copy makes things right. */
export function holdsLate({ store, horizon }: Replica, next: Horizon): boolean {
  const since = horizon.settled;
  if (next.settled <= since) return false;
  let found = false;
  store.dropWhere(({ t, writer }) => {
    found ||= isLate(next, { t, writer: store.writers[writer], since });
    return false;
  });
  return found;
}

/** Moves on to a horizon that is within reach, with nothing late held; an earlier one changes nothing. */
export function layHorizon(replica: Replica, next: Horizon): ReplicaEffect[] {
  const joined = joinHorizons(replica.horizon, next);
  if (sameHorizon(joined, replica.horizon)) return [];
  const { settled, expired } = joined;
  replica.horizon = joined;
  foldKnowledge(replica.knowledge, settled);
  // What we stamp from now on lies beyond it.
  observe(replica.stamper, latestOf(joined));
  return dropRows(
    replica,
    ({ table, t, flags }) => (flags === TOMBSTONE && t <= settled) || t < (expired.get(table) ?? 0),
  );
}

/** By index of the writer: the t up to which rows of a table are refused, for what we know or for their age; in a copy, for their age alone. */
export function refusedTimes(known: Float64Array, { horizon }: Replica, table: number): Float64Array {
  const gone = (horizon.expired.get(table) ?? 0) - 1;
  return gone < 0 ? known : known.map((t) => Math.max(t, gone));
}

/** At the primary: rows of a table stamped before this t are gone, here at once and elsewhere with the horizon. Without any, nothing changes. */
export function expire(
  replica: Replica,
  { table, before }: { readonly table: number; readonly before: number },
): ReplicaEffect[] {
  const { horizon, store } = replica;
  let isDue = false;
  store.dropWhere((row) => {
    isDue ||= row.table === table && row.t < before;
    return false;
  });
  if (!isDue) return [];
  const effects = layHorizon(replica, { ...horizon, expired: new Map(horizon.expired).set(table, before) });
  return [...effects, { kind: "changed", version: newVersion(replica) }];
}
