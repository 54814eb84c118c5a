/*
 * What must hold of lists of rows that a sample has of one table: what they are pooled to, where gradients go, and which entries count.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Backend } from "../protocols/compute/backend.ts";
import { logLoss } from "../protocols/compute/loss.ts";
import { plain } from "../protocols/compute/plain.ts";
import { plainPooling, type Pooling, type RowChoice } from "../protocols/compute/pooling.ts";
import { programBuilder } from "../protocols/compute/program-builder.ts";
import { EMBEDDINGS } from "../protocols/compute/program.ts";
import { columnsOf } from "../protocols/columns/example-columns.ts";
import { keyOf } from "../protocols/keys.ts";
import { labelsOf } from "../protocols/learning/label-weights.ts";
import { createLearner, learn, placeRows, planExamples } from "../protocols/learning/learner.ts";
import { planBatch, type LabelledExample } from "../protocols/learning/training-batch.ts";
import { type ArchitectureDeclaration, type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout, type ModelLayout } from "../protocols/model-layout.ts";
import { createRandom, nextBelow, nextFloat, nextNormal, type Random } from "../protocols/random.ts";
import { kernelsBackend } from "../runtime/compute/kernels-backend.ts";

const POOLINGS = ["mean", "sum", "max"] as const;
const ARCHITECTURES: readonly ArchitectureDeclaration[] = [
  { kind: "logistic" },
  { kind: "dlrm", embedding: 3, bottom: [4], top: [4] },
  { kind: "dcn-v2", embedding: 3, cross: 1, deep: [4] },
  { kind: "deepfm", embedding: 3, deep: [4] },
  { kind: "two-tower", embedding: 3, user: [4], item: [4], output: 3, itemTables: [], itemDense: [] },
];

export function checkLaws(): void {
  poolsByHand();
  gradientsAreTheAdjoint();
  kernelsAreTheReference();
  theLastEntriesCount();
  for (const architecture of ARCHITECTURES) for (const pooling of POOLINGS) gradientsAreTrue(architecture, pooling);
}

/** Small enough to be computed in the head: one sample with rows 0 and 1, one with none, one with row 1 twice. */
function poolsByHand(): void {
  const rows = Float32Array.of(1, 5, 3, -2);
  const wanted: Readonly<Record<Pooling, readonly number[]>> = {
    mean: [2, 1.5, 0, 0, 3, -2],
    sum: [4, 3, 0, 0, 6, -4],
    max: [3, 5, 0, 0, 3, -2],
  };
  for (const pooling of POOLINGS) {
    const choice = { rowOf: Uint32Array.of(0, 1, 1, 1), list: { starts: Uint32Array.of(0, 2, 2, 4), pooling } };
    const embeddings = new Float32Array(6).fill(9);
    plainPooling({ tables: 1, dim: 2 }, { embeddings, gradients: new Float32Array(6) }).spread(
      { size: 3, table: 0, choice },
      rows,
    );
    assert.deepEqual([...embeddings], wanted[pooling]);
  }
}

/** For any gradient g: g times what the rows are pooled to is the rows times their gradients. Sums and means are linear, and the largest is in pieces. */
function gradientsAreTheAdjoint(): void {
  for (let seed = 0; seed < 300; seed += 1) {
    const drawn = drawTable(seed);
    const { size, dim, choice, rows } = drawn;
    const embeddings = new Float32Array(size * dim);
    const gradients = Float32Array.from({ length: size * dim }, () => nextNormal(drawn.random));
    const pooling = plainPooling({ tables: 1, dim }, { embeddings, gradients });
    pooling.spread({ size, table: 0, choice }, rows);
    const { sums } = pooling.sum({ size, table: 0, choice }, rows);
    const [there, back] = [dot(gradients, embeddings), dot(sums, rows)];
    assert(Math.abs(there - back) < 1e-3 * (1 + Math.abs(there)), `seed ${seed}: ${there} against ${back}`);
  }
}

