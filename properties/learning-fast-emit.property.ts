// Goal: what the joiner gives early, weighed as it says, has the true rate and the weight of its impressions, whatever the delays. Method: seeded
// streams of a known rate through the joiner itself; and bursts, which must come out even, while what comes evenly is not held.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { createJoiner, type JoinerOptions, type Sample } from "../protocols/learning/joiner-state.ts";
import { step, tick } from "../protocols/learning/joiner.ts";
import { labelWeight } from "../protocols/learning/label-weights.ts";
import { createBurstMeter, notePositive, scatterWidth } from "../protocols/learning/scatter.ts";
import { createRandom, nextFloat } from "../protocols/random.ts";

const options: JoinerOptions = {
  windowMs: 60_000,
  latenessMs: 500,
  idleAfterMs: 1e9,
  correctionMs: 60_000,
  futureMsMax: 1e12,
  memoryBytesMax: 1e9,
  heldMax: 1000,
  scatterMsMax: 0,
  scatteredMax: 0,
};

/** An impression every 10 ms, clicked at the rate after a log-logistic delay below the horizon. */
function streamOf(given: { readonly seed: number; readonly rate: number; readonly medianMs: number }): FeedbackEvent[] {
  const random = createRandom(given.seed);
  const events: FeedbackEvent[] = [];
  for (let at = 0; at < 24_000; at += 1) {
    const [request, time] = [String(at), at * 10];
    events.push({ type: "impression", request, user: "7", item: "1", position: 0, time, features: {}, dense: {} });
    if (nextFloat(random) >= given.rate) continue;
    const u = nextFloat(random);
    const delayMs = (given.medianMs * u) / (1 - u);
    if (delayMs < 100_000) events.push({ type: "feedback", kind: "click", request, item: "1", time: time + delayMs });
  }
  return events.sort((a, b) => a.time - b.time);
}

function weighedRate(samples: readonly Sample[]): { readonly rate: number; readonly weight: number } {
  const positives = samples.filter(({ label }) => label === 1).length;
  let rate = 0.1;
  let weight = 0;
  for (let round = 0; round < 50; round += 1) {
    weight = samples.reduce((sum, { label, late }) => sum + labelWeight(rate, { label, late, kept: 1 }), 0);
    rate = positives / weight;
  }
  return { rate, weight };
}

test("weighed, what was given early or pushed out has the rate of clicks, and the weight of the impressions", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.constantFrom(0.05, 0.3, 0.6),
      fc.constantFrom(300, 5_000),
      fc.constantFrom(
        { emitAfterShare: 0 },
        { emitAfterShare: 0.5 },
        { windowMs: 2_000 },
        { memoryBytesMax: 1_000_000 },
      ),
      (seed, rate, medianMs, way) => {
        const events = streamOf({ seed, rate, medianMs });
        const joiner = createJoiner({ ...options, ...way });
        const samples = events.flatMap((event, at) =>
          step(joiner, { source: "a", sequence: at + 1, event }, event.time),
        );
        samples.push(...tick(joiner, 1e12));
        // What came before any delay was known, and what the end of the stream cut off, is left out.
        const middle = samples.filter(({ impression }) => impression.time >= 60_000 && impression.time < 140_000);
        const impressions = new Set(middle.map(({ impression }) => impression.request)).size;
        const clicked = middle.filter(({ label }) => label === 1).length;
        const found = weighedRate(middle);
        const error = Math.sqrt((rate * (1 - rate)) / impressions);
        expect(Math.abs(found.rate - clicked / impressions)).toBeLessThan(5 * error);
        expect(Math.abs(found.weight / impressions - 1)).toBeLessThan(0.04);
        expect(joiner.counts.corrections).toBeGreaterThan(0);
      },
    ),
    { numRuns: 24 },
  );
}, 60_000);

test("bursts are spread over the time between them, and what comes evenly is not held", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.constantFrom(10_000, 300_000),
      fc.integer({ min: 20, max: 800 }),
      fc.constantFrom(0.002, 0.05, 1),
      (seed, everyMs, count, fill) => {
        const random = createRandom(seed);
        const meter = createBurstMeter();
        const maxMs = 4 * everyMs;
        for (let burst = 0; burst < 40; burst += 1) {
          const times = Array.from({ length: count }, () => burst * everyMs + nextFloat(random) * fill * everyMs);
          for (const nowMs of times.sort((a, b) => a - b)) notePositive(meter, nowMs, maxMs);
        }
        const width = scatterWidth(meter, maxMs);
        if (fill === 1) expect(width).toBe(0);
        else expect(Math.abs(width / everyMs - 1)).toBeLessThan(0.15);
        expect(scatterWidth(meter, everyMs / 2)).toBeLessThanOrEqual(everyMs / 2);
      },
    ),
    { numRuns: 60 },
  );
});
