import fc from "fast-check";
import { expect, test } from "vitest";
import { type SlicedPrediction } from "../protocols/learning/quality-slices.ts";
import { ALL, createStreamQuality } from "../regions/train/stream-quality.ts";
import { qualityOf } from "../regions/train/stream-report.ts";

const WINDOW_MS = 100;
const START_MS = 1_000;
const HOW = { windowMs: WINDOW_MS, startMs: START_MS, features: ["device"] };

const stream: fc.Arbitrary<readonly SlicedPrediction[]> = fc
  .array(
    fc.record({
      pause: fc.oneof(fc.nat(30), fc.constantFrom(WINDOW_MS, 5 * WINDOW_MS)),
      values: fc.tuple(fc.constantFrom("a", "b", "")),
      probability: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      label: fc.constantFrom(0, 1),
      isNewUser: fc.boolean(),
      isNewItem: fc.boolean(),
    }),
    { minLength: 1, maxLength: 30, size: "max" },
  )
  .map((drawn) => {
    let timeMs = START_MS;
    return drawn.map(({ pause, ...rest }) => ({ ...rest, weight: 1, timeMs: (timeMs += pause) }));
  });

function slicesOf({ values, isNewUser, isNewItem }: SlicedPrediction): string[] {
  return [ALL, ...(isNewUser ? ["new users"] : []), ...(isNewItem ? ["new items"] : []), `device=${values[0] ?? ""}`];
}

function meanLoss(of: readonly SlicedPrediction[]): number {
  const losses = of.map(({ probability, label }) => -Math.log(label === 1 ? probability : 1 - probability));
  return losses.reduce((sum, each) => sum + each, 0) / of.length;
}

test("createStreamQuality(): each prediction is in the window of its time, of all and of its slices; totals are of all windows", () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(30), { maxLength: 2 }), (predictions, cuts) => {
      let quality = createStreamQuality({ ...HOW, kept: undefined });
      let closed = 0;
      for (const [at, prediction] of predictions.entries()) {
        if (cuts.includes(at)) {
          quality = createStreamQuality({ ...HOW, kept: structuredClone(quality.state()) });
        }
        closed += quality.measure(prediction)?.samples ?? 0;
      }
      const before = qualityOf(quality.state());
      closed += quality.end()?.samples ?? 0;
      const after = qualityOf(quality.state());
      expect(closed).toBe(predictions.length);
      // A window that is open counts as well.
      expect(before.quality.samples).toBe(predictions.length);
      const bySlice = new Map<string, SlicedPrediction[]>();
      for (const prediction of predictions) {
        for (const slice of slicesOf(prediction)) bySlice.set(slice, [...(bySlice.get(slice) ?? []), prediction]);
      }
      const found = new Map([
        [ALL, after.quality],
        ...after.slices.map(({ slice, ...rest }) => [slice, rest] as const),
      ]);
      expect(new Set(found.keys())).toEqual(new Set(bySlice.keys()));
      for (const [slice, of] of bySlice) {
        const measured = found.get(slice);
        expect(measured?.samples).toBe(of.length);
        expect(measured?.logLoss).toBeCloseTo(meanLoss(of), 9);
        const windows = Map.groupBy(of, ({ timeMs }) => Math.floor((timeMs - START_MS) / WINDOW_MS));
        expect(measured?.windows.map(({ at, samples }) => [at, samples])).toEqual(
          [...windows].map(([window, each]) => [START_MS + (window + 1) * WINDOW_MS, each.length]),
        );
        for (const [at, each] of [...windows.values()].entries()) {
          expect(measured?.windows[at]?.logLoss).toBeCloseTo(meanLoss(each), 9);
        }
      }
    }),
    { numRuns: 15 },
  );
});
