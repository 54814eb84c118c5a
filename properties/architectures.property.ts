// Goal: each architecture is the model of its paper, lays out its parameters soundly, and learns.
// Method: models written from the papers' formulas alone, in 64 bits; the laws of programs; finite differences; all of that on every backend, which agree; and a pattern that
// only the interaction of two keys explains.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Declared } from "../protocols/architectures/layers.ts";
import { programOf } from "../protocols/architectures/architecture.ts";
import { recallQuery } from "../protocols/architectures/recall.ts";
import { type Backend } from "../protocols/compute/backend.ts";
import { plain } from "../protocols/compute/plain.ts";
import { type Program } from "../protocols/compute/program.ts";
import { initialDense, initialRow } from "../protocols/learning/initial-values.ts";
import { apply, initialState } from "../protocols/learning/optimizer.ts";
import { type ArchitectureDeclaration } from "../protocols/model.ts";
import { createRandom, nextFloat, nextNormal } from "../protocols/random.ts";
import { kernelsBackend } from "../runtime/compute/kernels-backend.ts";
import { tensorflowBackend } from "../runtime/compute/tensorflow/backend.ts";
import { tensorflowHome } from "../runtime/compute/tensorflow/home.ts";
import { isSetUp, loadTensorflow } from "../runtime/compute/tensorflow/load.ts";
import { expectAlike } from "./alike-results.ts";
import { checkGradients } from "./backend-laws.ts";
import { checkProgram } from "./check-program.ts";
import { drawBatch, fill } from "./drawn-program.ts";
import { paperProbability } from "./paper-models.ts";

const layer = fc.integer({ min: 1, max: 9 });
const stack = fc.array(layer, { maxLength: 2 });
const side = fc.subarray(["key1", "key2", "key3"]);
const kinds: Readonly<Record<ArchitectureDeclaration["kind"], fc.Arbitrary<ArchitectureDeclaration>>> = {
  logistic: fc.constant({ kind: "logistic" }),
  dlrm: fc.record({ kind: fc.constant("dlrm"), embedding: layer, bottom: stack, top: stack }),
  "dcn-v2": fc.record({ kind: fc.constant("dcn-v2"), embedding: layer, cross: fc.nat({ max: 3 }), deep: stack }),
  deepfm: fc.record({ kind: fc.constant("deepfm"), embedding: layer, deep: stack }),
  "two-tower": fc.record({
    kind: fc.constant("two-tower"),
    embedding: layer,
    user: stack,
    item: stack,
    output: layer,
    itemTables: side.map((keys) => keys.map((key) => `table ${key}`)),
    itemDense: fc.subarray(["dense0", "dense1"]),
  }),
};

const home = tensorflowHome(process.env);
/** All that there are on this machine, besides the reference. */
const others: readonly Backend[] = [
  { ...kernelsBackend({ build: "relaxed" }), name: "kernels, relaxed" },
  { ...kernelsBackend({ build: "plain" }), name: "kernels, plain" },
  ...(isSetUp(home) ? [tensorflowBackend(loadTensorflow(home))] : []),
];

for (const [kind, architecture] of Object.entries(kinds)) {
  const declared: fc.Arbitrary<Declared> = fc
    .record({ architecture, more: fc.integer({ min: 3, max: 5 }), dense: fc.nat({ max: 4 }) })
    .map((drawn) => ({
      architecture: drawn.architecture,
      tables: ["user", "item", "key1", "key2", "key3"]
        .slice(0, kind === "two-tower" ? 5 : drawn.more)
        .map((key) => ({ name: `table ${key}`, key })),
      dense: Array.from({ length: kind === "two-tower" ? 2 + drawn.dense : drawn.dense }, (_, i) => `dense${i}`),
    }));

  const draws = [declared, fc.integer({ min: 1, max: 6 }), fc.integer()] as const;

  test(`${kind}: well formed, and its probabilities are those of the paper's formulas`, () => {
    fc.assert(
      fc.property(...draws, (model, size, seed) => {
        const program = programOf(model);
        checkProgram(program);
        const batch = drawBatch(program, { size, seed });
        using compiled = plain.compile(program, { batchMax: size });
        fill(compiled, batch);
        for (const [sample, p] of compiled.forward(size).entries()) {
          expect(Math.abs(p - paperProbability(model, { program, batch, sample }))).toBeLessThan(1e-3);
        }
      }),
    );
  });

  test(`${kind}: its gradients are those of finite differences`, () => {
    fc.assert(
      fc.property(...draws, (model, size, seed) => void checkGradients(plain, programOf(model), { size, seed })),
      { numRuns: 40 },
    );
  });

  for (const backend of others) {
    test(`${kind}, ${backend.name}: its gradients are those of finite differences, and all it gives is what the reference gives`, () => {
      fc.assert(
        fc.property(...draws, (model, size, seed) => {
          const program = programOf(model);
          const largest = checkGradients(backend, program, { size, seed });
          const batch = drawBatch(program, { size, seed });
          expectAlike(backend, { to: plain, program, batch, within: 1e-4 * (1 + largest) });
        }),
        { numRuns: 15 },
      );
    });
  }
}