/** Kernels give the bits of the reference, numbers that are none included, also where their room does not do. */
function kernelsAreTheReference(): void {
  for (let seed = 0; seed < 200; seed += 1) {
    const drawn = drawTable(seed);
    const { size, dim, choice, rows, random } = drawn;
    if (seed % 3 === 0) for (const at of rows.keys()) if (nextFloat(random) < 0.1) rows[at] = Number.NaN;
    const tables = 1 + nextBelow(random, 3);
    const table = nextBelow(random, tables);
    const builder = programBuilder({ tables, dim, denseFeatures: 0 });
    const program = builder.build({ logit: builder.columnSum(EMBEDDINGS) });
    const outcomes = [kernelsBackend({ build: "plain" }), plain].map((backend) => {
      using compiled = backend.compile(program, { batchMax: size });
      compiled.inputs.embeddings.fill(0);
      compiled.inputs.labels.fill(1);
      for (let at = 0; at < size; at += 1) compiled.inputs.weights[at] = 1 + (at % 5);
      // Half of the time from where they need not be copied.
      const given = seed % 2 === 0 ? compiled.pooling.rows(table, rows.length / dim) : rows;
      given.set(rows);
      compiled.pooling.spread({ size, table, choice }, given);
      const placed = compiled.inputs.embeddings.slice(0, size * tables * dim);
      // The same gradients for both: those of the backends differ in their last bits.
      const gradients = createRandom(seed);
      for (const at of compiled.embeddingGradients.keys()) compiled.embeddingGradients[at] = nextNormal(gradients);
      if (seed % 5 === 0) compiled.embeddingGradients[table * dim] = seed % 2 === 0 ? Number.NaN : Infinity;
      const { sums, squares } = compiled.pooling.sum({ size, table, choice }, given);
      squaresAreOfSums(sums, squares);
      return { placed, sums: sums.slice() };
    });
    assert.deepEqual(outcomes[0], outcomes[1]);
  }
}

function squaresAreOfSums(sums: Float32Array, squares: number): void {
  const wanted = sums.reduce((sum, each) => sum + each * each, 0);
  // Not finite where a number is not.
  if (Number.isFinite(wanted)) assert(Math.abs(squares - wanted) <= 0.01 * wanted, `${squares} in place of ${wanted}`);
  else assert(!Number.isFinite(squares));
}

/** A list's last entries are its table's keys, and no others; what is left out of a sample has none. */
function theLastEntriesCount(): void {
  const model = modelOf({ kind: "logistic" }, "mean");
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.constantFrom("a", "b", "7", "8"), { maxLength: 6 }), { maxLength: 5 }),
      (lists) => {
        const examples = lists.map((entries, at) => ({
          user: "u",
          item: "i",
          dense: {},
          features: at % 2 === 1 && entries.length === 0 ? {} : { recent: entries.join("\n") },
        }));
        const { keys, rowOf, list, shardStarts } =
          planBatch(model, examples.length === 0 ? [] : [columnsOf(examples)]).tables[2] ?? assert.fail();
        assert.deepEqual(new Set(keys).size, keys.length);
        assert.equal(shardStarts.at(-1), keys.length);
        const starts = list?.starts ?? assert.fail();
        for (const [at, entries] of lists.entries()) {
          const chosen = [...rowOf.subarray(starts[at], starts[at + 1])].map((row) => keys[row]);
          assert.deepEqual(chosen, entries.slice(-3).map(keyOf));
        }
      },
    ),
    { numRuns: 200 },
  );
}

/** Gradients by the rows of a list are those that the loss has when such a row is moved a little, by either backend. */
function gradientsAreTrue(architecture: ArchitectureDeclaration, pooling: Pooling): void {
  const layout = modelLayout(modelOf(architecture, pooling));
  const random = createRandom(7);
  const samples = Array.from({ length: 6 }, (_, at): LabelledExample => {
    const recent = Array.from({ length: at }, () => String(nextBelow(random, 5))).join("\n");
    return { user: `${at % 2}`, item: `${at % 3}`, features: { recent }, dense: { age: at }, label: at % 2, weight: 1 };
  });
  const table = 3;
  const planned = planExamples(layout, samples);
  const values = planned.lists.map((lists) =>
    lists.map(({ table: of, keys }) => drawRows(layout, of, keys.length, random)),
  );
  const byBackend = [plain, kernelsBackend()].map((backend) => gradientsOf(backend, { layout, samples, values }));
  for (const [shard, lists] of planned.lists.entries()) {
    for (const [at, { table: of, keys }] of lists.entries()) {
      if (of !== table) continue;
      const floats = values[shard]?.[at] ?? assert.fail();
      for (let number = 0; number < floats.length; number += 1) {
        const wanted = slope(layout, { samples, values, floats, number });
        for (const gradients of byBackend) {
          const given = gradients[shard]?.[at]?.gradients[number] ?? Number.NaN;
          const told = `${architecture.kind}, ${pooling}, key ${keys[0]}, number ${number}: ${given}, not ${wanted}`;
          assert(Math.abs(given - wanted) < 0.02 * (0.1 + Math.abs(wanted)), told);
        }
      }
    }
  }
}

