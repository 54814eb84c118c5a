/*
 * Trains a model on samples that it may see again: the stream's step (predict, learn, one gradient a row, the optimizer) over rows in this
 * thread's memory, without shards.
 */
import { type Backend, type BatchLoss } from "../compute/backend.ts";
import { addGradient, poolRows, type Pooling } from "../compute/pooling.ts";
import { firstBroken, GRADIENT_NORM_MAX, type Refusal } from "./guard.ts";
import { weighLabels } from "./label-weights.ts";
import { type LocalModel, type LocalTable } from "./local-model.ts";
import { firstDenseTable } from "../model-layout.ts";
import { createRandom, nextUint32 } from "../random.ts";
import { apply, type Optimizer } from "./optimizer.ts";
import { type SampleSet } from "./sample-set.ts";

export interface LocalTrainer extends Disposable {
  /**
   * Learns from the samples with these numbers, at most `batchMax`, all of them or, where `refused` says why, none. The probabilities, as predicted
   * before, last until the next call.
   */
  step(set: SampleSet, samples: Uint32Array, how: StepOptions): LocalStep;
  /** Predicts all samples of a set, in order. */
  predict(set: SampleSet): Float32Array;
}

export interface LocalStep extends BatchLoss {
  readonly probabilities: Float32Array;
  readonly refused?: RefusedBatch;
}

/** Why a batch must not be learned from, by the rule that shards refuse pushes by. */
export interface RefusedBatch {
  /** `loss`: it is no finite number, though each gradient is. */
  readonly reason: Refusal | "loss";
  /** Of the first row whose gradient is refused: its table, its key, and a sample that has it. */
  readonly table?: number;
  readonly key?: bigint;
  readonly sample?: number;
  /** A dense group's gradient is of all samples: then the sample is the one with the largest number, which is this dense feature's. */
  readonly feature?: string;
}

/** Samples that are seen again are learned by heart unless something holds that back. A stream that is seen once needs none of it. */
export interface StepOptions {
  /** Multiplies every learning rate. */
  readonly rate: number;
  /** So much of the square of each row that the batch touches is half added to the mean loss. */
  readonly l2: number;
  /** This share of the embeddings' numbers is 0 in this step, the others are larger for it (Srivastava et al. 2014); which, the seed says. */
  readonly dropout: number;
  readonly seed: number;
  /** In the first pass over the samples, the number of the step, from 1: by it keys get rows in tables with a rule of admission. In later ones none does. */
  readonly sighting?: number;
}

