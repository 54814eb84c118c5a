import { unknownValues, type ModelLayout } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { type Replica } from "../protocols/sync/replica.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { Refused } from "../runtime/actor.ts";
import { sharedTables } from "../runtime/compute/table/spread-row-store.ts";
import { type KeyList, type ShardProtocol } from "./shard-protocol.ts";

/** Values of rows, keys x dim floats, and 1 for each that was ever trained. */
export interface ReadList {
  readonly values: Float32Array;
  readonly found: Uint8Array;
}

/** Rows of a store; a key that has none reads as the default row of its table. */
export function gatherRows(layout: ModelLayout, store: RowStore, { table, keys }: KeyList): ReadList {
  const declared = layout.tables[table];
  if (declared?.learning === undefined) {
    throw new Refused(`table ${table} of model '${layout.model.name}' has no rows to gather`);
  }
  const { found, values } = store.read(table, keys);
  const floats = floatsOf(declared, values);
  for (const [at, key] of keys.entries()) {
    if (found[at] === 0) floats.set(unknownValues(layout, table, key), at * declared.dim);
  }
  return { values: floats, found };
}

/** What a shard answers whoever wants to read its memory, and may know that of its life already. */
export function shareRows(
  { writer, store }: Pick<Replica, "writer" | "store">,
  { known, steps }: { readonly known: string | undefined; readonly steps: Int32Array },
): ShardProtocol["share"]["reply"] {
  return { life: writer, ...(known !== writer && { tables: sharedTables(store) }), steps };
}
