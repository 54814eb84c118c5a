/*
 * A chart of ranges on a logarithmic axis as SVG, with no more than text: rows of marks, each at a value with a line up to another.
 * Its colours follow the reader's scheme, light or dark, and the shapes differ where colours may not.
 */

/** `shape` and `colour` tell marks of one series from those of others. */
export interface ChartSeries {
  readonly name: string;
  readonly shape: "circle" | "square" | "triangle" | "diamond";
  /** On a light ground, and on a dark one. */
  readonly colour: readonly [light: string, dark: string];
  /** Drawn as an outline. */
  readonly hollow?: boolean;
}

export interface ChartMark {
  /** Which of the series. */
  readonly series: number;
  readonly value: number;
  readonly upTo?: number;
}

export interface RangeChart {
  readonly title: string;
  /** Under the axis, with the unit. */
  readonly axis: string;
  readonly note: string;
  readonly series: readonly ChartSeries[];
  readonly rows: readonly { readonly label: string; readonly marks: readonly ChartMark[] }[];
}

const WIDTH = 860;
const LEFT = 285;
const RIGHT = 30;
const TOP = 78;
const ROW = 46;
const BELOW = 74;
const SIZE = 5;

/** The chart as a whole SVG document. Values must be above zero; `RangeError` otherwise. */
export function drawRanges(chart: RangeChart): string {
  const { rows, series, title, axis, note } = chart;
  const values = rows.flatMap(({ marks }) => marks.flatMap(({ value, upTo }) => [value, upTo ?? value]));
  if (values.length === 0 || values.some((value) => !Number.isFinite(value) || value <= 0)) {
    throw new RangeError(`Cannot draw ${JSON.stringify(title)}: a logarithmic axis takes numbers above zero`);
  }
  const from = Math.floor(Math.log10(Math.min(...values)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values))));
  const height = TOP + rows.length * ROW + BELOW;
  const bottom = TOP + rows.length * ROW;
  function at(value: number): number {
    return LEFT + ((Math.log10(value) - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  }

  const parts: string[] = [];
  for (let power = from; power <= to; power += 1) {
    const x = round(at(10 ** power));
    parts.push(`<line class="grid" x1="${x}" y1="${TOP}" x2="${x}" y2="${bottom}"/>`);
    parts.push(text(x, bottom + 18, { words: plain(10 ** power), anchor: "middle" }));
  }
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, bottom + 38, { words: axis, anchor: "middle" }));
  parts.push(text(16, bottom + 60, { words: note, anchor: "start", kind: "faint" }));
  parts.push(text(16, 26, { words: title, anchor: "start", kind: "title" }));
  let x = 16;
  series.forEach(({ name }, index) => {
    parts.push(mark(series, { series: index, x: x + SIZE, y: 50 }), text(x + 16, 54, { words: name, anchor: "start" }));
    x += 34 + name.length * 6.6;
  });
  rows.forEach(({ label, marks }, row) => {
    const top = TOP + row * ROW;
    if (row > 0) parts.push(`<line class="grid" x1="16" y1="${top}" x2="${WIDTH - RIGHT}" y2="${top}"/>`);
    parts.push(text(LEFT - 14, top + ROW / 2 + 4, { words: label, anchor: "end" }));
    marks.forEach(({ series: of, value, upTo }, index) => {
      const y = round(top + ((index + 1) * ROW) / (marks.length + 1));
      if (upTo !== undefined) {
        parts.push(`<line class="s${of} range" x1="${round(at(value))}" y1="${y}" x2="${round(at(upTo))}" y2="${y}"/>`);
      }
      parts.push(mark(series, { series: of, x: round(at(value)), y }));
    });
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>${style(series)}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function mark(
  series: readonly ChartSeries[],
  { series: index, x, y }: { series: number; x: number; y: number },
): string {
  const { shape, hollow } = series[index] ?? { shape: "circle" };
  const names = `class="s${index}${hollow === true ? " hollow" : ""}"`;
  const [left, right, up, down] = [x - SIZE, x + SIZE, y - SIZE, y + SIZE].map(round);
  switch (shape) {
    case "circle":
      return `<circle ${names} cx="${round(x)}" cy="${round(y)}" r="${SIZE}"/>`;
    case "square":
      return `<rect ${names} x="${left}" y="${up}" width="${2 * SIZE}" height="${2 * SIZE}"/>`;
    case "triangle":
      return `<path ${names} d="M${left} ${down}L${right} ${down}L${round(x)} ${up}Z"/>`;
    case "diamond":
      return `<path ${names} d="M${left} ${round(y)}L${round(x)} ${up}L${right} ${round(y)}L${round(x)} ${down}Z"/>`;
  }
}

function text(
  x: number,
  y: number,
  { words, anchor, kind }: { words: string; anchor: "start" | "middle" | "end"; kind?: "title" | "faint" },
): string {
  const names = kind === undefined ? "" : ` class="${kind}"`;
  return `<text${names} x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeXml(words)}</text>`;
}

function style(series: readonly ChartSeries[]): string {
  function scheme(ink: string, ground: string, at: 0 | 1): string {
    const grid = at === 0 ? "#d8dbe0" : "#3a4048";
    return [
      `.ground{fill:${ground}}text{fill:${ink}}.grid{stroke:${grid}}`,
      ...series.map(({ colour }, index) => `.s${index}{fill:${colour[at]};stroke:${colour[at]}}`),
      `.hollow{fill:${ground}}`,
    ].join("");
  }
  return [
    "text{font:12px system-ui,sans-serif}.title{font-size:15px;font-weight:600}.faint{font-size:11px;opacity:.75}",
    ".range{stroke-width:2}.hollow{stroke-width:2}",
    scheme("#1f2328", "#ffffff", 0),
    `@media(prefers-color-scheme:dark){${scheme("#e6edf3", "#0d1117", 1)}}`,
  ].join("");
}

/** 0.01, 1, 1,000: never in powers. */
function plain(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 3 });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
