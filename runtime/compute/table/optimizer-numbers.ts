import { accumulatorsOf, type Optimizer } from "../../../protocols/learning/optimizer.ts";

/** Kinds as assembly/table/learn.ts counts them. */
const KINDS = { ogd: 0, adagrad: 1, "rowwise-adagrad": 2, ftrl: 3, adamom: 4, adam: 5 } as const;

/** What the compiled steps need to know of an optimizer. */
export interface OptimizerNumbers {
  readonly kind: number;
  readonly numbers: readonly number[];
}

/** Undefined for an optimizer whose arithmetic is not compiled. */
export function optimizerNumbers(optimizer: Optimizer, lambda: number): OptimizerNumbers | undefined {
  // Any other power than the square root takes a function that machines compute differently.
  if (optimizer.kind === "ftrl" && (optimizer.learningRatePower ?? -0.5) !== -0.5) return undefined;
  const { initial, cold } = accumulatorsOf(optimizer);
  const isAdaGrad = optimizer.kind === "adagrad" || optimizer.kind === "rowwise-adagrad";
  const isMoments = optimizer.kind === "adamom" || optimizer.kind === "adam";
  const ftrl = optimizer.kind === "ftrl" ? optimizer : undefined;
  const moments = isMoments ? optimizer : undefined;
  return {
    kind: KINDS[optimizer.kind],
    numbers: [
      optimizer.learningRate,
      isAdaGrad ? (optimizer.epsilon ?? 1e-7) : (moments?.epsilon ?? 1e-8),
      isAdaGrad && optimizer.epsilonPlace === "inside" ? 1 : 0,
      ftrl?.l1 ?? 0,
      ftrl?.l2 ?? 0,
      ftrl?.beta ?? 0,
      ftrl?.l2Shrinkage ?? 0,
      moments?.beta1 ?? 0.9,
      moments?.beta2 ?? 0.999,
      initial,
      cold,
      lambda,
    ],
  };
}
