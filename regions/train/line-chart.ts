/** One line of a chart: points from left to right. */
export interface ChartLine {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** On a light ground and on a dark one alike. */
  readonly colour: string;
}

export interface LineChart {
  readonly title: string;
  readonly x: string;
  readonly lines: readonly ChartLine[];
  /** Drawn as a vertical line, with its name. */
  readonly mark?: { readonly x: number; readonly name: string };
}

/** What pages with charts look like, on a light ground and on a dark one. */
export const PAGE_STYLE = `
:root{color-scheme:light dark}body{font:15px system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}svg{max-width:100%;height:auto;margin:1rem 0}
svg text{font:12px system-ui,sans-serif;fill:currentColor}svg .title{font-weight:600;font-size:14px}
.grid{stroke:currentColor;opacity:.15}.mark{stroke:currentColor;opacity:.5;stroke-dasharray:4 3}
`;

const WIDTH = 640;
const HEIGHT = 280;
const [LEFT, RIGHT, TOP, BELOW] = [64, 16, 44, 44];

/** Lines over linear axes, as an SVG element to stand in a page. Points that are no numbers are left out. */
export function drawLines({ title, x, lines, mark }: LineChart): string {
  const points = lines.flatMap(({ points: each }) => each.filter(isDrawn));
  if (points.length === 0) return `<p>${escapeHtml(title)}: nothing to draw.</p>`;
  // Points are of what lies before them: a single one stands at the right.
  const [left, right] = bounds(
    points.map(([at]) => at),
    { below: 1, above: 0 },
  );
  const [low, high] = bounds(
    points.map(([, value]) => value),
    { below: 0.5, above: 0.5 },
  );
  function px(at: number): number {
    return round(LEFT + ((at - left) / (right - left)) * (WIDTH - LEFT - RIGHT));
  }
  function py(value: number): number {
    return round(HEIGHT - BELOW - ((value - low) / (high - low)) * (HEIGHT - TOP - BELOW));
  }
  const bottom = HEIGHT - BELOW;
  const parts = [
    `<text class="title" x="${LEFT}" y="18">${escapeHtml(title)}</text>`,
    ...ticks(low, high).map(
      (value) =>
        `<line class="grid" x1="${LEFT}" y1="${py(value)}" x2="${WIDTH - RIGHT}" y2="${py(value)}"/>` +
        `<text x="${LEFT - 8}" y="${py(value) + 4}" text-anchor="end">${Number(value.toPrecision(4))}</text>`,
    ),
    ...ticks(left, right).map(
      (at) => `<text x="${px(at)}" y="${bottom + 18}" text-anchor="middle">${Number(at.toPrecision(4))}</text>`,
    ),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${bottom + 36}" text-anchor="middle">${escapeHtml(x)}</text>`,
    ...(mark === undefined
      ? []
      : [
          `<line class="mark" x1="${px(mark.x)}" y1="${TOP}" x2="${px(mark.x)}" y2="${bottom}"/>`,
          `<text x="${px(mark.x) + 4}" y="${TOP + 10}">${escapeHtml(mark.name)}</text>`,
        ]),
    ...lines.flatMap(({ name, colour, points: each }, index) => [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${each
        .filter(isDrawn)
        .map(([at, value]) => `${px(at)},${py(value)}`)
        .join(" ")}"/>`,
      ...(each.length > 40
        ? []
        : each
            .filter(isDrawn)
            .map(([at, value]) => `<circle cx="${px(at)}" cy="${py(value)}" r="3" fill="${colour}"/>`)),
      `<text x="${LEFT + index * 140}" y="36" fill="${colour}" style="fill:${colour}">${escapeHtml(name)}</text>`,
    ]),
  ];
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${parts.join("")}</svg>`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function isDrawn([at, value]: readonly [number, number]): boolean {
  return Number.isFinite(at) && Number.isFinite(value);
}

/** The least and the largest; where they are one, with so much beside it. */
function bounds(
  values: readonly number[],
  { below, above }: { readonly below: number; readonly above: number },
): readonly [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? [low - below, high + above] : [low, high];
}

/** About five round numbers within a range. */
function ticks(low: number, high: number): number[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= rough) ?? rough;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, at) => (first + at) * step);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
