import { type ExactMetrics } from "../../protocols/learning/exact-metrics.ts";
import { type PassResult } from "../../protocols/learning/passes.ts";
import { type QualityPoint } from "../../protocols/learning/quality-history.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { drawLines, escapeHtml, PAGE_STYLE } from "./line-chart.ts";
import { qualityCharts } from "../quality-page.ts";
import { type SliceMetrics } from "./sample-slices.ts";
import { type TrainingSettings } from "./training-run.ts";

/** All that a training run says at its end, as JSON. */
export interface TrainingReport {
  readonly model: ModelDeclaration;
  readonly data: {
    readonly folder: string;
    readonly train: number;
    readonly valid: number;
    readonly test: number;
    /** Distinct keys a table, by the table's name. */
    readonly keys: Readonly<Record<string, number>>;
    readonly broken: number;
  };
  readonly settings: TrainingSettings;
  readonly backend: string;
  readonly passes: readonly PassResult[];
  /** Of the training samples before they were learned from: ten windows a pass, `at` in passes. */
  readonly windows: readonly QualityPoint[];
  readonly bestPass: number;
  readonly test?: ExactMetrics;
  /** The test part's samples of users and items that were not learned from, and by value of each feature in the model's `slices`. */
  readonly testSlices?: readonly SliceMetrics[];
  readonly isOver: boolean;
  /** Keys a table that have a row: those of the samples to train, as far as its rule of admission lets them. */
  readonly rows: Readonly<Record<string, number>>;
  /** Of this process: samples learned a second, evaluation not counted. */
  readonly samplesPerSecond: number;
}

const [BLUE, ORANGE] = ["#2f81f7", "#d1760d"];

/** The report as one page without anything from elsewhere. */
export function reportPage(report: TrainingReport): string {
  const { model, data, settings, passes, bestPass, test, backend } = report;
  const best = passes.find(({ pass }) => pass === bestPass);
  const mark = bestPass > 0 ? { x: bestPass, name: "best" } : undefined;
  const rows: readonly (readonly [string, string])[] = [
    ["model", `${model.name}, ${model.architecture.kind}`],
    ["data", `${data.folder}: ${data.train} samples to train, ${data.valid} to validate, ${data.test} to test`],
    ["lines left out", String(data.broken)],
    [
      "keys",
      Object.entries(data.keys)
        .map(([name, count]) => `${name} ${count}, ${report.rows[name] ?? 0} of them with a row`)
        .join("; "),
    ],
    ["batch, seed, backend", `${settings.batch}, ${settings.seed}, ${backend}`],
    ["batches not learned from", String(passes.reduce((sum, { refused }) => sum + refused, 0))],
    ["best pass", best === undefined ? "none" : `${best.pass} of ${passes.length}: ${figures(best.valid)} on valid`],
    ["test", test === undefined ? "not measured" : figures(test)],
    ["samples a second", report.samplesPerSecond.toFixed(0)],
  ];
  return page(model.name, {
    rows,
    body: `${drawLines({
      title: "Log loss by pass",
      x: "pass",
      lines: [
        {
          name: "train (before learning)",
          colour: BLUE,
          points: passes.map(({ pass, trainLoss }) => [pass, trainLoss]),
        },
        { name: "valid", colour: ORANGE, points: passes.map(({ pass, valid }) => [pass, valid.logLoss]) },
      ],
      ...(mark === undefined ? {} : { mark }),
    })}
${drawLines({
  title: "AUC on valid by pass",
  x: "pass",
  lines: [{ name: "valid", colour: ORANGE, points: passes.map(({ pass, valid }) => [pass, valid.auc ?? Number.NaN]) }],
  ...(mark === undefined ? {} : { mark }),
})}
<h2>Training samples, each predicted before it is learned from</h2>
<p>In brackets: how many samples the last point is of.</p>
${qualityCharts([{ name: "train", points: report.windows }], { x: "passes", xOf: ({ at }) => at })}
${slicesTable("Test part by slice", report.testSlices?.map((each) => ({ ...each, clickRate: each.positives / each.samples })) ?? [])}
<h2>Passes</h2>
<table><tr><th>pass</th><th>rate</th><th>train log loss</th><th>valid log loss</th><th>valid AUC</th></tr>
${passes
  .map(
    ({ pass, rate, trainLoss, valid }) =>
      `<tr><td>${pass}</td><td>${rate}</td><td>${trainLoss.toFixed(5)}</td><td>${valid.logLoss.toFixed(5)}</td><td>${valid.auc?.toFixed(5) ?? ""}</td></tr>`,
  )
  .join("\n")}
</table>`,
  });
}

/** A page of a report: a table of what it is about, and what follows. */
export function page(
  title: string,
  { rows, body }: { readonly rows: readonly (readonly [string, string])[]; readonly body: string },
): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${PAGE_STYLE}</style></head><body>
<h1>${escapeHtml(title)}</h1>
<table>${rows.map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`).join("")}</table>
${body}
</body></html>
`;
}

/** Figures by slice; nothing where there are none. */
export function slicesTable(
  title: string,
  slices: readonly (Partial<Pick<ExactMetrics, "auc" | "logLoss" | "calibration">> & {
    readonly slice: string;
    readonly samples: number;
    readonly clickRate?: number;
  })[],
): string {
  if (slices.length === 0) return "";
  const rows = slices.map(
    ({ slice, samples, clickRate, auc, logLoss, calibration }) =>
      `<tr><td>${escapeHtml(slice)}</td><td>${samples}</td><td>${clickRate?.toFixed(4) ?? ""}</td><td>${auc?.toFixed(5) ?? ""}</td>` +
      `<td>${logLoss?.toFixed(5) ?? ""}</td><td>${calibration?.toFixed(3) ?? ""}</td></tr>`,
  );
  return `<h2>${escapeHtml(title)}</h2>
<table><tr><th>slice</th><th>samples</th><th>share of positives</th><th>AUC</th><th>log loss</th><th>calibration</th></tr>
${rows.join("\n")}
</table>`;
}

/** `AUC 0.98123, log loss 0.15432`. */
export function figures({ auc, logLoss }: ExactMetrics): string {
  return `${auc === undefined ? "no AUC (one class only)" : `AUC ${auc.toFixed(5)}`}, log loss ${logLoss.toFixed(5)}`;
}
