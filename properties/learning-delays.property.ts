// Goal: the learned delays say which share of positives is still to come, from the first minutes on, in streams that are not steady.
// Method: drawn distributions, among them some with most of their weight beyond what could be seen yet.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  ageOfShare,
  completeSlices,
  createDelayModel,
  type DelayModel,
  medianAges,
  noteDelay,
  shareAfter,
  storedDelays,
} from "../protocols/learning/delay-model.ts";
import { createRandom, nextFloat } from "../protocols/random.ts";

const HOUR = 3_600_000;

interface Stream {
  readonly seed: number;
  readonly medianMs: number;
  readonly shape: number;
  readonly growth: number;
}

const streams = fc.record({
  seed: fc.nat(),
  medianMs: fc.constantFrom(2_000, 60_000, 900_000),
  shape: fc.constantFrom(0.7, 1.2),
  growth: fc.constantFrom(0.2, 1, 5),
});

/** Log-logistic ages, cut at the horizon: the share that is later than an age is known. */
function later({ medianMs, shape }: Stream, ageMs: number, horizonMs: number): number {
  function tail(age: number): number {
    return 1 / (1 + (age / medianMs) ** shape);
  }
  return ageMs >= horizonMs ? 0 : (tail(ageMs) - tail(horizonMs)) / (1 - tail(horizonMs));
}

/** A stream of positives whose rate changes by the factor `growth` over its length; all that came by its end, in the order of coming. */
function learned(
  stream: Stream,
  given: { readonly horizonMs: number; readonly forMs: number; readonly count: number },
): DelayModel {
  const { horizonMs, forMs, count } = given;
  const random = createRandom(stream.seed);
  const came: { shownMs: number; ageMs: number }[] = [];
  for (let at = 0; at < count; at += 1) {
    const u = nextFloat(random);
    const shownMs = forMs * (stream.growth === 1 ? u : Math.log(1 + u * (stream.growth - 1)) / Math.log(stream.growth));
    let ageMs = Infinity;
    while (ageMs > horizonMs) {
      const v = nextFloat(random);
      ageMs = stream.medianMs * (v / (1 - v)) ** (1 / stream.shape);
    }
    if (shownMs + ageMs < forMs) came.push({ shownMs, ageMs });
  }
  const model = createDelayModel(horizonMs);
  for (const { shownMs, ageMs } of came.sort((a, b) => a.shownMs + a.ageMs - b.shownMs - b.ageMs)) {
    noteDelay(model, { kind: "click", shownMs, ageMs });
    completeSlices(model, shownMs + ageMs);
  }
  return model;
}

test("the share still to come is estimated while most impressions are younger than the horizon, whether the stream grows or dwindles", () => {
  fc.assert(
    fc.property(streams, fc.constantFrom(1.5, 4), (stream, horizons) => {
      const given = { horizonMs: HOUR, forMs: horizons * HOUR, count: 60_000 };
      const model = learned(stream, given);
      for (const ageMs of [500, 5_000, 60_000, 600_000, 2_400_000]) {
        const share = shareAfter(model, ageMs, given.forMs) ?? Number.NaN;
        expect(Math.abs(share - later(stream, ageMs, HOUR))).toBeLessThan(0.03);
      }
      const halfMs = ageOfShare(model, 0.5, given.forMs) ?? Number.NaN;
      expect(later(stream, halfMs, HOUR)).toBeLessThan(0.53);
      expect(later(stream, halfMs / 2 ** (1 / 8), HOUR)).toBeGreaterThan(0.47);
    }),
    { numRuns: 30 },
  );
});

test("shares fall from 1 to 0, and too little says nothing", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 * HOUR }), { maxLength: 300, size: "max" }), (ages) => {
      const model = createDelayModel(HOUR);
      for (const [at, ageMs] of ages.entries()) noteDelay(model, { kind: `k${at % 2}`, shownMs: at, ageMs });
      const clockMs = 3 * HOUR;
      const shares = [0, 1, 50, 1e3, 1e5, 1e6, HOUR].map((age) => shareAfter(model, age, clockMs));
      if (ages.filter((age) => age <= HOUR).length < 100) {
        expect(shares.every((each) => each === undefined)).toBe(true);
        return;
      }
      expect(shares[0]).toBe(1);
      expect(shares.at(-1)).toBe(0);
      for (const [at, each] of shares.entries()) expect(each).toBeLessThanOrEqual((shares[at - 1] ?? 1) + 1e-12);
    }),
    { numRuns: 100 },
  );
});

test("a model that was stored goes on as it was, and learns of no impression whose first positives it may have missed", () => {
  const stream = { seed: 3, medianMs: 60_000, shape: 1.2, growth: 1 };
  const given = { horizonMs: HOUR, forMs: 8 * HOUR, count: 20_000 };
  const model = learned(stream, given);
  const again = createDelayModel(HOUR, { counts: storedDelays(model), fromMs: given.forMs });
  noteDelay(again, { kind: "click", shownMs: given.forMs - 1, ageMs: 3_000_000 });
  for (const ageMs of [1_000, 60_000, 1_000_000]) {
    expect(shareAfter(again, ageMs, given.forMs) ?? 9).toBeCloseTo(shareAfter(model, ageMs, given.forMs) ?? 8, 1);
  }
  expect(medianAges(again)).toEqual(medianAges(model));
  expect(again.slices.size).toBe(0);
});
