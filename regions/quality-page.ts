import { type QualityPoint } from "../protocols/learning/quality-history.ts";
import { type ChartLine, drawLines, escapeHtml, PAGE_STYLE } from "./train/line-chart.ts";

/** A line of points: of all samples, or of a part of them. */
export interface QualitySeries {
  readonly name: string;
  readonly points: readonly QualityPoint[];
}

/** One model's quality over time. */
export interface ModelQuality {
  readonly model: string;
  readonly series: readonly QualitySeries[];
}

const COLOURS = ["#2f81f7", "#d1760d", "#2da44e", "#bf4bb5"] as const;
const FIGURES = [
  { title: "AUC", of: ({ auc }: QualityPoint) => auc },
  { title: "Log loss", of: ({ logLoss }: QualityPoint) => logLoss },
  { title: "Calibration: predicted over clicked", of: ({ calibration }: QualityPoint) => calibration },
  { title: "Share of positives", of: ({ labelRate }: QualityPoint) => labelRate },
] as const;

/**
 * Charts of each figure, at most four lines in one: all samples and those of new users and items first, then each feature's values. In brackets stands
 * how many samples the last point is of, as a point of few says little.
 */
export function qualityCharts(
  series: readonly QualitySeries[],
  { x, xOf }: { readonly x: string; readonly xOf: (point: QualityPoint) => number },
): string {
  return inFours(series)
    .flatMap((some) =>
      FIGURES.map(({ title, of }) => {
        const lines = some.map(({ name, points }, at): ChartLine => {
          const last = points.at(-1);
          return {
            name: last === undefined ? name : `${name} (${last.samples.toLocaleString("en")})`,
            colour: COLOURS[at] ?? COLOURS[0],
            points: points.map((point) => [xOf(point), of(point) ?? Number.NaN]),
          };
        });
        return drawLines({ title, x, lines });
      }),
    )
    .join("\n");
}

/** The page of a node: quality of each model by window, back from now. */
export function qualityPage(
  models: readonly ModelQuality[],
  { region, nowMs, windowMs }: { readonly region: string; readonly nowMs: number; readonly windowMs: number },
): string {
  const each = models.map(({ model, series }) => {
    const charts = series.some(({ points }) => points.length > 0)
      ? qualityCharts(series, { x: "minutes", xOf: ({ at }) => (at - nowMs) / 60_000 })
      : "<p>Nothing measured yet: models are measured where they are trained.</p>";
    return `<h2>${escapeHtml(model)}</h2>\n${charts}`;
  });
  const title = `Quality in ${escapeHtml(region)}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${PAGE_STYLE}</style></head><body>
<h1>${title}</h1>
<p>Each sample is predicted before it is learned from. A point is ${windowMs / 1_000} s of samples, up to ${new Date(nowMs).toISOString()}; in brackets: how many the last one is of.</p>
${each.join("\n")}
</body></html>
`;
}

function inFours(series: readonly QualitySeries[]): QualitySeries[][] {
  const groups = new Map<string, QualitySeries[]>();
  for (const one of series) {
    const equals = one.name.indexOf("=");
    const feature = equals < 0 ? "" : one.name.slice(0, equals);
    groups.set(feature, [...(groups.get(feature) ?? []), one]);
  }
  return [...groups.values()].flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / COLOURS.length) }, (_, at) =>
      group.slice(at * COLOURS.length, (at + 1) * COLOURS.length),
    ),
  );
}
