// Goal: topK() is what sorting everything would give, ties by index. Method: a full sort, over scores with many ties.
import fc from "fast-check";
import { expect, test } from "vitest";
import { topK } from "../protocols/compute/topk.ts";

test("topK() agrees with a full sort", () => {
  const value = fc.oneof(
    fc.integer({ min: -2, max: 2 }),
    fc.float({ noDefaultInfinity: true, noNaN: true, min: -100, max: 100 }),
  );
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 3 })
        .chain((dim) =>
          fc.tuple(
            fc.array(value, { minLength: dim, maxLength: dim }),
            fc.array(fc.array(value, { minLength: dim, maxLength: dim }), { maxLength: 60, size: "max" }),
          ),
        ),
      fc.integer({ min: 0, max: 70 }),
      ([query, rows], k) => {
        const matrix = Float32Array.from(rows.flat());
        const found = topK(Float32Array.from(query), { matrix, rows: rows.length, k });
        const all = rows.map((row, index) => ({
          index,
          score: row.reduce((sum, x, d) => sum + Math.fround(x) * Math.fround(query[d] ?? NaN), 0),
        }));
        expect(found).toEqual(all.sort((a, b) => b.score - a.score || a.index - b.index).slice(0, k));
      },
    ),
    { numRuns: 500 },
  );
});

test("topK() never returns a row whose score is NaN", () => {
  const matrix = Float32Array.of(1, NaN, 3, Infinity, NaN);
  expect(topK(Float32Array.of(1), { matrix, rows: 5, k: 5 }).map(({ index }) => index)).toEqual([3, 2, 0]);
});
