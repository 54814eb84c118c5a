import { columnsOf } from "../columns/example-columns.ts";
import { type RowChoice } from "../compute/pooling.ts";
import { type ModelDeclaration } from "../model.ts";
import { KeySet } from "./key-set.ts";
import { chooseRows, fillDense, type LabelledExample } from "./training-batch.ts";

/** Samples held to be passed over several times: numbers only, so that a pass looks nothing up. */
export interface SampleSet {
  readonly size: number;
  /** Which of its table's distinct keys each sample has, table by table: size x tables, where no table is of a list. */
  readonly rows: Uint32Array;
  /** Where one is: where each sample's entries of each table begin in `rows`, and at last where they end. */
  readonly starts?: Uint32Array;
  /** Size x dense features. */
  readonly dense: Float32Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
  /** Of negatives that were given early: the share of positives that come later (label-weights.ts); NaN of others. Absent where there is none. */
  readonly late?: Float32Array;
}

/** The distinct keys of each of a model's tables, numbered as they were met. */
export type KeyBook = readonly KeySet[];

export function createKeyBook(model: ModelDeclaration): KeyBook {
  return model.tables.map(() => new KeySet());
}

/** Numbers what the samples hold; keys that are new go into the book. */
export function encodeSamples(model: ModelDeclaration, book: KeyBook, samples: readonly LabelledExample[]): SampleSet {
  const parts = samples.length === 0 ? [] : [columnsOf(samples)];
  const choices = model.tables.map((table, at) => {
    const set = book[at];
    if (set === undefined) throw new RangeError(`Cannot number samples: the book has no table ${at}`);
    return chooseRows(model, table, { parts, set });
  });
  const dense = new Float32Array(samples.length * model.dense.length);
  fillDense(model, parts, dense);
  return {
    size: samples.length,
    ...sampleBySample(choices, samples.length),
    dense,
    labels: Float32Array.from(samples, ({ label }) => label),
    weights: Float32Array.from(samples, ({ weight }) => weight),
    ...(samples.some(({ late }) => late !== undefined) && { late: lateOf(samples) }),
  };
}

function lateOf(samples: readonly LabelledExample[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(samples, ({ late = Number.NaN }) => late);
}

/** From table by table to sample by sample. */
function sampleBySample(choices: readonly RowChoice[], size: number): Pick<SampleSet, "rows" | "starts"> {
  const tables = choices.length;
  const rows = new Uint32Array(choices.reduce((sum, { rowOf }) => sum + rowOf.length, 0));
  const starts = choices.some(({ list }) => list !== undefined) ? new Uint32Array(size * tables + 1) : undefined;
  let next = 0;
  for (let sample = 0; sample < size; sample += 1) {
    for (const [table, { rowOf, list }] of choices.entries()) {
      const [from = sample, to = sample + 1] = list === undefined ? [] : list.starts.subarray(sample, sample + 2);
      for (let entry = from; entry < to; entry += 1) rows[next++] = rowOf[entry] ?? 0;
      if (starts !== undefined) starts[sample * tables + table + 1] = next;
    }
  }
  return { rows, ...(starts && { starts }) };
}

/** One set of what several hold, in order. */
export function joinSamples(sets: readonly SampleSet[]): SampleSet {
  function joined<T extends Float32Array | Uint32Array>(into: T, partOf: (set: SampleSet) => T): T {
    let at = 0;
    for (const set of sets) {
      into.set(partOf(set), at);
      at += partOf(set).length;
    }
    return into;
  }
  function length(partOf: (set: SampleSet) => Float32Array | Uint32Array): number {
    return sets.reduce((sum, set) => sum + partOf(set).length, 0);
  }
  const starts = joinStarts(sets);
  const isLate = sets.some(({ late }) => late !== undefined);
  return {
    size: sets.reduce((sum, { size }) => sum + size, 0),
    ...(starts && { starts }),
    rows: joined(new Uint32Array(length(({ rows }) => rows)), ({ rows }) => rows),
    dense: joined(new Float32Array(length(({ dense }) => dense)), ({ dense }) => dense),
    labels: joined(new Float32Array(length(({ labels }) => labels)), ({ labels }) => labels),
    weights: joined(new Float32Array(length(({ weights }) => weights)), ({ weights }) => weights),
    ...(isLate && {
      late: joined(
        new Float32Array(length(({ labels }) => labels)),
        ({ late, size }) => late ?? new Float32Array(size).fill(Number.NaN),
      ),
    }),
  };
}

function joinStarts(sets: readonly SampleSet[]): Uint32Array | undefined {
  if (sets.every((set) => set.starts === undefined)) return undefined;
  const joined = new Uint32Array(sets.reduce((sum, { starts }) => sum + Math.max(0, (starts?.length ?? 0) - 1), 1));
  let at = 0;
  for (const { starts } of sets) {
    const from = joined[at] ?? 0;
    for (const start of starts?.subarray(1) ?? []) joined[++at] = from + start;
  }
  return joined;
}
