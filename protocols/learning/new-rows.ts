import { type ModelLayout, requiredTable } from "../model-layout.ts";
import { type PlannedBatch } from "./learner.ts";

/** Which samples of a batch are of a user, or an item, whose row was never trained. */
export interface NewRows {
  readonly user: (sample: number) => boolean;
  readonly item: (sample: number) => boolean;
}

export const NO_NEW_ROWS: NewRows = { user: () => false, item: () => false };

/** By shard, and list of its rows as planned: 1 for each row that was found. */
export function newRows(
  layout: ModelLayout,
  { plan, lists }: PlannedBatch,
  gathered: readonly { readonly found: readonly Uint8Array[] }[],
): NewRows {
  function newIn(table: number): (sample: number) => boolean {
    const { keys, rowOf } = plan.tables[table - 1] ?? NO_KEYS;
    const isKnown = new Uint8Array(keys.length);
    for (const [shard, shardLists] of lists.entries()) {
      const index = shardLists.findIndex((list) => list.table === table);
      const list = shardLists[index];
      if (list !== undefined) isKnown.set(gathered[shard]?.found[index] ?? [], list.from);
    }
    return (sample) => isKnown[rowOf[sample] ?? 0] === 0;
  }
  return { user: newIn(requiredTable(layout, "user")), item: newIn(requiredTable(layout, "item")) };
}

const NO_KEYS = { keys: new BigUint64Array(0), rowOf: new Uint32Array(0) };
