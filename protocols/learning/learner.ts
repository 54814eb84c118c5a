/*
 * One batch of learning, without where the rows come from: which rows are needed of which shard, then, given their values, predictions
 * and one gradient per row. The trainer moves rows; this computes.
 */
import { shardOf } from "../keys.ts";
import { DENSE_KEY, densePlacement, firstDenseTable, type ModelLayout } from "../model-layout.ts";
import { backward, type BatchLoss, type DlrmWorkspace, dlrmWorkspace, forward } from "./dlrm.ts";
import {
  type BatchPlan,
  type Example,
  type LabelledExample,
  planBatch,
  spreadRows,
  sumGradients,
} from "./training-batch.ts";

/** Memory for batches of up to `batchMax` samples. */
export interface Learner {
  readonly layout: ModelLayout;
  readonly work: DlrmWorkspace;
  readonly embeddings: Float32Array<ArrayBuffer>;
  readonly labels: Float32Array<ArrayBuffer>;
  readonly weights: Float32Array<ArrayBuffer>;
}

/** Rows of one table, and at which of the batch's distinct keys each stands. */
export interface ShardList {
  readonly table: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly at: Uint32Array<ArrayBuffer>;
}

/** A batch and, per shard, the rows it needs. */
export interface PlannedBatch {
  readonly plan: BatchPlan;
  readonly lists: readonly (readonly ShardList[])[];
}

/** Gradients of one table's rows: keys x dim. */
export interface ShardGradients {
  readonly table: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly gradients: Float32Array<ArrayBuffer>;
}

export function createLearner(layout: ModelLayout, batchMax: number): Learner {
  return {
    layout,
    work: dlrmWorkspace(layout.shape, batchMax),
    embeddings: new Float32Array(batchMax * layout.shape.tables * layout.shape.dim),
    labels: new Float32Array(batchMax),
    weights: new Float32Array(batchMax),
  };
}

/** Which rows the examples need, by shard; dense groups are rows of their own tables. */
export function planExamples(layout: ModelLayout, examples: readonly Example[]): PlannedBatch {
  const { shards } = layout.model;
  const plan = planBatch(layout.model, examples);
  const lists: ShardList[][] = Array.from({ length: shards }, () => []);
  for (const [index, { keys }] of plan.tables.entries()) {
    const table = index + 1;
    const byShard: number[][] = Array.from({ length: shards }, () => []);
    for (const [at, key] of keys.entries()) byShard[shardOf(table, key, shards)]?.push(at);
    for (const [shard, ats] of byShard.entries()) {
      if (ats.length === 0) continue;
      const list = { table, keys: BigUint64Array.from(ats, (at) => keys[at] ?? 0n), at: Uint32Array.from(ats) };
      lists[shard]?.push(list);
    }
  }
  for (const { table, shard } of densePlacement(layout)) {
    lists[shard]?.push({ table, keys: BigUint64Array.of(DENSE_KEY), at: Uint32Array.of(0) });
  }
  return { plan, lists };
}

/** Puts the gathered rows, in the order of the lists, where the model reads them; gives the dense parameters. */
export function placeRows(
  learner: Learner,
  batch: PlannedBatch,
  gathered: readonly (readonly Float32Array[])[],
): readonly Float32Array[] {
  const { layout } = learner;
  const { dim } = layout.shape;
  const denseFrom = firstDenseTable(layout);
  const rows = batch.plan.tables.map(({ keys }) => new Float32Array(keys.length * dim));
  const dense: Float32Array[] = layout.shape.groups.map(() => new Float32Array(0));
  for (const [shard, lists] of batch.lists.entries()) {
    for (const [index, { table, at }] of lists.entries()) {
      const values = gathered[shard]?.[index];
      if (values === undefined) throw new RangeError(`Cannot place rows: shard ${shard} gave no list ${index}`);
      if (table >= denseFrom) {
        dense[table - denseFrom] = values;
        continue;
      }
      const to = rows[table - 1];
      for (const [row, key] of at.entries()) to?.set(values.subarray(row * dim, (row + 1) * dim), key * dim);
    }
  }
  spreadRows(batch.plan, rows, learner.embeddings);
  return dense;
}

/** Predicts without learning: one probability an example, a view that lasts until the next call. */
export function predict(learner: Learner, batch: PlannedBatch, parameters: readonly Float32Array[]): Float32Array {
  const { size, dense } = batch.plan;
  return forward(learner.layout.shape, {
    parameters,
    batch: { size, dense, embeddings: learner.embeddings },
    work: learner.work,
  });
}

/** Predicts, then computes the gradients per shard. The probabilities are a view that lasts until the next call. */
export function learn(
  learner: Learner,
  batch: PlannedBatch,
  given: { readonly examples: readonly LabelledExample[]; readonly parameters: readonly Float32Array[] },
): {
  readonly probabilities: Float32Array;
  readonly loss: BatchLoss;
  readonly gradients: readonly (readonly ShardGradients[])[];
} {
  const { layout, work, embeddings, labels, weights } = learner;
  const { shape } = layout;
  const { parameters } = given;
  for (const [at, { label, weight }] of given.examples.entries()) {
    labels[at] = label;
    weights[at] = weight;
  }
  const run = {
    parameters,
    batch: { size: batch.plan.size, dense: batch.plan.dense, embeddings, labels, weights },
    work,
  };
  const probabilities = forward(shape, run);
  const loss = backward(shape, run);
  const denseFrom = firstDenseTable(layout);
  const sums = batch.plan.tables.map((_, table) =>
    sumGradients(batch.plan, { table, dim: shape.dim, gradients: work.embeddingGradients }),
  );
  const gradients = batch.lists.map((lists) =>
    lists.map(({ table, keys, at }): ShardGradients => {
      if (table >= denseFrom) {
        return { table, keys, gradients: Float32Array.from(work.denseGradients[table - denseFrom] ?? []) };
      }
      const rows = new Float32Array(at.length * shape.dim);
      for (const [row, key] of at.entries()) {
        rows.set(sums[table - 1]?.subarray(key * shape.dim, (key + 1) * shape.dim) ?? [], row * shape.dim);
      }
      return { table, keys, gradients: rows };
    }),
  );
  return { probabilities, loss, gradients };
}
