import { type RowBatch, type TableSpec } from "./row-store.ts";

/** Throws `RangeError` unless the columns of a batch fit its table; gives its rows. */
export function checkBatch(batch: RowBatch, of: { readonly spec: TableSpec; readonly state: boolean }): number {
  const { table, keys, t, writers, flags, values, state } = batch;
  const { valueBytes, stateBytes } = of.spec;
  const rows = keys.length;
  if (t.length !== rows || writers.length !== rows || flags.length !== rows || values.length !== rows * valueBytes) {
    throw new RangeError(`Cannot merge ${rows} rows of table ${table}: the columns do not fit`);
  }
  if (of.state && state?.length !== rows * stateBytes) {
    throw new RangeError(`Cannot merge ${rows} rows of table ${table}: their state does not fit`);
  }
  return rows;
}
