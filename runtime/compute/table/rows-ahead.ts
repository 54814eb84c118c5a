import { type KernelTable } from "./kernel-table.ts";

/** The rows of a table that a knowledge lacks. */
export function rowsAhead(table: KernelTable, known: Float64Array): Uint32Array {
  const { columns, code, end } = table;
  columns.known.view.set(known);
  let ahead = new Uint32Array(Math.min(end, columns.rowsMax));
  let found = 0;
  for (let from = 0; from < end; from = table.answer) {
    const count = code.collectRows(from, columns.known.at, known.length, columns.rows.at, columns.rowsMax);
    if (found + count > ahead.length) {
      const larger = new Uint32Array(Math.min(end, 2 * (found + count)));
      larger.set(ahead);
      ahead = larger;
    }
    ahead.set(columns.rows.view.subarray(0, count), found);
    found += count;
  }
  return ahead.subarray(0, found);
}

/** Those of some rows of a table that a knowledge lacks. */
export function aheadAmong(
  { columns, code }: KernelTable,
  { rows, known }: { readonly rows: Uint32Array; readonly known: Float64Array },
): Uint32Array {
  columns.known.view.set(known);
  const ahead = new Uint32Array(rows.length);
  let found = 0;
  for (const { from, count } of columns.pieces(rows.length)) {
    columns.rows.view.set(rows.subarray(from, from + count));
    const left = code.collectAmong(columns.rows.at, count, columns.known.at, known.length);
    ahead.set(columns.rows.view.subarray(0, left), found);
    found += left;
  }
  return ahead.subarray(0, found);
}
