import { type FrozenTable } from "../../../protocols/sync/frozen-table.ts";
import { TOMBSTONE, type UpdateOutcome, type UpdateRequest } from "../../../protocols/sync/row-store.ts";
import { StoredRows } from "../../../protocols/sync/stored-rows.ts";
import { type WriterDictionary } from "../../../protocols/sync/writer-dictionary.ts";
import { type EditedRow } from "./edited-row.ts";
import { type KernelTable } from "./kernel-table.ts";

/** What a local write is done to. */
interface UpdatedTable {
  readonly rows: KernelTable;
  readonly edit: EditedRow;
  readonly frozen: FrozenTable | undefined;
  readonly writers: WriterDictionary;
  /** Of the store: a slot is row * tables + table. */
  readonly tables: number;
}

/** A write by a function, row by row (`RowStore.update`). */
export function updateRows(
  { table, keys, writer, firstT, mutate }: UpdateRequest,
  { rows, edit, frozen, writers, tables }: UpdatedTable,
): UpdateOutcome {
  const owned = new BigUint64Array(keys);
  const stored = new StoredRows(keys.length);
  let refused = 0;
  let stamped = 0;
  for (const { from, to } of rows.columns.pieces(owned.length)) {
    const found = rows.fetch(owned.subarray(from, to));
    let added = 0;
    for (let index = from; index < to; index += 1) {
      const key = owned[index] ?? 0n;
      edit.index = index;
      let row = found[index - from] ?? -1;
      // It may have come with the same key before.
      if (row < 0 && added > 0) row = rows.find(key);
      edit.open(key, row);
      const verdict = mutate(edit);
      if (verdict === "skip") continue;
      if (verdict === "delete") edit.clear();
      else if (!edit.isFinite()) {
        refused += 1;
        continue;
      }
      const t = firstT + stamped;
      stamped += 1;
      // A stamp is later than all that was seen, but a row of a newer epoch still wins.
      if (row >= 0 && !writers.isNewer({ t, writer }, edit.version)) {
        refused += 1;
        continue;
      }
      const isAdded = row < 0;
      if (isAdded) {
        row = rows.add(key);
        added += 1;
        frozen?.added(row);
      } else frozen?.touch(row);
      edit.store(row, { t, writer, flags: verdict === "delete" ? TOMBSTONE : 0 });
      const { version } = edit;
      stored.add({
        index,
        slot: row * tables + table,
        t,
        writer,
        beforeT: isAdded ? 0 : version.t,
        beforeWriter: isAdded ? 0 : version.writer,
      });
    }
  }
  return stored.outcome(owned, { refused, stamped });
}
