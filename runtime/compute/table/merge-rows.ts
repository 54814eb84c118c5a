import { type FrozenTable } from "../../../protocols/sync/frozen-table.ts";
import { type MergeOutcome, type RowBatch } from "../../../protocols/sync/row-store.ts";
import { StoredRows } from "../../../protocols/sync/stored-rows.ts";
import { type KernelTable } from "./kernel-table.ts";

/** What a batch is merged into. */
interface MergedTable {
  readonly table: KernelTable;
  readonly frozen: FrozenTable | undefined;
  readonly state: boolean;
  /** Of the store: a slot is row * tables + table. */
  readonly tables: number;
}

/** Stores the rows of a batch that was checked, as `RowStore.merge` says. */
export function mergeRows(batch: RowBatch, known: Float64Array, into: MergedTable): MergeOutcome {
  const rows = batch.keys.length;
  const stored = new StoredRows(rows);
  let ignored = 0;
  for (const { from, count } of into.table.columns.pieces(rows)) {
    ignored += mergePiece(batch, { known, from, count, stored }, into);
  }
  return { applied: stored.indexes, ...stored.versions, ignored };
}

/** Gives how many were known. */
function mergePiece(
  batch: RowBatch,
  piece: {
    readonly known: Float64Array;
    readonly from: number;
    readonly count: number;
    readonly stored: StoredRows;
  },
  { table, frozen, state, tables }: MergedTable,
): number {
  const { known, from, count, stored } = piece;
  if (frozen?.isFrozen === true) {
    for (const row of table.rowsToMerge(batch, { known, from, count })) frozen.touch(row);
  }
  const merged = table.mergePiece(batch, { known, from, count, state });
  // What the code gave is read where it lies: rows that had to be kept aside were, so nothing here calls it.
  for (let at = 0; at < merged.rows.length; at += 1) {
    const row = merged.rows[at] ?? 0;
    const index = from + (merged.places[at] ?? 0);
    if (merged.added[at] === 1) frozen?.added(row);
    else frozen?.touch(row);
    stored.add({
      index,
      slot: row * tables + batch.table,
      t: batch.t[index] ?? 0,
      writer: batch.writers[index] ?? 0,
      beforeT: table.columns.beforeT.view[at] ?? 0,
      beforeWriter: table.columns.beforeWriters.view[at] ?? 0,
    });
  }
  return merged.ignored;
}
