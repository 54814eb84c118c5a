// Goal: each optimizer learns, within the bound its theory gives it; FTRL is sparse; a lost state does no harm.
// Method: convex problems drawn at random, run online; regret against the best fixed point in hindsight.
import fc from "fast-check";
import { expect, test } from "vitest";
import { logLoss, sigmoid } from "../protocols/compute/loss.ts";
import { apply, coldStart, initialState, type Optimizer, stateFloats } from "../protocols/learning/optimizer.ts";
import { createRandom, nextFloat, nextNormal } from "../protocols/random.ts";

const optimizers: readonly Optimizer[] = [
  { kind: "ogd", learningRate: 0.5 },
  { kind: "adagrad", learningRate: 0.5 },
  { kind: "rowwise-adagrad", learningRate: 0.5 },
  { kind: "ftrl", learningRate: 0.5, beta: 1 },
  { kind: "adamom", learningRate: 0.01 },
  { kind: "adam", learningRate: 0.01 },
];

function float(limit: number): fc.Arbitrary<number> {
  return fc.float({ min: -limit, max: limit, noNaN: true });
}
const row = fc.array(float(4), { minLength: 1, maxLength: 12 }).map((values) => Float32Array.from(values));

for (const optimizer of optimizers) {
  test(`${optimizer.kind}: the average regret on noisy least squares becomes small`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 1, max: 6 }), (seed, dim) => {
        const random = createRandom(seed);
        const best = Float32Array.from({ length: dim }, () => 2 * nextFloat(random) - 1);
        const values = new Float32Array(dim);
        const state = initialState(optimizer, values);
        const gradient = new Float32Array(dim);
        const rounds = 3000;
        let regret = 0;
        for (let round = 0; round < rounds; round += 1) {
          for (let i = 0; i < dim; i += 1) {
            const off = (values[i] ?? 0) - (best[i] ?? 0);
            if (round >= rounds / 2) regret += off * off;
            gradient[i] = off + 0.3 * nextNormal(random);
          }
          apply(optimizer, { values, state, gradient });
        }
        expect(regret / (rounds / 2) / dim).toBeLessThan(0.03);
      }),
      { numRuns: 15 },
    );
  });

  test(`${optimizer.kind}: a cold start implies the row's own values, which a zero gradient leaves alone`, () => {
    fc.assert(
      fc.property(row, fc.double({ min: 0, max: 0.5, noNaN: true }), (values, penalty) => {
        const withPenalty = optimizer.kind === "ftrl" ? { ...optimizer, l1: penalty, l2: penalty } : optimizer;
        const before = [...values];
        const state = coldStart(withPenalty, values);
        expect(state).toHaveLength(stateFloats(withPenalty, values.length));
        expect([...values]).toEqual(before);
        apply(withPenalty, { values, state, gradient: new Float32Array(values.length) });
        for (const [i, w] of values.entries()) expect(Math.abs(w - (before[i] ?? 0))).toBeLessThan(1e-5);
      }),
    );
  });

  test(`${optimizer.kind}: finite gradients keep the row finite, and each step goes against the first gradient`, () => {
    fc.assert(
      fc.property(row, fc.float({ min: -1000, max: 1000, noNaN: true }), (values, size) => {
        const before = [...values];
        const state = initialState(optimizer, values);
        const gradient = new Float32Array(values.length).fill(size);
        for (let step = 0; step < 3; step += 1) apply(optimizer, { values, state, gradient });
        for (const [i, w] of values.entries()) {
          expect(Number.isFinite(w)).toBe(true);
          expect((w - (before[i] ?? 0)) * size).toBeLessThanOrEqual(Math.abs(size) * 1e-5);
        }
      }),
    );
  });
}

