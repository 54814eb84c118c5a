/*
 * What tests that step a replica by hand share: a moment, a table, and rows that are put into it. A replica is whoever the test says.
 */
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import {
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaStart,
  stepReplica,
} from "../protocols/sync/replica.ts";
import { type RowBatch, type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { type WriterId } from "../protocols/sync/version.ts";

/** Now, in milliseconds, and as the t of a row that is stamped now. */
export const NOW = 1_760_000_000_000;
export const T = NOW * 1000;
export const ROWS: TableSpec = {
  name: "rows",
  dim: 1,
  valueBytes: 4,
  stateBytes: 4,
  precision: "f32",
  optimizer: "adagrad",
};
export const TABLES: readonly TableSpec[] = [ROWS];
export const PULL = "1".repeat(32);

/** A replica of that table, empty unless it is given a store. */
export function replicaOf(options: Partial<ReplicaStart> & Pick<ReplicaStart, "writer">): Replica {
  return createReplica({ store: createMapRowStore(TABLES, { state: true }), ...options });
}

/** These rows in columns, all zeros. `writers` are indexes. */
export function columnsOf(
  rows: readonly { readonly key: bigint; readonly t: number }[],
  writers: readonly number[],
): RowBatch {
  return {
    table: 0,
    keys: BigUint64Array.from(rows, ({ key }) => key),
    t: Float64Array.from(rows, ({ t }) => t),
    writers: Uint16Array.from(writers),
    flags: new Uint8Array(rows.length),
    values: new Uint8Array(4 * rows.length),
    state: new Uint8Array(4 * rows.length),
  };
}

/** Stores a row of another's, of which nothing is known, as a merge does. Gives its slot, if it was taken. */
export function mergeRow(
  store: RowStore,
  row: {
    readonly key: bigint;
    readonly t: number;
    readonly writer: WriterId;
    readonly table?: number;
    readonly flags?: number;
  },
): Iterable<number> {
  const { table = 0, flags = 0, writer } = row;
  const columns = { ...columnsOf([row], [store.writerIndex(writer)]), table, flags: Uint8Array.of(flags) };
  return store.merge(columns, new Float64Array()).slots;
}

/** Writes the keys' rows as they are: the first write of a replica of the table is stamped T, the next row T + 1, and so on. */
export function writeRows(
  replica: Replica,
  keys: readonly bigint[],
  { urgent = [], nowMs = NOW }: { readonly urgent?: readonly bigint[]; readonly nowMs?: number } = {},
): ReplicaEffect[] {
  function isUrgent(index: number): boolean {
    return urgent.includes(keys[index] ?? -1n);
  }
  const writes = [{ table: 0, keys: BigUint64Array.from(keys), mutate: () => undefined, isUrgent }];
  return stepReplica(replica, { kind: "write", writes }, nowMs);
}

/** What a replica of the same tables, which knows nothing, asks for with a pull. */
export function pullBody({ declaration }: Replica, fields: object = {}): object {
  return { pullId: PULL, declaration, wantsState: true, settled: 0, knowledge: [], ...fields };
}

/** What was done, by kind; of what was sent, the message's name. */
export function kinds(effects: readonly ReplicaEffect[]): string[] {
  return effects.map((effect) => (effect.kind === "send" ? effect.message : effect.kind));
}

/** The frames that were asked for, message by message. */
export function askedFrames(effects: readonly ReplicaEffect[]): (readonly number[])[] {
  return effects.flatMap((effect) => (effect.kind === "send" && effect.message === "more" ? [effect.body.frames] : []));
}
