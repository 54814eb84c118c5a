import { parseStatus } from "../parse-status.ts";
import { type NodeStatus } from "../status.ts";

/** What the demo looks at in a node's status. */
export type RegionStatus = Pick<NodeStatus, "region" | "ready" | "problems"> & {
  readonly model:
    | {
        readonly rows: number;
        readonly digest?: string | undefined;
        readonly samples: number;
        readonly verdict: string;
        readonly verdictCause?: string | undefined;
        readonly auc?: number | undefined;
        readonly logLoss?: number | undefined;
        /** Messages not learned from yet and impressions that wait for feedback, where the region trains. */
        readonly backlog?: number | undefined;
        readonly pending?: number | undefined;
      }
    | undefined;
  readonly lagMs: { readonly p50: number; readonly p99: number } | undefined;
  readonly linkBytes: { readonly in: number; readonly out: number };
  readonly linksDown: readonly string[];
  readonly eventsAccepted: number;
};

/** Asks a region for its status; undefined when it does not answer in time or not with one. */
export async function readRegionStatus(url: string, signal: AbortSignal): Promise<RegionStatus | undefined> {
  let body: unknown;
  try {
    const response = await fetch(`${url}/status`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(STATUS_MS_MAX)]),
    });
    body = await response.json();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined; // gone, stopping or too busy: the caller shows that
  }
  const status = parseStatus(body);
  if (status === undefined) return undefined;
  const { region, ready, problems, models, lagMs, links, events } = status;
  return {
    region,
    ready,
    problems,
    model: models[0],
    lagMs: lagMs === undefined ? undefined : { p50: lagMs.p50, p99: lagMs.p99 },
    linkBytes: {
      in: links.reduce((sum, link) => sum + link.bytesIn, 0),
      out: links.reduce((sum, link) => sum + link.bytesOut, 0),
    },
    linksDown: links.filter((link) => !link.connected).map((link) => link.peer),
    eventsAccepted: events.accepted,
  };
}

/** How many rows a region took over from its peers since it started; undefined when it does not tell. */
export async function readRowsApplied(url: string, signal: AbortSignal): Promise<number | undefined> {
  try {
    const response = await fetch(`${url}/metrics`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(STATUS_MS_MAX)]),
    });
    const text = await response.text();
    const counts = text
      .matchAll(/^freshet_rows_applied_total\{[^\n}]*origin="(?:peer|urgent)"[^\n}]*\} (\d+)/gm)
      .map(([, count]) => Number(count))
      .toArray();
    return response.ok ? counts.reduce((sum, count) => sum + count, 0) : undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined; // gone, stopping or too busy
  }
}

const STATUS_MS_MAX = 2_000;
