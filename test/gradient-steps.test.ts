import { expect, test } from "vitest";
import { apply, coldStart, initialState, type Optimizer, stateFloats } from "../protocols/learning/optimizer.ts";
import { type GradientSteps, mutateBySteps } from "../protocols/sync/gradient-steps.ts";

const ADAGRAD: Optimizer = { kind: "adagrad", learningRate: 0.5, initialAccumulator: 0.25, coldAccumulator: 4 };

function stepsOf(change: Partial<GradientSteps> = {}): GradientSteps {
  return {
    optimizer: ADAGRAD,
    gradients: Float32Array.of(9, 9, 1, -2),
    initial: (key) => Float32Array.of(Number(key), -1),
    norms: new Float64Array(2),
    created: new Uint8Array(2).fill(7),
    ...change,
  };
}

/** One row that the steps are given, the second of a write: what becomes of its floats and state. */
function stepped(
  steps: GradientSteps,
  row: { readonly isNew: boolean; readonly floats: readonly number[]; readonly state: readonly number[] },
): { readonly floats: Float32Array; readonly state: Float32Array } {
  const floats = Float32Array.from(row.floats);
  const state = Float32Array.from(row.state);
  const bytes = new Uint8Array(floats.buffer);
  expect(mutateBySteps(steps)({ index: 1, key: 5n, isNew: row.isNew, floats, state, bytes })).toBeUndefined();
  return { floats, state };
}

/** What the optimizer makes of these values and this state by the second gradient. */
function applied(
  optimizer: Optimizer,
  {
    values,
    state,
    gradient = [1, -2],
  }: { values: readonly number[]; state: Float32Array; gradient?: readonly number[] },
): { readonly floats: Float32Array; readonly state: Float32Array } {
  const row = { values: Float32Array.from(values), state: state.slice(), gradient: Float32Array.from(gradient) };
  apply(optimizer, row);
  return { floats: row.values, state: row.state };
}

test("a new row starts from its first values and state, and takes its own gradient", () => {
  const steps = stepsOf();
  // What a row's place held before it was new is not its.
  const row = stepped(steps, { isNew: true, floats: [8, 8], state: [3, 3] });
  const state = initialState(ADAGRAD, Float32Array.of(5, -1));
  expect(row).toEqual(applied(ADAGRAD, { values: [5, -1], state }));
  const [first = 0, second = 0] = row.floats;
  // How far it went from where it started: nothing of it is the first values'.
  expect(steps.norms).toEqual(Float64Array.of(0, Math.abs(first - 5) + Math.abs(second + 1)));
  expect(steps.created).toEqual(Uint8Array.of(7, 1));
});

test("a row that is held keeps its state; the norm is what its values changed by, without signs", () => {
  const steps = stepsOf();
  const row = stepped(steps, { isNew: false, floats: [1, 2], state: [0, 2] });
  expect(row).toEqual(applied(ADAGRAD, { values: [1, 2], state: Float32Array.of(0, 2) }));
  const [first = 0, second = 0] = row.floats;
  expect(first).toBeLessThan(1);
  expect(second).toBeGreaterThan(2);
  expect(steps.norms[1]).toBe(1 - first + (second - 2));
  expect(steps.created).toEqual(Uint8Array.of(7, 0));
});

test("a row whose state was lost, which is all zeros, has that of a cold start", () => {
  const row = stepped(stepsOf(), { isNew: false, floats: [1, 2], state: [0, 0] });
  expect(row).toEqual(applied(ADAGRAD, { values: [1, 2], state: coldStart(ADAGRAD, Float32Array.of(1, 2)) }));
  expect(row.state[0]).toBe(5);
});

test("a store that holds no state, or less than the optimizer's, has the row stepped from what there is", () => {
  expect(stepped(stepsOf(), { isNew: true, floats: [0, 0], state: [0] }).state).toHaveLength(1);
  const ogd: Optimizer = { kind: "ogd", learningRate: 1 };
  expect(stepped(stepsOf({ optimizer: ogd }), { isNew: false, floats: [1, 2], state: [] }).floats).toEqual(
    Float32Array.of(0, 4),
  );
});

test("every optimizer's rows are new, held and cold as it says", () => {
  const learningRate = 0.5;
  for (const optimizer of [
    { kind: "ogd", learningRate },
    { kind: "rowwise-adagrad", learningRate },
    { kind: "ftrl", learningRate, l1: 0.01 },
    { kind: "adamom", learningRate },
    { kind: "adam", learningRate },
  ] as const) {
    const zeros = Array.from({ length: stateFloats(optimizer, 2) }, () => 0);
    const first = { values: [5, -1], state: initialState(optimizer, Float32Array.of(5, -1)) };
    expect(stepped(stepsOf({ optimizer }), { isNew: true, floats: [0, 0], state: zeros })).toEqual(
      applied(optimizer, first),
    );
    const cold = { values: [1, 2], state: coldStart(optimizer, Float32Array.of(1, 2)) };
    expect(stepped(stepsOf({ optimizer }), { isNew: false, floats: [1, 2], state: zeros })).toEqual(
      applied(optimizer, cold),
    );
  }
});

test("a late gradient is corrected by how far its row moved since it was read, and stays as it was sent", () => {
  const gradients = Float32Array.of(9, 9, 1, -2);
  const delay = { lambda: 0.5, valuesRead: Float32Array.of(7, 7, 0.5, 4) };
  const row = stepped(stepsOf({ gradients, delay }), { isNew: false, floats: [1, 2], state: [1, 1] });
  // g + lambda g^2 (now - read)
  const gradient = [1 + 0.5 * 1 * (1 - 0.5), -2 + 0.5 * 4 * (2 - 4)];
  expect(row).toEqual(applied(ADAGRAD, { values: [1, 2], state: Float32Array.of(1, 1), gradient }));
  expect(gradients).toEqual(Float32Array.of(9, 9, 1, -2));
});

test("rows of one write do not see each other's values before", () => {
  const steps = stepsOf({ gradients: Float32Array.of(1, 1, 0, 0) });
  const mutate = mutateBySteps(steps);
  for (const [index, values] of [
    [0, [1, 2]],
    [1, [50, 60]],
  ] as const) {
    const floats = Float32Array.from(values);
    const bytes = new Uint8Array(floats.buffer);
    mutate({ index, key: 1n, isNew: false, floats, state: Float32Array.of(1, 1), bytes });
  }
  expect(steps.norms[0]).toBeGreaterThan(0);
  expect(steps.norms[1]).toBe(0);
  expect(steps.created).toEqual(Uint8Array.of(0, 0));
});
