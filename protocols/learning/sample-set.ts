import { keyOf } from "../keys.ts";
import { type ModelDeclaration } from "../model.ts";
import { fillDense, keyReader, type LabelledExample } from "./training-batch.ts";

/** Samples held to be passed over several times: numbers only, so that a pass looks nothing up. */
export interface SampleSet {
  readonly size: number;
  /** Size x tables: which of its table's distinct keys each sample has. */
  readonly rows: Uint32Array;
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
  const rows = new Uint32Array(samples.length * tables);
  const dense = new Float32Array(samples.length * model.dense.length);
  fillDense(model, samples, dense);
  for (const [table, { key }] of model.tables.entries()) {
    const numbers = book[table];
    if (numbers === undefined) throw new RangeError(`Cannot number samples: the book has no table ${table}`);
    const textOf = keyReader(model, key);
    for (const [at, sample] of samples.entries()) rows[at * tables + table] = numberOf(numbers, textOf(sample));
  }
  return {
    size: samples.length,
    rows,
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
  return {
    size: sets.reduce((sum, { size }) => sum + size, 0),
    rows: joined(new Uint32Array(length(({ rows }) => rows)), ({ rows }) => rows),
    dense: joined(new Float32Array(length(({ dense }) => dense)), ({ dense }) => dense),
    labels: joined(new Float32Array(length(({ labels }) => labels)), ({ labels }) => labels),
    weights: joined(new Float32Array(length(({ weights }) => weights)), ({ weights }) => weights),
  };
}
