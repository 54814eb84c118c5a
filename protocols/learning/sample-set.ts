import { keyOf } from "../keys.ts";
import { type ModelDeclaration } from "../model.ts";
import { fillDense, keyTexts, type LabelledExample } from "./training-batch.ts";

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
}

/** The distinct keys of each of a model's tables, numbered in the order in which they were met. */
export type KeyBook = readonly KeyNumbers[];

interface KeyNumbers {
  readonly numberOf: Map<string, number>;
  readonly keys: bigint[];
}

export function createKeyBook(model: ModelDeclaration): KeyBook {
  return model.tables.map(() => ({ numberOf: new Map(), keys: [] }));
}

/** Numbers what the samples hold; keys that are new go into the book. */
export function encodeSamples(model: ModelDeclaration, book: KeyBook, samples: readonly LabelledExample[]): SampleSet {
  const tables = model.tables.length;
  const rows: number[] = [];
  const hasLists = model.tables.some(({ sequence }) => sequence !== undefined);
  const starts = hasLists ? new Uint32Array(samples.length * tables + 1) : undefined;
  const dense = new Float32Array(samples.length * model.dense.length);
  fillDense(model, samples, dense);
  const columns = model.tables.map((table, at) => {
    const numbers = book[at];
    if (numbers === undefined) throw new RangeError(`Cannot number samples: the book has no table ${at}`);
    return { numbers, textsOf: keyTexts(model, table) };
  });
  for (const [at, sample] of samples.entries()) {
    for (const [table, { numbers, textsOf }] of columns.entries()) {
      for (const text of textsOf(sample)) rows.push(numberOf(numbers, text));
      if (starts !== undefined) starts[at * tables + table + 1] = rows.length;
    }
  }
  return {
    size: samples.length,
    rows: Uint32Array.from(rows),
    ...(starts && { starts }),
    dense,
    labels: Float32Array.from(samples, ({ label }) => label),
    weights: Float32Array.from(samples, ({ weight }) => weight),
  };
}

function numberOf({ numberOf: known, keys }: KeyNumbers, text: string): number {
  const held = known.get(text);
  if (held !== undefined) return held;
  known.set(text, keys.length);
  keys.push(keyOf(text));
  return keys.length - 1;
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
  return {
    size: sets.reduce((sum, { size }) => sum + size, 0),
    ...(starts && { starts }),
    rows: joined(new Uint32Array(length(({ rows }) => rows)), ({ rows }) => rows),
    dense: joined(new Float32Array(length(({ dense }) => dense)), ({ dense }) => dense),
    labels: joined(new Float32Array(length(({ labels }) => labels)), ({ labels }) => labels),
    weights: joined(new Float32Array(length(({ weights }) => weights)), ({ weights }) => weights),
  };
}

function joinStarts(sets: readonly SampleSet[]): Uint32Array | undefined {
  if (sets.every((set) => set.starts === undefined)) return undefined;
  const joined = [0];
  for (const { starts = [] } of sets) {
    const from = joined.at(-1) ?? 0;
    for (const start of starts.slice(1)) joined.push(from + start);
  }
  return Uint32Array.from(joined);
}
