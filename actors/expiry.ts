import { type ModelDeclaration } from "../protocols/model.ts";

/** How often rows are let go, at most; and of a table's age, what part of it. */
const TURN_MS_MIN = 1_000;
const TURN_MS_MAX = 3_600_000;
const TURNS_AN_AGE = 20;

/** What a primary lets expire: by table, as it stands in the model's layout; and how often it looks. */
export interface Expiry {
  readonly everyMs: number;
  readonly tables: readonly { readonly table: number; readonly ttlMs: number }[];
}

/** The expiry of a model's tables; undefined where none has an age. A row is gone at the latest a twentieth of its table's age, or an hour, late. */
export function expiryOf({ tables }: ModelDeclaration): Expiry | undefined {
  // The catalogue stands before the model's own tables.
  const aging = tables.flatMap(({ ttlMs }, index) => (ttlMs === undefined ? [] : [{ table: index + 1, ttlMs }]));
  if (aging.length === 0) return undefined;
  const shortestMs = Math.min(...aging.map(({ ttlMs }) => ttlMs));
  const everyMs = Math.min(TURN_MS_MAX, Math.max(TURN_MS_MIN, Math.floor(shortestMs / TURNS_AN_AGE)));
  return { everyMs, tables: aging };
}
