// Goal: slices hold each prediction that is of them, in bounded number, and merge as if one trainer had seen all. Method: against plain lists.
import fc from "fast-check";
import { expect, test } from "vitest";
import { addToSlices, mergeSlices, type SlicedPrediction, type Slices } from "../protocols/learning/quality-slices.ts";
import { summarize } from "../protocols/learning/progressive-metrics.ts";

const options = { features: ["country", "device"], halfLifeMs: 1000 };

const predictions: fc.Arbitrary<SlicedPrediction[]> = fc.array(
  fc.record({
    // Of the first feature, and nothing of the second.
    values: fc.tuple(fc.constantFrom(...Array.from({ length: 24 }, (_, at) => `c${at}`)), fc.constant("")),
    probability: fc.double({ min: 0, max: 1, noNaN: true }),
    label: fc.constantFrom(0, 1),
    weight: fc.constantFrom(1, 2),
    timeMs: fc.nat(10_000),
    isNewUser: fc.boolean(),
    isNewItem: fc.boolean(),
  }),
  { maxLength: 80, size: "max" },
);

function add(all: readonly SlicedPrediction[]): Slices {
  const slices: Slices = new Map();
  for (const each of all) addToSlices(slices, each, options);
  return slices;
}

test("each prediction is in the slices that it is of, and values beyond the bound are together", () => {
  fc.assert(
    fc.property(predictions, (all) => {
      const slices = add(all);
      function samples(slice: string): number {
        return slices.get(slice)?.total.samples ?? 0;
      }
      expect(samples("new users")).toBe(all.filter(({ isNewUser }) => isNewUser).length);
      expect(samples("new items")).toBe(all.filter(({ isNewItem }) => isNewItem).length);
      const countries = [...slices.keys()].filter((each) => each.startsWith("country="));
      expect(countries.length).toBeLessThanOrEqual(17);
      expect(countries.reduce((sum, each) => sum + samples(each), 0)).toBe(all.length);
      expect(samples("device=")).toBe(all.length);
    }),
  );
});

test("merged slices are those of all samples", () => {
  fc.assert(
    fc.property(predictions, predictions, (one, other) => {
      const few = [...one, ...other].filter(({ values: [country = ""] }) => Number(country.slice(1)) < 10);
      const half = few.length >> 1;
      const merged = add(few.slice(0, half));
      mergeSlices(merged, add(few.slice(half)));
      const whole = add(few);
      expect(new Set(merged.keys())).toEqual(new Set(whole.keys()));
      for (const [slice, metrics] of whole) {
        const [a, b] = [summarize(merged.get(slice) ?? metrics, "total"), summarize(metrics, "total")];
        expect(a.samples).toBe(b.samples);
        expect(a.logLoss ?? 0).toBeCloseTo(b.logLoss ?? 0, 9);
        expect(a.auc ?? 0).toBeCloseTo(b.auc ?? 0, 9);
      }
    }),
  );
});
