/*
 * One model as the state manager watches it: what trainers measured of it, and what is found of that.
 */
import { createMetrics, type ProgressiveMetrics, summarize } from "../protocols/learning/progressive-metrics.ts";
import {
  type CalibrationBounds,
  closeWindow,
  createHistory,
  isOutOfBounds,
  noteQuality,
  type QualityHistory,
  type QualityPoint,
} from "../protocols/learning/quality-history.ts";
import { mergeSlices, type Slices } from "../protocols/learning/quality-slices.ts";
import { type LogEntry, type RegionLogState } from "../protocols/model-state/region-log.ts";
import {
  type HealthState,
  initialHealth,
  observe,
  type QualityWindow,
  type Verdict,
  VERDICT_DEFAULTS,
} from "../protocols/model-state/verdict.ts";
import { type Logger, type Metrics } from "../runtime/actor.ts";

/** What is known of one model. Figures that are not defined yet are absent. */
export interface ModelSummary {
  readonly model: string;
  readonly samples: number;
  readonly auc?: number;
  readonly logLoss?: number;
  readonly calibration?: number;
  readonly verdict: Verdict;
  readonly cause?: string;
  readonly slices: readonly SliceSummary[];
  /** Where one is retrained (regions/baseline-actor.ts), once it was. */
  readonly baseline?: BaselineSummary;
}

/** How a model that was trained anew did on samples after its training, and the online model on those of about the same time. */
export interface BaselineSummary extends Quality {
  readonly atMs: number;
  readonly online: Quality;
}

/** Figures of some samples. Those that are not defined are absent. */
export interface Quality {
  readonly samples: number;
  readonly auc?: number;
  readonly logLoss?: number;
  readonly calibration?: number;
}

/** Quality of a part of a model's samples. */
export interface SliceSummary extends Quality {
  readonly slice: string;
}

/** Metrics since the start and since the last judgement, and the state of the judgements. */
export interface Watched {
  readonly total: ProgressiveMetrics;
  readonly slices: Slices;
  window: ProgressiveMetrics;
  sinceBaseline: ProgressiveMetrics;
  baseline: BaselineSummary | undefined;
  health: HealthState;
  /** By window, of all samples and of each slice; and of whom calibration was out of its bounds when last judged. */
  readonly history: Map<string, QualityHistory>;
  readonly alerts: Set<string>;
}

/** How quality over time is kept. */
export interface QualityConfig {
  readonly windowMs: number;
  /** Windows that are kept. */
  readonly windows: number;
  readonly calibration: Pick<CalibrationBounds, "low" | "high">;
}

/** The name of what is no slice. */
const ALL_SAMPLES = "all";

const HALF_LIFE_MS = 3_600_000;

/** Nothing measured yet. */
export function newWatch(nowMs: number): Watched {
  return {
    total: createMetrics({ halfLifeMs: HALF_LIFE_MS }),
    slices: new Map(),
    window: createMetrics({ halfLifeMs: HALF_LIFE_MS }),
    sinceBaseline: createMetrics({ halfLifeMs: HALF_LIFE_MS }),
    baseline: undefined,
    health: initialHealth(nowMs),
    history: new Map(),
    alerts: new Set(),
  };
}

/** Keeps how the baseline did, beside the online model since it was told last. */
export function noteBaseline(
  model: string,
  watch: Watched,
  told: {
    readonly measured: ProgressiveMetrics;
    readonly nowMs: number;
    readonly log: Logger;
    readonly metrics: Metrics;
  },
): void {
  const { measured, nowMs, log, metrics } = told;
  const [of, online] = [figuresOf(measured), figuresOf(watch.sinceBaseline)];
  watch.baseline = { atMs: nowMs, ...of, online };
  watch.sinceBaseline = createMetrics({ halfLifeMs: HALF_LIFE_MS });
  if (of.auc !== undefined) metrics.gauge("freshet_baseline_auc", of.auc, { model });
  if (of.logLoss !== undefined) metrics.gauge("freshet_baseline_log_loss", of.logLoss, { model });
  log.info("The baseline was retrained and judged", { model, ...of, online });
}

/** Adds what a trainer measured to the windows that are open. */
export function noteWindow(
  watch: Watched,
  { window, slices }: { readonly window: ProgressiveMetrics; readonly slices: Slices },
  { windows: pointsMax }: QualityConfig,
): void {
  function note(name: string, measured: ProgressiveMetrics): void {
    let history = watch.history.get(name);
    if (history === undefined) {
      watch.history.set(name, (history = createHistory({ pointsMax, halfLifeMs: HALF_LIFE_MS })));
    }
    noteQuality(history, measured);
  }
  note(ALL_SAMPLES, window);
  // As many slices as the totals have: what these call "other" has no history of its own.
  for (const [slice, measured] of slices) if (watch.slices.has(slice)) note(slice, measured);
}

