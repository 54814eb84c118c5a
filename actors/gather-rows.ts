import { unknownValues, type ModelLayout } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { type Replica } from "../protocols/sync/replica.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { epochOf } from "../protocols/sync/version.ts";
import { Refused } from "../runtime/actor.ts";
import { sharedTables } from "../runtime/compute/table/beyond-row-store.ts";
import { NO_EPOCH, type SharedEpochs } from "./shard-epochs.ts";
import { type Gathered, type KeyList, type ShardProtocol } from "./shard-protocol.ts";

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

/** What a shard answers whoever asks it for rows. */
export function gatherAll(
  layout: ModelLayout,
  store: RowStore,
  asked: ShardProtocol["gather"]["request"] & Pick<Gathered, "steps" | "look">,
): Gathered {
  const { lists, epochs = false, steps, look } = asked;
  const read = lists.map((list) => gatherRows(layout, store, list));
  return {
    values: read.map(({ values }) => values),
    found: read.map(({ found }) => found),
    steps,
    look,
    ...(epochs && { epochs: lists.map((list) => gatherEpochs(store, list)) }),
  };
}

function gatherEpochs(store: RowStore, { table, keys }: KeyList): Int32Array {
  return Int32Array.from(keys, (key) => {
    const version = store.versionOf(table, key);
    return version === undefined ? NO_EPOCH : epochOf(version.writer);
  });
}

/** What a shard answers whoever wants to read its memory, and may know that of its life already. */
export function shareRows(
  { writer, store }: Pick<Replica, "writer" | "store">,
  {
    known,
    steps,
    epochs,
  }: { readonly known: string | undefined; readonly steps: Int32Array; readonly epochs: SharedEpochs },
): ShardProtocol["share"]["reply"] {
  return { life: writer, ...(known !== writer && { tables: sharedTables(store) }), steps, epochs };
}
