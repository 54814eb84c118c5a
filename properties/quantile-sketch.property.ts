// Goal: every quantile is within 1 % of the exact one; merging is the same as one stream; memory is bounded. Method: a full sort.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addToSketch,
  createSketch,
  mergeSketch,
  quantile,
  QUANTILE_ERROR,
  type QuantileSketch,
  SKETCH_BUCKETS_MAX,
} from "../protocols/quantile-sketch.ts";

const value = fc.oneof(
  fc.double({ min: 1e-6, max: 1e9, noNaN: true }),
  fc.integer({ min: 0, max: 200 }),
  fc.constantFrom(0, 1, 1e-9, 1e12),
);
const values = fc.array(value, { maxLength: 200, size: "max" });

function sketchOf(list: readonly number[]): QuantileSketch {
  const sketch = createSketch();
  for (const each of list) addToSketch(sketch, each);
  return sketch;
}

test("quantile() is within its error of the sorted stream's value at that rank", () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
      const sketch = sketchOf(list);
      const exact = list.toSorted((a, b) => a - b)[Math.floor(q * (list.length - 1))];
      const estimate = quantile(sketch, q);
      if (exact === undefined) expect(estimate).toBeUndefined();
      else expect(Math.abs((estimate ?? NaN) - exact)).toBeLessThanOrEqual(QUANTILE_ERROR * exact * (1 + 1e-9) + 1e-9);
    }),
    { numRuns: 1000 },
  );
});

test("merging is the same as one stream, also after a JSON round trip", () => {
  fc.assert(
    fc.property(values, values, (left, right) => {
      const merged = sketchOf(left);
      expect(JSON.parse(JSON.stringify(merged))).toEqual(merged);
      mergeSketch(merged, sketchOf(right));
      expect(merged).toEqual(sketchOf([...left, ...right]));
    }),
    { examples: [[[0.9801980198019803], []]] },
  );
});

test("below zero counts as zero; NaN and infinities are refused and counted", () => {
  const sketch = sketchOf([-5, 3, NaN, Infinity, -Infinity]);
  expect(sketch).toMatchObject({ count: 2, zeros: 1, refused: 3 });
  expect(quantile(sketch, 0)).toBe(0);
});

test("equal numbers share a bucket, the least that counts has one, and a rank just behind the zeros is the first of it", () => {
  const sketch = sketchOf([3, 0, 3, 1e-9, 0.9e-9]);
  expect(sketch).toMatchObject({ count: 5, zeros: 2 });
  expect(sketch.buckets.map(([, count]) => count)).toEqual([1, 2]);
  expect(quantile(sketch, 0.25)).toBe(0);
  expect(quantile(sketch, 0.5)).toBeCloseTo(1e-9, 10);
  expect(Math.abs((quantile(sketch, 0.75) ?? Number.NaN) - 3)).toBeLessThanOrEqual(3 * QUANTILE_ERROR);
  expect([-1, 2].map((q) => quantile(sketch, q))).toEqual([0, quantile(sketch, 1)]);
});

test("memory is bounded over the whole range of numbers, and high quantiles stay exact", () => {
  const sketch = createSketch();
  for (let exponent = -8; exponent < 300; exponent += 0.004) addToSketch(sketch, 10 ** exponent);
  expect(sketch.buckets.length).toBeLessThanOrEqual(SKETCH_BUCKETS_MAX);
  expect(sketch.buckets.reduce((total, [, count]) => total + count, 0)).toBe(sketch.count);
  expect(Math.abs(Math.log10(quantile(sketch, 0.99) ?? NaN) - (-8 + 0.99 * 308))).toBeLessThan(0.01);
});
