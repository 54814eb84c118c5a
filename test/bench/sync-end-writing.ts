import { type RowEdit } from "../../protocols/sync/row-store.ts";
import { type TableWrite } from "../../protocols/sync/replica.ts";
import { rowKey } from "./sync-end-rows.ts";
import { type SyncEndConfig } from "./sync-end-protocol.ts";
import { createWorkload } from "./sync-workload.ts";

/** The updates that an end writes, in order. */
export interface Writing {
  next(updates: number): TableWrite;
  /** Has the next updates be every key once. */
  loadFirst(): void;
}

export function createWriting({ workload, order, keyStride, table }: SyncEndConfig): Writing {
  const stream = createWorkload(workload);
  const keys = BigUint64Array.from({ length: workload.keys }, (_, key) => rowKey(key * keyStride));
  let swept = 0;
  let sweepTo = order === "sweep" ? Infinity : 0;

  function mutate({ floats }: RowEdit): void {
    const noise = stream.nextValue();
    if (table.precision === "f32") floats.set(new Float32Array(noise.buffer));
    // Within what 16 bits can hold.
    else floats.set(new Int32Array(noise.buffer).subarray(0, floats.length).map((word) => word % 1_000));
  }

  return {
    next: (updates) => {
      const chosen = new BigUint64Array(updates);
      for (let at = 0; at < updates; at += 1) {
        const key = swept < sweepTo ? swept++ % workload.keys : stream.nextKey();
        chosen[at] = keys[key] ?? 0n;
      }
      return { table: 0, keys: chosen, mutate };
    },
    loadFirst: () => {
      swept = 0;
      sweepTo = workload.keys;
    },
  };
}
