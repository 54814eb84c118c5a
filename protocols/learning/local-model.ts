import { shardOf } from "../keys.ts";
import { DENSE_KEY, firstDenseTable, initialValues, type ModelLayout, unknownValues } from "../model-layout.ts";
import { type Admission, admits, createAdmission } from "./admission.ts";
import { initialState, type Optimizer, stateFloats } from "./optimizer.ts";
import { type KeyBook } from "./sample-set.ts";

/** Rows of one table, or the one row of a dense group, in this thread's memory. */
export interface LocalTable {
  readonly dim: number;
  readonly stateFloats: number;
  readonly optimizer: Optimizer;
  readonly keys: BigUint64Array<ArrayBuffer>;
  /** Rows x dim, and rows x state floats. */
  readonly values: Float32Array<ArrayBuffer>;
  readonly state: Float32Array<ArrayBuffer>;
  /** Of a table whose keys do not all have a row, or do not read as what that would start from; absent for others. */
  readonly admission?: LocalAdmission;
}

/** Which keys of a table have a row, by its rule of admission. One that has none stands in `values` as what it reads as. */
export interface LocalAdmission {
  readonly hasRow: Uint8Array<ArrayBuffer>;
  /** By shard, as the primary of each counts; none where a key's first sighting makes its row. */
  readonly filters: readonly Admission[];
  /**
   * Whether a row learns from a step: it is there, or is made now. `sighting` is the number of the step, from 1; without one no row is made.
   */
  takes(row: number, sighting: number | undefined): boolean;
}

/** A model whose rows are all known beforehand, as for training on a set of samples. */
export interface LocalModel {
  readonly layout: ModelLayout;
  readonly embeddings: readonly LocalTable[];
  readonly groups: readonly LocalTable[];
}

/** The model as nobody has trained it yet: first values for every key of the book. */
export function createLocalModel(layout: ModelLayout, book: KeyBook): LocalModel {
  return {
    layout,
    embeddings: book.map((known, at) => newTable(layout, { table: at + 1, keys: known.keys() })),
    groups: layout.program.groups.map((_, at) =>
      newTable(layout, { table: firstDenseTable(layout) + at, keys: BigUint64Array.of(DENSE_KEY) }),
    ),
  };
}

function newTable(
  layout: ModelLayout,
  { table, keys }: { readonly table: number; readonly keys: BigUint64Array<ArrayBuffer> },
): LocalTable {
  const declared = layout.tables[table];
  if (declared?.learning === undefined) throw new RangeError(`Cannot hold table ${table}: it does not learn`);
  const { dim, learning: optimizer } = declared;
  const perRow = stateFloats(optimizer, dim);
  const values = new Float32Array(keys.length * dim);
  const state = new Float32Array(keys.length * perRow);

  function makeRow(row: number): void {
    const first = initialValues(layout, table, keys[row] ?? 0n);
    values.set(first, row * dim);
    state.set(initialState(optimizer, first), row * perRow);
  }

  const admission = newAdmission(layout, { table, keys, makeRow });
  for (const [row, key] of keys.entries()) {
    if (admission === undefined) makeRow(row);
    else values.set(unknownValues(layout, table, key), row * dim);
  }
  return { dim, stateFloats: perRow, optimizer, keys, values, state, ...(admission && { admission }) };
}

function newAdmission(
  { model }: ModelLayout,
  {
    table,
    keys,
    makeRow,
  }: { readonly table: number; readonly keys: BigUint64Array; readonly makeRow: (row: number) => void },
): LocalAdmission | undefined {
  const { admit: rule, unknown } = model.tables[table - 1] ?? {};
  if (rule === undefined && unknown !== "zero") return undefined;
  const hasRow = new Uint8Array(keys.length);
  const filters =
    rule === undefined ? [] : Array.from({ length: model.shards }, () => createAdmission(rule, table - 1));
  return {
    hasRow,
    filters,
    takes(row, sighting) {
      if (hasRow[row] === 1) return true;
      if (sighting === undefined) return false;
      const key = keys[row] ?? 0n;
      const filter = filters[shardOf(table, key, model.shards)];
      if (filter !== undefined && !admits(filter, key, sighting)) return false;
      hasRow[row] = 1;
      makeRow(row);
      return true;
    },
  };
}
