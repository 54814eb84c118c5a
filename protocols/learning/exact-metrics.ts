/** Quality of predictions that are all at hand. */
export interface ExactMetrics {
  readonly samples: number;
  readonly positives: number;
  /** Area under the ROC curve, ties counted half; absent where there is only one class. */
  readonly auc?: number;
  /** Mean log loss in nats, predictions clipped to [1e-7, 1 - 1e-7]. */
  readonly logLoss: number;
  /** Sum of predictions over sum of labels; absent without positives. */
  readonly calibration?: number;
}

const CLIP = 1e-7;

/** Metrics of predictions of labels that are 0 or 1. */
export function exactMetrics(probabilities: Float32Array, labels: Float32Array): ExactMetrics {
  const samples = labels.length;
  let positives = 0;
  let loss = 0;
  let predicted = 0;
  for (let at = 0; at < samples; at += 1) {
    const p = Math.min(1 - CLIP, Math.max(CLIP, probabilities[at] ?? Number.NaN));
    const isPositive = (labels[at] ?? 0) > 0.5;
    positives += isPositive ? 1 : 0;
    loss -= Math.log(isPositive ? p : 1 - p);
    predicted += p;
  }
  const auc = areaUnderCurve(probabilities, labels);
  return {
    samples,
    positives,
    logLoss: samples === 0 ? 0 : loss / samples,
    ...(auc === undefined ? {} : { auc }),
    ...(positives === 0 ? {} : { calibration: predicted / positives }),
  };
}

/** The share of pairs of a positive and a negative in which the positive is predicted higher. */
function areaUnderCurve(probabilities: Float32Array, labels: Float32Array): number | undefined {
  const order = Uint32Array.from(labels, (_, at) => at).sort(
    (one, other) => (probabilities[one] ?? 0) - (probabilities[other] ?? 0),
  );
  let won = 0;
  let negativesBelow = 0;
  let positives = 0;
  for (let from = 0; from < order.length;) {
    const p = probabilities[order[from] ?? 0];
    let to = from;
    let tiedPositives = 0;
    for (; to < order.length && probabilities[order[to] ?? 0] === p; to += 1) {
      if ((labels[order[to] ?? 0] ?? 0) > 0.5) tiedPositives += 1;
    }
    // NaN equals nothing, not even itself: no order, no area.
    if (to === from) return undefined;
    const tiedNegatives = to - from - tiedPositives;
    won += tiedPositives * (negativesBelow + tiedNegatives / 2);
    positives += tiedPositives;
    negativesBelow += tiedNegatives;
    from = to;
  }
  const pairs = positives * negativesBelow;
  return pairs === 0 ? undefined : won / pairs;
}
