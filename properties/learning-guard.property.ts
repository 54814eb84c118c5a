// Goal: broken floats are refused with the right cause, sound ones never. Method: the plain definitions, over all 32-bit floats.
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkFinite, firstBroken } from "../protocols/learning/guard.ts";

test("checkFinite() names NaN, infinity and too large a norm, and nothing else", () => {
  fc.assert(
    fc.property(
      fc.array(fc.float(), { maxLength: 20 }),
      fc.double({ min: 0, max: 1e40, noNaN: true }),
      (list, normMax) => {
        const floats = Float32Array.from(list);
        const norm = Math.hypot(...floats);
        const refusal = checkFinite(floats, normMax);
        if (floats.some(Number.isNaN)) expect(refusal).toBe("nan");
        else if (!floats.every(Number.isFinite)) expect(refusal).toBe("infinity");
        else if (norm > normMax * (1 + 1e-12)) expect(refusal).toBe("norm");
        else if (norm < normMax * (1 - 1e-12)) expect(refusal).toBeUndefined();
      },
    ),
  );
});

test("checkFinite() takes a norm that is exactly the greatest, and none above it", () => {
  expect(checkFinite(Float32Array.of(3, -4), 5)).toBeUndefined();
  expect(checkFinite(Float32Array.of(3, -4), 4.999)).toBe("norm");
  expect(checkFinite(Float32Array.of(0, 0), 0)).toBeUndefined();
  expect(checkFinite(Float32Array.of(), 0)).toBeUndefined();
  expect(checkFinite(Float32Array.of(Infinity, Number.NaN), 1)).toBe("nan");
  expect(checkFinite(Float32Array.of(0, -Infinity), 1)).toBe("infinity");
});

test("firstBroken() is the first row that checkFinite() would refuse alone, and why", () => {
  const float = fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(0, 1, -1, 2.5, -3) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, 4, 1e30) },
  );
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 6 })
        .chain((width) =>
          fc.array(fc.array(float, { minLength: width, maxLength: width }), { maxLength: 8, size: "max" }),
        ),
      fc.constantFrom(0, 3, 5, 1e31),
      (rows, normMax) => {
        const reasons = rows.map((row) => checkFinite(Float32Array.from(row), normMax));
        const row = reasons.findIndex((reason) => reason !== undefined);
        expect(firstBroken(Float32Array.from(rows.flat()), { rows: rows.length, normMax })).toEqual(
          row < 0 ? undefined : { row, reason: reasons[row] },
        );
      },
    ),
    { numRuns: 300 },
  );
  expect(firstBroken(Float32Array.of(3, 4, 3, 4), { rows: 2, normMax: 5 })).toBeUndefined();
  // Of what the rows beside it are nothing is said.
  const infinite = Float32Array.of(0, 0, Infinity, 1, Number.NaN, 0);
  expect(firstBroken(infinite, { rows: 3, normMax: 5 })).toEqual({ row: 1, reason: "infinity" });
  expect(firstBroken(Float32Array.of(3, 4, 3, 5), { rows: 2, normMax: 5 })).toEqual({ row: 1, reason: "norm" });
  expect(firstBroken(new Float32Array(), { rows: 0, normMax: 5 })).toBeUndefined();
});
