import { type ModelLayout } from "./model-layout.ts";
import { rowMemory, type TableSpec } from "./sync/row-store.ts";

/** What a budget gives one memory of a table. It can have 4 GiB: the rest is for rows over the budget that are about to go, and for an index that grows. */
const MEMORY_BYTES = 3.5 * 2 ** 30;
/** So many at most has a table of one shard. */
const MEMORIES_MAX = 8;

/** Together, where any table has several: so each row of a shard has a number of 32 bits, also of the smallest rows. */
export const MEMORIES_TOGETHER_MAX = 64;

/** What a table of one shard can have in its memories. */
export const SHARD_BYTES_MAX: number = MEMORIES_MAX * MEMORY_BYTES;

/** What a row of a table keeps in memory though its contents are on disk: a head of 32 bytes, and of the index of keys 32. */
const HEAD_BYTES = 64;

/** Bytes of memory that a table of one shard may fill, as far as its declaration bounds them: its budget; or, where contents lie on disk, those that do not, and the heads of all rows. */
export function memoryBytesOf({ model, tables }: ModelLayout, table: number): number {
  const declared = model.tables[table - 1];
  const spec = tables[table];
  const budget = (declared?.budgetBytes ?? 0) / model.shards;
  if (declared?.memoryBytes === undefined || spec === undefined) return budget;
  return declared.memoryBytes / model.shards + (budget / rowMemory(spec)) * HEAD_BYTES;
}

/** Over how many memories each table of a shard is spread: as many as it may fill, and one where nobody knows. */
export function memoriesOf(layout: ModelLayout): number[] {
  return layout.tables.map((_, table) =>
    Math.max(1, Math.min(MEMORIES_MAX, Math.ceil(memoryBytesOf(layout, table) / MEMORY_BYTES))),
  );
}

/** Bytes of contents that each table of a shard keeps in memory; undefined where that is all. */
export function warmBytesOf({ model, tables }: ModelLayout): (number | undefined)[] {
  return tables.map((_, table) => {
    const bytes = model.tables[table - 1]?.memoryBytes;
    return bytes === undefined ? undefined : Math.floor(bytes / model.shards);
  });
}

/** WebAssembly has 32-bit addresses. */
const MEMORY_BYTES_MAX = 4 * 2 ** 30;

/** A primary that gets new rows faster than old ones go may be that much over a budget. */
const OVER_BUDGET = 2;

/**
 * The most bytes that the rows of a shard take in frames, where all its tables are as full as can be: over their budgets by so much, or all that their memory has
 * room for. A row takes less in a frame than in a table, by more than its writer's name is long as a rule.
 */
export function copyBytesOf(layout: ModelLayout): number {
  const { model, tables } = layout;
  const memories = memoriesOf(layout);
  return tables.reduce((sum, spec, table) => {
    const { budgetBytes, memoryBytes } = model.tables[table - 1] ?? {};
    // Of a row whose contents are on disk, memory holds the head.
    const rowBytes = memoryBytes === undefined ? rowMemory(spec) : HEAD_BYTES;
    const rows = ((memories[table] ?? 1) * MEMORY_BYTES_MAX) / rowBytes;
    const budget = budgetBytes === undefined ? Infinity : (OVER_BUDGET * budgetBytes) / model.shards;
    return sum + Math.floor(Math.min(budget, rows * rowMemory(spec)));
  }, 0);
}

/** Over how many memories each table is to be spread that has about so many rows, as an image's head says. */
export function memoriesForRows(tables: readonly TableSpec[], rows: readonly number[]): number[] {
  return tables.map((table, index) => {
    const bytes = (rows[index] ?? 0) * rowMemory(table);
    return Math.max(1, Math.min(MEMORIES_MAX, Math.ceil(bytes / MEMORY_BYTES)));
  });
}
