/*
 * Rows of a model's shards, read straight from the shards' memory where they run in this process: no message, and the shard is not disturbed. A
 * row that changes under every try or is on disk, and a shard whose memory is not known yet, are asked for as from anywhere else.
 */
import { wordsSeed } from "../protocols/keys.ts";
import { type ModelLayout, writeUnknown } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { bytesOf } from "../protocols/wire/bytes.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { SpreadReader } from "../runtime/compute/table/spread-reader.ts";
import { FOUND, GAVE_UP, ON_DISK } from "../runtime/compute/table/table-reader.ts";
import { type ReadList } from "./gather-rows.ts";
import { type KeyList, type ShardProtocol } from "./shard-protocol.ts";

/** Where the rows of one life of a shard stand. A shard that restarts has others, so this is asked again now and then. */
interface Share {
  readonly life: string;
  readonly steps: Int32Array;
  readonly readers: readonly (SpreadReader | undefined)[];
  askedMs: number;
}

/** A list as it was read, and the places of the keys whose rows were not to be had; of those, how many were on disk. */
interface PartlyRead extends ReadList {
  readonly missing: readonly number[];
  readonly onDisk: number;
}

type Gathered = ShardProtocol["gather"]["reply"];

/** What reads rows by shard. */
export interface SharedRows {
  /** As a shard's own `gather`; the values are put into arrays that are given, one a list. */
  gather(
    shard: number,
    lists: readonly KeyList[],
    signal: AbortSignal,
    into?: readonly Float32Array[],
  ): Promise<Gathered>;
  /** Of all shards, each with lists of its own. Where one fails none goes on: once this has rejected, nothing more is put into the arrays. */
  gatherAll(
    lists: readonly (readonly KeyList[])[],
    signal: AbortSignal,
    into?: readonly (readonly Float32Array[])[],
  ): Promise<readonly Gathered[]>;
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
    const request = known === undefined ? {} : { known: known.life };
    const { life, tables, steps } = await ref.ask("share", request, { signal });
    const readers = known?.life === life ? known.readers : (tables ?? []).map((memories) => new SpreadReader(memories));
    const share = { life, steps, readers, askedMs: reading.upMs() };
    shares[shard] = share;
    return share;
  }

  /** One list from memory, or undefined where it is not known. */
  function read(share: Share, { table, keys }: KeyList, into?: Float32Array): PartlyRead | undefined {
    const declared = layout.tables[table];
    const reader = share.readers[table];
    if (declared?.learning === undefined || reader === undefined) return undefined;
    const { dim, precision, valueBytes } = declared;
    const floats = into ?? new Float32Array(keys.length * dim);
    const isExact = precision === "f32";
    const values = isExact ? bytesOf(floats) : new Uint8Array(keys.length * valueBytes);
    const statuses = reader.gather(keys, values);
    if (!isExact) floats.set(floatsOf(declared, values));
    const missing: number[] = [];
    // Two words instead of a key: 64-bit integers are objects.
    const words = new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
    let onDisk = 0;
    for (let at = 0; at < keys.length; at += 1) {
      const status = statuses[at];
      if (status === FOUND) continue;
      if (status === ON_DISK) onDisk += 1;
      if (status === GAVE_UP || status === ON_DISK) missing.push(at);
      else {
        const seed = wordsSeed(words[2 * at] ?? 0, words[2 * at + 1] ?? 0);
        writeUnknown(layout, { table, seed }, { into: floats, at: at * dim });
      }
    }
    return { values: floats, found: statuses, missing, onDisk };
  }

  const rows: SharedRows = {
    async gather(shard, lists, signal, into) {
      const ref = shards[shard];
      if (ref === undefined || lists.length === 0) return { values: [], found: [], steps: 0 };
      const share = await shareOf(shard, signal);
      // Before the rows: whatever is written meanwhile counts as later.
      const steps = share === undefined ? 0 : Atomics.load(share.steps, 0);
      const mine = lists.map((list, at) => (share === undefined ? undefined : read(share, list, into?.[at])));
      const rest = lists.flatMap(({ table, keys }, at): KeyList[] => {
        const missing = mine[at]?.missing;
        if (missing === undefined) return [{ table, keys }];
        return missing.length === 0
          ? []
          : [{ table, keys: BigUint64Array.from(missing, (place) => keys[place] ?? 0n) }];
      });
      let asked: ReadList[] = [];
      if (rest.length > 0) {
        reading.count(
          "freshet_gather_asked_rows_total",
          sumOf(rest, ({ keys }) => keys.length),
        );
        const onDisk = sumOf(mine, (list) => list?.onDisk ?? 0);
        if (onDisk > 0) reading.count("freshet_gather_disk_rows_total", onDisk);
        const answer = await ref.ask("gather", { lists: rest }, { signal });
        asked = answer.values.map((values, at) => ({ values, found: answer.found[at] ?? new Uint8Array() }));
      }
      const whole = mine.map((list, at) => {
        if (list?.missing.length === 0) return list;
        const answered = asked.shift() ?? NOTHING;
        if (list !== undefined) return completed(list, answered);
        into?.[at]?.set(answered.values);
        return { values: into?.[at] ?? answered.values, found: answered.found };
      });
      return { values: whole.map(({ values }) => values), found: whole.map(({ found }) => found), steps };
    },
    async gatherAll(lists, signal, into) {
      const failed = new AbortController();
      const ended = AbortSignal.any([signal, failed.signal]);
      try {
        return await Promise.all(lists.map((ofShard, shard) => rows.gather(shard, ofShard, ended, into?.[shard])));
      } catch (error) {
        failed.abort();
        throw error;
      }
    },
    forget: () => {
      shares = [];
    },
  };
  return rows;
}

/** A list with what was asked for in its places. */
function completed(list: PartlyRead, { values, found }: ReadList): ReadList {
  const dim = list.values.length / list.found.length;
  for (const [at, place] of list.missing.entries()) {
    list.values.set(values.subarray(at * dim, (at + 1) * dim), place * dim);
    list.found[place] = found[at] ?? 0;
  }
  return list;
}

function sumOf<Part>(parts: readonly Part[], of: (part: Part) => number): number {
  return parts.reduce((sum, part) => sum + of(part), 0);
}
