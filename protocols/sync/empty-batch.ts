import { type RowBatch, type TableSpec } from "./row-store.ts";

/** Room for so many rows of a table. */
export function emptyBatch(
  { valueBytes, stateBytes }: Pick<TableSpec, "valueBytes" | "stateBytes">,
  count: number,
  options: { readonly table: number; readonly state: boolean },
): RowBatch {
  return {
    table: options.table,
    keys: new BigUint64Array(count),
    t: new Float64Array(count),
    writers: new Uint16Array(count),
    flags: new Uint8Array(count),
    values: new Uint8Array(count * valueBytes),
    state: options.state ? new Uint8Array(count * stateBytes) : undefined,
  };
}
