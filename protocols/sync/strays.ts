/*
 * Strays: rows that we know and the primary does not, as it pulls from nobody and lost them with an earlier start. Most are soon
 * written over, for what that start had learned is learned again; until then no time is settled that they lie before. One
 * that is still held at the next survey is reported like a row left early (orphans.ts), and the primary writes its own anew.
 */
import { buildOrphans, type Orphan } from "../wire/orphans.ts";
import { collectLacking } from "./answers.ts";
import { isWithinReach, type Known } from "./horizon.ts";
import { describeRows } from "./orphans.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { compareVersions } from "./version.ts";

export const NO_STRAYS = { count: 0, oldest: Infinity } as const;

/** How many rows here the primary does not know, and the t of the oldest. */
export function countStrays(replica: Replica, primary: Known): { readonly count: number; readonly oldest: number } {
  const { store } = replica;
  const list = collectLacking(replica, primary);
  let oldest = Infinity;
  for (const slot of list.slots) oldest = Math.min(oldest, store.versionAt(slot).t);
  store.release(list);
  return { count: list.slots.length, oldest };
}

/** Tells the primary of what it does not know now and did not know when it asked before. */
export function reportStrays(
  replica: Replica,
  { from, primary }: { readonly from: string; readonly primary: Known },
): ReplicaEffect[] {
  const { store, limits, declaration, horizon, follows } = replica;
  const before = replica.strays;
  // It lost its disk. What it lacks of what is settled it must not take for what nobody learned, and write deletions of.
  if (!isWithinReach(horizon, primary, follows)) return [];
  const list = collectLacking(replica, primary);
  const rows = describeRows(store, list.slots.subarray(0, limits.orphansMax));
  store.release(list);
  replica.strays = new Map(rows.map((row): [string, Orphan] => [`${row.table} ${row.key}`, row]));
  const left = [...replica.strays].flatMap(([name, row]) => {
    const old = before.get(name);
    return old !== undefined && compareVersions(old, row) === 0 ? [row] : [];
  });
  if (left.length === 0 || replica.primary?.kind !== "peer" || replica.primary.peer !== from) return [];
  return [{ kind: "send", to: from, message: "orphans", body: buildOrphans(declaration, left) }];
}
