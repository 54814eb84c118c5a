import { type Mutate, type RowBatch, type RowEdit, type TableSpec, TOMBSTONE } from "./row-store.ts";

/** A row of the reference store, replaced whole by each change. */
export interface Row {
  readonly table: number;
  readonly key: bigint;
  t: number;
  writer: number;
  flags: number;
  readonly values: Uint8Array<ArrayBuffer>;
  readonly state: Uint8Array<ArrayBuffer>;
}

type Edited = Pick<Row, "values" | "state" | "flags">;

/** The row after a local change, applied to a copy: a refused one leaves no trace. */
export function editRow(
  spec: TableSpec,
  edit: { old: Row | undefined; key: bigint; index: number; mutate: Mutate },
): Edited | "skip" | "refused" {
  const { old, key, index, mutate } = edit;
  const isNew = old === undefined || (old.flags & TOMBSTONE) !== 0;
  const values = isNew ? new Uint8Array(spec.valueBytes) : old.values.slice();
  const state = isNew ? new Uint8Array(spec.stateBytes) : old.state.slice();
  const row: RowEdit = {
    index,
    key,
    isNew,
    bytes: values,
    floats: spec.precision === "f32" ? new Float32Array(values.buffer) : new Float32Array(),
    state: new Float32Array(state.buffer),
  };
  const verdict = mutate(row);
  if (verdict === "skip") return "skip";
  if (verdict === "delete") return { values: values.fill(0), state: state.fill(0), flags: TOMBSTONE };
  if (!row.floats.every(Number.isFinite) || !row.state.every(Number.isFinite)) return "refused";
  return { values, state, flags: 0 };
}

/** Rows as columns. */
export function packRows(spec: TableSpec, rows: readonly Row[], options: { table: number; state: boolean }): RowBatch {
  const values = new Uint8Array(rows.length * spec.valueBytes);
  const state = options.state ? new Uint8Array(rows.length * spec.stateBytes) : undefined;
  rows.forEach((row, index) => {
    values.set(row.values, index * spec.valueBytes);
    state?.set(row.state, index * spec.stateBytes);
  });
  return {
    table: options.table,
    keys: BigUint64Array.from(rows, (row) => row.key),
    t: Float64Array.from(rows, (row) => row.t),
    writers: Uint16Array.from(rows, (row) => row.writer),
    flags: Uint8Array.from(rows, (row) => row.flags),
    values,
    state,
  };
}
