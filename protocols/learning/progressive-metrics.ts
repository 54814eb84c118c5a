// Quality of a model on the stream it learns from: each sample is predicted before it is learned from, so no data is set aside.
// Every figure is kept over everything seen and over a recent past with exponential forgetting by event time.

/** Figures of one model. Plain data, JSON-safe; two of the same half-life merge. Change it through `addPrediction` and `mergeMetrics`. */
export interface ProgressiveMetrics {
  readonly halfLifeMs: number;
  /** Recent weights are 2^((time - landmarkMs) / halfLifeMs), so that nothing old needs touching (forward decay: Cormode et al., ICDE 2009). */
  landmarkMs: number;
  newestMs: number;
  /** Predictions that were not a number in [0, 1], or weights or labels that were not finite. They enter no other figure. */
  nonFinite: number;
  readonly total: Tally;
  readonly recent: Tally;
}

/** Weighted sums over samples. `positives` and `negatives` hold the weight per bin of the prediction's log-odds. */
export interface Tally {
  samples: number;
  weight: number;
  loss: number;
  predicted: number;
  clicked: number;
  readonly positives: number[];
  readonly negatives: number[];
}

/** What a tally says. Figures that are not defined for it (no weight, one class only) are absent. */
export interface MetricsSummary {
  readonly samples: number;
  readonly weight: number;
  readonly nonFinite: number;
  /** Share of all predictions that were not finite. */
  readonly nonFiniteShare: number;
  /** Mean log loss in nats; predictions are clipped to [1e-7, 1 - 1e-7]. */
  readonly logLoss?: number;
  readonly clickRate?: number;
  /** Sum of predictions over sum of labels: 1 is calibrated, 2 predicts twice the clicks. */
  readonly calibration?: number;
  /** Area under the ROC curve, from bins; the exact area differs by at most `aucError`. */
  readonly auc?: number;
  readonly aucError?: number;
}

/** Bins over log-odds in [-16, 16], each 1/32 wide: two predictions in one bin differ by under 3.2 % in odds. */
const AUC_BINS = 1024;
const NO_BINS: readonly number[] = Array.from({ length: AUC_BINS }, () => 0);

const CLIP = 1e-7;
/** Weights beyond this move the landmark. */
const GROWTH_MAX = 2 ** 64;

export function createMetrics(options: { readonly halfLifeMs: number }): ProgressiveMetrics {
  if (!(options.halfLifeMs > 0)) {
    throw new RangeError(`Cannot measure with a half-life of ${options.halfLifeMs} ms: it must be above 0`);
  }
  return {
    halfLifeMs: options.halfLifeMs,
    landmarkMs: 0,
    newestMs: 0,
    nonFinite: 0,
    total: createTally(),
    recent: createTally(),
  };
}

/** Takes in one prediction made before its sample was learned. `label` is in [0, 1]. Times may come in any order. */
export function addPrediction(
  metrics: ProgressiveMetrics,
  sample: { readonly probability: number; readonly label: number; readonly timeMs: number; readonly weight?: number },
): void {
  const { probability, label, timeMs, weight = 1 } = sample;
  if (
    !(
      probability >= 0 &&
      probability <= 1 &&
      label >= 0 &&
      label <= 1 &&
      weight >= 0 &&
      Number.isFinite(weight + timeMs)
    )
  ) {
    metrics.nonFinite += 1;
    return;
  }
  const p = Math.min(1 - CLIP, Math.max(CLIP, probability));
  const odds = Math.log(p / (1 - p));
  const bin = Math.min(AUC_BINS - 1, Math.max(0, Math.floor((odds + 16) * (AUC_BINS / 32))));
  const loss = -label * Math.log(p) - (1 - label) * Math.log(1 - p);
  if (metrics.total.samples === 0) metrics.landmarkMs = timeMs;
  metrics.newestMs = metrics.total.samples === 0 ? timeMs : Math.max(metrics.newestMs, timeMs);
  const measured = { bin, loss, probability, label };
  addToTally(metrics.total, weight, measured);
  let freshness = 2 ** ((timeMs - metrics.landmarkMs) / metrics.halfLifeMs);
  if (freshness > GROWTH_MAX) {
    moveLandmark(metrics, timeMs);
    freshness = 2 ** ((timeMs - metrics.landmarkMs) / metrics.halfLifeMs);
  }
  addToTally(metrics.recent, weight * freshness, measured);
}