test.each<ArchitectureDeclaration>([
  { kind: "dlrm", embedding: 4, bottom: [4], top: [8] },
  { kind: "dcn-v2", embedding: 4, cross: 2, deep: [8] },
  { kind: "deepfm", embedding: 4, deep: [8] },
  { kind: "two-tower", embedding: 4, user: [8], item: [8], output: 4, itemTables: [], itemDense: [] },
])(
  "training $kind on a pattern that only the interaction of two keys explains brings the loss near its floor",
  (architecture) => {
    expect(trainedLoss(patternOf(architecture))).toBeLessThan(0.05);
  },
);

test("logistic regression learns nothing of a pattern that only an interaction explains", () => {
  expect(trainedLoss(patternOf({ kind: "logistic" }))).toBeGreaterThan(0.6);
});

test("a two-tower model whose sides name what it has not, or leave one empty, is refused", () => {
  const tower = {
    kind: "two-tower",
    embedding: 2,
    user: [],
    item: [],
    output: 2,
    itemTables: [],
    itemDense: [],
  } as const;
  const tables = [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
  ];
  expect(() => programOf({ architecture: { ...tower, itemTables: ["colours"] }, tables, dense: [] })).toThrow(
    "colours",
  );
  expect(() => programOf({ architecture: { ...tower, itemDense: ["age"] }, tables, dense: [] })).toThrow("age");
  expect(() => programOf({ architecture: { ...tower, itemTables: ["users"] }, tables, dense: [] })).toThrow(
    "user's side",
  );
});

test("initialRow() depends on the table and the seed alone and stays within its limit; initialDense() repeats", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 100 }), fc.integer({ min: 4, max: 32 }), (keySeed, table, dim) => {
      function draw(of: { table: number; keySeed: number }): number[] {
        const out = new Float32Array(dim).fill(7);
        initialRow(out, { ...of, limit: 0.5 });
        return [...out];
      }
      const one = draw({ table, keySeed });
      expect(draw({ table, keySeed })).toEqual(one);
      expect(draw({ table: table + 1, keySeed })).not.toEqual(one);
      expect(draw({ table, keySeed: keySeed + 1 })).not.toEqual(one);
      expect(one.every((x) => Math.abs(x) <= 0.5)).toBe(true);
    }),
  );
  fc.assert(
    fc.property(kinds.dlrm, fc.integer(), (architecture, seed) => {
      const program = patternOf(architecture);
      expect(initialDense(program, seed)).toEqual(initialDense(program, seed));
      expect(initialDense(program, seed)).not.toEqual(initialDense(program, seed + 1));
    }),
  );
});

function patternOf(architecture: ArchitectureDeclaration): Program {
  const tables = [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
  ];
  return programOf({ architecture, tables, dense: ["noise"] });
}

/** The loss after 600 small batches of two tables of six keys each, where the label is whether their numbers add up to an odd one. */
function trainedLoss(program: Program): number {
  const { dim } = program;
  const optimizer = { kind: "adagrad", learningRate: 0.1 } as const;
  const parameters = initialDense(program, 3);
  const states = parameters.map((group) => initialState(optimizer, group));
  const rows = Array.from({ length: 12 }, (_, key) => {
    const values = new Float32Array(dim);
    initialRow(values, { table: key < 6 ? 0 : 1, keySeed: key });
    return { values, state: initialState(optimizer, values) };
  });
  const random = createRandom(5);
  const size = 32;
  using compiled = plain.compile(program, { batchMax: size });
  const { inputs } = compiled;
  inputs.weights.fill(1);
  let loss = 0;
  for (let round = 0; round < 600; round += 1) {
    const pairs = Array.from({ length: size }, () => [
      Math.floor(6 * nextFloat(random)),
      6 + Math.floor(6 * nextFloat(random)),
    ]);
    for (const [sample, pair] of pairs.entries()) {
      inputs.dense[sample] = nextNormal(random);
      for (const [table, key] of pair.entries()) {
        inputs.embeddings.set(rows[key]?.values ?? [], (2 * sample + table) * dim);
      }
      inputs.labels[sample] = pair.reduce((sum, key) => sum + key, 0) % 2;
    }
    for (const [at, group] of parameters.entries()) compiled.parameters[at]?.set(group);
    compiled.forward(size);
    ({ loss } = compiled.backward());
    for (const [at, values] of parameters.entries()) {
      const [state, gradient] = [states[at], compiled.gradients[at]];
      if (state !== undefined && gradient !== undefined) apply(optimizer, { values, state, gradient });
    }
    for (const [sample, pair] of pairs.entries()) {
      for (const [table, key] of pair.entries()) {
        const from = (2 * sample + table) * dim;
        const row = rows[key];
        if (row !== undefined) {
          apply(optimizer, { ...row, gradient: compiled.embeddingGradients.slice(from, from + dim) });
        }
      }
    }
  }
  return loss;
}

test("recallQuery() orders items by what their rows add to the logit, where that is linear in them", () => {
  const user = Float32Array.of(9, 2, 3);
  expect([...recallQuery({ architecture: { kind: "deepfm", embedding: 2, deep: [] } }, user)]).toEqual([1, 2, 3]);
  expect([...recallQuery({ architecture: { kind: "logistic" } }, Float32Array.of(9))]).toEqual([1]);
  expect([...recallQuery({ architecture: { kind: "dcn-v2", embedding: 3, cross: 1, deep: [] } }, user)]).toEqual([
    9, 2, 3,
  ]);
  expect([...user]).toEqual([9, 2, 3]);
});
