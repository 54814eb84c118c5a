import { type Frame } from "../wire/frame.ts";
import { rowBytesMax } from "./answers.ts";
import { refusedTimes } from "./lay-horizon.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { knownOf, knownTimes, noteRows } from "./row-notes.ts";
import { type StoredVersions } from "./row-store.ts";
import { observe } from "./stamper.ts";
import { noteUrgent } from "./urgent-rows.ts";

/**
 * Stores the rows of a good frame that are newer than ours: as early rows, wherever knowledge does not cover them. Where `fresh` is given, they go
 * into it and are to be noted in this same step, with what will be known by then.
 */
export function applyRows(
  replica: Replica,
  {
    frame,
    origin,
    fresh,
  }: { readonly frame: Frame; readonly origin: "peer" | "urgent"; readonly fresh?: StoredVersions[] },
): ReplicaEffect[] {
  const { store, stamper } = replica;
  const indexes = Uint16Array.from(frame.writers, (writer) => store.writerIndex(writer));
  // Rows of a copy are what is left of those known before.
  const known = frame.replaces ? new Float64Array(store.writers.length) : knownTimes(store, knownOf(replica));
  const effects: ReplicaEffect[] = [];
  for (const section of frame.sections) {
    const { keys, t } = section;
    observe(stamper, greatest(t));
    const merged = store.merge(
      { ...section, writers: reindexed(section.writers, indexes) },
      refusedTimes(known, replica, section.table),
    );
    const { applied, slots } = merged;
    if (applied.length === 0) continue;
    if (fresh === undefined) noteRows(replica, merged);
    else fresh.push(merged);
    if (origin === "urgent") noteUrgent(replica.urgent, { slots, bytes: rowBytesMax(store.tables[section.table]) });
    effects.push({
      kind: "applied",
      table: section.table,
      // Mostly all of them.
      keys: applied.length === keys.length ? keys : BigUint64Array.from(applied, (index) => keys[index] ?? 0n),
      t: merged.t,
      origin,
    });
  }
  return effects;
}

/** How many rows these effects made visible. */
export function countRows(effects: readonly ReplicaEffect[]): number {
  return effects.reduce((sum, effect) => sum + (effect.kind === "applied" ? effect.keys.length : 0), 0);
}

function reindexed(writers: Uint16Array, indexes: Uint16Array): Uint16Array {
  const ours = new Uint16Array(writers.length);
  for (let row = 0; row < writers.length; row += 1) ours[row] = indexes[writers[row] ?? 0] ?? 0;
  return ours;
}

function greatest(times: Float64Array): number {
  let t = 0;
  for (let row = 0; row < times.length; row += 1) t = Math.max(t, times[row] ?? 0);
  return t;
}
