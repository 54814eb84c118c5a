/*
 * How a batch of samples takes effect once on every shard, whatever dies when. Samples lie in a stream; a batch is named by the
 * position of its last message. Each shard's image holds the position it has applied, in one piece with its rows, so after a crash
 * shards may stand at different positions. The trainer reads again from the lowest, cuts batches at every position where a shard
 * stands, and leaves out the shards that are ahead: each message takes effect exactly once on each.
 */

/** Where each shard stands: all messages up to this one took effect on it. */
export interface SamplePositions {
  readonly applied: readonly number[];
  /** What each shard's image on disk holds; what is before the lowest of these is never needed again. */
  readonly durable: readonly number[];
}

/** The first message that some shard lacks. */
export function nextToRead(positions: SamplePositions): number {
  return Math.min(...positions.applied) + 1;
}

/** The last message that a batch starting at `from` may hold, so that every shard either lacks all of it or has all of it. */
export function batchLimit(positions: SamplePositions, from: number): number {
  let limit = Number.POSITIVE_INFINITY;
  for (const applied of positions.applied) if (applied >= from && applied < limit) limit = applied;
  return limit;
}

/** The shards a batch up to `last` is for, and what each must stand at now. */
export function shardsLacking(
  positions: SamplePositions,
  last: number,
): readonly { readonly shard: number; readonly previous: number }[] {
  return positions.applied.flatMap((previous, shard) => (previous < last ? [{ shard, previous }] : []));
}

/** After a shard applied the batch up to `last`. */
export function afterApplied(
  positions: SamplePositions,
  done: { readonly shard: number; readonly last: number; readonly durable: number },
): SamplePositions {
  return {
    applied: positions.applied.map((applied, shard) => (shard === done.shard ? done.last : applied)),
    durable: positions.durable.map((durable, shard) => (shard === done.shard ? done.durable : durable)),
  };
}

/** Messages before this one are no longer needed by any shard, even after all of them crash. */
export function neededFrom(positions: SamplePositions): number {
  return Math.min(...positions.durable) + 1;
}
