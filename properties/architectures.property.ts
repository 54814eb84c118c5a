// Goal: each architecture is the model of its paper, lays out its parameters soundly, and learns.
// Method: models written from the papers' formulas alone, in 64 bits; the laws of programs; a pattern that only the interaction of two keys explains.
import fc from "fast-check";
import { expect, test } from "vitest";
import { programOf } from "../protocols/architectures/architecture.ts";
import { plain } from "../protocols/compute/plain.ts";
import { type Program } from "../protocols/compute/program.ts";
import { initialDense, initialRow } from "../protocols/learning/initial-values.ts";
import { apply, initialState } from "../protocols/learning/optimizer.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { createRandom, nextFloat, nextNormal } from "../protocols/random.ts";
import { checkProgram } from "./check-program.ts";
import { type Batch, drawBatch, fill } from "./drawn-program.ts";

type Declared = Pick<ModelDeclaration, "architecture" | "tables" | "dense">;

const layer = fc.integer({ min: 1, max: 9 });
const dlrms: fc.Arbitrary<Declared & { readonly architecture: { readonly kind: "dlrm" } }> = fc
  .record({
    tables: fc.integer({ min: 2, max: 7 }),
    dense: fc.integer({ min: 0, max: 5 }),
    embedding: layer,
    bottom: fc.array(layer, { maxLength: 2 }),
    top: fc.array(layer, { maxLength: 2 }),
  })
  .map(({ tables, dense, ...sizes }) => ({
    architecture: { kind: "dlrm", ...sizes },
    tables: Array.from({ length: tables }, (_, i) => ({ name: `table${i}`, key: `key${i}` })),
    dense: Array.from({ length: dense }, (_, i) => `dense${i}`),
  }));

test("programOf() a DLRM: well formed, and its probabilities are those of the paper's formulas", () => {
  fc.assert(
    fc.property(dlrms, fc.integer({ min: 1, max: 6 }), fc.integer(), (declared, size, seed) => {
      const program = programOf(declared);
      checkProgram(program);
      const batch = drawBatch(program, { size, seed });
      using compiled = plain.compile(program, { batchMax: size });
      fill(compiled, batch);
      for (const [sample, p] of compiled.forward(size).entries()) {
        expect(Math.abs(p - paperDlrm(declared, { program, batch, sample }))).toBeLessThan(5e-4);
      }
    }),
  );
});

test("training a DLRM on a pattern that only the interaction of two keys explains brings the loss near its floor", () => {
  const program = programOf({
    architecture: { kind: "dlrm", embedding: 4, bottom: [4], top: [8] },
    tables: [
      { name: "users", key: "user" },
      { name: "items", key: "item" },
    ],
    dense: ["noise"],
  });
  expect(trainedLoss(program)).toBeLessThan(0.05);
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
    fc.property(dlrms, fc.integer(), (declared, seed) => {
      const program = programOf(declared);
      expect(initialDense(program, seed)).toEqual(initialDense(program, seed));
      expect(initialDense(program, seed)).not.toEqual(initialDense(program, seed + 1));
    }),
  );
});

/** One sample's probability by section 2 of the paper. */
function paperDlrm(
  { architecture: { embedding, bottom, top }, tables, dense }: Declared,
  of: { readonly program: Program; readonly batch: Batch; readonly sample: number },
): number {
  const { program, batch, sample } = of;
  const groups = new Map(program.groups.map(({ name }, at) => [name, [...(batch.parameters[at] ?? [])]]));
  const numbers = Array.from(batch.dense.subarray(sample * dense.length, (sample + 1) * dense.length));
  const lower =
    dense.length === 0
      ? []
      : [
          perceptron(numbers, {
            widths: [...bottom, embedding],
            floats: groups.get("bottom") ?? [],
            linearLast: false,
          }),
        ];
  const at = sample * tables.length * embedding;
  const vectors = [
    ...lower,
    ...tables.map((_, table) =>
      Array.from(batch.embeddings.subarray(at + table * embedding, at + (table + 1) * embedding)),
    ),
  ];
  const dots = vectors.flatMap((left, i) =>
    vectors.slice(0, i).map((right) => left.reduce((sum, x, d) => sum + x * (right[d] ?? Number.NaN), 0)),
  );
  const [logit = Number.NaN] = perceptron([...lower.flat(), ...dots], {
    widths: [...top, 1],
    floats: groups.get("top") ?? [],
    linearLast: true,
  });
  return 1 / (1 + Math.exp(-logit));
}

function perceptron(
  input: number[],
  of: { readonly widths: readonly number[]; readonly floats: readonly number[]; readonly linearLast: boolean },
): number[] {
  let values = input;
  let from = 0;
  for (const [at, width] of of.widths.entries()) {
    const biasesAt = from + values.length * width;
    const before = values;
    const weightsAt = from;
    values = Array.from({ length: width }, (_, row) => {
      const sum = before.reduce(
        (total, x, column) => total + x * (of.floats[weightsAt + row * before.length + column] ?? Number.NaN),
        of.floats[biasesAt + row] ?? Number.NaN,
      );
      return of.linearLast && at + 1 === of.widths.length ? sum : Math.max(0, sum);
    });
    from = biasesAt + width;
  }
  return values;
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
