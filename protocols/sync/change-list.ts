import { type ShardChange } from "../wire/poll.ts";
import { type ShardVersion } from "./shard-version.ts";

/**
 * The shards of a node in order of their last change. Listing what changed after a number costs what it lists, whatever the
 * number of shards.
 */
export interface ChangeList {
  /** Number of the latest change; 0 before the first. */
  latest: number;
  readonly byShard: Map<string, Entry>;
  newest: Entry | undefined;
}

interface Entry {
  readonly shard: string;
  version: ShardVersion;
  change: number;
  older: Entry | undefined;
  newer: Entry | undefined;
}

export function createChangeList(): ChangeList {
  return { latest: 0, byShard: new Map(), newest: undefined };
}

/** Files a change of a shard, or a shard that is new here. */
export function noteChange(
  list: ChangeList,
  { shard, version }: { readonly shard: string; readonly version: ShardVersion },
): void {
  const held = list.byShard.get(shard);
  if (held !== undefined) unlink(list, held);
  const entry: Entry = held ?? { shard, version, change: 0, older: undefined, newer: undefined };
  list.latest += 1;
  entry.version = version;
  entry.change = list.latest;
  entry.older = list.newest;
  entry.newer = undefined;
  if (list.newest !== undefined) list.newest.newer = entry;
  list.newest = entry;
  list.byShard.set(shard, entry);
}

/** Forgets a shard that is no longer here. */
export function removeShard(list: ChangeList, shard: string): void {
  const held = list.byShard.get(shard);
  if (held === undefined) return;
  unlink(list, held);
  list.byShard.delete(shard);
}

/** Shards changed after a number, oldest change first, at most `max`; `upTo` is the change that the listing reaches. */
export function changesAfter(
  list: ChangeList,
  options: { readonly change: number; readonly max: number },
): { shards: ShardChange[]; upTo: number; more: boolean } {
  let oldest: Entry | undefined;
  for (let entry = list.newest; entry !== undefined && entry.change > options.change; entry = entry.older) {
    oldest = entry;
  }
  const shards: ShardChange[] = [];
  let upTo = list.latest;
  let entry = oldest;
  for (; entry !== undefined && shards.length < options.max; entry = entry.newer) {
    shards.push({ shard: entry.shard, counter: entry.version.counter, generator: entry.version.generator });
    upTo = entry.change;
  }
  return { shards, upTo: entry === undefined ? list.latest : upTo, more: entry !== undefined };
}

function unlink(list: ChangeList, entry: Entry): void {
  if (entry.older !== undefined) entry.older.newer = entry.newer;
  if (entry.newer !== undefined) entry.newer.older = entry.older;
  if (list.newest === entry) list.newest = entry.older;
}
