import { roundToF16 } from "../../protocols/sync/precision.ts";
import { type TableWrite } from "../../protocols/sync/replica.ts";
import { rowKey } from "./sync-end-rows.ts";
import { type SyncEndConfig } from "./sync-end-protocol.ts";
import { createWorkload } from "./sync-workload.ts";

/** The updates that an end writes, in order. */
export interface Writing {
  next(updates: number): TableWrite;
  /** Has the next updates ready, in rounds, so that writing them is not measured with drawing them. */
  draw(updates: number, round: number): { readonly rounds: number };
  /** Has the next updates be every key once. */
  loadFirst(): void;
}

export function createWriting({ workload, order, keyStride, table }: SyncEndConfig): Writing {
  const stream = createWorkload(workload);
  const keys = BigUint64Array.from({ length: workload.keys }, (_, key) => rowKey(key * keyStride));
  const drawn: TableWrite[] = [];
  let swept = 0;
  let sweepTo = order === "sweep" ? Infinity : 0;

  /** The next value as the numbers of a row. */
  function fill(row: Uint8Array): void {
    const noise = stream.nextValue();
    if (table.precision === "f32") row.set(noise);
    // Within what 16 bits can hold.
    else row.set(roundToF16(Float32Array.from(new Int32Array(noise.buffer, 0, table.dim), (word) => word % 1_000)));
  }

  function compose(updates: number): TableWrite {
    const chosen = new BigUint64Array(updates);
    const values = new Uint8Array(updates * table.valueBytes);
    for (let at = 0; at < updates; at += 1) {
      const key = swept < sweepTo ? swept++ % workload.keys : stream.nextKey();
      chosen[at] = keys[key] ?? 0n;
      fill(values.subarray(at * table.valueBytes, (at + 1) * table.valueBytes));
    }
    return { table: 0, keys: chosen, values };
  }

  return {
    next: (updates) => drawn.shift() ?? compose(updates),
    draw: (updates, round) => {
      for (let left = updates; left > 0; left -= round) drawn.push(compose(Math.min(left, round)));
      return { rounds: drawn.length };
    },
    loadFirst: () => {
      swept = 0;
      sweepTo = workload.keys;
    },
  };
}
