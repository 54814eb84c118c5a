// Goal: a trained batch is the sum of its samples however its rows are spread over shards, and what names rows never changes.
// Method: the batch against one sample at a time; golden keys; layouts of declarations that differ in one place.
import fc from "fast-check";
import { expect, test } from "vitest";
import { isItemId } from "../protocols/feedback.ts";
import { isIntegerKey, keyOf, keySeed, shardOf } from "../protocols/keys.ts";
import { CATALOGUE_ROW_BYTES, readCatalogueRow, writeCatalogueRow } from "../protocols/learning/catalogue-row.ts";
import { type Backend } from "../protocols/compute/backend.ts";
import { plain } from "../protocols/compute/plain.ts";
import { kernelsBackend } from "../runtime/compute/kernels-backend.ts";
import {
  createLearner,
  learn,
  type Learner,
  placeRows,
  planExamples,
  type PlannedBatch,
  predict,
  roomFor,
} from "../protocols/learning/learner.ts";
import { labelsOf } from "../protocols/learning/label-weights.ts";
import { type LabelledExample } from "../protocols/learning/training-batch.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { initialValues, modelLayout } from "../protocols/model-layout.ts";
import { keyReader } from "./key-oracle.ts";

const architecture = { kind: "dlrm", embedding: 4, bottom: [5], top: [6] } as const;
const model: ModelDeclaration = {
  name: "clicks",
  shards: 3,
  architecture,
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "colours", key: "colour" },
    { name: "tastes", key: "colour-for-age" },
  ],
  dense: ["age", "price"],
  derived: [
    { name: "age-group", kind: "bucketised", of: "age", bounds: [-1, 2] },
    { name: "colour-for-age", kind: "crossed", of: ["colour", "age-group"] },
  ],
  optimizer: { kind: "adagrad", learningRate: 0.1 },
  denseOptimizer: { kind: "adam", learningRate: 0.01 },
};
const layout = modelLayout(model);

const few = fc.constantFrom("1", "2", "x", "", "été");
const examples: fc.Arbitrary<LabelledExample[]> = fc.array(
  fc.record({
    user: few,
    item: few,
    features: fc.oneof(
      few.map((colour): Record<string, string> => ({ colour })),
      fc.constant({}),
    ),
    dense: fc.record(
      { age: fc.integer({ min: -3, max: 3 }), price: fc.integer({ min: 0, max: 3 }) },
      { requiredKeys: [] },
    ),
    label: fc.constantFrom(0, 1),
    weight: fc.constantFrom(0.5, 1, 2),
  }),
  { minLength: 1, maxLength: 12 },
);

/** Plans, gathers first values as the shards would, and learns. Gradients by table and key. */
function run(
  batch: readonly LabelledExample[],
  { backend = plain, isPlaced = false }: { readonly backend?: Backend; readonly isPlaced?: boolean } = {},
): {
  readonly probabilities: number[];
  readonly sums: Map<string, number[]>;
} {
  const learner = createLearner(layout, { backend, batchMax: batch.length });
  const planned = planExamples(layout, batch);
  const gathered = planned.lists.map((lists) =>
    lists.map(({ table, keys }) =>
      Float32Array.from([...keys].flatMap((key) => [...initialValues(layout, table, key)])),
    ),
  );
  placeRows(learner, planned, isPlaced ? inRoom(learner, planned, gathered) : gathered);
  const predicted = [...predict(learner, planned)];
  const { probabilities, gradients } = learn(learner, planned, labelsOf(batch));
  expect([...probabilities]).toEqual(predicted);
  const sums = new Map<string, number[]>();
  for (const [shard, list] of gradients.entries()) {
    for (const { table, keys, gradients: values } of list) {
      const dim = values.length / keys.length;
      for (const [row, key] of keys.entries()) {
        expect(shardOf(table, key, model.shards)).toBe(shard);
        expect(sums.has(`${table}:${key}`)).toBe(false);
        sums.set(`${table}:${key}`, [...values.subarray(row * dim, (row + 1) * dim)]);
      }
    }
  }
  return { probabilities: [...probabilities], sums };
}

/** The rows put where the learner has room for them, at once, as shards' rows are read into it. */
function inRoom(
  learner: Learner,
  planned: PlannedBatch,
  gathered: readonly (readonly Float32Array[])[],
): readonly (readonly Float32Array[])[] {
  const room = roomFor(learner, planned);
  for (const [shard, lists] of room.entries()) {
    for (const [at, into] of lists.entries()) into.set(gathered[shard]?.[at] ?? []);
  }
  return room;
}

test("learn() computes the same from rows that are copied, and from rows that were put into its own room, by either backend", () => {
  fc.assert(
    fc.property(examples, (batch) => {
      const plainly = run(batch);
      expect(run(batch, { isPlaced: true })).toEqual(plainly);
      const backend = kernelsBackend({ build: "plain" });
      const placed = run(batch, { backend, isPlaced: true });
      expect(placed).toEqual(run(batch, { backend }));
      for (const [row, values] of plainly.sums) {
        for (const [at, value] of values.entries()) expect(placed.sums.get(row)?.[at]).toBeCloseTo(value, 4);
      }
    }),
    { numRuns: 40 },
  );
});

