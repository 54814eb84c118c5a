import { keyOf } from "../protocols/keys.ts";
import { CATALOGUE_DECAY, readCatalogueRow } from "../protocols/learning/catalogue-row.ts";
import { popularityAt } from "../protocols/learning/popularity.ts";
import { type ModelLayout } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { Refused } from "../runtime/actor.ts";
import { type RowView } from "./shard-protocol.ts";

/** One row for a person to read. Refuses what is not a table of the model; the key's text is a user, an item, a category, as events name it. */
export function viewRow(
  layout: ModelLayout,
  store: RowStore,
  wanted: { readonly table: unknown; readonly key: unknown; readonly nowMs: number },
): RowView {
  const table = layout.tables.findIndex(({ name }) => name === wanted.table);
  const declared = layout.tables[table];
  if (declared === undefined || typeof wanted.key !== "string") {
    throw new Refused(`ask for {"table": one of ${layout.tables.map(({ name }) => name).join(", ")}, "key": a text}`);
  }
  // A dense group is one row, whatever key is asked for.
  const key = declared.role === "dense" ? 0n : keyOf(wanted.key);
  const { found, values } = store.read(table, BigUint64Array.of(key));
  const version = store.versionOf(table, key);
  if (found[0] !== 1) return { found: false, key: String(key), ...(version === undefined ? {} : { version }) };
  const view = { found: true, key: String(key), ...(version === undefined ? {} : { version }) };
  if (declared.role !== "catalogue") {
    const state = stateOf(store, table, key);
    return { ...view, values: [...floatsOf(declared, values)], ...(state === undefined ? {} : { state }) };
  }
  const row = readCatalogueRow(values);
  if (row === undefined) return view;
  const { item, firstSeenMs, popularity } = row;
  const freshClicks = popularityAt(popularity, wanted.nowMs, CATALOGUE_DECAY);
  // Minus infinity stands for no click, and JSON has no word for it.
  return {
    ...view,
    catalogue: { item, firstSeenMs, freshClicks, ...(Number.isFinite(popularity) ? { popularity } : {}) },
  };
}

/** A row's optimizer state, where the store holds any. An edit that changes nothing is how a row is seen with it. */
export function stateOf(store: RowStore, table: number, key: bigint): number[] | undefined {
  if (!store.hasState) return undefined;
  let state: number[] | undefined;
  store.update({
    table,
    keys: BigUint64Array.of(key),
    writer: 0,
    firstT: 0,
    mutate: (row) => {
      state = [...row.state];
      return "skip";
    },
  });
  return state;
}
