import { type BatchInputs, type BatchLoss } from "./backend.ts";

/** 1 / (1 + e^-logit), without overflow. */
export function sigmoid(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit));
  const e = Math.exp(logit);
  return e / (1 + e);
}

/** The log loss of a logit in nats: finite for every finite logit, however wrong. */
export function logLoss(logit: number, label: number): number {
  return Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit)));
}

/** The loss of a batch, given its logits, and into `delta` its gradient by each of them. */
export function batchLoss(
  logits: Float32Array,
  { labels, weights }: Pick<BatchInputs, "labels" | "weights">,
  delta: Float32Array | undefined,
): BatchLoss {
  let lossSum = 0;
  let weightSum = 0;
  for (const [sample, logit] of logits.entries()) {
    const weight = weights[sample] ?? 0;
    const label = labels[sample] ?? 0;
    lossSum += weight * logLoss(logit, label);
    weightSum += weight;
    if (delta !== undefined) delta[sample] = weight * (sigmoid(logit) - label);
  }
  return { lossSum, weightSum, loss: weightSum > 0 ? lossSum / weightSum : 0 };
}
