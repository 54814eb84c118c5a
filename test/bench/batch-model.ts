/*
 * A model of the product, its program, backend, first values and optimizers, over rows in plain arrays by number: what the shards and the trainer do
 * between them, without the actors, so that days of clicks are learned in minutes.
 */
import { type Backend, type CompiledProgram } from "../../protocols/compute/backend.ts";
import { initialDense, initialRow } from "../../protocols/learning/initial-values.ts";
import { labelsOf, weighLabels } from "../../protocols/learning/label-weights.ts";
import { apply as applyStep, type Delay, initialState, stateFloats } from "../../protocols/learning/optimizer.ts";
import { modelLayout } from "../../protocols/model-layout.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { mixUint32 } from "../../protocols/random.ts";

/** A sample: a row of each table, numbers, and a label. `kept` is the share of such negatives that are learned from. */
export interface BatchSample {
  readonly rows: Int32Array;
  readonly dense: Float32Array;
  readonly label: number;
  readonly kept: number;
}

interface Table {
  readonly values: Float32Array;
  readonly state: Float32Array;
  /** The batch in which a row stood last, and where its gradient is in that. */
  readonly batchOf: Int32Array;
  readonly slotOf: Int32Array;
}

export class BatchModel {
  readonly compiled: CompiledProgram;
  readonly dim: number;
  readonly tables: readonly Table[];
  readonly #model: ModelDeclaration;
  readonly #denseState: readonly Float32Array[];
  #batch = 0;

  /** `rows` is how many rows each table has. */
  constructor(
    model: ModelDeclaration,
    options: {
      readonly backend: Backend;
      readonly batchMax: number;
      readonly rows: readonly number[];
      readonly seed: number;
    },
  ) {
    const { backend, batchMax, rows, seed } = options;
    const { program } = modelLayout(model);
    this.#model = model;
    this.dim = program.dim;
    this.compiled = backend.compile(program, { batchMax });
    const dense = initialDense(program, seed);
    for (const [at, group] of this.compiled.parameters.entries()) group.set(dense[at] ?? []);
    this.#denseState = dense.map((values) => initialState(model.denseOptimizer, values));
    this.tables = rows.map((count, table) =>
      createTable(model, { count, dim: program.dim, seed: mixUint32(seed, table) }),
    );
  }

  /** Puts a sample's rows and numbers where the program reads them. */
  place(at: number, rows: Int32Array, dense: Float32Array): void {
    const { inputs } = this.compiled;
    const { dim, tables } = this;
    for (const [table, { values }] of tables.entries()) {
      const from = (rows[table] ?? 0) * dim;
      const to = (at * tables.length + table) * dim;
      for (let d = 0; d < dim; d += 1) inputs.embeddings[to + d] = values[from + d] ?? 0;
    }
    inputs.dense.set(dense, at * dense.length);
  }

  /** Predicts the first samples that were placed. */
  predict(size: number): Float32Array {
    return this.compiled.forward(size);
  }

  /** Predicts and learns; gives what was predicted before. */
  learn(samples: readonly BatchSample[]): Float32Array {
    const { probabilities, step } = this.compute(samples, { readValues: false });
    this.apply(step);
    return probabilities;
  }

