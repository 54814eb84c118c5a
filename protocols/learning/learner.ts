/*
 * One batch of learning, without where the rows come from: which rows are needed of which shard, then, given their values, predictions
 * and one gradient per row. The trainer moves rows; this computes.
 */
import { type Backend, type BatchLoss, type CompiledProgram } from "../compute/backend.ts";
import { type PlanKeys } from "../compute/key-plan.ts";
import { DENSE_KEY, densePlacement, firstDenseTable, type ModelLayout } from "../model-layout.ts";
import { columnsOf, type Example, type ExampleColumns } from "../columns/example-columns.ts";
import { type Labels, weighLabels } from "./label-weights.ts";
import { type BatchPlan, fillDense, planBatch } from "./training-batch.ts";

/** A model, compiled for batches of a bounded size. */
export interface Learner {
  readonly layout: ModelLayout;
  readonly compiled: CompiledProgram;
  /** Plans the keys of its batches; without, the reference does. */
  readonly planKeys: PlanKeys | undefined;
  /** The rows of the batch that was placed last: distinct keys x dim, one array a table. */
  rows: readonly Float32Array[];
  /** Where the rows of a batch were last told to be best put. */
  room: { readonly batch: PlannedBatch; readonly lists: readonly (readonly Float32Array[])[] } | undefined;
}

/** Rows of one table, and at which of the batch's distinct keys the first of them stands. */
export interface ShardList {
  readonly table: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly from: number;
}

/** A batch and, per shard, the rows it needs. */
export interface PlannedBatch {
  /** Its samples, some after others. */
  readonly parts: readonly ExampleColumns[];
  readonly plan: BatchPlan;
  readonly lists: readonly (readonly ShardList[])[];
}

/** Gradients of one table's rows: keys x dim. */
export interface ShardGradients {
  readonly table: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly gradients: Float32Array;
}

/** Where so many floats of a shard's gradients are put: all of a shard in one piece of memory, as its keys are. */
export type GradientRoom = (shard: number, floats: number) => Float32Array;

export function createLearner(
  layout: ModelLayout,
  options: { readonly backend: Backend; readonly batchMax: number },
): Learner {
  const { backend, batchMax } = options;
  return {
    layout,
    compiled: backend.compile(layout.program, { batchMax }),
    planKeys: backend.keys?.(),
    rows: [],
    room: undefined,
  };
}

/** Which rows the examples need, by shard; dense groups are rows of their own tables. */
export function planExamples(layout: ModelLayout, examples: readonly Example[]): PlannedBatch {
  return planColumns(layout, examples.length === 0 ? [] : [columnsOf(examples)]);
}

/** The same of samples in columns, with what plans keys for a learner. */
export function planColumns(layout: ModelLayout, parts: readonly ExampleColumns[], planKeys?: PlanKeys): PlannedBatch {
  const { shards } = layout.model;
  const plan = planBatch(layout.model, parts, planKeys);
  const dense = densePlacement(layout);
  const lists = Array.from({ length: shards }, (_, shard): readonly ShardList[] => {
    const groups = dense.filter((group) => group.shard === shard);
    const counts = plan.tables.map(({ shardStarts }) => (shardStarts[shard + 1] ?? 0) - (shardStarts[shard] ?? 0));
    // All keys of a shard in one piece of memory, which goes to its thread as one.
    const all = new BigUint64Array(counts.reduce((sum, count) => sum + count, groups.length)).fill(DENSE_KEY);
    let next = 0;
    const ofTables = plan.tables.flatMap(({ keys, shardStarts }, index): ShardList[] => {
      const [from = 0, count = 0] = [shardStarts[shard], counts[index]];
      if (count === 0) return [];
      const mine = all.subarray(next, (next += count));
      mine.set(keys.subarray(from, from + count));
      return [{ table: index + 1, keys: mine, from }];
    });
    const ofGroups = groups.map(({ table }): ShardList => {
      return { table, keys: all.subarray(next, (next += 1)), from: 0 };
    });
    return [...ofTables, ...ofGroups];
  });
  return { parts, plan, lists };
}

/**
 * Where the rows of a batch are best put, in the order of the lists: `placeRows` copies none that stand there. They are the learner's own memory, so a
 * batch that is gathered into them is placed before another is.
 */
