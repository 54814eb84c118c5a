import { type RegionStatus } from "./region-status.ts";

/** How a demo stands, for showing. */
export interface DemoView {
  readonly phase: string;
  readonly elapsedMs: number;
  /** 0 to 1, when there is an end to see. */
  readonly progress: number | undefined;
  readonly events: number;
  readonly eventsPerSecond: number;
  readonly samples: number;
  readonly samplesPerSecond: number;
  readonly auc: number | undefined;
  readonly logLoss: number | undefined;
  /** What is not learned yet: messages, impressions that wait for feedback, and how long ago it was sent. */
  readonly waiting: { readonly messages: number; readonly impressions: number; readonly behindMs: number };
  readonly regions: readonly {
    readonly region: string;
    readonly training: boolean;
    readonly status: RegionStatus | undefined;
  }[];
  /** More that the feed measures. */
  readonly extra: readonly string[];
}

/** A few lines: the stream, what is learned, a table of the regions. */
export function describeInTable(view: DemoView, options: { readonly color: boolean }): readonly string[] {
  function paint(code: number, text: string): string {
    return options.color ? `\u001B[${code}m${text}\u001B[0m` : text;
  }
  const head = [
    view.phase,
    formatDuration(view.elapsedMs),
    ...(view.progress === undefined ? [] : [`${bar(view.progress)} ${percent(view.progress)}`]),
  ].join("  ");
  return [
    "",
    paint(1, head),
    `events  ${count(view.events).padStart(12)}  ${count(view.eventsPerSecond).padStart(8)}/s`,
    `samples ${count(view.samples).padStart(12)}  ${count(view.samplesPerSecond).padStart(8)}/s   progressive AUC ${figure(view.auc)}   log loss ${figure(view.logLoss)}`,
    ...view.extra,
    paint(
      2,
      `${"region".padEnd(12)}${"lag p50".padStart(10)}${"lag p99".padStart(10)}${"rows".padStart(11)}${"link in".padStart(11)}${"link out".padStart(11)}  health`,
    ),
    ...view.regions.map(({ region, training, status }) => {
      const cells = [
        (training ? `${region} *` : region).padEnd(12),
        ms(status?.lagMs?.p50).padStart(10),
        ms(status?.lagMs?.p99).padStart(10),
        (status?.model === undefined ? "-" : count(status.model.rows)).padStart(11),
        (status === undefined ? "-" : bytes(status.linkBytes.in)).padStart(11),
        (status === undefined ? "-" : bytes(status.linkBytes.out)).padStart(11),
      ].join("");
      const health = healthOf(status);
      return `${cells}  ${paint(health === "healthy" ? 32 : 33, health)}${training ? `, ${describeWaiting(view)}` : ""}`;
    }),
    paint(2, "* trains"),
  ];
}

/** The same in one line, for logs. */
export function describeInOneLine(view: DemoView): string {
  const regions = view.regions.map(({ region, status }) =>
    [
      region,
      status?.lagMs === undefined ? "" : ` lag ${ms(status.lagMs.p50)}/${ms(status.lagMs.p99)}`,
      status?.model === undefined ? "" : ` ${count(status.model.rows)} rows`,
      ` ${healthOf(status)}`,
    ].join(""),
  );
  return [
    `${view.phase} ${formatDuration(view.elapsedMs)}${view.progress === undefined ? "" : ` ${percent(view.progress)}`}`,
    `${count(view.events)} events ${count(view.eventsPerSecond)}/s`,
    `${count(view.samples)} samples ${count(view.samplesPerSecond)}/s`,
    `AUC ${figure(view.auc)}`,
    `log loss ${figure(view.logLoss)}`,
    describeWaiting(view),
    ...view.extra.map((line) => line.trim()),
    ...regions,
  ].join("; ");
}

/** How far learning is behind the stream. */
function describeWaiting({ waiting: { messages, impressions, behindMs } }: DemoView): string {
  return [
    `learned ${(behindMs / 1_000).toFixed(1)} s behind`,
    ...(messages > 0 ? [`${count(messages)} messages to learn`] : []),
    ...(impressions > 0 ? [`${count(impressions)} impressions wait for feedback`] : []),
  ].join(", ");
}

/** A region's health in a few words. */
function healthOf(status: RegionStatus | undefined): string {
  if (status === undefined) return "no answer";
  if (!status.ready) return `not ready${status.problems[0] === undefined ? "" : `: ${status.problems[0]}`}`;
  if (status.linksDown.length > 0) return `cut off from ${status.linksDown.join(", ")}`;
  const { verdict = "no model", verdictCause } = status.model ?? {};
  return verdict === "healthy" || verdictCause === undefined ? verdict : `${verdict}: ${verdictCause}`;
}

/** Bytes with a unit of 1024. */
export function bytes(amount: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, amount < 1 ? 0 : Math.floor(Math.log2(amount) / 10));
  return `${(amount / 1_024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power] ?? ""}`;
}

export function count(amount: number): string {
  return Math.round(amount).toLocaleString("en-US");
}

export function ms(amount: number | undefined): string {
  if (amount === undefined) return "-";
  return amount < 10
    ? `${amount.toFixed(1)} ms`
    : amount < 10_000
      ? `${Math.round(amount)} ms`
      : `${(amount / 1_000).toFixed(1)} s`;
}

export function figure(amount: number | undefined): string {
  return amount === undefined ? "-" : amount.toFixed(4);
}

function formatDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function percent(share: number): string {
  return `${(100 * Math.min(1, share)).toFixed(1)} %`;
}

function bar(share: number): string {
  const full = Math.round(20 * Math.min(1, Math.max(0, share)));
  return `[${"=".repeat(full)}${" ".repeat(20 - full)}]`;
}
