/*
 * Quality over time: one point a window, the newest so many of them. What drifts shows here, where figures over all that was ever seen hide it.
 */
import { createMetrics, mergeMetrics, type ProgressiveMetrics, summarize } from "./progressive-metrics.ts";

/** One window of progressive quality. Figures that are not defined for it (one class only) are absent. */
export interface QualityPoint {
  /** Its end, on the clock of whoever keeps it. */
  readonly at: number;
  readonly samples: number;
  readonly auc?: number;
  readonly logLoss?: number;
  readonly calibration?: number;
  /** The share of positives, weighed as samples are. */
  readonly labelRate?: number;
}

/** A bounded ring of windows, and what the one that is open has so far. Plain data, JSON-safe. */
export interface QualityHistory {
  readonly pointsMax: number;
  readonly points: QualityPoint[];
  open: ProgressiveMetrics;
}

export function createHistory({
  pointsMax,
  halfLifeMs,
}: {
  readonly pointsMax: number;
  readonly halfLifeMs: number;
}): QualityHistory {
  return { pointsMax, points: [], open: createMetrics({ halfLifeMs }) };
}

/** Adds what was measured since the last call. */
export function noteQuality({ open }: QualityHistory, measured: ProgressiveMetrics): void {
  mergeMetrics(open, measured);
}

/** Ends the open window. One without samples leaves no point: a gap says more than a line through it. */
export function closeWindow(history: QualityHistory, at: number): QualityPoint | undefined {
  const { samples, auc, logLoss, calibration, clickRate } = summarize(history.open, "total");
  history.open = createMetrics({ halfLifeMs: history.open.halfLifeMs });
  if (samples === 0) return undefined;
  const point = {
    at,
    samples,
    ...(auc !== undefined && { auc }),
    ...(logLoss !== undefined && { logLoss }),
    ...(calibration !== undefined && { calibration }),
    ...(clickRate !== undefined && { labelRate: clickRate }),
  };
  history.points.push(point);
  if (history.points.length > history.pointsMax) history.points.shift();
  return point;
}

/** Between which values calibration is no news, and how many samples a window needs to be judged. */
export interface CalibrationBounds {
  readonly low: number;
  readonly high: number;
  readonly samplesMin: number;
}

/** Whether a window's calibration is outside of its bounds; undefined where too little was seen to say. */
export function isOutOfBounds(point: QualityPoint, { low, high, samplesMin }: CalibrationBounds): boolean | undefined {
  const { samples, calibration } = point;
  if (samples < samplesMin || calibration === undefined) return undefined;
  return !(calibration >= low && calibration <= high);
}