export function roomFor(learner: Learner, batch: PlannedBatch): readonly (readonly Float32Array[])[] {
  const { layout, compiled } = learner;
  const { plan, lists } = batch;
  const { dim } = layout.program;
  const denseFrom = firstDenseTable(layout);
  learner.rows = plan.tables.map(({ keys }, table) => compiled.pooling.rows(table, keys.length));
  const room = lists.map((ofShard) =>
    ofShard.map(({ table, keys, from }) =>
      table >= denseFrom
        ? (compiled.parameters[table - denseFrom] ?? NONE)
        : (learner.rows[table - 1]?.subarray(from * dim, (from + keys.length) * dim) ?? NONE),
    ),
  );
  learner.room = { batch, lists: room };
  return room;
}

/** Puts the batch and the gathered rows, in the order of the lists, where the program reads them. */
export function placeRows(learner: Learner, batch: PlannedBatch, gathered: readonly (readonly Float32Array[])[]): void {
  const { layout, compiled } = learner;
  const lists = learner.room?.batch === batch ? learner.room.lists : roomFor(learner, batch);
  for (const [shard, room] of lists.entries()) {
    for (const [index, into] of room.entries()) {
      const values = gathered[shard]?.[index];
      if (values === undefined) throw new RangeError(`Cannot place rows: shard ${shard} gave no list ${index}`);
      if (values !== into) into.set(values);
    }
  }
  const { size, tables } = batch.plan;
  for (const [table, choice] of tables.entries()) {
    compiled.pooling.spread({ size, table, choice }, learner.rows[table] ?? NONE);
  }
  fillDense(layout.model, batch.parts, compiled.inputs.dense);
}

/** Predicts the batch that was placed last, without learning: one probability an example, a view that lasts until the next call. */
export function predict({ compiled }: Learner, batch: PlannedBatch): Float32Array {
  return compiled.forward(batch.plan.size);
}

/** Predicts the batch that was placed last, then computes the gradients per shard. The probabilities are a view that lasts until the next call. */
export function learn(
  { layout, compiled, rows }: Learner,
  batch: PlannedBatch,
  labels: Labels,
  room: GradientRoom = (_, floats) => new Float32Array(floats),
): {
  readonly probabilities: Float32Array;
  readonly loss: BatchLoss;
  readonly gradients: readonly (readonly ShardGradients[])[];
  /** About the sum of the squares of all gradients by rows of tables (`RowGradients`). */
  readonly rowSquares: number;
} {
  const { dim } = layout.program;
  compiled.inputs.labels.set(labels.labels);
  compiled.inputs.weights.set(labels.weights);
  const probabilities = compiled.forward(batch.plan.size);
  weighLabels(compiled.inputs.weights, { labels, probabilities, kept: layout.model.negativesKept ?? 1 });
  const loss = compiled.backward();
  const denseFrom = firstDenseTable(layout);
  const gradients = batch.lists.map((lists, shard) => {
    const widths = lists.map(({ table, keys }) =>
      table >= denseFrom ? (compiled.gradients[table - denseFrom]?.length ?? 0) : keys.length * dim,
    );
    const all = room(
      shard,
      widths.reduce((sum, width) => sum + width, 0),
    );
    let next = 0;
    return lists.map(({ table, keys }, at): ShardGradients => {
      return { table, keys, gradients: all.subarray(next, (next += widths[at] ?? 0)) };
    });
  });
  const { size, tables } = batch.plan;
  let rowSquares = 0;
  // Lists are in the order of tables: of each shard, the next one.
  const next = batch.lists.map(() => 0);
  for (const [index, choice] of tables.entries()) {
    const { sums, squares } = compiled.pooling.sum({ size, table: index, choice }, rows[index] ?? NONE);
    rowSquares += squares;
    for (const [shard, at] of next.entries()) {
      const list = batch.lists[shard]?.[at];
      if (list?.table !== index + 1) continue;
      next[shard] = at + 1;
      gradients[shard]?.[at]?.gradients.set(sums.subarray(list.from * dim, (list.from + list.keys.length) * dim));
    }
  }
  for (const { table, gradients: out } of gradients.flat()) {
    if (table >= denseFrom) out.set(compiled.gradients[table - denseFrom] ?? []);
  }
  return { probabilities, loss, gradients, rowSquares };
}

const NONE = new Float32Array();
