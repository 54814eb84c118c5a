// Goal: training in several passes is the stream's learning on other memory; its metrics are exact; its orders and verdicts follow from the past alone.
// Method: one step beside the learner and optimizers that shards use; the area under the curve by counting pairs; passes judged by hand.
import fc from "fast-check";
import { expect, test } from "vitest";
import { plain } from "../protocols/compute/plain.ts";
import { keyOf } from "../protocols/keys.ts";
import { exactMetrics } from "../protocols/learning/exact-metrics.ts";
import { createLearner, learn, placeRows, planExamples } from "../protocols/learning/learner.ts";
import { createLocalModel } from "../protocols/learning/local-model.ts";
import { createLocalTrainer } from "../protocols/learning/local-trainer.ts";
import { apply, initialState } from "../protocols/learning/optimizer.ts";
import { judgePasses, passOrder, type PassResult } from "../protocols/learning/passes.ts";
import { createKeyBook, encodeSamples, joinSamples } from "../protocols/learning/sample-set.ts";
import { type LabelledExample } from "../protocols/learning/training-batch.ts";
import { labelsOf } from "../protocols/learning/label-weights.ts";
import { keyTexts } from "./key-oracle.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { initialValues, modelLayout } from "../protocols/model-layout.ts";

const model: ModelDeclaration = {
  name: "clicks",
  shards: 2,
  architecture: { kind: "deepfm", embedding: 3, deep: [5] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "colours", key: "colour" },
    { name: "means", key: "recent", sequence: { of: "recent", last: 3, pooling: "mean" } },
    { name: "largest", key: "recent", sequence: { of: "recent", last: 2, pooling: "max" } },
  ],
  dense: ["age"],
  optimizer: { kind: "adagrad", learningRate: 0.1 },
  denseOptimizer: { kind: "adam", learningRate: 0.01 },
};
const layout = modelLayout(model);
const few = fc.constantFrom("1", "2", "x", "");
const examples: fc.Arbitrary<LabelledExample[]> = fc.array(
  fc.record({
    user: few,
    item: few,
    features: fc.tuple(few, fc.array(few, { maxLength: 4 })).map(([colour, recent]) => {
      return { colour, recent: recent.join("\n") };
    }),
    dense: fc.integer({ min: -2, max: 2 }).map((age) => ({ age })),
    label: fc.constantFrom(0, 1),
    weight: fc.constantFrom(0, 0.5, 2),
  }),
  { minLength: 1, maxLength: 12 },
);

test("createLocalTrainer(): a step does to each row what the learner and its shards' optimizer do, and nothing to others", () => {
  fc.assert(
    fc.property(examples, fc.nat(), (samples, seed) => {
      const book = createKeyBook(model);
      const others: LabelledExample = { user: "other", item: "other", features: {}, dense: {}, label: 1, weight: 1 };
      // In two pieces, and not in the order of the batch.
      const set = joinSamples([encodeSamples(model, book, [others]), encodeSamples(model, book, samples)]);
      const local = createLocalModel(layout, book);
      using trainer = createLocalTrainer(local, { backend: plain, batchMax: samples.length });
      const order = passOrder(samples.length, { seed, pass: 1 }).map((at) => at + 1);
      const tables = [...local.embeddings, ...local.groups];
      const start = tables.map(({ values, state }) => ({ values: values.slice(), state: state.slice() }));
      trainer.step(set, order, { rate: 1, l2: 0, dropout: 0, seed: 0 });
      // Once more from the start: a step leaves nothing behind but rows.
      for (const [at, { values, state }] of tables.entries()) {
        values.set(start[at]?.values ?? []);
        state.set(start[at]?.state ?? []);
      }
      trainer.step(set, order, { rate: 1, l2: 0, dropout: 0, seed: 0 });
      const expected = rowsAfterStep(samples);
      for (const [at, table] of local.embeddings.entries()) {
        for (const [row, key] of table.keys.entries()) {
          const wanted = expected.get(`${at + 1}:${key}`) ?? initialValues(layout, at + 1, key);
          expectNear(table.values.subarray(row * table.dim, (row + 1) * table.dim), wanted);
        }
        expect([...table.keys]).toEqual([
          ...new Set([others, ...samples].flatMap(keyTexts(model, model.tables[at] ?? { key: "" })).map(keyOf)),
        ]);
      }
      for (const [at, group] of local.groups.entries()) {
        expectNear(group.values, expected.get(`${model.tables.length + 1 + at}:0`) ?? new Float32Array(0));
      }
    }),
    { numRuns: 60 },
  );
});

