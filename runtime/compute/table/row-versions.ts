import { type SlotVersions } from "../../../protocols/sync/row-store.ts";
import { type KernelTable } from "./kernel-table.ts";
import { rowsByTable, type RowsOfTable } from "./slot-list.ts";

/** No row is here. Never leaves the store. */
const EMPTY = 2;

/** The version of a row, unless it is empty. */
export function versionAt(
  { columns, code }: KernelTable,
  row: number,
): { readonly t: number; readonly writer: number } | undefined {
  const { rows, t, writers, flags } = columns;
  rows.view[0] = row;
  code.readVersions(rows.at, 1, t.at, writers.at, flags.at);
  return flags.view[0] === EMPTY ? undefined : { t: t.view[0] ?? 0, writer: writers.view[0] ?? 0 };
}

/** The versions of the rows in these slots, read table by table; of empty ones a t of 0. */
export function versionsAt(tables: readonly KernelTable[], slots: Float64Array): SlotVersions {
  const versions = { slots, t: new Float64Array(slots.length), writers: new Uint16Array(slots.length) };
  for (const [index, part] of rowsByTable(slots, tables.length).entries()) {
    const table = tables[index];
    if (table !== undefined && part.rows.length > 0) readVersions(table, part, versions);
  }
  return versions;
}

function readVersions(
  { columns, code }: KernelTable,
  { rows, places }: RowsOfTable,
  to: { readonly t: Float64Array; readonly writers: Uint16Array },
): void {
  for (const { from, count } of columns.pieces(rows.length)) {
    columns.rows.view.set(rows.subarray(from, from + count));
    code.readVersions(columns.rows.at, count, columns.t.at, columns.writers.at, columns.flags.at);
    for (let at = 0; at < count; at += 1) {
      const place = places[from + at] ?? 0;
      to.t[place] = columns.flags.view[at] === EMPTY ? 0 : (columns.t.view[at] ?? 0);
      to.writers[place] = columns.writers.view[at] ?? 0;
    }
  }
}
