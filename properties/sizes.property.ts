// Goal: sizes order numbers as they are ordered, numbers of one size are close, and a quantile's size is that of the exact one. Method: a full sort.
import fc from "fast-check";
import { expect, test } from "vitest";
import { addSize, createSizes, sizeAt, sizeOf, type Sizes } from "../protocols/sizes.ts";

const value = fc.oneof(
  fc.double({ min: 1e-30, max: 1e30, noNaN: true }),
  fc.double({ min: 1e-3, max: 10, noNaN: true }),
  fc.constantFrom(0, -1, -Infinity, 1, 1e-300, 1e300, Infinity),
);

function sizesOf(list: readonly number[]): Sizes {
  const sizes = createSizes();
  for (const each of list) addSize(sizes, sizeOf(each));
  return sizes;
}

test("sizeOf() never puts a number below a smaller one, and those of one size are within 1 / 64 of one another", () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      const [low, high] = a < b ? [a, b] : [b, a];
      const isApart = low > 1e-30 && high < 1e30 && high > low * (1 + 1 / 64 + 1e-6);
      expect(sizeOf(low)).toBeLessThanOrEqual(sizeOf(high) - (isApart ? 1 : 0));
    }),
    { numRuns: 2_000 },
  );
});

test("sizeAt() takes the least of none, of one, and of equal ones, and steps where the rank does", () => {
  expect(sizeAt([], 0.5)).toBeUndefined();
  expect(sizeAt([createSizes()], 1)).toBeUndefined();
  expect([0, 0.49, 0.5, 0.99, 1].map((q) => sizeAt([sizesOf([1, 2, 4])], q))).toEqual([1, 1, 2, 2, 4].map(sizeOf));
  expect(sizeAt([sizesOf([0, 0]), createSizes()], 1)).toBe(0);
});

test("sizeAt() is the size of the number at that rank of all that were counted, in however many parts", () => {
  const list = fc.array(value, { maxLength: 200, size: "max" });
  fc.assert(
    fc.property(list, list, fc.double({ min: 0, max: 1, noNaN: true }), (left, right, q) => {
      const all = [...left, ...right].toSorted((a, b) => a - b);
      const exact = all[Math.floor(q * (all.length - 1))];
      expect(sizeAt([sizesOf(left), sizesOf(right)], q)).toBe(exact === undefined ? undefined : sizeOf(exact));
    }),
    { numRuns: 1_000 },
  );
});
