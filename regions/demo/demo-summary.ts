import { bytes, count, figure, ms } from "./demo-view.ts";
import { type RegionStatus } from "./region-status.ts";

/** What a demo ends with: the object of `--json`. Figures that there are none of are null. */
export interface DemoSummary {
  readonly events: number;
  readonly samples: number;
  readonly progressiveAuc: number | null;
  readonly regions: readonly RegionSummary[];
  /** Whether, after the stream stopped, all regions came to hold the same rows. */
  readonly converged: boolean;
  /** How long that took after the last event was acknowledged. */
  readonly convergedMs: number | null;
}

export interface RegionSummary {
  readonly region: string;
  readonly rows: number;
  /** Freshness lag; null in the region that trains, where rows are made. */
  readonly lagMs: { readonly p50: number | null; readonly p99: number | null };
  readonly linkBytes: { readonly in: number; readonly out: number };
  /** Null where it did not answer, or its rows changed all the time. */
  readonly digest: string | null;
}

/** How a demo went, with what only benches and people look at. */
export interface DemoOutcome {
  readonly summary: DemoSummary;
  readonly logLoss: number | undefined;
  /** Whether it was told to end before the regions agreed, so that nothing waited for them. */
  readonly stopped: boolean;
  /** Messages not learned from at the end, and impressions whose feedback may still have come. */
  readonly unlearned: { readonly messages: number; readonly impressions: number };
  /** From the first event sent to the last one acknowledged. */
  readonly streamMs: number;
  /** From the first event sent until no more samples came. */
  readonly trainedMs: number;
  /** Rows that each region took over from its peers, in the summary's order; a row that changed often counts often. */
  readonly rowsApplied: readonly (number | undefined)[];
  /** What the feed measured itself, by name. */
  readonly measures: Readonly<Record<string, number>>;
}

/** A region's part of the summary. */
export function summarizeRegion(region: string, status: RegionStatus | undefined): RegionSummary {
  return {
    region,
    rows: status?.model?.rows ?? 0,
    lagMs: { p50: status?.lagMs?.p50 ?? null, p99: status?.lagMs?.p99 ?? null },
    linkBytes: status?.linkBytes ?? { in: 0, out: 0 },
    digest: status?.model?.digest ?? null,
  };
}

/** Whether all regions answered and hold the same rows. */
export function isConverged(statuses: readonly (RegionStatus | undefined)[]): boolean {
  const digest = statuses[0]?.model?.digest;
  return digest !== undefined && statuses.every((status) => status?.model?.digest === digest);
}

/** The outcome for people. */
export function describeOutcome(outcome: DemoOutcome): readonly string[] {
  const { summary, logLoss, streamMs, trainedMs } = outcome;
  function perSecond(amount: number, milliseconds: number): string {
    return count(milliseconds > 0 ? (1_000 * amount) / milliseconds : 0);
  }
  return [
    `${count(summary.events)} events in ${(streamMs / 1_000).toFixed(1)} s (${perSecond(summary.events, streamMs)}/s), ${count(summary.samples)} samples learned (${perSecond(summary.samples, trainedMs)}/s)`,
    `progressive AUC ${figure(summary.progressiveAuc ?? undefined)}, log loss ${figure(logLoss)}`,
    ...summary.regions.map(
      ({ region, rows, lagMs, linkBytes, digest }) =>
        `${region.padEnd(12)} ${count(rows)} rows, lag ${ms(lagMs.p50 ?? undefined)} (p50) ${ms(lagMs.p99 ?? undefined)} (p99), links ${bytes(linkBytes.in)} in, ${bytes(linkBytes.out)} out, digest ${digest ?? "-"}`,
    ),
    describeConvergence(outcome),
  ];
}

/** Whether the regions came to agree, and if not, what is in the way. */
export function describeConvergence(outcome: DemoOutcome): string {
  const { summary, stopped } = outcome;
  if (summary.converged) {
    const after = summary.convergedMs === null ? "" : `, ${ms(summary.convergedMs)} after the stream's end`;
    return `converged: all is learned and all regions hold the same rows${after}`;
  }
  return `${stopped ? "stopped before the regions agreed" : "not converged"}: ${whatIsMissing(outcome)}`;
}

function whatIsMissing({ summary, unlearned: { messages, impressions } }: DemoOutcome): string {
  if (messages > 0) return `${count(messages)} messages were not learned from yet`;
  if (impressions > 0) return `${count(impressions)} impressions still waited for feedback`;
  const silent = summary.regions.filter(({ digest }) => digest === null).map(({ region }) => region);
  return silent.length > 0
    ? `${silent.join(", ")} gave no digest: no answer, or rows that still change`
    : "all is learned, but the regions' rows differ";
}