export function createLocalTrainer(
  model: LocalModel,
  options: { readonly backend: Backend; readonly batchMax: number },
): LocalTrainer {
  const { batchMax } = options;
  const { program } = model.layout;
  const compiled = options.backend.compile(program, { batchMax });
  const { inputs } = compiled;
  const poolings = model.layout.model.tables.map(({ sequence }) => sequence?.pooling);
  const touched = model.embeddings.map((table, at) => {
    const { last = 1 } = model.layout.model.tables[at]?.sequence ?? {};
    return createTouched(table, batchMax * last);
  });
  const masked = createMask(batchMax * program.tables * program.dim);
  const all = Uint32Array.from({ length: batchMax }, (_, at) => at);

  function place(set: SampleSet, samples: Uint32Array): void {
    const { tables, dim, denseFeatures } = program;
    for (const [group, { values }] of model.groups.entries()) compiled.parameters[group]?.set(values);
    for (let at = 0; at < samples.length; at += 1) {
      const sample = samples[at] ?? 0;
      for (let i = 0; i < denseFeatures; i += 1) {
        inputs.dense[at * denseFeatures + i] = set.dense[sample * denseFeatures + i] ?? 0;
      }
      for (let table = 0; table < tables; table += 1) {
        const values = model.embeddings[table]?.values;
        if (values === undefined) continue;
        const to = (at * tables + table) * dim;
        if (set.starts !== undefined) {
          const list = { starts: set.starts, pooling: poolings[table] ?? "sum" };
          const entry = { choice: { rowOf: set.rows, list }, sample: sample * tables + table, dim, rows: values };
          poolRows(entry, inputs.embeddings.subarray(to, to + dim));
          continue;
        }
        const from = (set.rows[sample * tables + table] ?? 0) * dim;
        for (let d = 0; d < dim; d += 1) inputs.embeddings[to + d] = values[from + d] ?? 0;
      }
      inputs.labels[at] = set.labels[sample] ?? 0;
      inputs.weights[at] = set.weights[sample] ?? 0;
    }
  }

  function largestNumber(set: SampleSet, samples: Uint32Array): Pick<RefusedBatch, "sample" | "feature"> {
    const { dense } = model.layout.model;
    let largest = 0;
    let found: Pick<RefusedBatch, "sample" | "feature"> = {};
    for (const sample of samples) {
      for (const [at, feature] of dense.entries()) {
        const size = Math.abs(set.dense[sample * dense.length + at] ?? 0);
        if (size > largest) [largest, found] = [size, { sample, feature }];
      }
    }
    return found;
  }

  /** Why the gradients that were summed last must not enter the model. Tables are numbered as in the layout. */
  function refusalOf(set: SampleSet, samples: Uint32Array, { lossSum }: BatchLoss): RefusedBatch | undefined {
    for (const [index, rows] of touched.entries()) {
      const broken = rows.firstBroken();
      if (broken === undefined) continue;
      const { row, reason } = broken;
      const sample = samples.find((each) => hasRow(set, each, { row, table: index, tables: program.tables }));
      const key = model.embeddings[index]?.keys[row];
      return { reason, table: index + 1, ...(key !== undefined && { key }), ...(sample !== undefined && { sample }) };
    }
    for (const [group, gradient] of compiled.gradients.entries()) {
      const broken = firstBroken(gradient, { rows: 1, normMax: GRADIENT_NORM_MAX });
      if (broken === undefined) continue;
      return { reason: broken.reason, table: firstDenseTable(model.layout) + group, ...largestNumber(set, samples) };
    }
    return Number.isFinite(lossSum) ? undefined : { reason: "loss" };
  }

  return {
    step(set, samples, { rate, l2, dropout, seed, sighting }) {
      const floats = samples.length * program.tables * program.dim;
      place(set, samples);
      if (dropout > 0) masked.draw(inputs.embeddings, { floats, dropout, seed });
      const probabilities = compiled.forward(samples.length);
      if (set.late !== undefined) {
        const { late, labels, weights } = set;
        const of = { labels: pick(labels, samples), weights: pick(weights, samples), late: pick(late, samples) };
        weighLabels(inputs.weights, { labels: of, probabilities, kept: 1 });
      }
      const loss = { ...compiled.backward(), probabilities };
      if (dropout > 0) masked.multiply(compiled.embeddingGradients, floats);
      for (const [table, rows] of touched.entries()) {
        const pooling = poolings[table] ?? "sum";
        rows.sum(set, { samples, table, tables: program.tables, pooling, gradients: compiled.embeddingGradients });
      }
      const refused = refusalOf(set, samples, loss);
      if (refused !== undefined) return { ...loss, refused };
      for (const rows of touched) rows.apply({ rate, pull: l2 * samples.length, sighting });
      for (const [group, { values, state, optimizer }] of model.groups.entries()) {
        const gradient = compiled.gradients[group];
        if (gradient !== undefined) apply(atRate(optimizer, rate), { values, state, gradient });
      }
      return loss;
    },
    predict(set) {
      const probabilities = new Float32Array(set.size);
      for (let from = 0; from < set.size; from += batchMax) {
        const samples = all.map((at) => from + at).subarray(0, Math.min(batchMax, set.size - from));
        place(set, samples);
        probabilities.set(compiled.forward(samples.length), from);
      }
      return probabilities;
    },
    [Symbol.dispose]() {
      compiled[Symbol.dispose]();
    },
  };
}

function pick(of: Float32Array, samples: Uint32Array): Float64Array {
  return Float64Array.from(samples, (sample) => of[sample] ?? Number.NaN);
}

/** Whether a sample has a row of a table. */
function hasRow(
  { rows, starts }: SampleSet,
  sample: number,
  of: { readonly row: number; readonly table: number; readonly tables: number },
): boolean {
  const cell = sample * of.tables + of.table;
  const [from = cell, to = cell + 1] = starts === undefined ? [] : starts.subarray(cell, cell + 2);
  return rows.subarray(from, to).includes(of.row);
}

/** The rows of one table that a batch touches, each once, and their summed gradients. */
interface Touched {
  sum(
    set: SampleSet,
    from: {
      readonly samples: Uint32Array;
      readonly table: number;
      readonly tables: number;
      readonly pooling: Pooling;
      readonly gradients: Float32Array;
    },
  ): void;
  /** The first whose summed gradient must not enter the model. */
  firstBroken(): { readonly row: number; readonly reason: Refusal } | undefined;
  /** A step of each that has a row, after `pull` times the row was added to its gradient. */
  apply(how: { readonly rate: number; readonly pull: number; readonly sighting: number | undefined }): void;
}

