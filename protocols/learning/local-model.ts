import { DENSE_KEY, firstDenseTable, initialValues, type ModelLayout } from "../model-layout.ts";
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
  for (const [row, key] of keys.entries()) {
    const first = initialValues(layout, table, key);
    values.set(first, row * dim);
    state.set(initialState(optimizer, first), row * perRow);
  }
  return { dim, stateFloats: perRow, optimizer, keys, values, state };
}
