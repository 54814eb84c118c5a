/*
 * Rows left early. A row that is early for long may be an orphan: its writer died before anybody's knowledge covered it, so nobody
 * ever will, and it would be seen here and not there, or travel in every answer. Its holder reports it to the shard's primary,
 * by version only; the primary writes its own row anew under its own id, later than the orphan, which every replica then
 * takes and covers.
 *
 * The primary writes what it holds, never what was reported, because of effect once. Where it pulls from nobody, an orphan is a row
 * that a dead start of it stamped after its last image: the samples behind it come again, and taken from the report as well
 * they would take effect twice. A row that it does not hold at all was never trained as far as it knows: it writes a deletion, so that
 * all read the row's first values again, as it does itself. Where a primary pulls, it has the orphan as an early row, and
 * writes that anew, state and all.
 *
 * What it knows already it leaves alone: the holder gets that, or what superseded it, by an ordinary pull. Time is counted in
 * sweeps, so that a clock that jumps makes no orphans.
 */
import { buildOrphans, type Orphan, parseOrphans } from "../wire/orphans.ts";
import { join } from "./knowledge.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { covers, isSuperseded, newVersion, noteRows } from "./row-notes.ts";
import { type RowStore } from "./row-store.ts";
import { canStamp, isPlausible, nextTime, noteStamped, observe } from "./stamper.ts";
import { compareVersions } from "./version.ts";

/** Name of the timer that looks for rows that stay early. */
export const ORPHAN_TIMER = "orphans";

/** Starts the sweeps when there are early rows to watch, or writes to count. They end by themselves. */
export function watchEarly(replica: Replica): ReplicaEffect[] {
  const { orphans, early, limits } = replica;
  if (orphans.isWatching || replica.primary === undefined || (early.size === 0 && orphans.settled === 0)) return [];
  orphans.isWatching = true;
  return [{ kind: "timer", name: ORPHAN_TIMER, delayMs: limits.orphanMs }];
}

/** Reports what has been early since the last sweep and the one before; the primary itself settles it. */
export function sweepEarly(replica: Replica, nowMs: number): ReplicaEffect[] {
  const { orphans, primary } = replica;
  orphans.isWatching = false;
  orphans.settled = 0;
  const before = orphans.noted;
  orphans.noted = new Map(oldestEarly(replica).map((row) => [`${row.table} ${row.key}`, row]));
  const left = [...orphans.noted].flatMap(([name, row]) => {
    const old = before.get(name);
    return old !== undefined && compareVersions(old, row) === 0 ? [row] : [];
  });
  if (left.length === 0 || primary === undefined) return [];
  if (primary.kind === "self") return writeAnew(replica, left, { nowMs, isBounded: true });
  return [{ kind: "send", to: primary.peer, message: "orphans", body: buildOrphans(replica.declaration, left) }];
}

/** Takes a holder's report. Refused whole where it is malformed, implausible, or this is not the primary. */
export function takeOrphans(
  replica: Replica,
  { from, body, nowMs }: { from: string; body: unknown; nowMs: number },
): ReplicaEffect[] {
  const { declaration, orphans } = parseOrphans(body);
  if (replica.primary?.kind !== "self") {
    return [{ kind: "refused", reason: "stale", from, detail: "a report to a replica that is not the primary" }];
  }
  if (declaration !== replica.declaration) {
    return [{ kind: "refused", reason: "declaration", from, detail: "the peer's tables differ from ours" }];
  }
  const { stamper, limits, store } = replica;
  for (const { table, t, writer } of orphans) {
    if (table >= store.tables.length) {
      return [{ kind: "refused", reason: "declaration", from, detail: `a row of table ${table}, which there is not` }];
    }
    if (writer === replica.writer && t > stamper.last) {
      return [{ kind: "refused", reason: "minted", from, detail: `t ${t} in our name, the last is ${stamper.last}` }];
    }
    if (!isPlausible(t, { nowMs, jumpMs: limits.jumpMs })) {
      return [{ kind: "refused", reason: "time", from, detail: `an orphan of t ${t}` }];
    }
  }
  return writeAnew(replica, orphans, { nowMs, isBounded: true });
}

/** As many as one report holds; what is beyond has its turn when these are settled. */
function oldestEarly({ store, early, limits }: Replica): Orphan[] {
  const slots: number[] = [];
  for (const slot of early) {
    if (slots.length >= limits.orphansMax) break;
    slots.push(slot);
  }
  return describeRows(store, Float64Array.from(slots));
}

/** The rows in these slots, by table and key. */
export function describeRows(store: RowStore, slots: Float64Array): Orphan[] {
  const list = store.collect(new Float64Array(), slots);
  const batches = store.pack(list, { from: 0, to: list.slots.length });
  store.release(list);
  return batches.flatMap(({ table, keys, t, writers }) =>
    [...keys].flatMap((key, row) => {
      const writer = store.writers[writers[row] ?? -1];
      return writer === undefined ? [] : [{ table, key, t: t[row] ?? 0, writer }];
    }),
  );
}

/** Writes, as the primary, its own row anew where it does not know a version; where it has none, a deletion. `isBounded`: at most so many a sweep. */
export function writeAnew(
  replica: Replica,
  orphans: readonly Orphan[],
  { nowMs, isBounded }: { readonly nowMs: number; readonly isBounded: boolean },
): ReplicaEffect[] {
  const { store, stamper, limits } = replica;
  if (isSuperseded(replica)) return [];
  const effects: ReplicaEffect[] = [];
  let rows = 0;
  for (const { table, key, t, writer } of orphans) {
    if (covers(replica, { t, writer })) continue;
    const held = store.versionOf(table, key);
    const isWrittenOver = held !== undefined && covers(replica, held) && compareVersions(held, { t, writer }) > 0;
    if (isWrittenOver) continue;
    // Whoever reports what never was makes us write so much and no more.
    if (isBounded && replica.orphans.settled >= limits.orphansMax) break;
    if (!canStamp(stamper, { nowMs, count: 1 })) break;
    if (isBounded) replica.orphans.settled += 1;
    observe(stamper, t);
    const firstT = nextTime(stamper, nowMs);
    const outcome = store.update({
      table,
      keys: BigUint64Array.of(key),
      writer: replica.self,
      firstT,
      mutate: ({ isNew }) => (isNew ? "delete" : undefined),
    });
    noteStamped(stamper, { first: firstT, count: outcome.stamped });
    if (outcome.keys.length === 0) continue;
    rows += 1;
    join(replica.knowledge, new Map([[replica.writer, stamper.last]]));
    noteRows(replica, outcome);
    effects.push({ kind: "applied", table, keys: outcome.keys, t: outcome.t, origin: "orphan" });
  }
  if (rows > 0) effects.push({ kind: "changed", version: newVersion(replica) });
  return effects;
}
