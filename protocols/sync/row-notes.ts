/*
 * What a replica knows, and what it notes of the rows that it holds: which are early, cached, urgent, or listed in an answer.
 */
import { type Known, settledOf } from "./horizon.ts";
import { closeAnswer } from "./over-pulls.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { type Among, type RowGlance, type RowStore, type Slot, type StoredVersions } from "./row-store.ts";
import { type ShardVersion } from "./shard-version.ts";
import { boundCache, fileRows, forgetRows } from "./update-cache.ts";
import { epochOf, type Version } from "./version.ts";

/** Makes a new version of the shard: whoever had the old one must look again. */
export function newVersion(replica: Replica): ShardVersion {
  replica.counter += 1;
  replica.version = { counter: replica.counter, generator: replica.writer };
  return replica.version;
}

/** What a replica knows, as it tells others. */
export function knownOf({ horizon, knowledge }: Replica): Known {
  return { epoch: horizon.epoch, settled: horizon.settled, knowledge };
}

/** Whether a version is known: held or superseded, deleted or come too late. */
export function covers({ horizon, knowledge }: Replica, { t, writer }: Version): boolean {
  return t <= Math.max(settledOf(horizon, writer), knowledge.get(writer) ?? 0);
}

/** Whether a later epoch than that of this replica's writer has begun: what it would write now would be refused everywhere. */
export function isSuperseded({ writer, horizon }: Replica): boolean {
  return epochOf(writer) < horizon.epoch;
}

/** What is known, as a column by the store's writer indexes. */
export function knownTimes(store: RowStore, known: Known): Float64Array {
  const { writers } = store;
  // A loop: `from` with a function takes many times as long, and every pull and frame comes through here.
  const times = new Float64Array(writers.length);
  for (let index = 0; index < writers.length; index += 1) {
    const writer = writers[index];
    if (writer !== undefined) times[index] = Math.max(settledOf(known, writer), known.knowledge.get(writer) ?? 0);
  }
  return times;
}

/** Files all rows just stored, at these versions: as early or not, and in the update cache. */
export function noteRows(replica: Replica, ...batches: readonly StoredVersions[]): void {
  const { store, early, cache } = replica;
  const known = knownTimes(store, knownOf(replica));
  for (const rows of batches) fileRows(cache, rows, { known, early });
  boundCache(cache, replica, known);
}

/** After knowledge grew: rows that it covers now are early no more. */
export function settleEarly(replica: Replica): void {
  const { early, store } = replica;
  if (early.size === 0) return;
  const rows = store.versionsAt(early.column());
  noteRows(replica, { ...rows, before: rows });
}

/** Takes rows out for good, wherever they are noted. */
export function dropRows(
  replica: Replica,
  isDoomed: (row: RowGlance) => boolean,
  among?: Among,
): Extract<ReplicaEffect, { kind: "dropped" }>[] {
  const { store, early, cache, urgent, answers } = replica;
  const dropped = store.dropWhere(isDoomed, among);
  const gone = new Set<Slot>();
  for (const rows of dropped) {
    forgetRows(cache, rows, early);
    for (const slot of rows.slots) {
      gone.add(slot);
      urgent.places.delete(slot);
    }
  }
  // An answer that still lists one of them is closed, as its end says nothing of what took the row away: its asker starts over. Where it was the age of a
  // table's rows, an end that was not sent yet says so.
  const isAge = among?.table !== undefined;
  for (const answer of gone.size > 0 ? answers.values() : []) {
    if ((isAge && !answer.isEnded) || !answer.list.slots.some((slot) => gone.has(slot))) continue;
    closeAnswer(replica, answer);
  }
  return dropped.map(({ table, keys }) => ({ kind: "dropped", table, keys }));
}
