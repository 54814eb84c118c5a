/*
 * How several trainers of one model share its stream of samples: each learns from its own messages, passes over the others', and stands at a
 * position of its own on every shard. How many there are may change between two starts. A trainer that is new to a shard goes on where those before it
 * stood, which is known if they had all come to the same message there: then each message up to it was learned by one of them.
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

export type Start =
  /** All messages up to this one took effect on the shard, as far as this trainer is concerned. */
  | { readonly kind: "at"; readonly position: number }
  /** Trainers of another number stand at different messages there; only as many as before can go on from that. */
  | { readonly kind: "torn"; readonly count: number };

/** Where a trainer begins on a shard, by what the shard knows of all trainers of the model. */
export function startOf(
  known: ReadonlyMap<string, number>,
  { base, share }: { readonly base: string; readonly share: TrainerShare },
): Start {
  let position = known.get(trainerId(base, share)) ?? 0;
  for (const [count, positions] of groupsOf(known, base)) {
    if (count === share.count) continue;
    const highest = Math.max(...positions);
    if (highest <= position) continue;
    if (positions.length < count || Math.min(...positions) < highest) return { kind: "torn", count };
    position = highest;
  }
  return { kind: "at", position };
}

/** Positions of all trainers of a model on a shard, by how many of them there were; fewest first. */
function groupsOf(known: ReadonlyMap<string, number>, base: string): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const [id, position] of known) {
    const count = id === base ? 1 : countIn(id, base);
    if (count === undefined) continue;
    const group = groups.get(count);
    if (group === undefined) groups.set(count, [position]);
    else group.push(position);
  }
  return groups;
}

function countIn(id: string, base: string): number | undefined {
  if (!id.startsWith(`${base}-`)) return undefined;
  const found = /^\d+of(\d+)$/.exec(id.slice(base.length + 1));
  return found === null ? undefined : Number(found[1]);
}
