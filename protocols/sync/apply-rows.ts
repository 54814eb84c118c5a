import { type Frame } from "../wire/frame.ts";
import { rowBytesMax } from "./answers.ts";
import { knownTimes, noteSlots, type Replica, type ReplicaEffect } from "./replica-state.ts";
import { observe } from "./stamper.ts";
import { noteUrgent } from "./urgent-rows.ts";

/** Stores the rows of a good frame that are newer than ours: as early rows, wherever knowledge does not cover them. */
export function applyRows(
  replica: Replica,
  { frame, origin }: { readonly frame: Frame; readonly origin: "peer" | "urgent" },
): ReplicaEffect[] {
  const { store, stamper } = replica;
  const indexes = Uint16Array.from(frame.writers, (writer) => store.writerIndex(writer));
  const known = knownTimes(store, replica.knowledge);
  const effects: ReplicaEffect[] = [];
  for (const section of frame.sections) {
    const batch = { ...section, writers: section.writers.map((index) => indexes[index] ?? 0) };
    for (const t of section.t) observe(stamper, t);
    const { applied, slots } = store.merge(batch, known);
    if (applied.length === 0) continue;
    noteSlots(replica, slots);
    if (origin === "urgent") noteUrgent(replica.urgent, slots, rowBytesMax(store.tables[section.table]));
    effects.push({
      kind: "applied",
      table: section.table,
      keys: BigUint64Array.from(applied, (index) => section.keys[index] ?? 0n),
      t: Float64Array.from(applied, (index) => section.t[index] ?? 0),
      origin,
    });
  }
  return effects;
}

/** How many rows these effects made visible. */
export function countRows(effects: readonly ReplicaEffect[]): number {
  return effects.reduce((sum, effect) => sum + (effect.kind === "applied" ? effect.keys.length : 0), 0);
}