/** Values of every row after one step of the stream's own path. */
function rowsAfterStep(samples: readonly LabelledExample[]): Map<string, Float32Array> {
  const learner = createLearner(layout, { backend: plain, batchMax: samples.length });
  const planned = planExamples(layout, samples);
  const gathered = planned.lists.map((lists) =>
    lists.map(({ table, keys }) =>
      Float32Array.from([...keys].flatMap((key) => [...initialValues(layout, table, key)])),
    ),
  );
  placeRows(learner, planned, gathered);
  const rows = new Map<string, Float32Array>();
  for (const { table, keys, gradients } of learn(learner, planned, labelsOf(samples)).gradients.flat()) {
    const dim = gradients.length / keys.length;
    const optimizer = layout.tables[table]?.learning;
    if (optimizer === undefined) throw new Error(`table ${table} does not learn`);
    for (const [row, key] of keys.entries()) {
      const values = initialValues(layout, table, key);
      apply(optimizer, {
        values,
        state: initialState(optimizer, values),
        gradient: gradients.slice(row * dim, (row + 1) * dim),
      });
      rows.set(`${table}:${key}`, values);
    }
  }
  return rows;
}

function expectNear(values: Float32Array, wanted: Float32Array): void {
  expect(values).toHaveLength(wanted.length);
  for (const [i, value] of values.entries()) expect(Math.abs(value - (wanted[i] ?? Number.NaN))).toBeLessThan(1e-4);
}

test("createLocalTrainer(): a batch with a gradient that shards would refuse changes no row, and names the row and a sample that has it", () => {
  const reasons = new Set<string>();
  fc.assert(
    fc.property(examples, fc.nat(), fc.constantFrom(1e9, Infinity, Number.NaN), (samples, seed, weight) => {
      const book = createKeyBook(model);
      const set = encodeSamples(model, book, samples);
      const at = seed % samples.length;
      set.weights[at] = weight;
      const local = createLocalModel(layout, book);
      const tables = [...local.embeddings, ...local.groups];
      const before = tables.map(({ values, state }) => [values.slice(), state.slice()]);
      using trainer = createLocalTrainer(local, { backend: plain, batchMax: samples.length });
      const order = passOrder(samples.length, { seed, pass: 1 });
      const { refused } = trainer.step(set, order, { rate: 1, l2: 0.1, dropout: 0, seed: 0 });
      expect(tables.map(({ values, state }) => [values, state])).toEqual(before);
      expect(refused).toMatchObject({ table: 1, key: keyOf(samples[at]?.user ?? "") });
      expect(samples[refused?.sample ?? -1]?.user).toBe(samples[at]?.user);
      expect([...order]).toContain(refused?.sample);
      reasons.add(refused?.reason ?? "");
      const others = order.filter((each) => each !== at);
      if (others.length === 0) return;
      expect(trainer.step(set, others, { rate: 1, l2: 0, dropout: 0, seed: 0 }).refused).toBeUndefined();
    }),
    { numRuns: 60 },
  );
  expect([...reasons]).toEqual(expect.arrayContaining(["norm", "nan"]));
});

test("createLocalTrainer(): predict() gives each sample what it has alone, whatever the size of a batch; a rate scales a step", () => {
  fc.assert(
    fc.property(examples, fc.integer({ min: 1, max: 5 }), (samples, batchMax) => {
      const book = createKeyBook(model);
      const set = encodeSamples(model, book, samples);
      const local = createLocalModel(layout, book);
      using trainer = createLocalTrainer(local, { backend: plain, batchMax });
      using whole = createLocalTrainer(local, { backend: plain, batchMax: samples.length });
      expectNear(trainer.predict(set), whole.predict(set));
      const before = local.embeddings.map(({ values }) => values.slice());
      trainer.step(set, Uint32Array.of(0), { rate: 0, l2: 1, dropout: 0.5, seed: 0 });
      expect(local.embeddings.map(({ values }) => values)).toEqual(before);
    }),
    { numRuns: 40 },
  );
});

test("createLocalTrainer(): dropout leaves out its share, drawn by the seed, and their gradients; l2 pulls the touched rows to 0", () => {
  const book = createKeyBook(model);
  const samples = Array.from({ length: 300 }, (_, at): LabelledExample => {
    return { user: `${at}`, item: `${at}`, features: { colour: `${at}` }, dense: {}, label: at % 2, weight: 1 };
  });
  const set = encodeSamples(model, book, samples);
  const all = Uint32Array.from(samples, (_, at) => at);
  function moved(how: { readonly dropout: number; readonly seed: number; readonly l2: number }): Float32Array {
    const local = createLocalModel(layout, book);
    const before = local.embeddings.map(({ values }) => values.slice());
    using trainer = createLocalTrainer(local, { backend: plain, batchMax: samples.length });
    trainer.step(set, all, { rate: 1, ...how });
    return Float32Array.from(
      local.embeddings.flatMap(({ values }, table) =>
        [...values].map((value, at) => value - (before[table]?.[at] ?? 0)),
      ),
    );
  }
  const one = moved({ dropout: 0.3, seed: 1, l2: 0 });
  expect(one).toEqual(moved({ dropout: 0.3, seed: 1, l2: 0 }));
  expect(one).not.toEqual(moved({ dropout: 0.3, seed: 2, l2: 0 }));
  // 3 x 300 x 4 numbers: the share has a deviation of 0.008.
  expect(Math.abs(one.filter((by) => by === 0).length / one.length - 0.3)).toBeLessThan(0.04);
  expect(moved({ dropout: 0, seed: 1, l2: 0 }).every((by) => by !== 0)).toBe(true);
  const start = createLocalModel(layout, book).embeddings.flatMap(({ values }) => [...values]);
  const pulled = moved({ dropout: 0, seed: 1, l2: 100 });
  for (const [at, by] of pulled.entries()) {
    const value = start[at] ?? 0;
    if (Math.abs(value) > 0.01) expect(Math.sign(by)).toBe(-Math.sign(value));
  }
});

