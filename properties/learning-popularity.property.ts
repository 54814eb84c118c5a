// Goal: a score is the faded sum of its events, at any time and in any order; the top list is the exact best. Method: plain sums and a sort.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addPopularity,
  createTopList,
  type Decay,
  mergePopularity,
  NO_POPULARITY,
  offerTop,
  popularityAt,
  rankedTop,
  removeTop,
} from "../protocols/learning/popularity.ts";

const decay: Decay = { halfLifeMs: 3_600_000, landmarkMs: 1_700_000_000_000 };
const event = fc.record({
  timeMs: fc.integer({ min: decay.landmarkMs - 1e8, max: decay.landmarkMs + 1e8 }),
  weight: fc.double({ min: 0.01, max: 100, noNaN: true }),
});
const events = fc.array(event, { maxLength: 30 });

function score(list: readonly { timeMs: number; weight: number }[]): number {
  return list.reduce((total, each) => addPopularity(total, each, decay), NO_POPULARITY);
}

test("popularityAt() is the sum of the events' weights, each halved once per half-life", () => {
  fc.assert(
    fc.property(events, fc.integer({ min: 0, max: 1e8 }), (list, later) => {
      const now = decay.landmarkMs + later;
      const expected = list.reduce(
        (total, { timeMs, weight }) => total + weight * 2 ** ((timeMs - now) / decay.halfLifeMs),
        0,
      );
      expect(Math.abs(popularityAt(score(list), now, decay) - expected)).toBeLessThanOrEqual(1e-9 * expected);
    }),
  );
});

test("order does not matter, merging adds, and a score only rises", () => {
  fc.assert(
    fc.property(events, events, (left, right) => {
      const whole = score([...left, ...right]);
      for (const other of [score([...right, ...left]), mergePopularity(score(left), score(right))]) {
        if (whole === NO_POPULARITY) expect(other).toBe(NO_POPULARITY);
        else expect(Math.abs(other - whole)).toBeLessThan(1e-9 * (1 + Math.abs(whole)));
      }
      expect(whole).toBeGreaterThanOrEqual(score(left));
    }),
  );
});

test("a century of events stays finite", () => {
  const century = 100 * 365 * 86_400_000;
  const late = addPopularity(
    addPopularity(NO_POPULARITY, { timeMs: 0 }, decay),
    { timeMs: decay.landmarkMs + century },
    decay,
  );
  expect(popularityAt(late, decay.landmarkMs + century, decay)).toBeCloseTo(1, 6);
  expect(addPopularity(late, { timeMs: NaN }, decay)).toBe(late);
  expect(addPopularity(late, { timeMs: 1, weight: -1 }, decay)).toBe(late);
});

test("a list told of every rise holds exactly the best", () => {
  const rises = fc.array(
    fc.tuple(fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"), fc.integer({ min: 0, max: 8 })),
    { maxLength: 80, size: "max" },
  );
  fc.assert(
    fc.property(rises, fc.integer({ min: 1, max: 6 }), (steps, max) => {
      const all = new Map<string, number>();
      const list = createTopList(max);
      for (const [key, by] of steps) {
        all.set(key, (all.get(key) ?? 0) + by);
        offerTop(list, key, all.get(key) ?? NaN);
        const best = [...all].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, max);
        expect(rankedTop(list)).toEqual(best);
      }
      const [first] = rankedTop(list);
      if (first !== undefined) removeTop(list, first[0]);
      expect(rankedTop(list).map(([key]) => key)).not.toContain(first?.[0]);
    }),
    { numRuns: 300 },
  );
});