test("ftrl: a coordinate without signal stays exactly 0 under l1, one with signal does not", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0 }), (seed) => {
      const random = createRandom(seed);
      const optimizer = { kind: "ftrl", learningRate: 0.1, beta: 1, l1: 60 } as const;
      const values = new Float32Array(20);
      const state = initialState(optimizer, values);
      const gradient = new Float32Array(20);
      for (let round = 0; round < 1000; round += 1) {
        // Linear losses with unit noise: only the first two coordinates have a mean.
        for (let i = 0; i < 20; i += 1) gradient[i] = (i < 2 ? (values[i] ?? 0) - 1 : 0) + 0.3 * nextNormal(random);
        apply(optimizer, { values, state, gradient });
      }
      expect(values.subarray(0, 2).every((w) => w !== 0)).toBe(true);
      // The sum of the noise has deviation 0.3 sqrt(1000) = 9.5, so 60 is six deviations away.
      expect(values.subarray(2).every((w) => w === 0)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

test("ftrl: its weights are sparser than those of gradient descent at equal log loss", () => {
  for (const seed of [1, 2, 3]) {
    // Descent gets the rate that suits it best; FTRL has one for all.
    const descents = [0.1, 0.3, 1, 3].map((learningRate) => clickLoss({ kind: "ogd", learningRate }, seed));
    const descent = descents.toSorted((one, other) => one.loss - other.loss)[0];
    const sparse = clickLoss({ kind: "ftrl", learningRate: 0.3, beta: 1, l1: 15 }, seed);
    expect(sparse.loss).toBeLessThan((descent?.loss ?? 0) * 1.005);
    expect(sparse.zeros).toBeGreaterThan(0.6);
    expect(descent?.zeros).toBe(0);
  }
});

/** Logistic regression on clicks of which 20 of 200 features say something: mean log loss of the second half, before each step, and the share of weights at 0. */
function clickLoss(optimizer: Optimizer, seed: number): { readonly loss: number; readonly zeros: number } {
  const random = createRandom(seed);
  const features = 200;
  const truth = Float64Array.from({ length: features }, (_, at) => (at < 20 ? 1.5 * nextNormal(random) : 0));
  const rows = Array.from({ length: features }, () => {
    const values = new Float32Array(1);
    return { values, state: initialState(optimizer, values) };
  });
  const samples = 20_000;
  let loss = 0;
  for (let sample = 0; sample < samples; sample += 1) {
    const present = Array.from({ length: 8 }, () => Math.floor(features * nextFloat(random)));
    const label = nextFloat(random) < sigmoid(present.reduce((sum, at) => sum + (truth[at] ?? 0), 0)) ? 1 : 0;
    const logit = present.reduce((sum, at) => sum + (rows[at]?.values[0] ?? 0), 0);
    if (sample >= samples / 2) loss += logLoss(logit, label);
    for (const at of new Set(present)) {
      const weight = rows[at];
      const times = present.filter((other) => other === at).length;
      if (weight !== undefined) {
        apply(optimizer, { ...weight, gradient: Float32Array.of(times * (sigmoid(logit) - label)) });
      }
    }
  }
  const zeros = rows.filter(({ values }) => values[0] === 0).length / features;
  return { loss: loss / (samples / 2), zeros };
}

test("adagrad: regret on linear losses stays under Duchi's bound", () => {
  fc.assert(
    fc.property(fc.array(float(2), { minLength: 20, maxLength: 200 }), (slopes) => {
      // f_t(w) = g_t w on [-1, 1], by projection. With rate D / sqrt(2) the regret is at most sqrt(2) D sqrt(sum g^2), D = 2.
      const optimizer = { kind: "adagrad", learningRate: Math.SQRT2, initialAccumulator: 0, epsilon: 0 } as const;
      const values = new Float32Array(1);
      const state = initialState(optimizer, values);
      let loss = 0;
      let total = 0;
      let squares = 0;
      for (const g of slopes) {
        loss += g * (values[0] ?? 0);
        total += g;
        squares += g * g;
        apply(optimizer, { values, state, gradient: Float32Array.of(g) });
        values[0] = Math.max(-1, Math.min(1, values[0] ?? 0));
      }
      expect(loss + Math.abs(total)).toBeLessThanOrEqual(2 * Math.SQRT2 * Math.sqrt(squares) + 1e-4);
    }),
  );
});

test("delay: compensation with lambda 0, or for a row that has not moved, changes nothing", () => {
  fc.assert(
    fc.property(row, fc.constantFrom(...optimizers), float(2), (values, optimizer, lambda) => {
      const gradient = values.map((value, i) => value * (i + 1));
      const plain = values.slice();
      apply(optimizer, { values: plain, state: initialState(optimizer, values), gradient: gradient.slice() });
      const variants = [
        { lambda: 0, valuesRead: values.map((value) => value + 1) },
        { lambda, valuesRead: values.slice() },
      ];
      for (const delay of variants) {
        const other = values.slice();
        apply(optimizer, { values: other, state: initialState(optimizer, values), gradient: gradient.slice(), delay });
        // The correction adds a zero, which turns -0 into 0.
        expect([...other].map((value) => value + 0)).toEqual([...plain].map((value) => value + 0));
      }
    }),
  );
});
