// Goal: the generator repeats, its forks do not, and its draws have the distribution they claim.
// Method: published first outputs, and moments of many draws with bounds far beyond chance.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom, fork, mixUint32, nextBelow, nextFloat, nextNormal, nextUint32 } from "../protocols/random.ts";

test("nextUint32() is xoshiro128**: the first outputs from the state 1, 2, 3, 4", () => {
  const random = { a: 1, b: 2, c: 3, d: 4 };
  const outputs = Array.from({ length: 10 }, () => nextUint32(random));
  expect(outputs).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ]);
});

test("a seed gives the numbers that it gave when the first rows were made, and what is no whole number gives none", () => {
  const random = createRandom(2 ** 40 + 7);
  expect([nextUint32(random), nextUint32(random), nextFloat(random), nextBelow(random, 1000)]).toEqual([
    1_404_180_126, 3_791_226_543, 0.030286144230056933, 962,
  ]);
  expect(nextNormal(random)).toBeCloseTo(-0.219531835, 8);
  expect(nextNormal(random)).toBeCloseTo(-1.079013972, 8);
  expect(nextUint32(fork(random))).toBe(2_911_221_683);
  expect([mixUint32(0, 0), mixUint32(1, 2), mixUint32(2 ** 32 - 1, 2 ** 31)]).toEqual([
    1_156_746_130, 1_505_013_553, 1_139_279_198,
  ]);
  for (const seed of [0.5, 2 ** 53, Number.NaN, Infinity]) {
    expect(() => createRandom(seed)).toThrow(
      new RangeError(`Cannot seed a generator: ${seed} is not a whole number below 2^53`),
    );
  }
});

test("the same seed gives the same sequence, and a fork another one", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (seed) => {
      function draw(random: ReturnType<typeof createRandom>): number[] {
        return Array.from({ length: 8 }, () => nextUint32(random));
      }
      const one = createRandom(seed);
      expect(draw(createRandom(seed))).toEqual(draw(one));
      const other = fork(one);
      expect(draw(other)).not.toEqual(draw(one));
      expect(draw(createRandom(seed === Number.MAX_SAFE_INTEGER ? 0 : seed + 1))).not.toEqual(draw(createRandom(seed)));
    }),
  );
});

test("floats are in [0, 1) with mean 1/2; normals have mean 0, variance 1 and the right tails; nextBelow() covers its range", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = createRandom(seed);
      const count = 20_000;
      let mean = 0;
      let normal = 0;
      let squares = 0;
      let tails = 0;
      const seen = new Set<number>();
      for (let i = 0; i < count; i += 1) {
        const u = nextFloat(random);
        expect(u >= 0 && u < 1).toBe(true);
        const z = nextNormal(random);
        mean += u / count;
        normal += z / count;
        squares += (z * z) / count;
        if (Math.abs(z) > 1.96) tails += 1 / count;
        seen.add(nextBelow(random, 7));
      }
      expect(Math.abs(mean - 0.5)).toBeLessThan(0.02);
      expect(Math.abs(normal)).toBeLessThan(0.06);
      expect(Math.abs(squares - 1)).toBeLessThan(0.08);
      expect(Math.abs(tails - 0.05)).toBeLessThan(0.015);
      expect(seen).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
    }),
    { numRuns: 10 },
  );
});

test("mixUint32() flips about half of its bits when one bit of either input flips", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 0, max: 31 }), (seed, value, bit) => {
      function flips(a: number, b: number): number {
        return ((a ^ b) >>> 0).toString(2).replaceAll("0", "").length;
      }
      const before = mixUint32(seed, value);
      expect(flips(before, mixUint32(seed ^ (1 << bit), value))).toBeGreaterThan(1);
      expect(flips(before, mixUint32(seed, value ^ (1 << bit)))).toBeGreaterThan(1);
    }),
    { numRuns: 300 },
  );
});
