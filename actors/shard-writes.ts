import { apply, coldStart, initialState, type Optimizer } from "../protocols/learning/optimizer.ts";
import { noteSighting } from "../protocols/learning/catalogue-row.ts";
import { checkFinite } from "../protocols/learning/guard.ts";
import { shardOf } from "../protocols/keys.ts";
import { CATALOGUE, initialValues, type ModelLayout } from "../protocols/model-layout.ts";
import { type RowEdit } from "../protocols/sync/row-store.ts";
import { type TableWrite } from "../protocols/sync/replica.ts";
import { GRADIENT_NORM_MAX, type GradientPart, type Push, type Sighting } from "./shard-protocol.ts";

/** Why a push must not enter this shard, or undefined. Nothing of a push is applied unless all of it may be. */
export function problemOf(layout: ModelLayout, push: Push): string | undefined {
  if (!Number.isSafeInteger(push.batch) || push.batch < 1) return "batch";
  for (const { table, keys, gradients } of push.parts) {
    const declared = layout.tables[table];
    if (declared?.learning === undefined) return "table";
    if (gradients.length !== keys.length * declared.dim) return "dimension";
    for (let row = 0; row < keys.length; row += 1) {
      const problem = checkFinite(gradients.subarray(row * declared.dim, (row + 1) * declared.dim), GRADIENT_NORM_MAX);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

/** The row changes a push means: an optimizer's step for each gradient, and the catalogue rows of the items that live here. */
export function writesOf(layout: ModelLayout, push: Push, shard: number): TableWrite[] {
  return [...push.parts.map((part) => gradientWrite(layout, part)), ...catalogueWrite(layout, push.sightings, shard)];
}

function gradientWrite(layout: ModelLayout, { table, keys, gradients }: GradientPart): TableWrite {
  const declared = layout.tables[table];
  const optimizer: Optimizer | undefined = declared?.learning;
  if (declared === undefined || optimizer === undefined) {
    throw new RangeError(`Cannot learn in table ${table}: it has no optimizer`);
  }
  const { dim } = declared;
  return {
    table,
    keys,
    mutate({ index, key, isNew, floats, state }: RowEdit) {
      if (isNew) {
        floats.set(initialValues(layout, table, key));
        state.set(initialState(optimizer, floats));
      } else if (isBlank(state)) {
        // The row came from a replica that holds no optimizer state. No optimizer leaves its state at zero.
        state.set(coldStart(optimizer, floats));
      }
      apply(optimizer, { values: floats, state, gradient: gradients.subarray(index * dim, (index + 1) * dim) });
    },
  };
}

function catalogueWrite(layout: ModelLayout, sightings: readonly Sighting[], shard: number): TableWrite[] {
  const here = sightings.filter(({ key }) => shardOf(CATALOGUE, key, layout.model.shards) === shard);
  if (here.length === 0) return [];
  return [
    {
      table: CATALOGUE,
      keys: BigUint64Array.from(here, ({ key }) => key),
      mutate({ index, isNew, bytes }: RowEdit) {
        const seen = here[index];
        return seen !== undefined && noteSighting(bytes, { isNew, ...seen }) ? undefined : "skip";
      },
    },
  ];
}

function isBlank(state: Float32Array): boolean {
  return state.length > 0 && state.every((value) => value === 0);
}
