// The arithmetic of one row's step, for every optimizer a model may declare. It computes in 64-bit floats and stores
// 32-bit ones; faster engines are checked against it.

/** How a table or a dense group learns. Every rate, accumulator and penalty has the meaning its paper or TensorFlow gives it, except where said. */
export type Optimizer =
  | { readonly kind: "ogd"; readonly learningRate: number }
  | AdaGrad
  | RowwiseAdaGrad
  | Ftrl
  | AdaMom
  | Adam;

/** Duchi et al. 2011: n += g^2; w -= learningRate g / (sqrt(n) + epsilon). */
export interface AdaGrad {
  readonly kind: "adagrad";
  readonly learningRate: number;
  /** n of a new row. Default 0.1. */
  readonly initialAccumulator?: number;
  /** n of a row whose state was lost. Must be above 0, or its next step would be as large as a first one. Default 1. */
  readonly coldAccumulator?: number;
  /** Default 1e-7. */
  readonly epsilon?: number;
  /** Where epsilon stands: `outside` is sqrt(n) + epsilon (default), `inside` is sqrt(n + epsilon), as Keras has it. */
  readonly epsilonPlace?: "outside" | "inside";
}

/** AdaGrad with one n for the whole row, fed with the mean of g^2: one float of state instead of one per value. */
export interface RowwiseAdaGrad extends Omit<AdaGrad, "kind"> {
  readonly kind: "rowwise-adagrad";
}

/** FTRL-proximal (McMahan et al. 2013). `l2` is the paper's lambda 2, which is twice what TensorFlow and Keras call l2. */
export interface Ftrl {
  readonly kind: "ftrl";
  readonly learningRate: number;
  /** The rate of a coordinate falls as n^learningRatePower; at most 0. Default -0.5, the paper's square root. */
  readonly learningRatePower?: number;
  readonly initialAccumulator?: number;
  readonly coldAccumulator?: number;
  readonly l1?: number;
  readonly l2?: number;
  /** TensorFlow's extra pull towards 0, on the gradient and not on the accumulator: g + 2 l2Shrinkage w. Default 0. */
  readonly l2Shrinkage?: number;
  readonly beta?: number;
}

/** Momentum over an AdaGrad-like scale: v and its count c both forget by beta2, so v / c is a mean of g^2 that is unbiased from the first step. */
export interface AdaMom {
  readonly kind: "adamom";
  readonly learningRate: number;
  /** Defaults 0.9, 0.999, 1e-8. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

/** Kingma and Ba 2015, with bias correction by the row's own count of steps, or by `step` where one is given. */
export interface Adam extends Omit<AdaMom, "kind"> {
  readonly kind: "adam";
}

/** One row's step. `values`, `state` and `gradient` are views of one row; `values` and `state` are changed in place. */
export interface Step {
  readonly values: Float32Array;
  readonly state: Float32Array;
  readonly gradient: Float32Array;
  /** 1, 2, 3...: replaces the row's own count in OGD and Adam. */
  readonly step?: number;
  /** Corrects a gradient computed at older values. `gradient` is then overwritten by the corrected one. */
  readonly delay?: Delay;
}

/** How far and from where a gradient is stale: see `compensateDelay`. */
export interface Delay {
  readonly lambda: number;
  readonly valuesRead: Float32Array;
}

/** Floats of state behind a row of `dim` values, laid out as the comments in `apply`'s steps say. */
export function stateFloats(optimizer: Optimizer, dim: number): number {
  switch (optimizer.kind) {
    case "ogd":
    case "rowwise-adagrad":
      return 1;
    case "adagrad":
      return dim;
    case "ftrl":
      return 2 * dim;
    case "adamom":
    case "adam":
      return 2 * dim + 1;
  }
}

/** The state of a new row. FTRL's z starts at the row's values too, so that a random initial embedding outlives its first step. */
export function initialState(optimizer: Optimizer, values: Float32Array): Float32Array {
  return stateAt(optimizer, values, accumulatorsOf(optimizer).initial);
}

/** The state for a row whose state was lost: its values are what the state implies, and its next step is not that of a new row. */
export function coldStart(optimizer: Optimizer, values: Float32Array): Float32Array {
  return stateAt(optimizer, values, accumulatorsOf(optimizer).cold);
}

/** The accumulator of a new row, and of one whose state was lost. */
export function accumulatorsOf(optimizer: Optimizer): { readonly initial: number; readonly cold: number } {
  const cold = "coldAccumulator" in optimizer ? optimizer.coldAccumulator : undefined;
  const initial = "initialAccumulator" in optimizer ? (optimizer.initialAccumulator ?? 0.1) : 0.1;
  return { initial, cold: Math.max(cold ?? 1, initial) };
}

/** Applies one gradient to one row in place. Allocates nothing. */
export function apply(optimizer: Optimizer, step: Step): void {
  if (step.delay !== undefined) compensateDelay(step.gradient, { ...step.delay, valuesNow: step.values });
  switch (optimizer.kind) {
    case "ogd":
      return stepOgd(optimizer.learningRate, step);
    case "adagrad":
      return stepAdaGrad(optimizer, step);
    case "rowwise-adagrad":
      return stepRowwise(optimizer, step);
    case "ftrl":
      return stepFtrl(optimizer, step);
    case "adamom":
      return stepAdaMom(optimizer, step);
    case "adam":
      return stepAdam(optimizer, step);
  }
}

/** g + lambda g^2 (w_now - w_read), in place: a diagonal second-order guess of the gradient at w_now (Zheng et al. 2017). */
export function compensateDelay(gradient: Float32Array, delay: Delay & { readonly valuesNow: Float32Array }): void {
  const { lambda, valuesRead, valuesNow } = delay;
  for (let i = 0; i < gradient.length; i += 1) {
    const g = gradient[i] ?? 0;
    gradient[i] = g + lambda * g * g * ((valuesNow[i] ?? 0) - (valuesRead[i] ?? 0));
  }
}

function stateAt(optimizer: Optimizer, values: Float32Array, accumulator: number): Float32Array {
  const dim = values.length;
  const state = new Float32Array(stateFloats(optimizer, dim));
  if (optimizer.kind === "adagrad" || optimizer.kind === "rowwise-adagrad") state.fill(accumulator);
  if (optimizer.kind === "ftrl") {
    state.fill(accumulator, dim);
    const curvature = ftrlCurvature(optimizer, Math.fround(accumulator));
    for (let i = 0; i < dim; i += 1) {
      const w = values[i] ?? 0;
      state[i] = -w * curvature - Math.sign(w) * (optimizer.l1 ?? 0);
    }
  }
  return state;
}

/** State: [count]. The count stops at 2^24, where 32-bit floats end; the rate has stopped changing long before. */
function stepOgd(learningRate: number, { values, state, gradient, step }: Step): void {
  const count = (state[0] ?? 0) + 1;
  state[0] = count;
  const rate = learningRate / Math.sqrt(step ?? count);
  for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) - rate * (gradient[i] ?? 0);
}

