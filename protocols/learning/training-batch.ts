/*
 * From samples to the arrays a model computes on, and from its gradients back to one gradient per row: a key that stands in many
 * samples of a batch is gathered once and stepped once.
 */
import { type RowChoice } from "../compute/pooling.ts";
import { keyOf, shardOf } from "../keys.ts";
import { type DerivedFeature, type ModelDeclaration, type TableDeclaration } from "../model.ts";

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

/** The distinct keys of one table in a batch, those of a shard side by side, and which of them each sample has. */
export interface BatchKeys extends RowChoice {
  readonly keys: BigUint64Array<ArrayBuffer>;
  /** By shard: where its keys begin; one more, the end of the last. */
  readonly shardStarts: readonly number[];
}

/** A batch before its rows are known. */
export interface BatchPlan {
  readonly size: number;
  readonly tables: readonly BatchKeys[];
}

/** Lays out a batch. A missing categorical feature has the key of the empty text; a missing list is empty, and has no key. */
export function planBatch(model: ModelDeclaration, examples: readonly Example[]): BatchPlan {
  return {
    size: examples.length,
    tables: model.tables.map((table, index) => {
      const place = { table: index + 1, shards: model.shards };
      return table.sequence === undefined
        ? distinctKeys(examples.map(keyReader(model, table.key)), place)
        : listKeys(examples, table, place);
    }),
  };
}

/** Writes the numeric features, size x dense features. A missing number is 0. */
export function fillDense(model: ModelDeclaration, examples: readonly Example[], out: Float32Array): void {
  const columns = model.dense.length;
  for (const [at, { dense }] of examples.entries()) {
    for (const [column, name] of model.dense.entries()) out[at * columns + column] = dense[name] ?? 0;
  }
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

/** The texts that a table's keys are made of: one an example, or those of a list. */
export function keyTexts(
  model: Pick<ModelDeclaration, "derived">,
  { key, sequence }: Pick<TableDeclaration, "key" | "sequence">,
): (example: Example) => readonly string[] {
  if (sequence !== undefined) return (example) => lastOf(example, key, sequence.last);
  const read = keyReader(model, key);
  return (example) => [read(example)];
}

/** The last entries of a list feature: a text with a line for each (protocols/feedback.ts). */
function lastOf({ features }: Example, name: string, last: number): readonly string[] {
  const text = features[name] ?? "";
  return text === "" ? [] : text.split("\n").slice(-last);
}

interface TablePlace {
  readonly table: number;
  readonly shards: number;
}

function listKeys(examples: readonly Example[], { key, sequence }: TableDeclaration, place: TablePlace): BatchKeys {
  const { last, pooling } = sequence ?? { last: 0, pooling: "mean" };
  const starts = new Uint32Array(examples.length + 1);
  const texts: string[] = [];
  for (const [at, example] of examples.entries()) {
    texts.push(...lastOf(example, key, last));
    starts[at + 1] = texts.length;
  }
  return { ...distinctKeys(texts, place), list: { starts, pooling } };
}

function distinctKeys(texts: readonly string[], { table, shards }: TablePlace): BatchKeys {
  // Texts are compared, not keys: most repeat within a batch, and hashing one makes a bigint.
  const rows = new Map<string, number>();
  const met: bigint[] = [];
  const shardOfRow: number[] = [];
  const shardStarts = Array.from({ length: shards + 1 }, () => 0);
  const rowOf = new Uint32Array(texts.length);
  for (let at = 0; at < texts.length; at += 1) {
    const text = texts[at] ?? "";
    let row = rows.get(text);
    if (row === undefined) {
      row = met.length;
      rows.set(text, row);
      const key = keyOf(text);
      const shard = shardOf(table, key, shards);
      met.push(key);
      shardOfRow.push(shard);
      shardStarts[shard + 1] = (shardStarts[shard + 1] ?? 0) + 1;
    }
    rowOf[at] = row;
  }
  for (let shard = 0; shard < shards; shard += 1) {
    shardStarts[shard + 1] = (shardStarts[shard + 1] ?? 0) + (shardStarts[shard] ?? 0);
  }
  // From the order in which they were met to that of the shards.
  const next = shardStarts.slice();
  const keys = new BigUint64Array(met.length);
  const placeOf = new Uint32Array(met.length);
  for (let row = 0; row < met.length; row += 1) {
    const shard = shardOfRow[row] ?? 0;
    const to = next[shard] ?? 0;
    next[shard] = to + 1;
    keys[to] = met[row] ?? 0n;
    placeOf[row] = to;
  }
  for (let at = 0; at < rowOf.length; at += 1) rowOf[at] = placeOf[rowOf[at] ?? 0] ?? 0;
  return { keys, shardStarts, rowOf };
}