function createTouched(table: LocalTable, entriesMax: number): Touched {
  const { dim, values, state, stateFloats, admission } = table;
  const rowsMax = Math.min(entriesMax, table.keys.length);
  const rows = new Uint32Array(rowsMax);
  const sums = new Float32Array(rowsMax * dim);
  // Which place among `rows` a row has, and in which batch it got it.
  const placeOf = new Uint32Array(table.keys.length);
  const batchOf = new Uint32Array(table.keys.length);
  let batch = 0;
  let count = 0;

  function placeFor(row: number): number {
    if (batchOf[row] !== batch) {
      batchOf[row] = batch;
      placeOf[row] = count;
      rows[count] = row;
      sums.fill(0, count * dim, (count + 1) * dim);
      count += 1;
    }
    return placeOf[row] ?? 0;
  }

  /** A sample of a list: its rows side by side, their gradients, and these added to those of the batch. */
  function addList(entries: Uint32Array, pooling: Pooling, gradient: Float32Array): void {
    const near = new Float32Array(entries.length * dim);
    for (const [at, row] of entries.entries()) near.set(values.subarray(row * dim, (row + 1) * dim), at * dim);
    const apart = new Float32Array(near.length);
    const list = { starts: Uint32Array.of(0, entries.length), pooling };
    const rowOf = Uint32Array.from(entries.keys());
    addGradient({ choice: { rowOf, list }, sample: 0, dim, rows: near }, gradient, apart);
    for (const [at, row] of entries.entries()) {
      const to = placeFor(row) * dim;
      for (let d = 0; d < dim; d += 1) sums[to + d] = (sums[to + d] ?? 0) + (apart[at * dim + d] ?? 0);
    }
  }

  return {
    sum(set, { samples, table: index, tables, pooling, gradients }) {
      batch += 1;
      count = 0;
      for (let at = 0; at < samples.length; at += 1) {
        const entry = (samples[at] ?? 0) * tables + index;
        const from = (at * tables + index) * dim;
        if (set.starts !== undefined) {
          const entries = set.rows.subarray(set.starts[entry], set.starts[entry + 1]);
          addList(entries, pooling, gradients.subarray(from, from + dim));
          continue;
        }
        const to = placeFor(set.rows[entry] ?? 0) * dim;
        for (let d = 0; d < dim; d += 1) sums[to + d] = (sums[to + d] ?? 0) + (gradients[from + d] ?? 0);
      }
    },
    firstBroken() {
      const broken = firstBroken(sums.subarray(0, count * dim), { rows: count, normMax: GRADIENT_NORM_MAX });
      return broken === undefined ? undefined : { row: rows[broken.row] ?? 0, reason: broken.reason };
    },
    apply({ rate, pull, sighting }) {
      const optimizer = atRate(table.optimizer, rate);
      for (let place = 0; place < count; place += 1) {
        const row = rows[place] ?? 0;
        if (admission !== undefined && !admission.takes(row, sighting)) continue;
        for (let d = 0; d < dim; d += 1) {
          const at = place * dim + d;
          sums[at] = (sums[at] ?? 0) + pull * (values[row * dim + d] ?? 0);
        }
        apply(optimizer, {
          values: values.subarray(row * dim, (row + 1) * dim),
          state: state.subarray(row * stateFloats, (row + 1) * stateFloats),
          gradient: sums.subarray(place * dim, (place + 1) * dim),
        });
      }
    },
  };
}

/** Which numbers a step keeps, and what they are multiplied with. */
function createMask(floatsMax: number): {
  draw(floats: Float32Array, of: { readonly floats: number; readonly dropout: number; readonly seed: number }): void;
  multiply(floats: Float32Array, count: number): void;
} {
  let mask = new Float32Array(0);
  function multiply(floats: Float32Array, count: number): void {
    for (let at = 0; at < count; at += 1) floats[at] = (floats[at] ?? 0) * (mask[at] ?? 0);
  }
  return {
    draw(floats, { floats: count, dropout, seed }) {
      if (mask.length === 0) mask = new Float32Array(floatsMax);
      const random = createRandom(seed);
      const threshold = dropout * 0x1_0000_0000;
      const kept = 1 / (1 - dropout);
      for (let at = 0; at < count; at += 1) mask[at] = nextUint32(random) < threshold ? 0 : kept;
      multiply(floats, count);
    },
    multiply,
  };
}

function atRate(optimizer: Optimizer, rate: number): Optimizer {
  return rate === 1 ? optimizer : { ...optimizer, learningRate: optimizer.learningRate * rate };
}
