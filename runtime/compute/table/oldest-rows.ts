import { SAMPLE_ROWS } from "../../../protocols/sync/row-store.ts";
import { type KernelTable } from "./kernel-table.ts";

/** The t up to which so many live rows of some tables together lie, by a sample where there are many (`RowStore.oldest`). */
export function oldestOf(tables: readonly KernelTable[], count: number): number {
  const step = Math.max(1, Math.ceil(tables.reduce((sum, { end }) => sum + end, 0) / SAMPLE_ROWS));
  const times = Float64Array.from(tables.flatMap((table) => [...sampleTimes(table, step)])).sort();
  const live = tables.reduce((sum, table) => sum + table.live, 0);
  const at = Math.ceil((Math.max(1, count) * times.length) / live) - 1;
  return times[Math.min(at, times.length - 1)] ?? 0;
}

/** The times of live rows, of each `step`-th. */
function sampleTimes({ columns, code, end }: KernelTable, step: number): Float64Array<ArrayBuffer> {
  const times = new Float64Array(Math.ceil(end / step));
  let live = 0;
  for (const { from, count } of columns.pieces(times.length)) {
    for (let at = 0; at < count; at += 1) columns.rows.view[at] = (from + at) * step;
    code.readVersions(columns.rows.at, count, columns.t.at, columns.writers.at, columns.flags.at);
    for (let at = 0; at < count; at += 1) {
      if (columns.flags.view[at] !== 0) continue;
      times[live] = columns.t.view[at] ?? 0;
      live += 1;
    }
  }
  return times.slice(0, live);
}
