/*
 * From samples to the arrays a model computes on, and from its gradients back to one gradient per row: a key that stands in many
 * samples of a batch is gathered once and stepped once.
 */
import { keyOf } from "../keys.ts";
import { type DerivedFeature, type ModelDeclaration } from "../model.ts";

/** What a model needs of a sample, or of a candidate to be ranked. */
export interface Example {
  readonly user: string;
  readonly item: string;
  readonly features: Readonly<Record<string, string>>;
  readonly dense: Readonly<Record<string, number>>;
}

/** A labelled example. */
export interface LabelledExample extends Example {
  readonly label: number;
  readonly weight: number;
  /** Of a negative that was given early: the share of positives that come later (label-weights.ts). */
  readonly late?: number;
}

/** The distinct keys of one table in a batch, and which of them each sample has. */
export interface BatchKeys {
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly rowOfSample: Uint32Array<ArrayBuffer>;
}

/** A batch before its rows are known. */
export interface BatchPlan {
  readonly size: number;
  readonly tables: readonly BatchKeys[];
}

/** Lays out a batch. A missing categorical feature has the key of the empty text. */
export function planBatch(model: ModelDeclaration, examples: readonly Example[]): BatchPlan {
  return {
    size: examples.length,
    tables: model.tables.map(({ key }) => distinctKeys(examples, keyReader(model, key))),
  };
}

/** Writes the numeric features, size x dense features. A missing number is 0. */
export function fillDense(model: ModelDeclaration, examples: readonly Example[], out: Float32Array): void {
  const columns = model.dense.length;
  for (const [at, { dense }] of examples.entries()) {
    for (const [column, name] of model.dense.entries()) out[at * columns + column] = dense[name] ?? 0;
  }
}

/** Copies gathered rows (distinct keys x dim, one array a table) to where each sample needs them: size x tables x dim. */
export function spreadRows(plan: BatchPlan, gathered: readonly Float32Array[], out: Float32Array): void {
  const tables = plan.tables.length;
  for (const [table, { keys, rowOfSample }] of plan.tables.entries()) {
    const rows = gathered[table];
    if (rows === undefined || keys.length === 0) continue;
    const dim = rows.length / keys.length;
    for (let sample = 0; sample < plan.size; sample += 1) {
      const from = (rowOfSample[sample] ?? 0) * dim;
      const to = (sample * tables + table) * dim;
      for (let d = 0; d < dim; d += 1) out[to + d] = rows[from + d] ?? 0;
    }
  }
}

/** Sums per-sample gradients (size x tables x dim) into one per distinct key of a table: keys x dim. */
export function sumGradients(
  plan: BatchPlan,
  from: { readonly table: number; readonly dim: number; readonly gradients: Float32Array },
): Float32Array<ArrayBuffer> {
  const { table, dim, gradients } = from;
  const { keys, rowOfSample } = plan.tables[table] ?? { keys: new BigUint64Array(0), rowOfSample: new Uint32Array(0) };
  const sums = new Float32Array(keys.length * dim);
  for (let sample = 0; sample < plan.size; sample += 1) {
    const to = (rowOfSample[sample] ?? 0) * dim;
    const at = (sample * plan.tables.length + table) * dim;
    for (let d = 0; d < dim; d += 1) sums[to + d] = (sums[to + d] ?? 0) + (gradients[at + d] ?? 0);
  }
  return sums;
}

/** Gives the text that a table's key is made of. */
export type KeyReader = (example: Example) => string;

/** The reader for `user`, `item`, or a feature by its name. */
export function keyReader(model: Pick<ModelDeclaration, "derived">, key: string): KeyReader {
  const { derived = [] } = model;
  const at = derived.findIndex(({ name }) => name === key);
  const declared = derived[at];
  if (declared !== undefined) return derivedReader(declared, derived.slice(0, at));
  if (key === "user") return ({ user }) => user;
  if (key === "item") return ({ item }) => item;
  return ({ features }) => features[key] ?? "";
}

function derivedReader(feature: DerivedFeature, before: readonly DerivedFeature[]): KeyReader {
  switch (feature.kind) {
    case "bucketised": {
      const { of, bounds } = feature;
      return ({ dense }) => {
        const value = dense[of];
        if (value === undefined) return "";
        const above = bounds.findIndex((bound) => value < bound);
        return String(above < 0 ? bounds.length : above);
      };
    }
    case "crossed": {
      const readers = feature.of.map((name) => keyReader({ derived: before }, name));
      // With the length before each text, no two combinations are written alike.
      return (example) =>
        readers
          .map((read) => {
            const text = read(example);
            return `${text.length}:${text}`;
          })
          .join("");
    }
  }
}

function distinctKeys(examples: readonly Example[], textOf: KeyReader): BatchKeys {
  // Texts are compared, not keys: most repeat within a batch, and hashing one makes a bigint.
  const rows = new Map<string, number>();
  const keys: bigint[] = [];
  const rowOfSample = new Uint32Array(examples.length);
  for (const [at, example] of examples.entries()) {
    const text = textOf(example);
    let row = rows.get(text);
    if (row === undefined) {
      row = keys.length;
      rows.set(text, row);
      keys.push(keyOf(text));
    }
    rowOfSample[at] = row;
  }
  return { keys: BigUint64Array.from(keys), rowOfSample };
}
