import { type ModelLayout } from "./model-layout.ts";
import { rowMemory, type TableSpec } from "./sync/row-store.ts";

/** What a budget gives one memory of a table. It can have 4 GiB: the rest is for rows over the budget that are about to go, and for an index that grows. */
const MEMORY_BYTES = 3.5 * 2 ** 30;
/** So many at most has a table of one shard. */
const MEMORIES_MAX = 8;

/** Together, where any table has several: so each row of a shard has a number of 32 bits, also of the smallest rows. */
export const MEMORIES_TOGETHER_MAX = 64;

/** The largest budget of a model's table. */
export function budgetBytesMax(shards: number): number {
  return shards * MEMORIES_MAX * MEMORY_BYTES;
}

/** Over how many memories each table of a shard is spread: as many as its budget fills, and one without. */
export function memoriesOf({ model, tables }: ModelLayout): number[] {
  return tables.map((_, table) => {
    const budget = model.tables[table - 1]?.budgetBytes ?? 0;
    return Math.max(1, Math.min(MEMORIES_MAX, Math.ceil(budget / model.shards / MEMORY_BYTES)));
  });
}

/** Over how many memories each table is to be spread that has about so many rows, as an image's head says. */
export function memoriesForRows(tables: readonly TableSpec[], rows: readonly number[]): number[] {
  return tables.map((table, index) => {
    const bytes = (rows[index] ?? 0) * rowMemory(table);
    return Math.max(1, Math.min(MEMORIES_MAX, Math.ceil(bytes / MEMORY_BYTES)));
  });
}
