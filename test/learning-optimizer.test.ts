import { expect, test } from "vitest";
import {
  apply,
  coldStart,
  compensateDelay,
  initialState,
  type Optimizer,
  stateFloats,
} from "../protocols/learning/optimizer.ts";
import { exactBytesOf, floatsOf, valueBytesOf } from "../protocols/sync/precision.ts";
import { type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import steps from "./fixtures/optimizer-steps.json" with { type: "json" };
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

interface Run {
  readonly optimizer: { readonly kind: string; readonly learningRate: number; readonly epsilonPlace?: string };
  readonly delayed: boolean;
  readonly rows: readonly (readonly number[])[];
}

function optimizerOf({ kind, epsilonPlace, ...numbers }: Run["optimizer"]): Optimizer {
  const inside = epsilonPlace === "inside" ? { epsilonPlace: "inside" as const } : {};
  if (kind === "ogd" || kind === "adamom" || kind === "adam") return { kind, ...numbers };
  if (kind === "rowwise-adagrad") return { kind, ...numbers, ...inside };
  throw new RangeError(`Cannot step by '${kind}': the fixture has none`);
}

/** The row that a step's gradient was computed at, where it is late. */
function readAt({ delayed, rows }: Run, at: number): readonly number[] | undefined {
  if (!delayed || at < steps.stale) return undefined;
  return at === steps.stale ? steps.values : rows[at - steps.stale - 1];
}

const runs = steps.cases.map((run: Run): [string, Run] => [
  `${JSON.stringify(run.optimizer)}${run.delayed ? ", late" : ""}`,
  run,
]);

test.each(runs)("five steps give the rows that the papers' sums give: %s", (_, run) => {
  const values = Float32Array.from(steps.values);
  const optimizer = optimizerOf(run.optimizer);
  const state = initialState(optimizer, values);
  for (const [at, row] of run.rows.entries()) {
    const read = readAt(run, at);
    const gradient = Float32Array.from(steps.gradients[at] ?? []);
    const delay = read && { lambda: steps.lambda, valuesRead: Float32Array.from(read) };
    apply(optimizer, { values, state, gradient, ...(delay && { delay }) });
    expectClose([...values], row, 1e-6);
  }
});

test.each(runs)("tables, of kernels and of Maps, hold the rows of five steps: %s", (_, run) => {
  const optimizer = optimizerOf(run.optimizer);
  const dim = steps.values.length;
  const table: TableSpec = {
    name: "rows",
    dim,
    valueBytes: valueBytesOf("f32", dim),
    stateBytes: exactBytesOf("f32", dim) + 4 * stateFloats(optimizer, dim),
    precision: "f32",
    optimizer: "",
  };
  const keys = BigUint64Array.of(7n);
  const stores: readonly RowStore[] = [
    createTableRowStore([table], { state: true }),
    createMapRowStore([table], { state: true }),
  ];
  for (const store of stores) {
    for (const [at, row] of run.rows.entries()) {
      const read = readAt(run, at);
      const delay = read && { lambda: steps.lambda, valuesRead: Float32Array.from(read) };
      store.learn({
        table: 0,
        writer: store.writerIndex(parseWriterId("0.a.n.x")),
        keys,
        firstT: 1 + at,
        steps: {
          optimizer,
          gradients: Float32Array.from(steps.gradients[at] ?? []),
          initial: () => Float32Array.from(steps.values),
          norms: new Float64Array(1),
          created: new Uint8Array(1),
          ...(delay && { delay }),
        },
      });
      expectClose([...floatsOf(table, store.read(0, keys).values)], row, 1e-6);
    }
  }
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
