// Goal: the fast DLRM computes the model it claims and its true gradient; its loss is stable; it learns.
// Method: a plain 64-bit DLRM, written from the paper's formulas alone, gives probabilities, and by finite differences gradients.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  backward,
  dlrmShape,
  type DlrmShape,
  dlrmWorkspace,
  forward,
  type LabelledBatch,
  logLoss,
  sigmoid,
} from "../protocols/learning/dlrm.ts";
import { initialDense, initialRow } from "../protocols/learning/initial-values.ts";
import { type MlpShape } from "../protocols/learning/mlp.ts";
import { apply, initialState } from "../protocols/learning/optimizer.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { createRandom, nextFloat, nextNormal } from "../protocols/random.ts";

function declare(
  tables: number,
  dense: number,
  layers: { embedding: number; bottom: number[]; top: number[] },
): Pick<ModelDeclaration, "architecture" | "tables" | "dense"> {
  return {
    architecture: { kind: "dlrm", ...layers },
    tables: Array.from({ length: tables }, (_, i) => ({ name: `table${i}`, key: `key${i}` })),
    dense: Array.from({ length: dense }, (_, i) => `dense${i}`),
  };
}

const layer = fc.integer({ min: 1, max: 9 });
const shapes = fc
  .record({
    tables: fc.integer({ min: 2, max: 7 }),
    dense: fc.integer({ min: 0, max: 5 }),
    embedding: layer,
    bottom: fc.array(layer, { maxLength: 2 }),
    top: fc.array(layer, { maxLength: 2 }),
  })
  .map(({ tables, dense, ...layers }) => dlrmShape(declare(tables, dense, layers)));

interface World {
  readonly shape: DlrmShape;
  readonly parameters: Float32Array[];
  readonly batch: LabelledBatch;
}

const worlds = fc.tuple(shapes, fc.integer({ min: 1, max: 6 }), fc.integer()).map(([shape, size, seed]): World => {
  const random = createRandom(seed);
  function normal(length: number, scale: number): Float32Array {
    return Float32Array.from({ length }, () => scale * nextNormal(random));
  }
  return {
    shape,
    parameters: shape.groups.map(({ floats }) => normal(floats, 0.6)),
    batch: {
      size,
      dense: normal(size * shape.denseFeatures, 1),
      embeddings: normal(size * shape.tables * shape.dim, 0.7),
      labels: Float32Array.from({ length: size }, () => (nextFloat(random) < 0.5 ? 1 : 0)),
      weights: Float32Array.from({ length: size }, () => 0.25 + 2 * nextFloat(random)),
    },
  };
});

function plainMlp(input: number[], mlp: MlpShape, parameters: readonly number[]): number[] {
  let values = input;
  for (const [at, { inputs, outputs, weightsAt, biasesAt }] of mlp.layers.entries()) {
    const linear = !mlp.activateLast && at === mlp.layers.length - 1;
    values = Array.from({ length: outputs }, (_, o) => {
      const sum = values.reduce(
        (before, x, i) => before + x * (parameters[weightsAt + o * inputs + i] ?? NaN),
        parameters[biasesAt + o] ?? NaN,
      );
      return linear ? sum : Math.max(0, sum);
    });
  }
  return values;
}

