// Goal: the urgent updates are the few above the percentile, at any scale, and neither a constant stream nor a poisoned value makes
// all of them urgent. Method: drawn streams, and the rule's own words computed again.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom, nextFloat } from "../protocols/random.ts";
import { createUrgency, standsOut, rateUpdate, type Urgency } from "../protocols/urgency.ts";

const UPDATES = 6_000;

/** How many of a stream of norms are urgent, and which. */
function urgentOf(urgency: Urgency, norms: readonly number[]): number[] {
  return norms.filter((norm) => standsOut(urgency, rateUpdate(urgency, { norm, isNew: false, share: 1 })));
}

function drawNorms(seed: number, scale = 1): number[] {
  const random = createRandom(seed);
  return Array.from({ length: UPDATES }, () => -Math.log(1 - nextFloat(random)) * scale);
}

test("standsOut() takes about the share that the percentile leaves, the largest ones, at any scale", () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.constantFrom(50, 90, 99), fc.constantFrom(1e-4, 1, 1e6), (seed, percentile, scale) => {
      const norms = drawNorms(seed, scale);
      const urgent = urgentOf(createUrgency(percentile), norms);
      const share = urgent.length / norms.length;
      const expected = 1 - percentile / 100;
      expect(share).toBeGreaterThan(expected * 0.6);
      expect(share).toBeLessThan(expected * 1.4);
      // Of the running mean and threshold some drift is left; far below the percentile nothing is urgent.
      const sorted = norms.toSorted((a, b) => a - b);
      const low = sorted[Math.floor(norms.length * (percentile / 100) ** 1.5)] ?? 0;
      expect(Math.min(...urgent.slice(20))).toBeGreaterThan(low * 0.8);
    }),
    { numRuns: 60, seed: 1 },
  );
});

test("standsOut() finds nothing in a stream of equal updates, and nothing before a percentile means anything", () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (norm) => {
      expect(
        urgentOf(
          createUrgency(99),
          Array.from({ length: 3_000 }, () => norm),
        ),
      ).toEqual([]);
    }),
    { numRuns: 30, seed: 2 },
  );
  expect(urgentOf(createUrgency(1), drawNorms(3).slice(0, 499))).toEqual([]);
  expect(urgentOf(createUrgency(100), drawNorms(3))).toEqual([]);
});

test("a row just created is urgent where such rows are rare, and not where all are new", () => {
  const rare = createUrgency(99);
  const [norms, random] = [drawNorms(4), createRandom(5)];
  const created: boolean[] = [];
  for (const norm of norms) {
    const isNew = nextFloat(random) < 0.002;
    const urgent = standsOut(rare, rateUpdate(rare, { norm, isNew, share: 1 }));
    if (isNew && rare.seen > 1_000) created.push(urgent);
  }
  expect(created.length).toBeGreaterThan(3);
  expect(created.every(Boolean)).toBe(true);

  const young = createUrgency(99);
  const urgent = norms.filter((norm) => standsOut(young, rateUpdate(young, { norm, isNew: true, share: 1 })));
  expect(urgent.length).toBeLessThan(UPDATES * 0.02);
});

test("rateUpdate() is (norm over its mean, and newness over its own) by the share, finite and at least 0 whatever comes", () => {
  const number = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0));
  fc.assert(
    fc.property(
      fc.array(fc.record({ norm: number, isNew: fc.boolean(), share: number }), { maxLength: 50 }),
      (updates) => {
        const urgency = createUrgency(99);
        for (const update of updates) {
          const p = rateUpdate(urgency, update);
          expect(Number.isFinite(p) && p >= 0).toBe(true);
          standsOut(urgency, p);
          expect(urgency.threshold).not.toBeNaN();
        }
      },
    ),
    { seed: 6 },
  );
  const urgency = createUrgency(99);
  for (const [norm, isNew] of [
    [1, false],
    [2, false],
    [3, true],
  ] as const) {
    rateUpdate(urgency, { norm, isNew, share: 1 });
  }
  // Means are now (1 + 2 + 3 + 6) / 4 and (0 + 0 + 1 + 1) / 4.
  expect(rateUpdate(urgency, { norm: 6, isNew: true, share: 0.5 })).toBeCloseTo((6 / 3 + 1 / 0.5) * 0.5);
});

test("createUrgency() takes a percentile from 0 to 100, and nothing else", () => {
  expect([0, 100].map((percentile) => createUrgency(percentile).percentile)).toEqual([0, 100]);
  for (const percentile of [-0.1, 100.1, Number.NaN]) {
    expect(() => createUrgency(percentile)).toThrow(
      new RangeError(`Cannot take the ${percentile}th percentile: it must be 0 to 100`),
    );
  }
});

test("standsOut() judges by the last 20,000 to 40,000 updates: what was large is forgotten, and what is not finite never counts", () => {
  const urgency = createUrgency(90);
  const random = createRandom(7);
  function feed(scale: number, updates: number): number {
    let urgent = 0;
    for (let at = 0; at < updates; at += 1) if (standsOut(urgency, scale * nextFloat(random))) urgent += 1;
    return urgent;
  }
  feed(1000, 20_000);
  expect(urgency.current.count).toBe(20_000);
  expect(feed(1, 1)).toBe(0);
  expect([urgency.previous.count, urgency.current.count]).toEqual([20_000, 1]);
  // While the large ones are remembered, no small one is above them.
  expect(feed(1, 19_000)).toBe(0);
  feed(1, 2_000);
  expect(feed(1, 10_000)).toBeGreaterThan(800);
  const { count } = urgency.current;
  for (const broken of [Number.NaN, Infinity, -Infinity]) expect(standsOut(urgency, broken)).toBe(false);
  expect(urgency.current.count).toBe(count);
});
