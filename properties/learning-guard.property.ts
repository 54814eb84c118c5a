// Goal: broken floats are refused with the right cause, sound ones never. Method: the plain definitions, over all 32-bit floats.
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkFinite } from "../protocols/learning/guard.ts";

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
