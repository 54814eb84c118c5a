/*
 * Rows of a model's shards, read straight from the shards' memory where they run in this process: no message, and the shard is not disturbed. A
 * row that changes under every try or is on disk, and a shard whose memory is not known yet, are asked for as from anywhere else.
 */
import { type ModelLayout } from "../protocols/model-layout.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { SpreadReader } from "../runtime/compute/table/spread-reader.ts";
import { type EpochList, type PartlyRead, readLists, type ReadOptions, type SharedMemory } from "./read-lists.ts";
import { type EpochLook, joinLooks, lookAt, NO_EPOCH } from "./shard-epochs.ts";
import { type Gathered, type KeyList, type ShardProtocol } from "./shard-protocol.ts";

/** Where the rows of one life of a shard stand. A shard that restarts has others, so this is asked again now and then. */
interface Share extends SharedMemory {
  readonly life: string;
  readonly steps: Int32Array;
  readonly askedMs: number;
}

/** What reads rows by shard. */
export interface SharedRows {
  /** As a shard's own `gather`; the values are put into arrays that are given, one a list. */
  gather(shard: number, lists: readonly KeyList[], signal: AbortSignal, options?: ReadOptions): Promise<Gathered>;
  /** Of all shards, each with lists of its own. Where one fails none goes on: once this has rejected, nothing more is put into the arrays. */
  gatherAll(
    lists: readonly (readonly KeyList[])[],
    signal: AbortSignal,
    options?: Omit<ReadOptions, "into"> & { readonly into?: readonly (readonly Float32Array[])[] },
  ): Promise<readonly Gathered[]>;
  /** Gets to know the shards that are not known yet, as far as they answer. */
  meet(signal: AbortSignal): Promise<void>;
  /** What each shard says of its epoch now; nothing where its memory is not known. */
  looks(): readonly (EpochLook | undefined)[];
  /** The shards may have restarted. */
  forget(): void;
}

/** What it needs of the actor whose thread reads. */
interface Reading {
  upMs(): number;
  count(name: string, by: number): void;
}

const NOTHING: EpochList = { values: new Float32Array(), found: new Uint8Array(), epochs: undefined };
/** Of no rows. */
const NO_LOOK: EpochLook = { held: -1, latest: 0 };
/** Memory of a life that ended is read no longer than this. */
const SHARE_MS = 1_000;

export function createSharedRows(
  layout: ModelLayout,
  shards: readonly (ActorRef<ShardProtocol> | undefined)[],
  reading: Reading,
): SharedRows {
  let shares: (Share | undefined)[] = [];

  async function shareOf(ref: ActorRef<ShardProtocol>, shard: number, signal: AbortSignal): Promise<Share> {
    const known = shares[shard];
    if (known !== undefined && reading.upMs() - known.askedMs < SHARE_MS) return known;
    const request = known === undefined ? {} : { known: known.life };
    const { life, tables, steps, epochs } = await ref.ask("share", request, { signal });
    const readers = known?.life === life ? known.readers : (tables ?? []).map((memories) => new SpreadReader(memories));
    const share = { life, steps, epochs, readers, askedMs: reading.upMs() };
    shares[shard] = share;
    return share;
  }

  const rows: SharedRows = {
    async gather(shard, lists, signal, { into, epochs: isTold } = {}) {
      const ref = shards[shard];
      if (ref === undefined || lists.length === 0) return { values: [], found: [], steps: 0, look: NO_LOOK };
      const share = await shareOf(ref, shard, signal);
      // Before the rows: whatever is written meanwhile counts as later.
      const steps = Atomics.load(share.steps, 0);
      const { read: mine, look: seen } = readLists(layout, share, { lists, into, epochs: isTold });
      let look = seen;
      const rest = lists.flatMap(({ table, keys }, at): KeyList[] => {
        const missing = mine[at]?.missing;
        if (missing === undefined) return [{ table, keys }];
        return missing.length === 0
          ? []
          : [{ table, keys: BigUint64Array.from(missing, (place) => keys[place] ?? 0n) }];
      });
      let asked: EpochList[] = [];
      if (rest.length > 0) {
        reading.count(
          "freshet_gather_asked_rows_total",
          sumOf(rest, ({ keys }) => keys.length),
        );
        const onDisk = sumOf(mine, (list) => list?.onDisk ?? 0);
        if (onDisk > 0) reading.count("freshet_gather_disk_rows_total", onDisk);
        const answer = await ref.ask("gather", { lists: rest, ...(isTold && { epochs: isTold }) }, { signal });
        look = joinLooks(look, answer.look);
        asked = answer.values.map((values, at) => {
          return { values, found: answer.found[at] ?? new Uint8Array(), epochs: answer.epochs?.[at] };
        });
      }
      const whole = mine.map((list, at) => {
        if (list?.missing.length === 0) return list;
        const answered = asked.shift() ?? NOTHING;
        if (list !== undefined) return completed(list, answered);
        into?.[at]?.set(answered.values);
        return { ...answered, values: into?.[at] ?? answered.values };
      });
      return {
        values: whole.map(({ values }) => values),
        found: whole.map(({ found }) => found),
        steps,
        look,
        ...(isTold && { epochs: whole.map(({ epochs = new Int32Array() }) => epochs) }),
      };
    },
    async gatherAll(lists, signal, { into, epochs } = {}) {
      const failed = new AbortController();
      const ended = AbortSignal.any([signal, failed.signal]);
      try {
        return await Promise.all(
          lists.map((ofShard, shard) => rows.gather(shard, ofShard, ended, { into: into?.[shard], epochs })),
        );
      } catch (error) {
        failed.abort();
        throw error;
      }
    },
    async meet(signal) {
      const unknown = shards.flatMap((ref, shard) =>
        ref === undefined || shares[shard] !== undefined ? [] : [shareOf(ref, shard, signal)],
      );
      await Promise.allSettled(unknown);
    },
    looks: () => shards.map((_, shard) => shares[shard] && lookAt(shares[shard].epochs)),
    forget: () => {
      shares = [];
    },
  };
  return rows;
}

/** A list with what was asked for in its places. */
function completed(list: PartlyRead, { values, found, epochs }: EpochList): EpochList {
  const dim = list.values.length / list.found.length;
  for (const [at, place] of list.missing.entries()) {
    list.values.set(values.subarray(at * dim, (at + 1) * dim), place * dim);
    list.found[place] = found[at] ?? 0;
    if (list.epochs !== undefined) list.epochs[place] = epochs?.[at] ?? NO_EPOCH;
  }
  return list;
}

function sumOf<Part>(parts: readonly Part[], of: (part: Part) => number): number {
  return parts.reduce((sum, part) => sum + of(part), 0);
}
