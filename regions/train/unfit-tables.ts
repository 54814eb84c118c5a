import { rowsWithin } from "../../actors/letting-go.ts";
import { shardOf } from "../../protocols/keys.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { type ModelLayout } from "../../protocols/model-layout.ts";
import { type LoadedSamples } from "./load-samples.ts";

/** A table has rows go in a way that files say too little for. */
class UnfitTable extends Error {
  override readonly name = "UnfitTable";

  constructor({ model, table, why }: { readonly model: string; readonly table: string; readonly why: string }) {
    super(
      `Cannot train model ${JSON.stringify(model)} on files: its table ${JSON.stringify(table)} ${why}, or give freshet train a config that leaves it out`,
    );
  }
}

/** Throws `UnfitTable` where rows go for their age: that is by the clock of the shard that holds them. */
export function refuseAges({ name: model, tables }: ModelDeclaration): void {
  const aging = tables.find(({ ttlMs }) => ttlMs !== undefined);
  if (aging === undefined) return;
  const why = 'has a "ttl", and here no row goes: its age is by the clock of a shard. Let its rows stay';
  throw new UnfitTable({ model, table: aging.name, why });
}

/** Throws `UnfitTable` where a table's budget is too small for the keys that are learned from: here none goes. */
export function refuseTightBudgets(
  layout: ModelLayout,
  { book, trainKeys }: Pick<LoadedSamples, "book" | "trainKeys">,
): void {
  const { name: model, shards, tables } = layout.model;
  for (const [index, { name }] of tables.entries()) {
    const table = index + 1;
    const rowsMax = rowsWithin(layout, table);
    if (rowsMax === undefined) continue;
    const keys = Array.from({ length: shards }, () => 0);
    for (const key of book[index]?.keys().subarray(0, trainKeys[index]) ?? []) {
      const shard = shardOf(table, key, shards);
      keys[shard] = (keys[shard] ?? 0) + 1;
    }
    const most = Math.max(...keys);
    if (most <= rowsMax) continue;
    const why = `has a "budget" of ${rowsMax} rows in each of ${shards} shards, and one gets ${most} keys from these samples; here no row goes, as that depends on when a shard gets them. Raise the budget`;
    throw new UnfitTable({ model, table: name, why });
  }
}
