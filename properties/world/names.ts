// What nodes and shards are called in messages. Made once: a text that is built anew is looked up by all its characters.

const NODES = Array.from({ length: 16 }, (_, index) => `n${index}`);
const SHARDS = Array.from({ length: 4 }, (_, index) => `s/${index}`);

export function nameOfNode(index: number): string {
  return NODES[index] ?? `n${index}`;
}

export function nameOfShard(index: number): string {
  return SHARDS[index] ?? `s/${index}`;
}

/** The index of the node of a name. */
export function nodeOf(name: string): number {
  const index = NODES.indexOf(name);
  return index < 0 ? Number(name.slice(1)) : index;
}

/** The index of the shard of a name. */
export function shardOf(name: string): number {
  const index = SHARDS.indexOf(name);
  return index < 0 ? Number(name.slice(2)) : index;
}

/** The one of a list that is of this shard. */
export function ofShard<T>(list: readonly T[], shard: number): T {
  const found = list[shard];
  if (found === undefined) throw new RangeError(`Cannot use shard ${shard}: there are ${list.length}`);
  return found;
}

/** Ids of pulls, one after the other, for whoever draws none at random. */
export function pullIds(): () => string {
  let drawn = 0;
  return () => {
    drawn += 1;
    return drawn.toString(16).padStart(32, "0");
  };
}
