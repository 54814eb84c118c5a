// What stores of compiled tables have beyond the port `RowStore`, in one memory or several; and what any other store has in its place.
import { type RowStore } from "../../../protocols/sync/row-store.ts";
import { type ColdCounts } from "./cold-rows.ts";
import { SpreadRowStore } from "./spread-row-store.ts";
import { type DigestTurn } from "./table-digest.ts";
import { type SharedTable } from "./table-reader.ts";
import { TableRowStore } from "./table-row-store.ts";
import { createWriterEpochs } from "./writer-epochs.ts";

/** Of each table what is on disk of it, where not all of it is in memory: memory by memory. */
export function coldCounts(store: RowStore): readonly (readonly ColdCounts[])[] {
  if (store instanceof TableRowStore) return store.cold.map((counts) => (counts === undefined ? [] : [counts]));
  return store instanceof SpreadRowStore ? store.cold : [];
}

/** The memories of each table, for other threads of the process to read; none of any other store. */
export function sharedTables(store: RowStore): readonly (readonly SharedTable[])[] {
  return store instanceof TableRowStore || store instanceof SpreadRowStore ? store.shared : [];
}

/** The epochs of the writers, kept up to date for other threads of the process; of any other store nothing. */
export function sharedEpochs(store: RowStore): Int32Array {
  return store instanceof TableRowStore || store instanceof SpreadRowStore ? store.epochs : createWriterEpochs();
}

/** The digest of any store in turns of about so many rows: at once of one that knows none. */
export function digestTurn(store: RowStore, rows: number): DigestTurn {
  return store instanceof TableRowStore || store instanceof SpreadRowStore
    ? store.digestTurn(rows)
    : { kind: "done", digest: store.digest() };
}
