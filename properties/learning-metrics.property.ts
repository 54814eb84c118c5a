// Goal: the streaming figures are those that a computation over all samples gives, within the stated errors; merging is the same as one
// stream; a JSON round trip changes nothing. Method: plain computations over stored samples.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addPrediction,
  createMetrics,
  mergeMetrics,
  type ProgressiveMetrics,
  summarize,
} from "../protocols/learning/progressive-metrics.ts";

interface Seen {
  readonly probability: number;
  readonly label: number;
  readonly timeMs: number;
  readonly weight: number;
}

const sample = fc.record({
  probability: fc.oneof(fc.double({ min: 0.001, max: 0.999, noNaN: true }), fc.constantFrom(0.1, 0.5)),
  label: fc.constantFrom(0, 1),
  timeMs: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_500_000 }),
  weight: fc.double({ min: 0.1, max: 3, noNaN: true }),
});
const samples = fc.array(sample, { minLength: 1, maxLength: 80, size: "max" });
const halfLifeMs = 60_000;

function measure(seen: readonly Seen[]): ProgressiveMetrics {
  const metrics = createMetrics({ halfLifeMs });
  for (const each of seen) addPrediction(metrics, each);
  return metrics;
}

function sum(seen: readonly Seen[], of: (each: Seen) => number): number {
  return seen.reduce((total, each) => total + of(each), 0);
}

function close(actual: number | undefined, expected: number): void {
  expect(Math.abs((actual ?? NaN) - expected)).toBeLessThan(1e-6 * (1 + Math.abs(expected)));
}

for (const over of ["total", "recent"] as const) {
  test(`${over}: log loss, calibration, click rate and AUC are those of the stored samples`, () => {
    fc.assert(
      fc.property(samples, (seen) => {
        const newest = Math.max(...seen.map(({ timeMs }) => timeMs));
        const faded = seen.map((each) => ({
          ...each,
          weight: over === "total" ? each.weight : each.weight * 2 ** ((each.timeMs - newest) / halfLifeMs),
        }));
        const summary = summarize(measure(seen), over);
        const weight = sum(faded, (each) => each.weight);
        const clicked = sum(faded, (each) => each.weight * each.label);
        expect(summary.samples).toBe(seen.length);
        close(summary.weight, weight);
        close(
          summary.logLoss,
          sum(faded, (each) => -each.weight * Math.log(each.label === 1 ? each.probability : 1 - each.probability)) /
            weight,
        );
        close(summary.clickRate, clicked / weight);
        if (clicked > 0) close(summary.calibration, sum(faded, (each) => each.weight * each.probability) / clicked);
        else expect(summary.calibration).toBeUndefined();
        let pairs = 0;
        let won = 0;
        for (const up of faded) {
          for (const down of faded) {
            if (up.label !== 1 || down.label !== 0) continue;
            pairs += up.weight * down.weight;
            if (up.probability > down.probability) won += up.weight * down.weight;
            if (up.probability === down.probability) won += (up.weight * down.weight) / 2;
          }
        }
        if (pairs === 0) expect(summary.auc).toBeUndefined();
        else expect(Math.abs((summary.auc ?? NaN) - won / pairs)).toBeLessThanOrEqual((summary.aucError ?? NaN) + 1e-9);
      }),
      { numRuns: 200 },
    );
  });
}

test("merging two streams' metrics gives those of the one stream, also after a JSON round trip", () => {
  fc.assert(
    fc.property(samples, samples, (left, right) => {
      const merged = structuredClone(measure(left));
      expect(JSON.parse(JSON.stringify(merged))).toEqual(merged);
      mergeMetrics(merged, measure(right));
      const whole = measure([...left, ...right]);
      for (const over of ["total", "recent"] as const) {
        const expected = summarize(whole, over);
        const actual = summarize(merged, over);
        close(actual.logLoss, expected.logLoss ?? NaN);
        close(actual.weight, expected.weight);
        expect(actual.samples).toBe(expected.samples);
        if (expected.auc !== undefined) close(actual.auc, expected.auc);
      }
    }),
    { numRuns: 100 },
  );
});

test("years of forgetting neither overflow nor lose the recent figures", () => {
  const metrics = createMetrics({ halfLifeMs: 1000 });
  for (let day = 0; day < 1000; day += 1) {
    addPrediction(metrics, { probability: day === 999 ? 0.25 : 0.9, label: 1, timeMs: day * 86_400_000 });
  }
  const { logLoss, weight } = summarize(metrics, "recent");
  close(logLoss, -Math.log(0.25));
  close(weight, 1);
  expect(metrics.total.samples).toBe(1000);
});

test("what is not finite is counted and enters nothing else", () => {
  const broken = fc.oneof(
    fc.record({
      probability: fc.constantFrom(NaN, Infinity, -0.1, 1.1),
      label: fc.constant(1),
      timeMs: fc.constant(1),
    }),
    fc.record({ probability: fc.constant(0.5), label: fc.constantFrom(NaN, 2), timeMs: fc.constant(1) }),
    fc.record({ probability: fc.constant(0.5), label: fc.constant(1), timeMs: fc.constantFrom(NaN, Infinity) }),
    fc.record({
      probability: fc.constant(0.5),
      label: fc.constant(1),
      timeMs: fc.constant(1),
      weight: fc.constantFrom(-1, NaN, Infinity),
    }),
  );
  fc.assert(
    fc.property(samples, fc.array(broken, { maxLength: 5 }), (seen, bad) => {
      const metrics = measure(seen);
      const before = summarize(metrics, "recent");
      for (const each of bad) addPrediction(metrics, each);
      expect(summarize(metrics, "recent")).toEqual({
        ...before,
        nonFinite: bad.length,
        nonFiniteShare: bad.length / (bad.length + seen.length),
      });
    }),
  );
});
