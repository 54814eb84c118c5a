/*
 * What a declaration means in rows: the catalogue first, then an embedding table per declared one, then one single-row table per
 * dense layer group, so that a group has one version and is seen whole or not at all. The same on every node; its digest travels with
 * every pull, so that peers whose declarations differ exchange nothing.
 */
import { embeddingColumn, programOf } from "./architectures/architecture.ts";
import { type Program } from "./compute/program.ts";
import { CATALOGUE_ROW_BYTES } from "./learning/catalogue-row.ts";
import { initialDense, initialRow } from "./learning/initial-values.ts";
import { type Optimizer, stateFloats } from "./learning/optimizer.ts";
import { keySeed, shardOf } from "./keys.ts";
import { type ModelDeclaration, type TableDeclaration } from "./model.ts";
import { declarationDigest } from "./sync/declaration.ts";
import { exactBytesOf, valueBytesOf } from "./sync/precision.ts";
import { type TableSpec } from "./sync/row-store.ts";

/** One table of every shard of a model: as synchronisation sees it, and what it is for. */
export interface ModelTable extends TableSpec {
  readonly role: "catalogue" | "embedding" | "dense";
  /** How its rows learn; absent for the catalogue. */
  readonly learning?: Optimizer;
}

export interface ModelLayout {
  readonly model: ModelDeclaration;
  readonly program: Program;
  /** Index 0 is the catalogue, 1 to `model.tables.length` the embedding tables in declared order, then the dense groups. */
  readonly tables: readonly ModelTable[];
  readonly digest: string;
}

/** The catalogue's index in every layout. */
export const CATALOGUE = 0;

/** The row of a dense group is the only one of its table. */
export const DENSE_KEY = 0n;

export function modelLayout(model: ModelDeclaration): ModelLayout {
  const program = programOf(model);
  const tables: ModelTable[] = [
    {
      name: "catalogue",
      role: "catalogue",
      precision: "bytes",
      dim: CATALOGUE_ROW_BYTES,
      valueBytes: CATALOGUE_ROW_BYTES,
      stateBytes: 0,
      optimizer: meaningOf(model, program),
    },
    ...model.tables.map(({ name, precision = "f32" }) =>
      learnedTable({ name, role: "embedding", dim: program.dim, precision }, model.optimizer),
    ),
    ...program.groups.map(({ name, floats }) =>
      learnedTable({ name: `dense-${name}`, role: "dense", dim: floats, precision: "f32" }, model.denseOptimizer),
    ),
  ];
  return { model, program, tables, digest: declarationDigest(tables) };
}

/**
 * What the tables' sizes do not show and peers must yet agree on: where a key lives, what a key is made of, which number is which, and what is
 * computed of them. It stands with the first table, so that it is in every digest of the tables.
 */
function meaningOf({ shards, tables, dense, derived }: ModelDeclaration, program: Program): string {
  const sequences = tables.flatMap(({ sequence }, at) => (sequence === undefined ? [] : [{ at, ...sequence }]));
  return JSON.stringify({
    shards,
    keys: tables.map(({ key }) => key),
    ...(sequences.length > 0 && { sequences }),
    dense,
    derived,
    program,
  });
}

/** The index of the embedding table that is keyed by `user` or `item`, which every model has; no list's. */
export function requiredTable(layout: ModelLayout, key: "user" | "item"): number {
  const at = layout.model.tables.findIndex((table) => table.key === key && table.sequence === undefined);
  if (at < 0) throw new RangeError(`Cannot serve model '${layout.model.name}': it has no table keyed by ${key}`);
  return at + 1;
}

/** The index of the first dense group's table. */
export function firstDenseTable(layout: ModelLayout): number {
  return 1 + layout.model.tables.length;
}

/** Where each dense group's row lives, in the order of the program's groups. */
export function densePlacement(layout: ModelLayout): readonly { readonly table: number; readonly shard: number }[] {
  return layout.program.groups.map((_, group) => {
    const table = firstDenseTable(layout) + group;
    return { table, shard: shardOf(table, DENSE_KEY, layout.model.shards) };
  });
}

/**
 * What a key without a row is read as: the table's default row. It is in no digest, so that a rule of admission may be added to a model that
 * has images; while regions differ in it, they differ in what they say of unknown keys, and in nothing else.
 */
export function unknownValues(layout: ModelLayout, table: number, key: bigint): Float32Array {
  const declared = layout.model.tables[table - 1];
  if (declared !== undefined && isUnknownZero(declared)) return new Float32Array(layout.program.dim);
  return initialValues(layout, table, key);
}

/** Writes the same into a column of rows, at the row's first float. The seed is the key's (`keySeed`). */
export function writeUnknown(
  layout: ModelLayout,
  row: { readonly table: number; readonly seed: number },
  { into, at }: { readonly into: Float32Array; readonly at: number },
): void {
  const { table } = row;
  const declared = layout.model.tables[table - 1];
  // A dense group's row has its first values under any key.
  if (declared === undefined) return into.set(unknownValues(layout, table, DENSE_KEY), at);
  if (isUnknownZero(declared)) into.fill(0, at, at + layout.program.dim);
  else writeFirst(layout, row, { into, at });
}

/** Writes what a row of an embedding table starts from, at the row's first float. */
export function writeFirst(
  layout: ModelLayout,
  { table, seed }: { readonly table: number; readonly seed: number },
  { into, at }: { readonly into: Float32Array; readonly at: number },
): void {
  const { dim } = layout.program;
  // A weight of its own starts at 0, as it would add noise to what an unknown key is predicted to be; an embedding must not, or it stayed there.
  const from = at + (embeddingColumn(layout.model) ?? dim);
  // A loop: most models have none, and to call `fill` takes longer than to make the rest.
  for (let weight = at; weight < from; weight += 1) into[weight] = 0;
  initialRow(into, { table, keySeed: seed, from, to: at + dim });
}

/** The values that a row starts from, the same on every node. Catalogue rows have none. */
export function initialValues(layout: ModelLayout, table: number, key: bigint): Float32Array {
  const declared = layout.tables[table];
  if (declared === undefined || declared.role === "catalogue") {
    throw new RangeError(
      `Cannot make a first row for table ${table} of model '${layout.model.name}': it does not learn`,
    );
  }
  if (declared.role === "dense") {
    const group = initialDense(layout.program, DENSE_SEED)[table - firstDenseTable(layout)];
    if (group === undefined) {
      throw new RangeError(`Cannot make a first row for dense table ${table}: the model has no such group`);
    }
    return group;
  }
  const values = new Float32Array(declared.dim);
  writeFirst(layout, { table, seed: keySeed(key) }, { into: values, at: 0 });
  return values;
}

function isUnknownZero({ unknown, admit }: TableDeclaration): boolean {
  return unknown === undefined ? admit !== undefined : unknown === "zero";
}

const DENSE_SEED = 20_221_110;

function learnedTable(
  table: Pick<ModelTable, "name" | "role" | "dim" | "precision">,
  optimizer: Optimizer,
): ModelTable {
  const { precision, dim } = table;
  return {
    ...table,
    valueBytes: valueBytesOf(precision, dim),
    stateBytes: exactBytesOf(precision, dim) + 4 * stateFloats(optimizer, dim),
    optimizer: JSON.stringify(optimizer),
    learning: optimizer,
  };
}
