import { mixUint32 } from "../../protocols/random.ts";
import { createTableRowStore } from "../../runtime/compute/table/table-row-store.ts";
import { createReplica, type Replica } from "../../protocols/sync/replica.ts";
import { type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { parseWriterId, type WriterId } from "../../protocols/sync/version.ts";
import { type SyncEndConfig } from "./sync-end-protocol.ts";

/** Wrote the rows that both ends hold from the start. */
const BEFORE = parseWriterId("0.bench.a.before");
/** Of the shards that both ends hold unchanged. */
export const IDLE_VERSION: ShardVersion = { counter: 1, generator: BEFORE };
const BATCH_ROWS = 10_000;

/** A replica that holds its first rows, as one that has loaded an image does: known, and in no cache. */
export function fillReplica({ table, rows }: SyncEndConfig, writer: WriterId): Replica {
  const store = createTableRowStore([table], { state: false });
  const before = store.writerIndex(BEFORE);
  for (let first = 0; first < rows; first += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, rows - first);
    store.merge(
      {
        table: 0,
        keys: BigUint64Array.from({ length: count }, (_, row) => rowKey(first + row)),
        t: Float64Array.from({ length: count }, (_, row) => first + row + 1),
        writers: new Uint16Array(count).fill(before),
        flags: new Uint8Array(count),
        values: new Uint8Array(count * table.valueBytes),
        state: undefined,
      },
      new Float64Array(),
    );
  }
  return createReplica({ writer, store, ...(rows === 0 ? {} : { knowledge: new Map([[BEFORE, rows]]) }) });
}

/** A key as names hash to: 63 bits without order. Different for different indexes. */
export function rowKey(index: number): bigint {
  return (BigInt(mixUint32(1, index) >>> 1) << 32n) | BigInt(index);
}