/** Ends a window of quality, and says so where calibration has left its bounds, or is back. */
export function closeQuality(
  model: string,
  watch: Watched,
  options: {
    readonly nowMs: number;
    readonly quality: QualityConfig;
    readonly log: Logger;
    readonly metrics: Metrics;
  },
): void {
  const { nowMs, log, metrics } = options;
  const bounds = { ...options.quality.calibration, samplesMin: VERDICT_DEFAULTS.samplesMin };
  for (const [slice, history] of watch.history) {
    const point = closeWindow(history, nowMs);
    const isOut = point === undefined ? undefined : isOutOfBounds(point, bounds);
    if (point === undefined || isOut === undefined) continue;
    metrics.gauge("freshet_calibration_out_of_bounds", isOut ? 1 : 0, { model, slice });
    if (isOut === watch.alerts.has(slice)) continue;
    const said = { model, of: slice, calibration: point.calibration, samples: point.samples, ...bounds };
    if (isOut) {
      watch.alerts.add(slice);
      log.warn("Calibration has left its bounds", said);
    } else {
      watch.alerts.delete(slice);
      log.info("Calibration is within its bounds again", said);
    }
  }
}

/** The windows of a model, of all samples first. */
export function seriesOf(watch: Watched): { readonly name: string; readonly points: readonly QualityPoint[] }[] {
  return [...watch.history].map(([name, { points }]) => ({ name, points }));
}

/** What the log said last of a model: a restart goes on from there, so that only the transitions of the table are ever logged. */
export function loggedHealth(log: RegionLogState, model: string): HealthState | undefined {
  const entry = log.verdicts.get(model);
  return entry === undefined ? undefined : { ...initialHealth(entry.atMs), verdict: entry.to };
}

/** Judges a window against a baseline that knows only how often people click: a model that predicts worse than that is broken. */
export function judged(
  model: string,
  watch: Watched,
  { nowMs, log }: { readonly nowMs: number; readonly log: Logger },
): LogEntry[] {
  const quality = summarize(watch.window, "total");
  if (quality.samples + quality.nonFinite < VERDICT_DEFAULTS.samplesMin && quality.nonFinite === 0) return [];
  watch.window = createMetrics({ halfLifeMs: HALF_LIFE_MS });
  const rate = quality.clickRate ?? 0;
  const entropy = rate > 0 && rate < 1 ? -rate * Math.log(rate) - (1 - rate) * Math.log(1 - rate) : undefined;
  const baseline: QualityWindow | undefined =
    entropy === undefined ? undefined : { samples: quality.samples, nonFiniteShare: 0, logLoss: entropy };
  const window = { kind: "window" as const, timeMs: nowMs, model: quality };
  const { state, transition } = observe(
    watch.health,
    baseline === undefined ? window : { ...window, baseline },
    VERDICT_DEFAULTS,
  );
  watch.health = state;
  if (transition === undefined) return [];
  const { cause } = transition;
  const figures =
    cause.excess === undefined
      ? ""
      : ` ${cause.excess.toFixed(4)} against a limit of ${cause.limit?.toFixed(4) ?? "none"}`;
  log.warn("A model's verdict changed", {
    model,
    from: transition.from,
    to: transition.to,
    cause: `${cause.kind}${figures}`,
  });
  return [
    {
      kind: "verdict",
      atMs: transition.timeMs,
      model,
      from: transition.from,
      to: transition.to,
      cause: `${cause.kind}${figures}`,
    },
  ];
}

/** What is known of a model, its verdict by the log. */
export function summaryOf(model: string, watch: Watched, log: RegionLogState): ModelSummary {
  const logged = log.verdicts.get(model);
  const cause = logged?.cause;
  return {
    model,
    ...figuresOf(watch.total),
    verdict: logged?.to ?? watch.health.verdict,
    ...(cause === undefined ? {} : { cause }),
    ...(watch.baseline !== undefined && { baseline: watch.baseline }),
    slices: [...watch.slices].map(([slice, metrics]) => ({ slice, ...figuresOf(metrics) })),
  };
}

/** Adds to a model's slices, and tells their quality as metrics. */
export function noteSlices(
  model: string,
  watch: Watched,
  { slices, metrics }: { readonly slices: Slices; readonly metrics: Metrics },
): void {
  if (slices.size === 0) return;
  mergeSlices(watch.slices, slices);
  for (const [slice, measured] of watch.slices) {
    const { auc, logLoss, calibration } = figuresOf(measured);
    const labels = { model, slice };
    if (auc !== undefined) metrics.gauge("freshet_slice_auc", auc, labels);
    if (logLoss !== undefined) metrics.gauge("freshet_slice_log_loss", logLoss, labels);
    if (calibration !== undefined) metrics.gauge("freshet_slice_calibration", calibration, labels);
  }
}

function figuresOf(metrics: ProgressiveMetrics): Quality {
  const { samples, auc, logLoss, calibration } = summarize(metrics, "total");
  return {
    samples,
    ...(auc === undefined ? {} : { auc }),
    ...(logLoss === undefined ? {} : { logLoss }),
    ...(calibration === undefined ? {} : { calibration }),
  };
}