test("exactMetrics(): the area is the share of pairs in the right order, a tie half a pair; the loss is the mean", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 0.1, 0.2, 0.5, 0.5000001, 0.9, 1), fc.constantFrom(0, 1)), {
        maxLength: 30,
      }),
      (drawn) => {
        const p = Float32Array.from(drawn, ([each]) => each);
        const labels = Float32Array.from(drawn, ([, each]) => each);
        const { auc, logLoss, positives, samples, calibration } = exactMetrics(p, labels);
        expect(samples).toBe(drawn.length);
        expect(positives).toBe(labels.reduce((sum, label) => sum + label, 0));
        let won = 0;
        let pairs = 0;
        for (const [i, up] of labels.entries()) {
          for (const [j, down] of labels.entries()) {
            if (up !== 1 || down !== 0) continue;
            pairs += 1;
            won += Math.sign((p[i] ?? 0) - (p[j] ?? 0)) / 2 + 0.5;
          }
        }
        if (pairs === 0) expect(auc).toBeUndefined();
        else expect(auc).toBeCloseTo(won / pairs, 9);
        const losses = drawn.map(([each, label]) => {
          const clipped = Math.min(1 - 1e-7, Math.max(1e-7, Math.fround(each)));
          return -Math.log(label === 1 ? clipped : 1 - clipped);
        });
        expect(logLoss).toBeCloseTo(losses.reduce((sum, each) => sum + each, 0) / Math.max(1, drawn.length), 6);
        expect(calibration === undefined).toBe(positives === 0);
      },
    ),
  );
  expect(exactMetrics(Float32Array.of(Number.NaN, 0.5), Float32Array.of(1, 0)).auc).toBeUndefined();
});

test("passOrder() is every sample once, drawn anew for each pass and seed", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 200 }),
      fc.nat({ max: 0xffff_ffff }),
      fc.nat({ max: 1000 }),
      (samples, seed, pass) => {
        const order = passOrder(samples, { seed, pass });
        expect([...order].toSorted((one, other) => one - other)).toEqual(
          Array.from({ length: samples }, (_, at) => at),
        );
        expect(passOrder(samples, { seed, pass })).toEqual(order);
        if (samples > 20) expect(passOrder(samples, { seed, pass: pass + 1 })).not.toEqual(order);
      },
    ),
  );
});

test("judgePasses() stops after enough passes that were no better, each slower than the one before", () => {
  const rules = { passesMax: 9, patience: 2, slowdown: 0.5, watch: "auc" } as const;
  function passes(...aucs: readonly number[]): PassResult[] {
    return aucs.map((auc, at) => ({
      pass: at + 1,
      rate: 1,
      trainLoss: 0,
      refused: 0,
      valid: { samples: 1, positives: 1, auc, logLoss: auc },
    }));
  }
  expect(judgePasses([], rules)).toEqual({ best: 0, rate: 1, isOver: false });
  expect(judgePasses(passes(0.7, 0.8), rules)).toEqual({ best: 2, rate: 1, isOver: false });
  expect(judgePasses(passes(0.7, 0.8, 0.8), rules)).toEqual({ best: 2, rate: 0.5, isOver: false });
  expect(judgePasses(passes(0.7, 0.8, 0.8, 0.9, 0.6), rules)).toEqual({ best: 4, rate: 0.25, isOver: false });
  expect(judgePasses(passes(0.7, 0.8, 0.8, 0.7), rules)).toEqual({ best: 2, rate: 0.25, isOver: true });
  expect(judgePasses(passes(0.7, 0.8), { ...rules, passesMax: 2 }).isOver).toBe(true);
  expect(judgePasses(passes(0.7, 0.8), { ...rules, watch: "log-loss" })).toEqual({ best: 1, rate: 0.5, isOver: false });
});
