/*
 * How several trainers of one model share its stream of samples: each learns from its own messages, passes over the others', and stands at a
 * position of its own on every shard. How many there are may change between two starts. A trainer that is new to a shard goes on where the last of those
 * before it stood, and passes over what the others had learned from beyond that, which follows from their positions.
 */

/** One of `count` trainers; `index` is from 0. */
export interface TrainerShare {
  readonly index: number;
  readonly count: number;
}

/** A trainer's name on the shards. A trainer alone has the name that all others begin with. */
export function trainerId(base: string, { index, count }: TrainerShare): string {
  return count === 1 ? base : `${base}-${index}of${count}`;
}

/** Whether a trainer learns from a message, by its number. */
export function isOwnMessage(seq: number, { index, count }: TrainerShare): boolean {
  return seq % count === index;
}

/** Trainers of another number: where each stands, by its index. */
export interface Earlier {
  readonly count: number;
  readonly positions: readonly number[];
}

/** Where a trainer begins on a shard. */
export interface Start {
  /** All messages up to this one took effect on the shard, as far as this trainer is concerned. */
  readonly position: number;
  /** Trainers of other numbers some of which went on from there: what they learned is not to be learned again. */
  readonly earlier: readonly Earlier[];
}

/** Where a trainer begins on a shard, by what the shard knows of all trainers of the model. */
export function startOf(
  known: ReadonlyMap<string, number>,
  { base, share }: { readonly base: string; readonly share: TrainerShare },
): Start {
  const others = groupsOf(known, base).filter(({ count }) => count !== share.count);
  const own = known.get(trainerId(base, share)) ?? 0;
  const position = Math.max(own, ...others.map(({ positions }) => Math.min(...positions)));
  return { position, earlier: others.filter(({ positions }) => Math.max(...positions) > position) };
}

/** The last message that any of them learned from. */
export function lastLearned(earlier: readonly Earlier[]): number {
  return Math.max(0, ...earlier.flatMap(({ positions }) => positions));
}

/** Whether one of them learned from a message: that whose own it was is at it, or beyond. */
export function wasLearned(earlier: readonly Earlier[], seq: number): boolean {
  return earlier.some(({ count, positions }) => (positions[seq % count] ?? 0) >= seq);
}

/** Positions of all trainers of a model on a shard, by how many of them there were; one that the shard never heard of is at 0. */
function groupsOf(known: ReadonlyMap<string, number>, base: string): readonly Earlier[] {
  const groups = new Map<number, number[]>();
  for (const [id, position] of known) {
    const share = id === base ? { index: 0, count: 1 } : shareIn(id, base);
    if (share === undefined) continue;
    const group = groups.get(share.count) ?? Array.from({ length: share.count }, () => 0);
    group[share.index] = position;
    groups.set(share.count, group);
  }
  return [...groups].map(([count, positions]) => ({ count, positions }));
}

function shareIn(id: string, base: string): TrainerShare | undefined {
  if (!id.startsWith(`${base}-`)) return undefined;
  const [, index, count] = /^(\d{1,3})of(\d{1,3})$/.exec(id.slice(base.length + 1)) ?? [];
  const share = { index: Number(index), count: Number(count) };
  return share.index < share.count ? share : undefined;
}