function addToTally(
  tally: Tally,
  by: number,
  { bin, loss, probability, label }: Readonly<Record<"bin" | "loss" | "probability" | "label", number>>,
): void {
  tally.samples += 1;
  tally.weight += by;
  tally.loss += by * loss;
  tally.predicted += by * probability;
  tally.clicked += by * label;
  tally.positives[bin] = (tally.positives[bin] ?? 0) + by * label;
  tally.negatives[bin] = (tally.negatives[bin] ?? 0) + by * (1 - label);
}

/** Adds another's samples to this one. Both must have the same half-life. */
export function mergeMetrics(metrics: ProgressiveMetrics, other: ProgressiveMetrics): void {
  if (other.halfLifeMs !== metrics.halfLifeMs) {
    throw new RangeError(`Cannot merge metrics: their half-lives are ${metrics.halfLifeMs} and ${other.halfLifeMs} ms`);
  }
  metrics.nonFinite += other.nonFinite;
  if (other.total.samples === 0) return;
  if (metrics.total.samples === 0) [metrics.landmarkMs, metrics.newestMs] = [other.landmarkMs, other.newestMs];
  if (other.landmarkMs > metrics.landmarkMs) moveLandmark(metrics, other.landmarkMs);
  metrics.newestMs = Math.max(metrics.newestMs, other.newestMs);
  addTally(metrics.total, other.total, 1);
  addTally(metrics.recent, other.recent, 2 ** ((other.landmarkMs - metrics.landmarkMs) / metrics.halfLifeMs));
}

/** The figures over everything (`total`) or over the recent past, whose weights have halved once per half-life before the newest sample. */
export function summarize(metrics: ProgressiveMetrics, over: "total" | "recent"): MetricsSummary {
  const tally = metrics[over];
  const scale = over === "recent" ? 2 ** ((metrics.landmarkMs - metrics.newestMs) / metrics.halfLifeMs) : 1;
  const { samples, weight, loss, predicted, clicked } = tally;
  const seen = metrics.nonFinite + metrics.total.samples;
  return {
    samples,
    weight: weight * scale,
    nonFinite: metrics.nonFinite,
    nonFiniteShare: seen === 0 ? 0 : metrics.nonFinite / seen,
    ...(weight > 0 ? { logLoss: loss / weight, clickRate: clicked / weight } : {}),
    ...(clicked > 0 ? { calibration: predicted / clicked } : {}),
    ...area(tally),
  };
}

/** Pairs in different bins are ordered exactly; pairs in one bin count half, so each may be wrong by half. */
function area({ positives, negatives }: Tally): { auc: number; aucError: number } | undefined {
  let won = 0;
  let shared = 0;
  let below = 0;
  let positiveWeight = 0;
  for (let bin = 0; bin < AUC_BINS; bin += 1) {
    const up = positives[bin] ?? 0;
    const down = negatives[bin] ?? 0;
    won += up * (below + down / 2);
    shared += up * down;
    below += down;
    positiveWeight += up;
  }
  const pairs = positiveWeight * below;
  return pairs > 0 ? { auc: won / pairs, aucError: shared / 2 / pairs } : undefined;
}

function createTally(): Tally {
  const [positives, negatives] = [NO_BINS.slice(), NO_BINS.slice()];
  return { samples: 0, weight: 0, loss: 0, predicted: 0, clicked: 0, positives, negatives };
}

function addTally(tally: Tally, other: Tally, by: number): void {
  tally.samples += other.samples;
  tally.weight += by * other.weight;
  tally.loss += by * other.loss;
  tally.predicted += by * other.predicted;
  tally.clicked += by * other.clicked;
  for (let bin = 0; bin < AUC_BINS; bin += 1) {
    tally.positives[bin] = (tally.positives[bin] ?? 0) + by * (other.positives[bin] ?? 0);
    tally.negatives[bin] = (tally.negatives[bin] ?? 0) + by * (other.negatives[bin] ?? 0);
  }
}

function moveLandmark(metrics: ProgressiveMetrics, toMs: number): void {
  const by = 2 ** ((metrics.landmarkMs - toMs) / metrics.halfLifeMs);
  const { recent } = metrics;
  recent.weight *= by;
  recent.loss *= by;
  recent.predicted *= by;
  recent.clicked *= by;
  for (let bin = 0; bin < AUC_BINS; bin += 1) {
    recent.positives[bin] = (recent.positives[bin] ?? 0) * by;
    recent.negatives[bin] = (recent.negatives[bin] ?? 0) * by;
  }
  metrics.landmarkMs = toMs;
}
