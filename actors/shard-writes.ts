import { type Optimizer } from "../protocols/learning/optimizer.ts";
import { noteSighting } from "../protocols/learning/catalogue-row.ts";
import { firstBroken, GRADIENT_NORM_MAX } from "../protocols/learning/guard.ts";
import { keySeed, shardOf } from "../protocols/keys.ts";
import { CATALOGUE, initialValues, type ModelLayout, writeFirst } from "../protocols/model-layout.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { createUrgency, rateUpdate, standsOut } from "../protocols/urgency.ts";
import { type RowEdit } from "../protocols/sync/row-store.ts";
import { type TableWrite } from "../protocols/sync/replica.ts";
import { type GradientPart, type Push, type Sighting } from "./shard-protocol.ts";

/** Why a push must not enter this shard, or undefined. Nothing of a push is applied unless all of it may be. */
export function problemOf(layout: ModelLayout, push: Push): string | undefined {
  if (!Number.isSafeInteger(push.batch) || push.batch < 1) return "batch";
  for (const { table, keys, gradients } of push.parts) {
    const declared = layout.tables[table];
    if (declared?.learning === undefined) return "table";
    if (gradients.length !== keys.length * declared.dim) return "dimension";
    const broken = firstBroken(gradients, { rows: keys.length, normMax: GRADIENT_NORM_MAX });
    if (broken !== undefined) return broken.reason;
  }
  return undefined;
}

/** What the rule of urgency is told of one row that was just written: the L1 norm of the change, and whether it made the row. */
export type IsUrgent = (norm: number, isNew: boolean) => boolean;

/** Of a model that declares none. */
export const URGENT_PERCENTILE = 99;

/** The rule of one shard, from its start. It follows from the pushes that it saw, and nothing else. */
export function createUrgentRule({ urgentPercentile = URGENT_PERCENTILE }: ModelDeclaration): IsUrgent {
  const urgency = createUrgency(urgentPercentile);
  // Keys are hashed to shards, so what a shard sees stands for its model. All of it has one share of the requests, which therefore
  // changes nothing about which updates are above the percentile.
  return (norm, isNew) => standsOut(urgency, rateUpdate(urgency, { norm, isNew, share: 1 }));
}

/**
 * The row changes a push means: an optimizer's step for each gradient, and the catalogue rows of the items that live here. What is urgent among
 * the former may be for another rule to say than among the latter.
 */
export function writesOf(
  layout: ModelLayout,
  push: Push,
  { shard, isUrgent, ofLearned = isUrgent }: { shard: number; isUrgent: IsUrgent; ofLearned?: IsUrgent | undefined },
): TableWrite[] {
  // Columns of all parts in one piece of memory each: there are many parts, and few rows in most.
  const rows = push.parts.reduce((sum, { keys }) => sum + keys.length, 0);
  const norms = new Float64Array(rows);
  const created = new Uint8Array(rows);
  let next = 0;
  return [
    ...push.parts.map((part) => {
      const [from, to] = [next, (next += part.keys.length)];
      const signs = { norms: norms.subarray(from, to), created: created.subarray(from, to) };
      return gradientWrite(layout, part, { isUrgent: ofLearned, ...signs });
    }),
    ...catalogueWrite(layout, push.sightings, { shard, isUrgent }),
  ];
}

function gradientWrite(
  layout: ModelLayout,
  { table, keys, gradients }: GradientPart,
  {
    isUrgent,
    norms,
    created,
  }: { readonly isUrgent: IsUrgent; readonly norms: Float64Array; readonly created: Uint8Array },
): TableWrite {
  const declared = layout.tables[table];
  const optimizer: Optimizer | undefined = declared?.learning;
  if (declared === undefined || optimizer === undefined) {
    throw new RangeError(`Cannot learn in table ${table}: it has no optimizer`);
  }
  const { role, dim } = declared;
  // One array for all new rows of the table: each is copied before the next is asked for.
  const first = new Float32Array(role === "embedding" ? dim : 0);
  function initial(key: bigint): Float32Array {
    if (role !== "embedding") return initialValues(layout, table, key);
    writeFirst(layout, { table, seed: keySeed(key) }, { into: first, at: 0 });
    return first;
  }
  return {
    table,
    keys,
    // Dense groups change with every batch, and are large: none of their changes is more urgent than the others.
    isUrgent: (index) => role === "embedding" && isUrgent(norms[index] ?? 0, created[index] === 1),
    steps: { optimizer, gradients, initial, norms, created },
  };
}

function catalogueWrite(
  layout: ModelLayout,
  sightings: readonly Sighting[],
  { shard, isUrgent }: { readonly shard: number; readonly isUrgent: IsUrgent },
): TableWrite[] {
  const here = sightings.filter(({ key }) => shardOf(CATALOGUE, key, layout.model.shards) === shard);
  if (here.length === 0) return [];
  const created = new Uint8Array(here.length);
  return [
    {
      table: CATALOGUE,
      keys: BigUint64Array.from(here, ({ key }) => key),
      // Counts of clicks are no change of the model; an item that nobody could find before is news.
      isUrgent: (index) => created[index] === 1 && isUrgent(0, true),
      mutate({ index, isNew, bytes }: RowEdit) {
        const seen = here[index];
        created[index] = isNew ? 1 : 0;
        return seen !== undefined && noteSighting(bytes, { isNew, ...seen }) ? undefined : "skip";
      },
    },
  ];
}
