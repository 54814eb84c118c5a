import { type ReplicaEffect } from "../protocols/sync/replica.ts";
import { type RowStore, TOMBSTONE } from "../protocols/sync/row-store.ts";
import { type Address, type Context } from "../runtime/actor.ts";
import { type KeyList, type RowList, type RowsChanged, type ShardProtocol } from "./shard-protocol.ts";

/** Sends every row of some tables, then each change, to whoever asked for it and still says so. */
export interface RowFeed {
  subscribe(request: { readonly tables: readonly number[]; readonly token: string }, from: Address): void;
  /** What one step changed goes out together. */
  publish(effects: readonly ReplicaEffect[]): void;
}

/** What a follower of rows accepts. */
export interface RowFollowerProtocol {
  readonly rows: { request: RowsChanged; reply: void };
}

interface Subscriber {
  readonly address: Address;
  readonly token: string;
  readonly tables: ReadonlySet<number>;
  sequence: number;
  heardMs: number;
}

/** A subscriber not heard of for so long is forgotten. */
const SILENT_MS_MAX = 10_000;
const SUBSCRIBERS_MAX = 32;
const ROWS_PER_MESSAGE = 2_000;

export function createRowFeed(shard: number, store: RowStore, context: Context<ShardProtocol>): RowFeed {
  const subscribers = new Map<string, Subscriber>();

  function send(to: Subscriber, lists: readonly RowList[]): void {
    if (lists.length === 0) return;
    const message: RowsChanged = { shard, token: to.token, sequence: to.sequence, lists };
    to.sequence += 1;
    context.ref<RowFollowerProtocol>(to.address).tell("rows", message);
  }

  function sendAll(to: Subscriber): void {
    const list = store.collect(new Float64Array());
    for (const { table, from, to: end } of list.sections) {
      if (!to.tables.has(table)) continue;
      for (let at = from; at < end; at += ROWS_PER_MESSAGE) {
        for (const { keys, values, flags } of store.pack(list, {
          from: at,
          to: Math.min(end, at + ROWS_PER_MESSAGE),
        })) {
          // A deleted row's values are zero; who follows from now on never knew it.
          const isAll = flags.every((flag) => (flag & TOMBSTONE) === 0);
          send(to, isAll ? [{ table, keys, values }] : liveRows({ table, keys }));
        }
      }
    }
    store.release(list);
  }

  /** Those of some rows that are there. */
  function liveRows({ table, keys }: KeyList): RowList[] {
    const { found, values } = store.read(table, keys);
    if (!found.includes(0)) return keys.length === 0 ? [] : [{ table, keys, values }];
    const width = values.length / Math.max(1, keys.length);
    const live = [...keys.keys()].filter((at) => found[at] === 1);
    if (live.length === 0) return [];
    const kept = new Uint8Array(live.length * width);
    for (const [row, at] of live.entries()) kept.set(values.subarray(at * width, (at + 1) * width), row * width);
    return [{ table, keys: BigUint64Array.from(live, (at) => keys[at] ?? 0n), values: kept }];
  }

  return {
    subscribe({ tables, token }, from) {
      const nowMs = context.now();
      for (const [name, { heardMs }] of subscribers) if (nowMs - heardMs > SILENT_MS_MAX) subscribers.delete(name);
      const name = `${from.region}/${from.kind}/${from.id}`;
      const known = subscribers.get(name);
      if (known?.token === token) {
        known.heardMs = nowMs;
        return;
      }
      if (known === undefined && subscribers.size >= SUBSCRIBERS_MAX) {
        context.log.warn("A subscription was refused: too many follow this shard", { from: name });
        return;
      }
      const subscriber = { address: from, token, tables: new Set(tables), sequence: 0, heardMs: nowMs };
      subscribers.set(name, subscriber);
      sendAll(subscriber);
    },
    publish(effects) {
      for (const subscriber of subscribers.values()) {
        const changed = effects.filter(isOfRows).filter(({ table }) => subscriber.tables.has(table));
        send(subscriber, changed.flatMap(liveRows));
      }
    },
  };
}

function isOfRows(effect: ReplicaEffect): effect is ReplicaEffect & { kind: "applied" | "dropped" } {
  return effect.kind === "applied" || effect.kind === "dropped";
}
