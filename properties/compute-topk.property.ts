// Goal: topK() is what sorting everything would give, ties by index, and the reference matrix says the same of the rows it was given.
// Method: a full sort, over scores with many ties; rows put and put again.
import fc from "fast-check";
import { expect, test } from "vitest";
import { plainMatrix, topK } from "../protocols/compute/topk.ts";

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

test("plainMatrix() looks at the rows as they were put last", () => {
  const row = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 2 });
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 200, size: "max" }),
      fc.array(fc.tuple(fc.nat(), row)),
      row,
      (rows, again, query) => {
        const matrix = plainMatrix(2);
        const all = [...rows];
        for (const [index, values] of rows.entries()) matrix.put(index, Float32Array.from(values));
        for (const [at, values] of again) {
          const index = at % (all.length + 1);
          all[index] = values;
          matrix.put(index, Float32Array.from(values));
        }
        expect(matrix.size()).toBe(all.length);
        const flat = Float32Array.from(all.flat());
        const asked = Float32Array.from(query);
        expect(matrix.top(asked, 7)).toEqual(topK(asked, { matrix: flat, rows: all.length, k: 7 }));
      },
    ),
  );
});

test("plainMatrix() refuses rows out of order and of another width", () => {
  const matrix = plainMatrix(3);
  matrix.put(0, new Float32Array(3));
  expect(() => matrix.put(2, new Float32Array(3))).toThrow("Cannot put row 2: there are 1");
  expect(() => matrix.put(-1, new Float32Array(3))).toThrow("Cannot put row -1: there are 1");
  expect(() => matrix.put(0.5, new Float32Array(3))).toThrow("Cannot put row 0.5: there are 1");
  expect(() => matrix.put(1, new Float32Array(2))).toThrow("Cannot put 2 numbers: a row has 3");
});
