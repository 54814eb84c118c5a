/*
 * Rows of a model's shards, read straight from the shards' memory where they run in this process: no message, and the shard is not disturbed. A
 * row that changes under every try, and a shard whose memory is not known yet, are asked for as from anywhere else.
 */
import { unknownValues, type ModelLayout } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { SpreadReader } from "../runtime/compute/table/spread-reader.ts";
import { FOUND, GAVE_UP } from "../runtime/compute/table/table-reader.ts";
import { type ReadList } from "./gather-rows.ts";
import { type KeyList, type ShardProtocol } from "./shard-protocol.ts";

/** Where the rows of one life of a shard stand. A shard that restarts has others, so this is asked again now and then. */
interface Share {
  readonly life: string;
  readonly steps: Int32Array;
  readonly readers: readonly (SpreadReader | undefined)[];
  askedMs: number;
}

type Gathered = ShardProtocol["gather"]["reply"];

/** What reads rows by shard. */
export interface SharedRows {
  /** As a shard's own `gather`. */
  gather(shard: number, lists: readonly KeyList[], signal: AbortSignal): Promise<Gathered>;
  /** The shards may have restarted. */
  forget(): void;
}

/** What it needs of the actor whose thread reads. */
interface Reading {
  upMs(): number;
  count(name: string, by: number): void;
}

const NOTHING: ReadList = { values: new Float32Array(), found: new Uint8Array() };
/** Memory of a life that ended is read no longer than this. */
const SHARE_MS = 1_000;

export function createSharedRows(
  layout: ModelLayout,
  shards: readonly (ActorRef<ShardProtocol> | undefined)[],
  reading: Reading,
): SharedRows {
  let shares: (Share | undefined)[] = [];

  async function shareOf(shard: number, signal: AbortSignal): Promise<Share | undefined> {
    const known = shares[shard];
    const ref = shards[shard];
    if (ref === undefined || (known !== undefined && reading.upMs() - known.askedMs < SHARE_MS)) return known;
    const { life, tables, steps } = await ref.ask("share", {}, { signal });
    const readers = known?.life === life ? known.readers : tables.map((memories) => new SpreadReader(memories));
    const share = { life, steps, readers, askedMs: reading.upMs() };
    shares[shard] = share;
    return share;
  }

  /** One list from memory, or undefined where that did not do. */
  function read(share: Share, { table, keys }: KeyList): ReadList | undefined {
    const declared = layout.tables[table];
    const reader = share.readers[table];
    if (declared?.learning === undefined || reader === undefined) return undefined;
    const values = new Uint8Array(keys.length * declared.valueBytes);
    const statuses = reader.gather(keys, values);
    const floats = declared.precision === "f32" ? new Float32Array(values.buffer) : floatsOf(declared, values);
    let isWhole = true;
    for (let at = 0; at < keys.length; at += 1) {
      if (statuses[at] === GAVE_UP) isWhole = false;
      else if (statuses[at] !== FOUND) floats.set(unknownValues(layout, table, keys[at] ?? 0n), at * declared.dim);
    }
    return isWhole ? { values: floats, found: statuses } : undefined;
  }

  return {
    async gather(shard, lists, signal) {
      const ref = shards[shard];
      if (ref === undefined) return { values: [], found: [], steps: 0 };
      const share = await shareOf(shard, signal);
      // Before the rows: whatever is written meanwhile counts as later.
      const steps = share === undefined ? 0 : Atomics.load(share.steps, 0);
      const mine = lists.map((list) => (share === undefined ? undefined : read(share, list)));
      const rest = lists.filter((_, at) => mine[at] === undefined);
      let asked: ReadList[] = [];
      if (rest.length > 0) {
        reading.count(
          "freshet_gather_asked_rows_total",
          rest.reduce((sum, { keys }) => sum + keys.length, 0),
        );
        const answer = await ref.ask("gather", { lists: rest.map(({ table, keys }) => ({ table, keys })) }, { signal });
        asked = answer.values.map((values, at) => ({ values, found: answer.found[at] ?? new Uint8Array() }));
      }
      const all = mine.map((list) => list ?? asked.shift() ?? NOTHING);
      return { values: all.map(({ values }) => values), found: all.map(({ found }) => found), steps };
    },
    forget: () => {
      shares = [];
    },
  };
}