test("learn(): each row lies on one shard, its own; its gradient is the sum of its samples', a dense group's their weighted mean", () => {
  fc.assert(
    fc.property(examples, (batch) => {
      const whole = run(batch);
      const wanted = new Map<string, number[]>();
      const weightSum = batch.reduce((sum, { weight }) => sum + weight, 0);
      for (const [at, example] of batch.entries()) {
        const one = run([example]);
        expect(one.probabilities[0]).toBeCloseTo(whole.probabilities[at] ?? Number.NaN, 6);
        for (const [table, { key }] of model.tables.entries()) {
          expect(one.sums.has(`${table + 1}:${keyOf(keyReader(model, key)(example))}`)).toBe(true);
        }
        for (const [row, values] of one.sums) {
          const share = Number(row.split(":")[0]) > model.tables.length ? example.weight / weightSum : 1;
          const sum = wanted.get(row) ?? values.map(() => 0);
          wanted.set(
            row,
            sum.map((value, d) => value + share * (values[d] ?? Number.NaN)),
          );
        }
      }
      expect(new Set(whole.sums.keys())).toEqual(new Set(wanted.keys()));
      for (const [row, values] of whole.sums) {
        for (const [d, value] of values.entries()) {
          const sum = wanted.get(row)?.[d] ?? Number.NaN;
          expect(Math.abs(value - sum)).toBeLessThan(1e-5 * (1 + Math.abs(sum)));
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("keyReader(): a number's range, a missing number's own, and no two combinations alike", () => {
  const age = keyReader(model, "age-group");
  function aged(dense: Record<string, number>): string {
    return age({ user: "", item: "", features: {}, dense });
  }
  expect([-9, -1, 1.9, 2, 99].map((value) => aged({ age: value }))).toEqual(["0", "1", "1", "2", "2"]);
  expect(aged({ price: 1 })).toBe("");
  const derived = [
    { name: "pair", kind: "crossed", of: ["user", "item"] },
    { name: "triple", kind: "crossed", of: ["pair", "size"] },
  ] as const;
  const text = fc.string({ unit: fc.constantFrom("1", ":", "a"), maxLength: 4 });
  fc.assert(
    fc.property(fc.tuple(text, text, text), fc.tuple(text, text, text), (one, other) => {
      const [left, right] = [one, other].map(([user, item, size]) =>
        keyReader({ derived }, "triple")({ user, item, features: { size }, dense: {} }),
      );
      expect(left === right).toBe(one.every((part, at) => part === other[at]));
    }),
  );
});

test("keyOf(): a canonical integer is its own key and can be read back, no other text meets one", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (integer) => {
      expect(keyOf(String(integer))).toBe(integer);
      expect(isIntegerKey(integer)).toBe(true);
      for (const other of [
        `0${integer}`,
        `+${integer}`,
        ` ${integer}`,
        `${integer} `,
        `-${integer}`,
        `${integer}.0`,
        `${integer}\n`,
      ]) {
        expect(isIntegerKey(keyOf(other))).toBe(false);
      }
    }),
  );
  expect(isIntegerKey(keyOf("9223372036854775808"))).toBe(false);
  const texts = Array.from({ length: 20_000 }, (_, at) => `item-${at}`);
  expect(new Set(texts.map(keyOf)).size).toBe(texts.length);
  expect(keyOf("a")).not.toBe(keyOf("a\0"));
});

test("keys, shards and seeds are what they were when the first rows were stored", () => {
  const texts = ["", "0", "42", "042", "user", "é", "日本", "😀", "9223372036854775807", "9223372036854775808"];
  expect(texts.map((text) => [text, String(keyOf(text)), shardOf(1, keyOf(text), 16), keySeed(keyOf(text))])).toEqual([
    ["", "14659910645815324430", 11, 759_007_835],
    ["0", "0", 8, 0],
    ["42", "42", 1, 3_118_121_311],
    ["042", "12463578895463463422", 1, 3_158_723_695],
    ["user", "10612853827255696325", 12, 2_047_741_058],
    ["é", "10094661433117143177", 10, 2_885_492_068],
    ["日本", "10083307509377546338", 2, 655_374_508],
    ["😀", "17303971627277956967", 8, 4_064_494_914],
    ["9223372036854775807", "9223372036854775807", 1, 2_457_714_709],
    ["9223372036854775808", "16728535706634182552", 1, 2_224_083_143],
  ]);
});

test("shardOf() spreads integers and hashed texts evenly over shards, each table otherwise", () => {
  for (const name of [String, (at: number) => `user-${at}`, (at: number) => String(at * 4096)]) {
    for (const shards of [2, 3, 16]) {
      const counts = Array.from({ length: shards }, () => 0);
      let together = 0;
      for (let at = 0; at < 16_000; at += 1) {
        const key = keyOf(name(at));
        const shard = shardOf(1, key, shards);
        counts[shard] = (counts[shard] ?? Number.NaN) + 1;
        if (shardOf(2, key, shards) === shard) together += 1;
      }
      const mean = 16_000 / shards;
      for (const count of [...counts, together]) expect(Math.abs(count - mean)).toBeLessThan(6 * Math.sqrt(mean));
    }
  }
});

test("a catalogue row gives back what was written; any bytes are a row or none", () => {
  const id = fc.string({ unit: "grapheme", minLength: 1, maxLength: 46 }).filter(isItemId);
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(
      fc.oneof(id, fc.constantFrom("é".repeat(23), "a".repeat(46), "😀".repeat(11))),
      number,
      number,
      (item, popularity, firstSeenMs) => {
        const bytes = new Uint8Array(CATALOGUE_ROW_BYTES).fill(255);
        writeCatalogueRow(bytes, { item, popularity, firstSeenMs });
        expect(readCatalogueRow(bytes)).toEqual({ item, popularity, firstSeenMs });
        expect(readCatalogueRow(bytes.subarray(1))).toBeUndefined();
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 60, maxLength: 66 }), fc.nat(60), (bytes, length) => {
      if (bytes.length > 16) bytes[16] = length;
      const row = readCatalogueRow(bytes);
      if (row !== undefined) expect(isItemId(row.item) || /\p{Cc}/u.test(row.item)).toBe(true);
    }),
  );
  expect(() => writeCatalogueRow(new Uint8Array(64), { item: "é".repeat(24), popularity: 0, firstSeenMs: 0 })).toThrow(
    "48 bytes",
  );
});

test("modelLayout(): the digest is one for equal declarations, another for every change that peers must not disagree on", () => {
  expect(modelLayout(structuredClone(model)).digest).toBe(layout.digest);
  const { optimizer } = model;
  const towers = { kind: "two-tower", embedding: 4, user: [], item: [], output: 4 } as const;
  const changed: readonly ModelDeclaration[] = [
    { ...model, shards: 4 },
    { ...model, architecture: { ...architecture, embedding: 5 } },
    { ...model, architecture: { ...architecture, bottom: [6] } },
    { ...model, architecture: { ...architecture, top: [6, 6] } },
    { ...model, architecture: { kind: "deepfm", embedding: 3, deep: [6] } },
    { ...model, architecture: { kind: "dcn-v2", embedding: 4, cross: 1, deep: [6] } },
    { ...model, architecture: { kind: "dcn-v2", embedding: 4, cross: 2, deep: [6] } },
    { ...model, architecture: { kind: "logistic" } },
    { ...model, architecture: { ...towers, itemTables: [], itemDense: [] } },
    { ...model, architecture: { ...towers, itemTables: ["colours"], itemDense: [] } },
    { ...model, architecture: { ...towers, itemTables: ["colours"], itemDense: ["age"] } },
    { ...model, architecture: { ...towers, itemTables: ["colours"], itemDense: ["price"] } },
    { ...model, tables: model.tables.slice(0, 2) },
    { ...model, tables: model.tables.toReversed() },
    { ...model, tables: model.tables.map((table) => ({ ...table, key: table.key === "colour" ? "size" : table.key })) },
    { ...model, dense: ["age"] },
    { ...model, derived: [{ name: "colour-for-age", kind: "crossed", of: ["colour", "user"] }] },
    { ...model, derived: [{ name: "colour-for-age", kind: "bucketised", of: "age", bounds: [1] }] },
    { ...model, dense: ["price", "age"] },
    { ...model, optimizer: { ...optimizer, learningRate: 0.2 } },
    { ...model, optimizer: { ...optimizer, kind: "ftrl" } },
    { ...model, denseOptimizer: optimizer },
  ];
  const digests = [model, ...changed].map((each) => modelLayout(each).digest);
  expect(digests.map((digest, at) => digests.indexOf(digest) === at)).toEqual(digests.map(() => true));
});

test("initialValues() are the same on every call, differ between rows and tables, and have the row's width", () => {
  for (const [table, { role, dim }] of layout.tables.entries()) {
    if (role === "catalogue") {
      expect(() => initialValues(layout, table, 1n)).toThrow(RangeError);
      continue;
    }
    expect(initialValues(layout, table, 7n)).toEqual(initialValues(modelLayout(structuredClone(model)), table, 7n));
    expect(initialValues(layout, table, 7n)).toHaveLength(dim);
    if (role === "embedding") expect(initialValues(layout, table, 7n)).not.toEqual(initialValues(layout, table, 8n));
  }
  expect(initialValues(layout, 1, 7n)).not.toEqual(initialValues(layout, 2, 7n));
  expect(() => initialValues(layout, layout.tables.length, 1n)).toThrow(RangeError);
});
