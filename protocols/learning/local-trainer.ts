/*
 * Trains a model on samples that it may see again: the stream's step (predict, learn, one gradient a row, the optimizer) over rows in this
 * thread's memory, without shards.
 */
import { type Backend, type BatchLoss } from "../compute/backend.ts";
import { addGradient, poolRows, type Pooling } from "../compute/pooling.ts";
import { type LocalModel, type LocalTable } from "./local-model.ts";
import { createRandom, nextUint32 } from "../random.ts";
import { apply, type Optimizer } from "./optimizer.ts";
import { type SampleSet } from "./sample-set.ts";

export interface LocalTrainer extends Disposable {
  /** Learns from the samples with these numbers, at most `batchMax`. The probabilities, as predicted before, last until the next call. */
  step(set: SampleSet, samples: Uint32Array, how: StepOptions): BatchLoss & { readonly probabilities: Float32Array };
  /** Predicts all samples of a set, in order. */
  predict(set: SampleSet): Float32Array;
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

  return {
    step(set, samples, { rate, l2, dropout, seed, sighting }) {
      const floats = samples.length * program.tables * program.dim;
      place(set, samples);
      if (dropout > 0) masked.draw(inputs.embeddings, { floats, dropout, seed });
      const probabilities = compiled.forward(samples.length);
      const loss = { ...compiled.backward(), probabilities };
      if (!Number.isFinite(loss.lossSum)) return loss;
      if (dropout > 0) masked.multiply(compiled.embeddingGradients, floats);
      for (const [table, rows] of touched.entries()) {
        const pooling = poolings[table] ?? "sum";
        rows.sum(set, { samples, table, tables: program.tables, pooling, gradients: compiled.embeddingGradients });
        rows.apply({ rate, pull: l2 * samples.length, sighting });
      }
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
