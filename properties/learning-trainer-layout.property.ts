// Goal: with any number of trainers, changed between starts, each message takes effect once on each shard, by just one of them. Method: shards that
// fall back to their images, trainers that step in any order, and changes of their number at any moment.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isOwnMessage,
  lastLearned,
  startOf,
  trainerId,
  type TrainerShare,
  wasLearned,
} from "../protocols/learning/trainer-layout.ts";

const lastMessage = 30;
const base = "clicks-a";

interface Shard {
  positions: Map<string, number>;
  effects: number[];
  durable: { readonly positions: ReadonlyMap<string, number>; readonly effects: readonly number[] };
}

const acts = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        act: fc.constant("step" as const),
        trainer: fc.nat(3),
        shard: fc.nat(1),
        size: fc.integer({ min: 1, max: 5 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("save" as const), shard: fc.nat(1) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("crash" as const), shard: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("level" as const) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("count" as const), count: fc.integer({ min: 1, max: 4 }) }) },
  ),
  { maxLength: 80, size: "max" },
);

function startHere({ positions }: Shard, share: TrainerShare) {
  return startOf(positions, { base, share });
}

/** One trainer's batch on one shard: up to `last`, its own messages take effect that had not before. */
function step(shard: Shard, share: TrainerShare, size: number): void {
  const { position, earlier } = startHere(shard, share);
  const last = Math.min(lastMessage, position + size);
  for (let seq = position + 1; seq <= last; seq += 1) {
    if (isOwnMessage(seq, share) && !wasLearned(earlier, seq)) shard.effects.push(seq);
  }
  shard.positions.set(trainerId(base, share), last);
  // Whoever cuts batches there looks at nothing beyond it.
  expect(earlier.every(({ positions }) => Math.max(...positions) <= lastLearned(earlier))).toBe(true);
}

test("each message takes effect once on each shard, whatever the number of trainers was and becomes, and whenever", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), acts, (first, played) => {
      let count = first;
      const shards = Array.from({ length: 2 }, (): Shard => ({
        positions: new Map(),
        effects: [],
        durable: { positions: new Map(), effects: [] },
      }));
      function all(size: number): void {
        for (const shard of shards) for (let index = 0; index < count; index += 1) step(shard, { index, count }, size);
      }
      for (const each of played) {
        const shard = shards["shard" in each ? each.shard : 0];
        if (shard === undefined) continue;
        if (each.act === "step") step(shard, { index: each.trainer % count, count }, each.size);
        else if (each.act === "save") {
          shard.durable = { positions: new Map(shard.positions), effects: [...shard.effects] };
        } else if (each.act === "crash") {
          shard.positions = new Map(shard.durable.positions);
          shard.effects = [...shard.durable.effects];
        } else if (each.act === "level") all(lastMessage);
        else ({ count } = each);
        for (const { effects } of shards) expect(new Set(effects).size).toBe(effects.length);
      }
      all(lastMessage);
      const whole = Array.from({ length: lastMessage }, (_, at) => at + 1);
      for (const { effects } of shards) expect(effects.toSorted((a, b) => a - b)).toEqual(whole);
    }),
    { numRuns: 1000 },
  );
});

test("names of other models' trainers are none of this model's", () => {
  const known = new Map([
    ["clicks-a", 5],
    ["clicks-ab", 9],
    ["clicks-a-0of2x", 9],
    ["clicks-a-0of3", 2],
  ]);
  expect(startOf(known, { base, share: { index: 0, count: 1 } })).toEqual({ position: 5, earlier: [] });
  expect(startOf(known, { base, share: { index: 1, count: 2 } })).toEqual({ position: 5, earlier: [] });
});
