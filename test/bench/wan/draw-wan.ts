import { drawRanges } from "../range-chart.ts";
import { STEPS } from "./ablation.ts";

/** Latencies of one way to distribute, milliseconds. */
export interface Drawn {
  readonly label: string;
  readonly regions: number;
  readonly p50: number;
  readonly p99: number;
}

/** What Ekko's paper gives, seconds. */
const EKKO: Readonly<Record<string, number>> = {
  ...Object.fromEntries(STEPS.map(({ name, ekkoSeconds }) => [name, ekkoSeconds])),
  "two-phase push of each update": 18.8,
  "full broadcast": 29 * 60,
};
/** For few regions, some and many. */
const MARKS = [
  { shape: "circle", colour: ["#6e7781", "#8b949e"] },
  { shape: "square", colour: ["#0969da", "#58a6ff"] },
  { shape: "triangle", colour: ["#cf222e", "#ff7b72"] },
] as const;

/** The chart of the bench: a row for each way, a mark for each number of regions. */
export function drawWan(drawn: readonly Drawn[]): string {
  const sizes = [...new Set(drawn.map(({ regions }) => regions))].slice(0, MARKS.length);
  const labels = [...new Set(drawn.map(({ label }) => label))];
  return drawRanges({
    title: "Until an update is visible on every replica",
    axis: "seconds, logarithmic: p50, with a line to p99",
    note: "Simulated: 3 replicas a region, 4.8 Gbps within, 256 Mbps between regions, one link 128 Mbps; CPU as measured, on one core.",
    series: [
      ...sizes.flatMap((regions, at) => {
        const mark = MARKS[at];
        return mark === undefined ? [] : [{ name: `${regions} region${regions === 1 ? "" : "s"}`, ...mark }];
      }),
      { name: "Ekko's paper, 10 regions", shape: "diamond", colour: ["#1f2328", "#e6edf3"], hollow: true },
    ],
    rows: labels.map((label) => {
      const ekko = EKKO[label];
      return {
        label,
        marks: [
          ...drawn
            .filter((one) => one.label === label)
            .map(({ regions, p50, p99 }) => ({
              series: sizes.indexOf(regions),
              value: p50 / 1_000,
              upTo: p99 / 1_000,
            })),
          ...(ekko === undefined ? [] : [{ series: sizes.length, value: ekko }]),
        ],
      };
    }),
  });
}
