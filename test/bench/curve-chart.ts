/* Curves with intervals as SVG: panels side by side, each with its own scale from 0, over the same named places. Colours follow the reader's scheme. */

export interface CurveSeries {
  readonly name: string;
  /** On a light ground, and on a dark one. */
  readonly colour: readonly [light: string, dark: string];
  readonly dashed?: boolean;
}

export interface CurvePoint {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface CurvePanel {
  readonly title: string;
  /** By series; a panel may lack some. */
  readonly curves: readonly { readonly series: number; readonly points: readonly CurvePoint[] }[];
}

export interface CurveChart {
  readonly title: string;
  readonly note: string;
  readonly axis: string;
  readonly places: readonly string[];
  readonly series: readonly CurveSeries[];
  readonly panels: readonly CurvePanel[];
}

const PANEL = 300;
const LEFT = 52;
const TOP = 100;
const HEIGHT = 210;
const BELOW = 78;
const TICKS = 4;

/** The chart as a whole SVG document. */
export function drawCurves({ title, note, axis, places, series, panels }: CurveChart): string {
  const width = LEFT + panels.length * PANEL + 12;
  const height = TOP + HEIGHT + BELOW;
  const parts = [words(16, 26, title, "title")];
  let x = 16;
  for (const [at, { name }] of series.entries()) {
    parts.push(`<line class="s${at} curve" x1="${x}" y1="50" x2="${x + 22}" y2="50"/>`, words(x + 28, 54, name));
    x += 48 + name.length * 6.6;
  }
  for (const [at, panel] of panels.entries()) parts.push(...drawPanel(panel, { left: LEFT + at * PANEL, places }));
  parts.push(words(16, TOP + HEIGHT + 44, axis), words(16, TOP + HEIGHT + 64, note, "faint"));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>${style(series)}</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel(
  { title, curves }: CurvePanel,
  { left, places }: { readonly left: number; readonly places: readonly string[] },
): string[] {
  const top = Math.max(1e-9, ...curves.flatMap(({ points }) => points.map(({ high }) => high)));
  const right = left + PANEL - 44;
  const step = (right - left) / Math.max(1, places.length - 1);
  function y(value: number): number {
    return TOP + HEIGHT * (1 - value / (1.05 * top));
  }
  const parts = [words(left, TOP - 14, title)];
  for (let tick = 0; tick <= TICKS; tick += 1) {
    const value = (top * tick) / TICKS;
    parts.push(`<line class="grid" x1="${left}" y1="${round(y(value))}" x2="${right}" y2="${round(y(value))}"/>`);
    parts.push(words(left - 6, y(value) + 4, value.toFixed(top < 0.1 ? 3 : 2), "scale"));
  }
  for (const [at, place] of places.entries()) parts.push(words(left + at * step, TOP + HEIGHT + 18, place, "place"));
  for (const { series, points } of curves) {
    const line = points.map(({ value }, at) => `${at === 0 ? "M" : "L"}${round(left + at * step)} ${round(y(value))}`);
    const upper = points.map(({ high }, at) => `${at === 0 ? "M" : "L"}${round(left + at * step)} ${round(y(high))}`);
    const lower = points.map(({ low }, at) => `L${round(left + at * step)} ${round(y(low))}`).reverse();
    parts.push(`<path class="s${series} band" d="${upper.join("")}${lower.join("")}Z"/>`);
    parts.push(`<path class="s${series} curve" d="${line.join("")}"/>`);
  }
  return parts;
}

function words(x: number, y: number, text: string, kind?: "title" | "faint" | "scale" | "place"): string {
  const names = kind === undefined ? "" : ` class="${kind}"`;
  return `<text${names} x="${round(x)}" y="${round(y)}">${escapeXml(text)}</text>`;
}

function style(series: readonly CurveSeries[]): string {
  function scheme(ink: string, ground: string, at: 0 | 1): string {
    return [
      `.ground{fill:${ground}}text{fill:${ink}}.grid{stroke:${at === 0 ? "#d8dbe0" : "#3a4048"}}`,
      ...series.map(({ colour }, index) => `.s${index}{stroke:${colour[at]}}.s${index}.band{fill:${colour[at]}}`),
    ].join("");
  }
  const dashes = series.flatMap(({ dashed }, at) => (dashed === true ? [`.s${at}.curve{stroke-dasharray:5 4}`] : []));
  return [
    "text{font:12px system-ui,sans-serif}.title{font-size:15px;font-weight:600}.faint{font-size:11px;opacity:.75}",
    ".scale{font-size:11px;text-anchor:end}.place{font-size:10px;text-anchor:middle}",
    ".curve{fill:none;stroke-width:2}.band{stroke:none;opacity:.18}",
    ...dashes,
    scheme("#1f2328", "#ffffff", 0),
    `@media(prefers-color-scheme:dark){${scheme("#e6edf3", "#0d1117", 1)}}`,
  ].join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
