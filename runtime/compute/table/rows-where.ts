import { type Among, type RowGlance } from "../../../protocols/sync/row-store.ts";
import { type KernelTable } from "./kernel-table.ts";

/** Those of a table's rows that were asked for and a condition holds for, their keys and versions. It is shown them as rows of the table that is named. */
export function rowsWhere(
  rows: KernelTable,
  holds: (row: RowGlance) => boolean,
  { table, after = -Infinity, upTo = Infinity, deleted = false }: Among & { readonly table: number },
): { readonly rows: number[]; readonly keys: bigint[]; readonly t: number[]; readonly writers: number[] } {
  const { columns, code, end } = rows;
  const found = { rows: Array<number>(), keys: Array<bigint>(), t: Array<number>(), writers: Array<number>() };
  const glance = { table, key: 0n, t: 0, writer: 0, flags: 0 };
  for (let from = 0; from < end; from = rows.answer) {
    const count = code.glanceRows(
      ...([from, after, upTo, deleted ? 1 : 0, columns.rowsMax, columns.rows.at, columns.keys.at] as const),
      ...([columns.t.at, columns.writers.at, columns.flags.at] as const),
    );
    for (let at = 0; at < count; at += 1) {
      glance.key = columns.keys.view[at] ?? 0n;
      glance.t = columns.t.view[at] ?? 0;
      glance.writer = columns.writers.view[at] ?? 0;
      glance.flags = columns.flags.view[at] ?? 0;
      if (!holds(glance)) continue;
      found.rows.push(columns.rows.view[at] ?? 0);
      found.keys.push(glance.key);
      found.t.push(glance.t);
      found.writers.push(glance.writer);
    }
  }
  return found;
}
