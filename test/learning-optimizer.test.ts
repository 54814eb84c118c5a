import { expect, test } from "vitest";
import {
  apply,
  coldStart,
  compensateDelay,
  initialState,
  type Optimizer,
  stateFloats,
} from "../protocols/learning/optimizer.ts";
import golden from "./fixtures/optimizer-golden.json" with { type: "json" };

const { adagrad, ftrl } = golden;

/** Keras starts FTRL's z at 0 whatever the values are, so the state here is that of a row of zeros. */
function runLikeKeras(optimizer: Optimizer, run: readonly (readonly number[])[]): number[][] {
  const values = new Float32Array(10).fill(1);
  const state = initialState(optimizer, new Float32Array(10));
  return run.map((_, at) => {
    const gradient = Float32Array.from({ length: 10 }, (_, i) => (at === 0 ? 0.01 : (i + 1) / 10));
    apply(optimizer, { values, state, gradient });
    return [...values];
  });
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) expect(Math.abs(value - (expected[i] ?? NaN))).toBeLessThan(tolerance);
}

for (const epsilonPlace of ["inside", "outside"] as const) {
  test(`adagrad, epsilon ${epsilonPlace}, follows Keras`, () => {
    const { learningRate, initialAccumulator, epsilon } = adagrad;
    const rows = runLikeKeras(
      { kind: "adagrad", learningRate, initialAccumulator, epsilon, epsilonPlace },
      adagrad.run,
    );
    for (const [at, row] of rows.entries()) expectClose(row, adagrad.run[at] ?? [], 6e-5);
  });
}

test("ftrl follows Keras with a rate power, shrinkage and beta; our l2 is twice Keras's", () => {
  const { learningRate, learningRatePower, initialAccumulator, l1, kerasL2, l2Shrinkage, beta } = ftrl;
  const optimizer = {
    kind: "ftrl",
    learningRate,
    learningRatePower,
    initialAccumulator,
    l1,
    l2: 2 * kerasL2,
    l2Shrinkage,
    beta,
  } as const;
  for (const [at, row] of runLikeKeras(optimizer, ftrl.run).entries()) expectClose(row, ftrl.run[at] ?? [], 6e-5);
});

test("adagrad and ftrl follow Keras for a single step", () => {
  for (const [kind, { single }] of [
    ["adagrad", adagrad],
    ["ftrl", ftrl],
  ] as const) {
    const values = Float32Array.from(single.values);
    const optimizer: Optimizer = {
      kind,
      learningRate: single.learningRate,
      initialAccumulator: single.initialAccumulator,
    };
    const state = initialState(optimizer, new Float32Array(values.length));
    apply(optimizer, { values, state, gradient: Float32Array.from(single.gradient) });
    expectClose([...values], single.out, 6e-5);
  }
});

test("ogd, row-wise adagrad, adamom and adam take the first step that their formulas give", () => {
  function first(optimizer: Optimizer): number[] {
    const values = Float32Array.of(1, 1);
    apply(optimizer, { values, state: initialState(optimizer, values), gradient: Float32Array.of(3, 1) });
    return [...values];
  }
  expectClose(first({ kind: "ogd", learningRate: 0.1 }), [0.7, 0.9], 1e-6);
  // n = (9 + 1) / 2
  expectClose(
    first({ kind: "rowwise-adagrad", learningRate: 0.1, initialAccumulator: 0 }),
    [1 - 0.3 / Math.sqrt(5), 1 - 0.1 / Math.sqrt(5)],
    1e-6,
  );
  // m = 0.1 g, v / c = g^2
  expectClose(first({ kind: "adamom", learningRate: 0.1 }), [0.99, 0.99], 1e-6);
  expectClose(first({ kind: "adam", learningRate: 0.1 }), [0.9, 0.9], 1e-6);
});

test("ogd's second step is smaller by sqrt(2), and a given step replaces the row's count", () => {
  const values = Float32Array.of(0);
  const optimizer = { kind: "ogd", learningRate: 1 } as const;
  const state = initialState(optimizer, values);
  for (const step of [undefined, undefined, 100]) {
    apply(optimizer, { values, state, gradient: Float32Array.of(1), ...(step === undefined ? {} : { step }) });
  }
  expectClose([...values], [-(1 + Math.SQRT1_2 + 0.1)], 1e-6);
});

test("compensateDelay() gives the exact gradient where the loss's curvature is lambda g^2", () => {
  const gradient = Float32Array.of(2, -1, 0);
  compensateDelay(gradient, { lambda: 0.5, valuesRead: Float32Array.of(1, 1, 1), valuesNow: Float32Array.of(3, 0, 9) });
  expect([...gradient]).toEqual([2 + 0.5 * 4 * 2, -1 - 0.5, 0]);
});

test("a lost adagrad row does not step as far as a new one", () => {
  const optimizer = { kind: "adagrad", learningRate: 0.1, initialAccumulator: 0 } as const;
  const values = Float32Array.of(1);
  expect(stateFloats(optimizer, 1)).toBe(1);
  const lost = coldStart(optimizer, values)[0] ?? 0;
  expect(lost).toBeGreaterThan(initialState(optimizer, values)[0] ?? 0);
});