/** Each sample's probability and weighted loss, in 64 bits and without any cleverness. */
function plainDlrm(
  shape: DlrmShape,
  parameters: readonly (readonly number[])[],
  batch: { embeddings: readonly number[]; from: LabelledBatch },
): { p: number[]; loss: number[] } {
  const { from, embeddings } = batch;
  const p: number[] = [];
  const loss: number[] = [];
  for (let s = 0; s < from.size; s += 1) {
    const dense = [...from.dense.subarray(s * shape.denseFeatures, (s + 1) * shape.denseFeatures)];
    const bottom = shape.bottom === undefined ? [] : plainMlp(dense, shape.bottom, parameters[0] ?? []);
    const vectors = shape.bottom === undefined ? [] : [bottom];
    for (let t = 0; t < shape.tables; t += 1) {
      vectors.push(embeddings.slice((s * shape.tables + t) * shape.dim, (s * shape.tables + t + 1) * shape.dim));
    }
    const dots: number[] = [];
    for (const [i, left] of vectors.entries()) {
      for (const right of vectors.slice(0, i)) dots.push(left.reduce((sum, x, d) => sum + x * (right[d] ?? NaN), 0));
    }
    const logit = plainMlp([...bottom, ...dots], shape.top, parameters.at(-1) ?? [])[0] ?? NaN;
    const probability = 1 / (1 + Math.exp(-logit));
    p.push(probability);
    loss.push(-(from.weights[s] ?? NaN) * Math.log(from.labels[s] === 1 ? probability : 1 - probability));
  }
  return { p, loss };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

test("forward() and backward()'s loss are those of the plain model", () => {
  fc.assert(
    fc.property(worlds, ({ shape, parameters, batch }) => {
      const work = dlrmWorkspace(shape, batch.size);
      const plain = plainDlrm(
        shape,
        parameters.map((group) => [...group]),
        { embeddings: [...batch.embeddings], from: batch },
      );
      const probabilities = forward(shape, { parameters, batch, work });
      expect(probabilities).toHaveLength(batch.size);
      for (const [i, p] of probabilities.entries()) expect(Math.abs(p - (plain.p[i] ?? NaN))).toBeLessThan(2e-4);
      const { loss, lossSum, weightSum } = backward(shape, { parameters, batch, work });
      expect(weightSum).toBeCloseTo(total([...batch.weights]), 4);
      const expected = total(plain.loss);
      if (Number.isFinite(expected) && expected < 20) {
        expect(Math.abs(lossSum - expected)).toBeLessThan(2e-3 * (1 + expected));
      }
      expect(loss).toBeCloseTo(lossSum / weightSum, 10);
    }),
  );
});

test("backward() gives the gradients that finite differences of the plain model give", () => {
  fc.assert(
    fc.property(worlds, fc.integer(), ({ shape, parameters, batch }, seed) => {
      const random = createRandom(seed);
      const work = dlrmWorkspace(shape, batch.size + 3);
      forward(shape, { parameters, batch, work });
      const { weightSum } = backward(shape, { parameters, batch, work });
      const groups = parameters.map((group) => [...group]);
      const embeddings = [...batch.embeddings];
      function lossAt(): number[] {
        return plainDlrm(shape, groups, { embeddings, from: batch }).loss;
      }
      function difference(floats: number[], at: number): number {
        const kept = floats[at] ?? NaN;
        const h = 1e-5;
        floats[at] = kept + h;
        const above = total(lossAt());
        floats[at] = kept - h;
        const below = total(lossAt());
        floats[at] = kept;
        return (above - below) / (2 * h);
      }
      function agrees(given: number, expected: number): void {
        if (Number.isFinite(expected)) expect(Math.abs(given - expected)).toBeLessThan(3e-3 * (1 + Math.abs(expected)));
      }
      for (const [at, group] of groups.entries()) {
        for (let probe = 0; probe < 12; probe += 1) {
          const place = Math.floor(nextFloat(random) * group.length);
          agrees((work.denseGradients[at]?.[place] ?? NaN) * weightSum, difference(group, place));
        }
      }
      for (let probe = 0; probe < 12; probe += 1) {
        const place = Math.floor(nextFloat(random) * embeddings.length);
        agrees(work.embeddingGradients[place] ?? NaN, difference(embeddings, place));
      }
    }),
    { numRuns: 60 },
  );
});

test("a workspace carries nothing from one batch to the next, and a batch given twice has the same mean loss and gradient", () => {
  fc.assert(
    fc.property(worlds, ({ shape, parameters, batch }) => {
      const used = dlrmWorkspace(shape, 2 * batch.size);
      const twice: LabelledBatch = {
        size: 2 * batch.size,
        dense: Float32Array.of(...batch.dense, ...batch.dense),
        embeddings: Float32Array.of(...batch.embeddings, ...batch.embeddings),
        labels: Float32Array.of(...batch.labels, ...batch.labels),
        weights: Float32Array.of(...batch.weights, ...batch.weights),
      };
      forward(shape, { parameters, batch: twice, work: used });
      const both = backward(shape, { parameters, batch: twice, work: used });
      const ofBoth = used.denseGradients.map((gradient) => [...gradient]);
      const once = forward(shape, { parameters, batch, work: used }).slice();
      const single = backward(shape, { parameters, batch, work: used });
      const fresh = dlrmWorkspace(shape, batch.size);
      expect([...forward(shape, { parameters, batch, work: fresh })]).toEqual([...once]);
      expect(both.loss).toBeCloseTo(single.loss, 6);
      for (const [at, gradient] of used.denseGradients.entries()) {
        for (const [i, g] of gradient.entries()) {
          expect(Math.abs(g - (ofBoth[at]?.[i] ?? NaN))).toBeLessThan(1e-4 * (1 + Math.abs(g)));
        }
      }
    }),
    { numRuns: 40 },
  );
});

test("training a DLRM on a pattern that only the interaction of two keys explains brings the loss near its floor", () => {
  const shape = dlrmShape(declare(2, 1, { embedding: 4, bottom: [4], top: [8] }));
  const parameters = initialDense(shape, 3);
  const optimizer = { kind: "adagrad", learningRate: 0.1 } as const;
  const states = parameters.map((group) => initialState(optimizer, group));
  const rows = Array.from({ length: 12 }, (_, key) => {
    const values = new Float32Array(4);
    initialRow(values, { table: key < 6 ? 0 : 1, keySeed: key });
    return { values, state: initialState(optimizer, values) };
  });
  const random = createRandom(5);
  const size = 32;
  const work = dlrmWorkspace(shape, size);
  const batch = {
    size,
    dense: new Float32Array(size),
    embeddings: new Float32Array(size * 8),
    labels: new Float32Array(size),
    weights: new Float32Array(size).fill(1),
  };
  let loss = 0;
  for (let round = 0; round < 600; round += 1) {
    const keys = Array.from(
      { length: size },
      () => [Math.floor(6 * nextFloat(random)), 6 + Math.floor(6 * nextFloat(random))] as const,
    );
    for (const [s, [user, item]] of keys.entries()) {
      batch.dense[s] = nextNormal(random);
      batch.embeddings.set(rows[user]?.values ?? [], s * 8);
      batch.embeddings.set(rows[item]?.values ?? [], s * 8 + 4);
      batch.labels[s] = (user + item) % 2;
    }
    forward(shape, { parameters, batch, work });
    ({ loss } = backward(shape, { parameters, batch, work }));
    for (const [at, values] of parameters.entries()) {
      const [state, gradient] = [states[at], work.denseGradients[at]];
      if (state !== undefined && gradient !== undefined) apply(optimizer, { values, state, gradient });
    }
    for (const [s, pair] of keys.entries()) {
      for (const [t, key] of pair.entries()) {
        const row = rows[key];
        if (row !== undefined) {
          apply(optimizer, { ...row, gradient: work.embeddingGradients.slice(s * 8 + 4 * t, s * 8 + 4 * t + 4) });
        }
      }
    }
  }
  expect(loss).toBeLessThan(0.05);
});

test("logLoss() is finite and right for every logit, and sigmoid() stays in [0, 1]", () => {
  fc.assert(
    fc.property(fc.double({ min: -1e30, max: 1e30, noNaN: true }), fc.constantFrom(0, 1), (logit, label) => {
      expect(sigmoid(logit)).toBeGreaterThanOrEqual(0);
      expect(sigmoid(logit)).toBeLessThanOrEqual(1);
      const loss = logLoss(logit, label);
      expect(Number.isFinite(loss) && loss >= 0).toBe(true);
      if (Math.abs(logit) < 15) {
        expect(loss).toBeCloseTo(-Math.log(label === 1 ? sigmoid(logit) : 1 - sigmoid(logit)), 6);
      }
    }),
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
  const shape = dlrmShape(declare(3, 2, { embedding: 4, bottom: [5], top: [6] }));
  expect(initialDense(shape, 9)).toEqual(initialDense(shape, 9));
  expect(initialDense(shape, 9)).not.toEqual(initialDense(shape, 10));
});
