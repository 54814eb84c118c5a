// Goal: the kernels' matrix gives exactly what the reference gives: the same rows, in the same order, with the same bits of score.
// Method: drawn rows of any scale, with ties, duplicates, NaN and infinity, put and put again; small matrices and ones of several blocks.
import fc from "fast-check";
import { expect, test } from "vitest";
import { plainMatrix } from "../protocols/compute/topk.ts";
import { createRandom, nextBelow, nextFloat, nextNormal, type Random } from "../protocols/random.ts";
import { kernelMatrix } from "../runtime/compute/kernel-matrix.ts";

/** How numbers of a row may look. */
const looks: readonly ((random: Random) => number)[] = [
  (random) => nextNormal(random),
  (random) => nextBelow(random, 3) - 1,
  (random) => nextNormal(random) * 1e-30,
  (random) => nextNormal(random) * 1e25,
  (random) => (nextFloat(random) < 0.1 ? nextNormal(random) * 1000 : 0),
  (random) => -Math.abs(nextNormal(random)),
  (random) => [Number.NaN, Infinity, -Infinity, 0, -0, 1e-45, 3e38][nextBelow(random, 7)] ?? 0,
];

function drawnRow(random: Random, { dim, look }: { readonly dim: number; readonly look: number }): Float32Array {
  // Now and then a row of another look stands among the others.
  const draw = looks[nextFloat(random) < 0.01 ? nextBelow(random, looks.length) : look] ?? nextNormal;
  return Float32Array.from({ length: dim }, () => draw(random));
}

for (const build of ["relaxed", "plain"] as const) {
  test(`kernelMatrix(), ${build}: top() is what the reference says, bit by bit`, () => {
    fc.assert(
      fc.property(
        fc.record({
          dim: fc.integer({ min: 1, max: 70 }),
          rows: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 2000, max: 4500 })),
          look: fc.nat({ max: looks.length - 2 }),
          seed: fc.integer(),
        }),
        ({ dim, rows, look, seed }) => {
          const random = createRandom(seed);
          const expected = plainMatrix(dim);
          const given = kernelMatrix(dim, { build });
          function put(index: number): void {
            const row = drawnRow(random, { dim, look });
            for (const matrix of [expected, given]) matrix.put(index, row);
          }
          for (let i = 0; i < rows; i += 1) put(i);
          for (let i = 0; i < rows / 10; i += 1) put(nextBelow(random, rows));
          expect(given.size()).toBe(rows);
          for (let i = 0; i < 5; i += 1) {
            const query = drawnRow(random, { dim, look: nextBelow(random, looks.length) });
            const k = nextBelow(random, i === 0 ? rows + 2 : Math.max(2, rows / 8));
            expect(given.top(query, k)).toEqual(expected.top(query, k));
          }
        },
      ),
      { numRuns: 40 },
    );
  }, 180_000);
}

test("kernelMatrix() refuses rows out of order and of another width, as the reference does", () => {
  const matrix = kernelMatrix(3);
  matrix.put(0, new Float32Array(3));
  expect(() => matrix.put(2, new Float32Array(3))).toThrow("Cannot put row 2: there are 1");
  expect(() => matrix.put(1, new Float32Array(2))).toThrow("Cannot put 2 numbers: a row has 3");
  expect(() => kernelMatrix(0)).toThrow(RangeError);
});