/** State: [n per value]. */
function stepAdaGrad(optimizer: AdaGrad, { values, state, gradient }: Step): void {
  const { learningRate, epsilon = 1e-7, epsilonPlace } = optimizer;
  const inside = epsilonPlace === "inside" ? epsilon : 0;
  const outside = epsilonPlace === "inside" ? 0 : epsilon;
  for (let i = 0; i < values.length; i += 1) {
    const g = gradient[i] ?? 0;
    const n = (state[i] ?? 0) + g * g;
    state[i] = n;
    values[i] = (values[i] ?? 0) - (g === 0 ? 0 : (learningRate * g) / (Math.sqrt(n + inside) + outside));
  }
}

/** State: [n]. */
function stepRowwise(optimizer: RowwiseAdaGrad, { values, state, gradient }: Step): void {
  const { learningRate, epsilon = 1e-7, epsilonPlace } = optimizer;
  let squares = 0;
  for (let i = 0; i < gradient.length; i += 1) squares += (gradient[i] ?? 0) ** 2;
  if (squares === 0) return;
  const n = (state[0] ?? 0) + squares / gradient.length;
  state[0] = n;
  const rate = learningRate / (epsilonPlace === "inside" ? Math.sqrt(n + epsilon) : Math.sqrt(n) + epsilon);
  for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) - rate * (gradient[i] ?? 0);
}

/** State: [z per value, n per value]. */
function stepFtrl(optimizer: Ftrl, { values, state, gradient }: Step): void {
  const { learningRate, learningRatePower: power = -0.5, l1 = 0, l2Shrinkage = 0 } = optimizer;
  const dim = values.length;
  for (let i = 0; i < dim; i += 1) {
    const g = gradient[i] ?? 0;
    const w = values[i] ?? 0;
    const before = state[dim + i] ?? 0;
    const n = before + g * g;
    const sigma = (accumulatorPower(n, power) - accumulatorPower(before, power)) / learningRate;
    const z = (state[i] ?? 0) + g + 2 * l2Shrinkage * w - sigma * w;
    state[i] = z;
    state[dim + i] = n;
    const curvature = ftrlCurvature(optimizer, n);
    // With no data, no beta and no l2 there is no curvature: nothing has been learned, so nothing moves.
    if (curvature > 0) values[i] = Math.abs(z) <= l1 ? 0 : (Math.sign(z) * l1 - z) / curvature;
  }
}

function ftrlCurvature({ learningRate, learningRatePower: power = -0.5, beta = 0, l2 = 0 }: Ftrl, n: number): number {
  return (beta + accumulatorPower(n, power)) / learningRate + l2;
}

function accumulatorPower(n: number, power: number): number {
  return power === -0.5 ? Math.sqrt(n) : n ** -power;
}

/** State: [m per value, v per value, c]. */
function stepAdaMom(optimizer: AdaMom, { values, state, gradient }: Step): void {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = optimizer;
  const dim = values.length;
  const c = beta2 * (state[2 * dim] ?? 0) + 1;
  state[2 * dim] = c;
  for (let i = 0; i < dim; i += 1) {
    const g = gradient[i] ?? 0;
    const m = beta1 * (state[i] ?? 0) + (1 - beta1) * g;
    const v = beta2 * (state[dim + i] ?? 0) + g * g;
    state[i] = m;
    state[dim + i] = v;
    values[i] = (values[i] ?? 0) - (learningRate * m) / Math.sqrt(v / c + epsilon);
  }
}

/** State: [m per value, v per value, count]. */
function stepAdam(optimizer: Adam, { values, state, gradient, step }: Step): void {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = optimizer;
  const dim = values.length;
  const count = (state[2 * dim] ?? 0) + 1;
  state[2 * dim] = count;
  const correction1 = 1 - wholePower(beta1, step ?? count);
  const correction2 = 1 - wholePower(beta2, step ?? count);
  for (let i = 0; i < dim; i += 1) {
    const g = gradient[i] ?? 0;
    const m = beta1 * (state[i] ?? 0) + (1 - beta1) * g;
    const v = beta2 * (state[dim + i] ?? 0) + (1 - beta2) * g * g;
    state[i] = m;
    state[dim + i] = v;
    values[i] = (values[i] ?? 0) - (learningRate * (m / correction1)) / (Math.sqrt(v / correction2) + epsilon);
  }
}

/** A power by products, as any machine computes it to the last bit, which is not so of the engine's own. */
function wholePower(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let left = exponent; left >= 1; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}
