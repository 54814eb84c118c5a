import { expect, test } from "vitest";
import { CATALOGUE_NUMBERS, itemNumbers } from "../protocols/architectures/item-side.ts";
import { plainMatrix } from "../protocols/compute/topk.ts";
import { createCandidateIndex } from "../actors/candidate-index.ts";
import { createLagMeter } from "../actors/lag-meter.ts";
import { keyOf } from "../protocols/keys.ts";
import { CATALOGUE_DECAY, CATALOGUE_ROW_BYTES, writeCatalogueRow } from "../protocols/learning/catalogue-row.ts";
import { addPopularity, NO_POPULARITY } from "../protocols/learning/popularity.ts";
import { quantile } from "../protocols/quantile-sketch.ts";

const nowMs = CATALOGUE_DECAY.landmarkMs;

function rowsOf(
  rows: readonly { readonly item: string; readonly clicks: number; readonly ageMs: number }[],
): [BigUint64Array, Uint8Array] {
  const bytes = new Uint8Array(rows.length * CATALOGUE_ROW_BYTES);
  for (const [at, { item, clicks, ageMs }] of rows.entries()) {
    const popularity = addPopularity(NO_POPULARITY, { timeMs: nowMs, weight: clicks }, CATALOGUE_DECAY);
    const row = bytes.subarray(at * CATALOGUE_ROW_BYTES, (at + 1) * CATALOGUE_ROW_BYTES);
    writeCatalogueRow(row, { item, popularity, firstSeenMs: nowMs - ageMs });
  }
  return [BigUint64Array.from(rows, ({ item }) => keyOf(item)), bytes];
}

test("candidates come from neighbours, popular and new items, each once; an item without a name never", () => {
  const index = createCandidateIndex({ dim: 2, matrix: plainMatrix(2), numbers: CATALOGUE_NUMBERS });
  index.putNames(
    ...rowsOf([
      { item: "old-hit", clicks: 9, ageMs: 9e6 },
      { item: "near", clicks: 1, ageMs: 8e6 },
      { item: "fresh", clicks: 0, ageMs: 10 },
    ]),
  );
  index.putRows(BigUint64Array.of(keyOf("near"), keyOf("nameless")), Float32Array.of(1, 0, 5, 0));
  const found = index.candidates({ query: Float32Array.of(1, 0), neighbours: 5, popular: 1, newest: 1 });
  expect(found.map(({ item, from }) => [item, from])).toEqual([
    ["near", "neighbour"],
    ["old-hit", "popular"],
    ["fresh", "new"],
  ]);
  expect(index.size()).toBe(3);
  expect(index.popular(2).map(({ item }) => item)).toEqual(["old-hit", "near"]);
  const { age, popularity } = index.denseOf(keyOf("old-hit"), nowMs);
  expect(age).toBe(Math.log1p(2.5));
  expect(popularity).toBeCloseTo(Math.log1p(9), 9);
  expect(index.denseOf(keyOf("nobody"), nowMs)).toEqual({ age: 0, popularity: 0 });
});

test("of two towers the catalogue gives what is on the item's side, of other models all that it knows", () => {
  const tables = [
    { name: "items", key: "item" },
    { name: "ages", key: "group" },
    { name: "crowds", key: "crowd" },
  ];
  const derived = [
    { name: "group", kind: "bucketised" as const, of: "age", bounds: [1] },
    { name: "crowd", kind: "crossed" as const, of: ["item", "group"] },
  ];
  const towers = { kind: "two-tower" as const, embedding: 2, user: [], item: [], output: 2 };
  function given(itemTables: readonly string[], itemDense: readonly string[]): readonly string[] {
    return itemNumbers({ architecture: { ...towers, itemTables, itemDense }, tables, derived });
  }
  expect(given([], [])).toEqual([]);
  expect(given([], ["popularity"])).toEqual(["popularity"]);
  expect(given(["ages"], [])).toEqual(["age"]);
  expect(given(["crowds"], ["popularity"])).toEqual(["age", "popularity"]);
  expect(itemNumbers({ architecture: { kind: "logistic" }, tables, derived })).toEqual(["age", "popularity"]);
  const index = createCandidateIndex({ dim: 2, matrix: plainMatrix(2), numbers: ["popularity"] });
  index.putNames(...rowsOf([{ item: "hit", clicks: 9, ageMs: 9e6 }]));
  expect(Object.keys(index.denseOf(keyOf("hit"), nowMs))).toEqual(["popularity"]);
});

test("rows beyond the first thousands are held, replaced in place, and broken ones passed over", () => {
  const index = createCandidateIndex({ dim: 2, matrix: plainMatrix(2), numbers: CATALOGUE_NUMBERS });
  const items = Array.from({ length: 5000 }, (_, at) => ({ item: `item-${at}`, clicks: 1, ageMs: at }));
  index.putNames(...rowsOf(items));
  const keys = BigUint64Array.from(items, ({ item }) => keyOf(item));
  index.putRows(
    keys,
    Float32Array.from({ length: 10_000 }, (_, at) => Math.floor(at / 2)),
  );
  index.putRows(BigUint64Array.of(keyOf("item-4999")), Float32Array.of(-1, -1));
  const near = index.candidates({ query: Float32Array.of(1, 1), neighbours: 2, popular: 0, newest: 0 });
  expect(near.map(({ item }) => item)).toEqual(["item-4998", "item-4997"]);
  index.putNames(BigUint64Array.of(1n), new Uint8Array(CATALOGUE_ROW_BYTES));
  expect(index.size()).toBe(5000);
});

test("a lag is from the row's time to its arrival; rows from before the start are left out, and lags older than two minutes", () => {
  const meter = createLagMeter(10_000);
  meter.add(Float64Array.of(9_999_000, 10_000_000, 10_400_000, 99_000_000), 10_500);
  const first = meter.recent(10_500);
  expect(first.count).toBe(3);
  expect([0, 0.5, 1].map((q) => quantile(first, q))).toEqual([0, expect.closeTo(100, -1), expect.closeTo(500, -1)]);
  meter.add(Float64Array.of(80_000_000), 80_050);
  expect(meter.recent(80_050).count).toBe(4);
  expect(meter.recent(140_100).count).toBe(1);
  expect(meter.recent(1e6).count).toBe(0);
});
