import { type ModelLayout } from "../protocols/model-layout.ts";
import { type ReplicaEffect, type ReplicaEvent } from "../protocols/sync/replica.ts";
import { rowMemory } from "../protocols/sync/row-store.ts";
import { type Labels, type Metrics } from "../runtime/actor.ts";

/** How often rows are let go for their age, at most; and of a table's age, what part of it. */
const EXPIRE_MS_MIN = 1_000;
const EXPIRE_MS_MAX = 3_600_000;
const TURNS_AN_AGE = 20;
/** How often a table's rows are counted against its budget. */
const BUDGET_MS = 1_000;

/** What a primary does now and then so that rows go. */
export interface Turn {
  /** The name of its timer. */
  readonly timer: string;
  readonly everyMs: number;
  events(nowMs: number): readonly (ReplicaEvent & { readonly kind: "expire" | "evict" })[];
}

/** Has a shard's replica let rows go, for their age or for want of room. */
export function letGo(
  events: ReturnType<Turn["events"]>,
  {
    step,
    metrics,
    labels,
  }: {
    readonly step: (event: ReplicaEvent) => readonly ReplicaEffect[];
    readonly metrics: Metrics;
    readonly labels: Labels;
  },
): void {
  for (const event of events) {
    const rows = step(event).reduce((sum, effect) => sum + (effect.kind === "dropped" ? effect.keys.length : 0), 0);
    if (event.kind === "evict") metrics.count("freshet_rows_evicted_total", rows, labels);
  }
}

/** The turns of a model's shard: of tables that have an age, and of those that have a budget. A row is gone at the latest a twentieth of its table's age, or an hour, late. */
export function turnsOf(layout: ModelLayout): readonly Turn[] {
  // The catalogue stands before the model's own tables.
  const tables = layout.model.tables.map((declared, index) => ({ ...declared, table: index + 1 }));
  const aging = tables.flatMap(({ table, ttlMs }) => (ttlMs === undefined ? [] : [{ table, ttlMs }]));
  const bounded = tables.flatMap(({ table }) => {
    const rowsMax = rowsWithin(layout, table);
    return rowsMax === undefined ? [] : [{ table, rowsMax }];
  });
  const turns: Turn[] = [];
  if (aging.length > 0) {
    const shortestMs = Math.min(...aging.map(({ ttlMs }) => ttlMs));
    turns.push({
      timer: "expire",
      everyMs: Math.min(EXPIRE_MS_MAX, Math.max(EXPIRE_MS_MIN, Math.floor(shortestMs / TURNS_AN_AGE))),
      events: (nowMs) =>
        aging.map(({ table, ttlMs }) => ({ kind: "expire", table, before: Math.floor((nowMs - ttlMs) * 1000) })),
    });
  }
  if (bounded.length > 0) {
    turns.push({
      timer: "evict",
      everyMs: BUDGET_MS,
      events: () => bounded.map(({ table, rowsMax }) => ({ kind: "evict", table, rowsMax })),
    });
  }
  return turns;
}

/** How many rows of a table its budget leaves each shard; undefined where it has none. */
export function rowsWithin({ model, tables }: ModelLayout, table: number): number | undefined {
  const budget = model.tables[table - 1]?.budgetBytes;
  const spec = tables[table];
  return budget === undefined || spec === undefined ? undefined : Math.floor(budget / model.shards / rowMemory(spec));
}
