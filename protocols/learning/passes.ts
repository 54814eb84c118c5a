import { createRandom, nextBelow } from "../random.ts";
import { type ExactMetrics } from "./exact-metrics.ts";

/** What one pass over the training samples gave. Plain data, JSON-safe. */
export interface PassResult {
  readonly pass: number;
  /** What the learning rates were multiplied with. */
  readonly rate: number;
  /** Mean log loss of the training samples that were learned from, each predicted before that in this pass. */
  readonly trainLoss: number;
  /** Batches that were not learned from. */
  readonly refused: number;
  readonly valid: ExactMetrics;
}

/** When to go slower, and when to stop. */
export interface PassRules {
  readonly passesMax: number;
  /** Stop after so many passes in a row that were no better than the best. */
  readonly patience: number;
  /** After each such pass the learning rates are multiplied with this. */
  readonly slowdown: number;
  /** What is better: a larger area under the curve, or a smaller log loss. */
  readonly watch: "auc" | "log-loss";
}

export interface PassVerdict {
  /** The number of the best pass so far; 0 before the first. */
  readonly best: number;
  /** For the next pass. */
  readonly rate: number;
  readonly isOver: boolean;
}

/** What follows from the passes so far. */
export function judgePasses(results: readonly PassResult[], rules: PassRules): PassVerdict {
  let best: PassResult | undefined;
  let worse = 0;
  let rate = 1;
  for (const result of results) {
    if (isBetter(result, best, rules.watch)) {
      best = result;
      worse = 0;
    } else {
      worse += 1;
      rate *= rules.slowdown;
    }
  }
  return { best: best?.pass ?? 0, rate, isOver: results.length >= rules.passesMax || worse >= rules.patience };
}

/** The order of the samples in one pass: drawn anew for each, and the same whenever it is drawn. */
export function passOrder(
  samples: number,
  { seed, pass }: { readonly seed: number; readonly pass: number },
): Uint32Array {
  const random = createRandom(seed * 65_537 + pass);
  const order = Uint32Array.from({ length: samples }, (_, at) => at);
  for (let at = samples - 1; at > 0; at -= 1) {
    const other = nextBelow(random, at + 1);
    const held = order[at] ?? 0;
    order[at] = order[other] ?? 0;
    order[other] = held;
  }
  return order;
}

/** A pass whose figure is no number is better than none. */
function isBetter(result: PassResult, best: PassResult | undefined, watch: PassRules["watch"]): boolean {
  if (best === undefined) return Number.isFinite(result.valid.logLoss);
  return watch === "auc" ? (result.valid.auc ?? 0) > (best.valid.auc ?? 0) : result.valid.logLoss < best.valid.logLoss;
}
