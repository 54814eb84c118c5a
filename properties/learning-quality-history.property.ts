// Goal: each sample is in one window, a window's figures are those of its samples alone, and no more windows are kept than said. Method: windows of drawn
// samples beside metrics that saw just these.
import fc from "fast-check";
import { expect, test } from "vitest";
import { addPrediction, createMetrics, summarize } from "../protocols/learning/progressive-metrics.ts";
import { closeWindow, createHistory, isOutOfBounds, noteQuality } from "../protocols/learning/quality-history.ts";

const halfLifeMs = 1_000;
const sample = fc.record({
  probability: fc.double({ min: 0, max: 1, noNaN: true }),
  label: fc.constantFrom(0, 1),
  weight: fc.constantFrom(0.5, 1, 3),
  timeMs: fc.nat(5_000),
});

test("a history's points are the windows' own figures, the newest of them, and windows without samples leave none", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.array(sample, { maxLength: 4 }), { maxLength: 3 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      (windows, pointsMax) => {
        const history = createHistory({ pointsMax, halfLifeMs });
        const wanted = windows.flatMap((reports, at) => {
          const alone = createMetrics({ halfLifeMs });
          for (const report of reports) {
            const measured = createMetrics({ halfLifeMs });
            for (const each of report) {
              addPrediction(measured, each);
              addPrediction(alone, each);
            }
            noteQuality(history, measured);
          }
          const point = closeWindow(history, at);
          expect(point === undefined).toBe(reports.flat().length === 0);
          const { samples, auc, logLoss, calibration, clickRate } = summarize(alone, "total");
          return point === undefined ? [] : [{ at, samples, auc, logLoss, calibration, labelRate: clickRate }];
        });
        expect(history.points.map(({ at, samples }) => [at, samples])).toEqual(
          wanted.slice(-pointsMax).map(({ at, samples }) => [at, samples]),
        );
        for (const [at, point] of history.points.entries()) {
          const { auc, logLoss, calibration, labelRate } = wanted.slice(-pointsMax)[at] ?? {};
          for (const [given, figure] of [
            [point.auc, auc],
            [point.logLoss, logLoss],
            [point.calibration, calibration],
            [point.labelRate, labelRate],
          ]) {
            expect(given === undefined).toBe(figure === undefined);
            expect(Math.abs((given ?? 0) - (figure ?? 0))).toBeLessThan(1e-9 * (1 + Math.abs(figure ?? 0)));
          }
        }
      },
    ),
    { numRuns: 100 },
  );
});

test("isOutOfBounds(): what is at a bound is within it; a figure that is none is out; too few samples say nothing", () => {
  const bounds = { low: 0.5, high: 2, samplesMin: 10 };
  function judged(calibration: number, samples = 10): boolean | undefined {
    return isOutOfBounds({ at: 0, samples, calibration }, bounds);
  }
  expect([0.5, 1, 2].map((each) => judged(each))).toEqual([false, false, false]);
  expect([0.49, 2.01, Number.NaN].map((each) => judged(each))).toEqual([true, true, true]);
  expect(judged(9, 9)).toBeUndefined();
  expect(isOutOfBounds({ at: 0, samples: 99 }, bounds)).toBeUndefined();
});
