import { emptyBatch } from "./empty-batch.ts";
import { areFinite, areFloatsFinite, exactBytesOf, exactNumbers, isRounded, rounded } from "./precision.ts";
import {
  type Among,
  type Mutate,
  type RowBatch,
  type Slot,
  type SlotVersions,
  type TableSpec,
  TOMBSTONE,
} from "./row-store.ts";

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
  const floats = numbersOf(spec, values, state);
  const bytes = spec.precision === "bytes" ? values : new Uint8Array(floats.buffer);
  const exactBytes = Math.min(exactBytesOf(spec.precision, spec.dim), spec.stateBytes);
  const verdict = mutate({ index, key, isNew, bytes, floats, state: new Float32Array(state.buffer, exactBytes) });
  if (verdict === "skip") return "skip";
  if (verdict === "delete") return { values: values.fill(0), state: state.fill(0), flags: TOMBSTONE };
  if (isRounded(spec.precision)) {
    values.set(rounded(spec.precision, floats));
    state.set(bytes.subarray(0, exactBytes));
  }
  if (!areFinite(spec, values) || !areFloatsFinite(state)) return "refused";
  return { values, state, flags: 0 };
}

/** The numbers that a write changes: those of an f16 row as they were before they were rounded. */
function numbersOf(
  { precision, dim }: TableSpec,
  values: Uint8Array<ArrayBuffer>,
  state: Uint8Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> {
  if (precision === "bytes") return new Float32Array();
  if (!isRounded(precision)) return new Float32Array(values.buffer);
  return exactNumbers({ precision, dim }, values, new Float32Array(state.buffer));
}

/** The version that was there before a row. */
export function versionBefore(old: Row | undefined): { readonly beforeT: number; readonly beforeWriter: number } {
  return { beforeT: old?.t ?? 0, beforeWriter: old?.writer ?? 0 };
}

/** The versions of rows in their slots; of no row a t of 0. */
export function versionsOf(rows: readonly (Row | undefined)[], slots: readonly Slot[]): SlotVersions {
  return {
    slots: Float64Array.from(slots),
    t: Float64Array.from(rows, (row) => row?.t ?? 0),
    writers: Uint16Array.from(rows, (row) => row?.writer ?? 0),
  };
}

/** Whether a row is one of those asked for. */
export function isAmong(row: Row, { table, after = -Infinity, upTo = Infinity, deleted = false }: Among): boolean {
  if (table !== undefined && row.table !== table) return false;
  return row.t > after && row.t <= upTo && (!deleted || (row.flags & TOMBSTONE) !== 0);
}

/** Rows as columns. */
export function packRows(spec: TableSpec, rows: readonly Row[], options: { table: number; state: boolean }): RowBatch {
  const batch = emptyBatch(spec, rows.length, options);
  rows.forEach((row, index) => {
    batch.keys[index] = row.key;
    batch.t[index] = row.t;
    batch.writers[index] = row.writer;
    batch.flags[index] = row.flags;
    batch.values.set(row.values, index * spec.valueBytes);
    batch.state?.set(row.state, index * spec.stateBytes);
  });
  return batch;
}

/** Takes rows of one table off the end: as many as have so many bytes, and one at least. */
export function takeRows(rest: (Row | undefined)[], bytesMax: number): Row[] {
  const rows: Row[] = [];
  let bytes = 0;
  for (; rest.length > 0; rest.pop()) {
    const row = rest.at(-1);
    if (row === undefined) continue;
    bytes += row.values.length + row.state.length;
    if (rows.length > 0 && (bytes > bytesMax || row.table !== rows[0]?.table)) break;
    rows.push(row);
  }
  return rows;
}
