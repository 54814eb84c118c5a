// Goal: over crashes of shards and trainers each message takes effect once on each shard, and nothing still needed is purged.
// Method: shards that keep what they applied and fall back to their own image, a stream that really deletes what was purged, and a trainer
// that loses answers and asks anew where everybody stands. What a shard applied travels in its image, so it is the shard's true effect.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  afterApplied,
  batchLimit,
  neededFrom,
  nextToRead,
  type SamplePositions,
  shardsLacking,
} from "../protocols/learning/sample-positions.ts";

interface Shard {
  readonly effects: number[];
  durable: readonly number[];
}

const lastMessage = 40;

function last(list: readonly number[]): number {
  return list.at(-1) ?? 0;
}

/** A batch on one shard, as the shard checks it; the effect is the list of its messages. */
function push(
  shard: Shard,
  batch: { readonly from: number; readonly last: number; readonly previous: number },
): "applied" | "elsewhere" {
  if (batch.last <= last(shard.effects)) return "applied";
  if (last(shard.effects) !== batch.previous) return "elsewhere";
  for (let seq = batch.from; seq <= batch.last; seq += 1) shard.effects.push(seq);
  return "applied";
}

function locate(shards: readonly Shard[]): SamplePositions {
  return { applied: shards.map(({ effects }) => last(effects)), durable: shards.map(({ durable }) => last(durable)) };
}

const acts = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant("step" as const),
        size: fc.integer({ min: 1, max: 6 }),
        lost: fc.array(fc.nat(3), { maxLength: 2 }),
        down: fc.array(fc.nat(3), { maxLength: 1 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ act: fc.constant("save" as const), shard: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("crash" as const), shard: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("restart" as const) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("purge" as const) }) },
  ),
  { maxLength: 80, size: "max" },
);

test("each message takes effect once on each shard, whatever dies when, and none is purged before", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), acts, (count, played) => {
      const shards = Array.from({ length: count }, (): Shard => ({ effects: [], durable: [] }));
      let positions: SamplePositions | undefined;
      let purgedBefore = 1;

      function step(
        size: number,
        faults: { readonly lost: readonly number[]; readonly down: readonly number[] },
      ): void {
        positions ??= locate(shards);
        // With nothing to read, a trainer asks again: a shard may have fallen back meanwhile.
        if (nextToRead(positions) > lastMessage) positions = locate(shards);
        const from = nextToRead(positions);
        if (from > lastMessage) return;
        expect(from).toBeGreaterThanOrEqual(purgedBefore);
        const to = Math.min(from + size - 1, lastMessage, batchLimit(positions, from));
        expect(to).toBeGreaterThanOrEqual(from);
        let next: SamplePositions | undefined = positions;
        for (const { shard, previous } of shardsLacking(positions, to)) {
          expect(previous).toBeLessThan(to);
          const target = shards[shard];
          if (target === undefined) continue;
          const outcome = faults.down.includes(shard) ? "down" : push(target, { from, last: to, previous });
          if (outcome !== "applied" || faults.lost.includes(shard)) next = undefined;
          else if (next !== undefined) next = afterApplied(next, { shard, last: to, durable: last(target.durable) });
        }
        positions = next;
      }

      for (const each of played) {
        const shard = "shard" in each ? shards[each.shard % count] : undefined;
        if (each.act === "step") step(each.size, each);
        else if (each.act === "restart") positions = undefined;
        else if (each.act === "purge" && positions !== undefined) {
          purgedBefore = Math.max(purgedBefore, neededFrom(positions));
        } else if (each.act === "save" && shard !== undefined) shard.durable = [...shard.effects];
        else if (each.act === "crash" && shard !== undefined) shard.effects.splice(0, Infinity, ...shard.durable);
        for (const { effects } of shards) expect(effects).toEqual(effects.map((_, at) => at + 1));
      }
      for (let round = 0; round < 4 * lastMessage; round += 1) step(6, { lost: [], down: [] });
      const all = Array.from({ length: lastMessage }, (_, at) => at + 1);
      expect(shards.map(({ effects }) => effects)).toEqual(shards.map(() => all));
    }),
    { numRuns: 300 },
  );
});