interface Placed {
  readonly samples: readonly LabelledExample[];
  readonly values: readonly (readonly Float32Array[])[];
}

function gradientsOf(backend: Backend, { layout, samples, values }: Placed & { readonly layout: ModelLayout }) {
  const learner = createLearner(layout, { backend, batchMax: samples.length });
  const planned = planExamples(layout, samples);
  placeRows(learner, planned, values);
  return learn(learner, planned, labelsOf(samples)).gradients;
}

/** By how much the loss of the batch changes with one number of a row. */
function slope(layout: ModelLayout, of: Placed & { readonly floats: Float32Array; readonly number: number }): number {
  const { samples, values, floats, number } = of;
  const learner = createLearner(layout, { backend: plain, batchMax: samples.length });
  const planned = planExamples(layout, samples);
  const held = floats[number] ?? 0;
  const step = 2 ** -7;
  const [above = 0, below = 0] = [step, -step].map((by) => {
    floats[number] = held + by;
    placeRows(learner, planned, values);
    const probabilities = learner.compiled.forward(samples.length);
    return samples.reduce((sum, { label, weight }, at) => {
      const p = probabilities[at] ?? Number.NaN;
      return sum + weight * logLoss(Math.log(p / (1 - p)), label);
    }, 0);
  });
  floats[number] = held;
  return (above - below) / (2 * step);
}

function drawRows(layout: ModelLayout, table: number, rows: number, random: Random): Float32Array {
  const { dim = 0, role } = layout.tables[table] ?? {};
  // ReLUs have a corner where they begin: wide spread values seldom stand at it.
  return Float32Array.from({ length: rows * dim }, () => (role === "dense" ? 0.5 : 1) * nextNormal(random));
}

function modelOf(architecture: ArchitectureDeclaration, pooling: Pooling): ModelDeclaration {
  const sequence = { of: "recent", last: 3, pooling };
  return {
    name: "clicks",
    shards: 2,
    architecture,
    tables: [
      { name: "users", key: "user" },
      { name: "items", key: "item" },
      { name: "recent", key: "recent", sequence },
    ],
    dense: ["age"],
    optimizer: { kind: "adagrad", learningRate: 0.1 },
    denseOptimizer: { kind: "adam", learningRate: 0.01 },
  };
}

interface DrawnTable {
  readonly size: number;
  readonly dim: number;
  readonly choice: RowChoice;
  readonly rows: Float32Array;
  readonly random: Random;
}

/** Some rows and which of them each sample has; a fourth of the tables have one a sample, some have more than kernels have room for. */
function drawTable(seed: number): DrawnTable {
  const random = createRandom(seed);
  const [size, dim, count] = [1 + nextBelow(random, 9), 1 + nextBelow(random, 18), 1 + nextBelow(random, 25)];
  const rows = Float32Array.from({ length: count * dim }, () => nextNormal(random));
  const starts = new Uint32Array(size + 1);
  const most = seed % 7 === 0 ? 60 : 6;
  for (let at = 0; at < size; at += 1) starts[at + 1] = (starts[at] ?? 0) + nextBelow(random, most);
  const isList = seed % 4 !== 0;
  const rowOf = Uint32Array.from({ length: isList ? (starts[size] ?? 0) : size }, () => nextBelow(random, count));
  const pooling = POOLINGS[nextBelow(random, 3)] ?? "mean";
  return { size, dim, rows, random, choice: { rowOf, ...(isList && { list: { starts, pooling } }) } };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
}
