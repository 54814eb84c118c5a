import { stateFloats } from "../../../protocols/learning/optimizer.ts";
import { type FrozenTable } from "../../../protocols/sync/frozen-table.ts";
import { type GradientSteps } from "../../../protocols/sync/gradient-steps.ts";
import { exactBytesOf } from "../../../protocols/sync/precision.ts";
import { type LearnRequest, type UpdateOutcome } from "../../../protocols/sync/row-store.ts";
import { StoredRows } from "../../../protocols/sync/stored-rows.ts";
import { type KernelTable, NO_ROW } from "./kernel-table.ts";
import { type OptimizerNumbers, optimizerNumbers } from "./optimizer-numbers.ts";
import { type TableColumns, TableFull } from "./table-columns.ts";

/** How the code calls the forms of numbers that it can step. */
const FORMS = { f32: 0, f16: 1, i8: 2, bytes: 0 } as const;

/** What a request steps. */
interface LearnedTable {
  readonly table: KernelTable;
  readonly frozen: FrozenTable | undefined;
  readonly optimizer: OptimizerNumbers;
  /** Of the store: a slot is row * tables + table. */
  readonly tables: number;
}

/** Steps a request that the compiled code can step (`numbersOf`), as `RowStore.learn` says. */
export function learnRows(request: LearnRequest, { table, frozen, optimizer, tables }: LearnedTable): UpdateOutcome {
  const { keys, writer, firstT, steps } = request;
  const { columns } = table;
  const stored = new StoredRows(keys.length);
  let refused = 0;
  let stamped = 0;
  for (const { from, to, count } of columns.pieces(keys.length)) {
    const isFetched = frozen?.isFrozen === true;
    if (isFetched) {
      for (const row of table.fetch(keys.subarray(from, to))) if (row >= 0) frozen.touch(row);
    }
    const piece = learnPiece(table, request, { from, count, firstT: firstT + stamped, optimizer, isFetched });
    noteLearned(columns, steps, { from, count: piece.stored, frozen });
    stored.addColumns(columns, { from, count: piece.stored, writer, tables, table: request.table });
    refused += piece.refused;
    stamped += piece.stamped;
  }
  return stored.outcome(keys, { refused, stamped });
}

interface LearnedPiece {
  readonly from: number;
  readonly count: number;
  readonly firstT: number;
  readonly optimizer: OptimizerNumbers;
  /** Its rows were fetched just now: that they are wanted was counted. */
  readonly isFetched: boolean;
}

/**
 * Steps one piece of a request that it can step, and gives how many rows were stored. Until the code is called again the table's columns have
 * the places of what was stored and, in that order, their times, norms, versions before, and whether each is new (1) in a place of its own (2); by place, the rows.
 */
function learnPiece(
  table: KernelTable,
  request: LearnRequest,
  { from, count, firstT, optimizer, isFetched }: LearnedPiece,
): { readonly stored: number; readonly stamped: number; readonly refused: number } {
  const { columns, code, spec } = table;
  const { dim } = spec;
  const { keys, steps, writer } = request;
  columns.keys.view.set(keys.subarray(from, from + count));
  columns.numbers.view.set(optimizer.numbers);
  columns.gradients.view.set(steps.gradients.subarray(from * dim, (from + count) * dim));
  if (steps.delay !== undefined) {
    columns.read.view.set(steps.delay.valuesRead.subarray(from * dim, (from + count) * dim));
  }
  code.findLiveRows(columns.keys.at, count, columns.rows.at);
  let missing = 0;
  for (let at = 0; at < count; at += 1) {
    if (columns.rows.view[at] !== NO_ROW) continue;
    const first = steps.initial(keys[from + at] ?? 0n);
    for (let place = 0; place < dim; place += 1) columns.initial.view[missing * dim + place] = first[place] ?? 0;
    missing += 1;
  }
  table.cold?.bring(columns.rows, count, { more: missing, counted: !isFetched });
  const stored = code.stepRows(
    optimizer.kind,
    columns.numbers.at,
    FORMS[spec.precision],
    count,
    columns.keys.at,
    columns.rows.at,
    columns.gradients.at,
    columns.initial.at,
    steps.delay === undefined ? 0 : columns.read.at,
    firstT,
    writer,
    columns.scratch.at,
    columns.places.at,
    columns.t.at,
    columns.added.at,
    columns.norms.at,
    columns.beforeT.at,
    columns.beforeWriters.at,
  );
  if (stored < 0) throw new TableFull();
  return { stored, stamped: table.answer, refused: table.answerToo };
}

/** The row is in a place of its own now. */
const ADDED = 2;

/**
 * Notes what was just stored of a piece: as changed, and by its place in the request. What the code gave is read where it lies: rows that had to be kept aside were, so
 * nothing here calls it.
 */
function noteLearned(
  { places, rows, added, norms }: TableColumns,
  steps: GradientSteps,
  { from, count, frozen }: { readonly from: number; readonly count: number; readonly frozen: FrozenTable | undefined },
): void {
  for (let at = 0; at < count; at += 1) {
    const place = places.view[at] ?? 0;
    const row = rows.view[place] ?? 0;
    const isNew = added.view[at] ?? 0;
    if ((isNew & ADDED) === 0) frozen?.touch(row);
    else frozen?.added(row);
    steps.norms[from + place] = norms.view[at] ?? 0;
    steps.created[from + place] = isNew & 1;
  }
}

/** What the compiled code needs to know of the optimizer of these steps; undefined where it cannot do them. */
export function numbersOf(table: KernelTable, { optimizer, delay }: GradientSteps): OptimizerNumbers | undefined {
  const { precision, dim, stateBytes } = table.spec;
  const needed = exactBytesOf(precision, dim) + 4 * stateFloats(optimizer, dim);
  return precision === "bytes" || stateBytes !== needed ? undefined : optimizerNumbers(optimizer, delay?.lambda ?? 0);
}
