import { createRandom, nextBelow, nextFloat, type Random } from "../../../protocols/random.ts";

/** What the primary is told to write: rounds of updates of keys drawn by Zipf's law, a key always in the same shard. */
export interface UpdatePlan {
  readonly seed: number;
  readonly keys: number;
  /** Shards that the keys are spread over. */
  readonly shards: number;
  readonly updatesPerRound: number;
  readonly roundEveryMs: number;
  readonly rounds: number;
}

/** One round's updates of one shard: its keys, each once, and how many updates they took. */
export interface ShardUpdates {
  readonly shard: number;
  readonly keys: BigUint64Array;
  readonly updates: number;
}

const EXPONENT = 0.99;

/** Draws rounds, each a list of shards with their keys. Equal plans give equal rounds. */
export function* drawRounds(plan: UpdatePlan): Generator<readonly ShardUpdates[]> {
  const random = createRandom(plan.seed);
  const cumulative = zipfCumulative(plan.keys);
  for (let round = 0; round < plan.rounds; round += 1) yield drawRound(plan, { random, cumulative });
}

/** A shard is a fixed part of the keys; which ranks it has is mixed. */
function drawRound(
  { keys, shards, updatesPerRound }: UpdatePlan,
  { random, cumulative }: { readonly random: Random; readonly cumulative: Float64Array },
): ShardUpdates[] {
  const drawn: { keys: Set<number>; updates: number }[] = Array.from({ length: shards }, () => ({
    keys: new Set(),
    updates: 0,
  }));
  for (let update = 0; update < updatesPerRound; update += 1) {
    const rank = rankAt(cumulative, nextFloat(random));
    const held = drawn[(rank * 7_919) % shards];
    if (held === undefined) throw new RangeError(`Cannot place key ${rank} of ${keys}: there are no shards`);
    held.keys.add(rank);
    held.updates += 1;
  }
  const start = nextBelow(random, shards);
  return drawn
    .map(({ keys: ranks, updates }, shard) => ({ shard, keys: BigUint64Array.from(ranks, mixedKey), updates }))
    .filter(({ updates }) => updates > 0)
    .toSorted((a, b) => ((a.shard + start) % shards) - ((b.shard + start) % shards));
}

/** Keys look hashed, as those of texts are: eight bytes that do not compress. */
function mixedKey(rank: number): bigint {
  return BigInt.asUintN(63, BigInt(rank + 1) * 0x9e3779b97f4a7c15n);
}

function zipfCumulative(keys: number): Float64Array {
  const cumulative = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank += 1) cumulative[rank] = sum += (rank + 1) ** -EXPONENT;
  return cumulative.map((value) => value / sum);
}

function rankAt(cumulative: Float64Array, chance: number): number {
  let [low, high] = [0, cumulative.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cumulative[middle] ?? 1) <= chance) low = middle + 1;
    else high = middle;
  }
  return low;
}
