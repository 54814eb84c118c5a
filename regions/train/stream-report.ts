import { type QualityPoint } from "../../protocols/learning/quality-history.ts";
import {
  mergeMetrics,
  createMetrics,
  type MetricsSummary,
  summarize,
} from "../../protocols/learning/progressive-metrics.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { qualityCharts } from "../quality-page.ts";
import { page, slicesTable } from "./training-report.ts";
import { ALL, type QualityState, type SliceState } from "./stream-quality.ts";

/** All that a pass over clicks says at its end, as JSON. */
export interface StreamReport {
  readonly model: ModelDeclaration;
  readonly data: {
    readonly folder: string;
    readonly title: string;
    readonly clicks: number;
    /** Clicks that made no request, as nobody had clicked their item lately. */
    readonly unknown: number;
    readonly samples: number;
    /** When the first and the last label became known. */
    readonly from: string;
    readonly to: string;
    /** Distinct keys a table, by the table's name. */
    readonly keys: Readonly<Record<string, number>>;
    readonly broken: number;
    readonly late: number;
  };
  readonly settings: { readonly batch: number; readonly seed: number; readonly windowMs: number };
  readonly backend: string;
  /** Of all samples, each predicted before it was learned from; in `windows`, by time, `at` the end of each in milliseconds since the epoch. */
  readonly quality: SliceQuality;
  /** Of users and items that were never learned from, and by value of each feature in the model's `slices`; the largest first. */
  readonly slices: readonly (SliceQuality & { readonly slice: string })[];
  /** What was not learned from, as its gradients must not enter a model. */
  readonly refused: { readonly batches: number; readonly samples: number };
  /** Samples passed over; all of them where the run is over. */
  readonly done: number;
  readonly isOver: boolean;
  /** Keys a table that have a row. */
  readonly rows: Readonly<Record<string, number>>;
  /** Of this process. */
  readonly samplesPerSecond: number;
}

export interface SliceQuality extends Pick<
  MetricsSummary,
  "samples" | "auc" | "aucError" | "logLoss" | "calibration" | "clickRate"
> {
  /** Predictions that were no numbers. */
  readonly nonFinite: number;
  readonly windows: readonly QualityPoint[];
}

/** What was measured, by slice. */
export function qualityOf({ slices }: QualityState): Pick<StreamReport, "quality" | "slices"> {
  const each = slices.map((state) => ({ slice: state.slice, ...sliceQuality(state) }));
  const { slice: _, ...quality } = each.find(({ slice }) => slice === ALL) ?? { slice: ALL, ...NONE };
  const others = each.filter(({ slice }) => slice !== ALL);
  return { quality, slices: others.toSorted((one, other) => other.samples - one.samples) };
}

const NONE: SliceQuality = { samples: 0, nonFinite: 0, windows: [] };

function sliceQuality({ open, closed, windows }: SliceState): SliceQuality {
  const total = createMetrics(closed);
  mergeMetrics(total, closed);
  mergeMetrics(total, open);
  const { samples, auc, aucError, logLoss, calibration, clickRate, nonFinite } = summarize(total, "total");
  return {
    samples,
    ...(auc !== undefined && { auc, aucError }),
    ...(logLoss !== undefined && { logLoss }),
    ...(calibration !== undefined && { calibration }),
    ...(clickRate !== undefined && { clickRate }),
    nonFinite,
    windows,
  };
}

const HOUR_MS = 3_600_000;

/** The report as one page without anything from elsewhere. */
export function streamPage(report: StreamReport): string {
  const { model, data, settings, quality, slices, refused, backend } = report;
  const fromMs = Date.parse(data.from);
  const isLong = Date.parse(data.to) - fromMs > 96 * HOUR_MS;
  const [x, unitMs] = isLong ? (["days", 24 * HOUR_MS] as const) : (["hours", HOUR_MS] as const);
  const thin = thinWindows(quality.windows);
  const series = [{ slice: ALL, ...quality }, ...slices].map(({ slice, windows }) => ({
    name: slice,
    points: windows.filter(({ at }) => !thin.has(at)),
  }));
  const rows: readonly (readonly [string, string])[] = [
    ["model", `${model.name}, ${model.architecture.kind}`],
    ["data", `${data.folder}: ${data.title}`],
    ["clicks", `${data.clicks}, of which ${data.unknown} made no request, as nobody had clicked their item lately`],
    [
      "samples",
      `${data.samples}, from ${data.from} to ${data.to}${report.isOver ? "" : `; stopped after ${report.done}`}`,
    ],
    ["lines left out", `${data.broken}, and ${data.late} clicks that came too long after later ones`],
    [
      "keys",
      Object.entries(data.keys)
        .map(([name, count]) => `${name} ${count}, ${report.rows[name] ?? 0} of them with a row`)
        .join("; "),
    ],
    ["batch, seed, backend", `${settings.batch}, ${settings.seed}, ${backend}`],
    ["batches not learned from", String(refused.batches)],
    ["all samples", streamFigures(quality)],
    ["samples a second", report.samplesPerSecond.toFixed(0)],
  ];
  return page(model.name, {
    rows,
    body: `<h2>Quality over time, each sample predicted before it is learned from</h2>
<p>A point is ${Number((settings.windowMs / unitMs).toPrecision(3))} ${x} of the clicks' own time; in brackets: how many samples the last one is of.${thin.size === 0 ? "" : ` Windows with less than a hundredth of an average one's samples are not drawn: ${thin.size} here, which report.json has.`}</p>
${qualityCharts(series, { x, xOf: ({ at }) => (at - fromMs) / unitMs })}
${slicesTable("By slice", slices)}`,
  });
}

/** When windows end whose few samples say nothing: stragglers come for days after the last clicks, and their figures would flatten all others. */
function thinWindows(windows: readonly QualityPoint[]): ReadonlySet<number> {
  const mean = windows.reduce((sum, { samples }) => sum + samples, 0) / windows.length;
  return new Set(windows.filter(({ samples }) => samples < mean / 100).map(({ at }) => at));
}

/** `AUC 0.71234, log loss 0.31234, calibration 1.012`. */
export function streamFigures({
  auc,
  logLoss,
  calibration,
}: Pick<QualityPoint, "auc" | "logLoss" | "calibration">): string {
  const said = [
    auc === undefined ? "no AUC (one class only)" : `AUC ${auc.toFixed(5)}`,
    ...(logLoss === undefined ? [] : [`log loss ${logLoss.toFixed(5)}`]),
    ...(calibration === undefined ? [] : [`calibration ${calibration.toFixed(3)}`]),
  ];
  return said.join(", ");
}