  /** Predicts, and computes the step that follows, to be applied now or later. `readValues` keeps what the gradients were computed at. */
  compute(
    samples: readonly BatchSample[],
    { readValues }: { readonly readValues: boolean },
  ): { readonly probabilities: Float32Array; readonly step: ModelStep } {
    const { inputs } = this.compiled;
    for (const [at, { rows, dense, label }] of samples.entries()) {
      this.place(at, rows, dense);
      inputs.labels[at] = label;
      inputs.weights[at] = 1;
    }
    const probabilities = this.compiled.forward(samples.length);
    for (const [at, sample] of samples.entries()) {
      weighLabels(inputs.weights.subarray(at, at + 1), {
        labels: labelsOf([{ ...sample, weight: 1 }]),
        probabilities: probabilities.subarray(at, at + 1),
        kept: sample.kept,
      });
    }
    const { weightSum } = this.compiled.backward();
    this.#batch += 1;
    // Weights undo how often a sample was drawn: the mean is over the samples, or one rare item would silence its batch.
    const scale = weightSum / samples.length;
    const { parameters, gradients } = this.compiled;
    const step = {
      tables: this.tables.map((_, table) => this.#sumRows(samples, table, readValues)),
      dense: gradients.map((gradient, group) => ({
        gradient: gradient.map((g) => g * scale),
        read: readValues ? parameters[group]?.slice() : undefined,
      })),
    };
    return { probabilities, step };
  }

  /** `lambda` is of delay compensation, for steps that kept what they read. */
  apply({ tables, dense }: ModelStep, lambda = 0): void {
    const { dim } = this;
    for (const [table, { rows, gradients, read }] of tables.entries()) {
      const to = this.tables[table];
      if (to === undefined) continue;
      const floats = to.state.length / (to.values.length / dim);
      for (const [slot, row] of rows.entries()) {
        const values = to.values.subarray(row * dim, (row + 1) * dim);
        const state = to.state.subarray(row * floats, (row + 1) * floats);
        const gradient = gradients.subarray(slot * dim, (slot + 1) * dim);
        const delay = delayOf(lambda, read?.subarray(slot * dim, (slot + 1) * dim));
        applyStep(this.#model.optimizer, { values, state, gradient, ...delay });
      }
    }
    for (const [group, { gradient, read }] of dense.entries()) {
      const [values, state] = [this.compiled.parameters[group], this.#denseState[group]];
      if (values === undefined || state === undefined) continue;
      applyStep(this.#model.denseOptimizer, { values, state, gradient, ...delayOf(lambda, read) });
    }
  }

  /** One gradient for each row of a table in the batch. */
  #sumRows(samples: readonly BatchSample[], table: number, readValues: boolean): RowStep {
    const { dim, compiled, tables } = this;
    const of = tables[table];
    if (of === undefined) return { rows: [], gradients: new Float32Array(0), read: undefined };
    const rows: number[] = [];
    const sums = new Float32Array(samples.length * dim);
    for (const [at, sample] of samples.entries()) {
      const row = sample.rows[table] ?? 0;
      if (of.batchOf[row] !== this.#batch) {
        of.batchOf[row] = this.#batch;
        of.slotOf[row] = rows.push(row) - 1;
      }
      const to = (of.slotOf[row] ?? 0) * dim;
      const from = (at * tables.length + table) * dim;
      for (let d = 0; d < dim; d += 1) {
        sums[to + d] = (sums[to + d] ?? 0) + (compiled.embeddingGradients[from + d] ?? 0);
      }
    }
    const read = readValues ? new Float32Array(rows.length * dim) : undefined;
    for (const [slot, row] of rows.entries()) read?.set(of.values.subarray(row * dim, (row + 1) * dim), slot * dim);
    return { rows, gradients: sums, read };
  }
}

/** A step that was computed and not applied yet. */
export interface ModelStep {
  readonly tables: readonly RowStep[];
  readonly dense: readonly { readonly gradient: Float32Array; readonly read: Float32Array | undefined }[];
}

/** Rows of one table, their gradients one after another, and what these were computed at. */
interface RowStep {
  readonly rows: readonly number[];
  readonly gradients: Float32Array;
  readonly read: Float32Array | undefined;
}

function delayOf(lambda: number, valuesRead: Float32Array | undefined): { readonly delay?: Delay } {
  return lambda === 0 || valuesRead === undefined ? {} : { delay: { lambda, valuesRead } };
}

function createTable(
  model: ModelDeclaration,
  { count, dim, seed }: { readonly count: number; readonly dim: number; readonly seed: number },
): Table {
  const values = new Float32Array(count * dim);
  const floats = stateFloats(model.optimizer, dim);
  const state = new Float32Array(count * floats);
  for (let row = 0; row < count; row += 1) {
    const view = values.subarray(row * dim, (row + 1) * dim);
    initialRow(view, { table: 0, keySeed: mixUint32(seed, row) });
    state.set(initialState(model.optimizer, view), row * floats);
  }
  return { values, state, batchOf: new Int32Array(count), slotOf: new Int32Array(count) };
}
