/*
 * One batch of learning, without where the rows come from: which rows are needed of which shard, then, given their values, predictions
 * and one gradient per row. The trainer moves rows; this computes.
 */
import { type Backend, type BatchLoss, type CompiledProgram } from "../compute/backend.ts";
import { DENSE_KEY, densePlacement, firstDenseTable, type ModelLayout } from "../model-layout.ts";
import { weighLabels } from "./label-weights.ts";
import { type BatchPlan, type Example, fillDense, type LabelledExample, planBatch } from "./training-batch.ts";

/** A model, compiled for batches of a bounded size. */
export interface Learner {
  readonly layout: ModelLayout;
  readonly compiled: CompiledProgram;
  /** The rows of the batch that was placed last: distinct keys x dim, one array a table. */
  rows: readonly Float32Array[];
}

/** Rows of one table, and at which of the batch's distinct keys the first of them stands. */
export interface ShardList {
  readonly table: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly from: number;
}

/** A batch and, per shard, the rows it needs. */
export interface PlannedBatch {
  readonly examples: readonly Example[];
  readonly plan: BatchPlan;
  readonly lists: readonly (readonly ShardList[])[];
}

/** Gradients of one table's rows: keys x dim. */
export interface ShardGradients {
  readonly table: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly gradients: Float32Array<ArrayBuffer>;
}

export function createLearner(
  layout: ModelLayout,
  options: { readonly backend: Backend; readonly batchMax: number },
): Learner {
  const { backend, batchMax } = options;
  return { layout, compiled: backend.compile(layout.program, { batchMax }), rows: [] };
}

/** Which rows the examples need, by shard; dense groups are rows of their own tables. */
export function planExamples(layout: ModelLayout, examples: readonly Example[]): PlannedBatch {
  const { shards } = layout.model;
  const plan = planBatch(layout.model, examples);
  const lists: ShardList[][] = Array.from({ length: shards }, () => []);
  for (const [index, { keys, shardStarts }] of plan.tables.entries()) {
    for (let shard = 0; shard < shards; shard += 1) {
      const [from = 0, to = 0] = [shardStarts[shard], shardStarts[shard + 1]];
      if (from < to) lists[shard]?.push({ table: index + 1, keys: keys.slice(from, to), from });
    }
  }
  for (const { table, shard } of densePlacement(layout)) {
    lists[shard]?.push({ table, keys: BigUint64Array.of(DENSE_KEY), from: 0 });
  }
  return { examples, plan, lists };
}

/** Puts the batch and the gathered rows, in the order of the lists, where the program reads them. */
export function placeRows(learner: Learner, batch: PlannedBatch, gathered: readonly (readonly Float32Array[])[]): void {
  const { layout, compiled } = learner;
  const { dim } = layout.program;
  const denseFrom = firstDenseTable(layout);
  const rows = batch.plan.tables.map(({ keys }) => new Float32Array(keys.length * dim));
  for (const [shard, lists] of batch.lists.entries()) {
    for (const [index, { table, from }] of lists.entries()) {
      const values = gathered[shard]?.[index];
      if (values === undefined) throw new RangeError(`Cannot place rows: shard ${shard} gave no list ${index}`);
      if (table >= denseFrom) {
        compiled.parameters[table - denseFrom]?.set(values);
        continue;
      }
      rows[table - 1]?.set(values, from * dim);
    }
  }
  const { size, tables } = batch.plan;
  for (const [table, choice] of tables.entries()) {
    compiled.pooling.spread({ size, table, choice }, rows[table] ?? NONE);
  }
  learner.rows = rows;
  fillDense(layout.model, batch.examples, compiled.inputs.dense);
}

/** Predicts the batch that was placed last, without learning: one probability an example, a view that lasts until the next call. */
export function predict({ compiled }: Learner, batch: PlannedBatch): Float32Array {
  return compiled.forward(batch.plan.size);
}

/** Predicts the batch that was placed last, then computes the gradients per shard. The probabilities are a view that lasts until the next call. */
export function learn(
  { layout, compiled, rows }: Learner,
  batch: PlannedBatch,
  examples: readonly LabelledExample[],
): {
  readonly probabilities: Float32Array;
  readonly loss: BatchLoss;
  readonly gradients: readonly (readonly ShardGradients[])[];
} {
  const { dim } = layout.program;
  for (const [at, { label, weight }] of examples.entries()) {
    compiled.inputs.labels[at] = label;
    compiled.inputs.weights[at] = weight;
  }
  const probabilities = compiled.forward(batch.plan.size);
  weighLabels(compiled.inputs.weights, { examples, probabilities, kept: layout.model.negativesKept ?? 1 });
  const loss = compiled.backward();
  const denseFrom = firstDenseTable(layout);
  const { size, tables } = batch.plan;
  const sums = tables.map((choice, table) =>
    compiled.pooling.sum({ size, table, choice }, rows[table] ?? NONE).slice(),
  );
  const gradients = batch.lists.map((lists) =>
    lists.map(({ table, keys, from }): ShardGradients => {
      if (table >= denseFrom) {
        return { table, keys, gradients: Float32Array.from(compiled.gradients[table - denseFrom] ?? []) };
      }
      // Arrays of their own: they go to other threads without a copy.
      return { table, keys, gradients: (sums[table - 1] ?? NONE).slice(from * dim, (from + keys.length) * dim) };
    }),
  );
  return { probabilities, loss, gradients };
}

const NONE = new Float32Array();
