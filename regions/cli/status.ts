import { styleText } from "node:util";
import { parseStatus } from "../parse-status.ts";
import { type ModelStatus, type NodeStatus, type PullStatus, type QualityStatus } from "../status.ts";
import { askNode, DEFAULT_URL, printable } from "./ask-node.ts";
import { type Command, type Terminal } from "./command.ts";
import { printFailure } from "./failure.ts";

/** `freshet status`. */
export const status: Command = {
  name: "status",
  summary: "Ask a region node how it is",
  operands: "[URL...]",
  operandsMin: 0,
  operandsMax: 32,
  description: [
    `Asks the HTTP address of a node (default: ${DEFAULT_URL}) for its state: models, freshness, links, workers.`,
    "Sends FRESHET_TOKEN as the bearer token when it is set. Exit code 0 when every node is ready, 1 when one",
    "is not or does not answer; the others are shown all the same.",
  ].join("\n"),
  options: [{ name: "json", about: "Print what the node answered, one JSON object a line" }],
  examples: [
    ["freshet status http://127.0.0.1:8041", "the example node of Frankfurt"],
    ["freshet status --json | jq .lagMs", "its freshness alone"],
  ],
  run: async (args, terminal) => {
    const urls = args.operands.length === 0 ? [DEFAULT_URL] : args.operands;
    const token = terminal.env["FRESHET_TOKEN"];
    const asked = await Promise.allSettled(urls.map((url) => fetchStatus(url, token)));
    let ready = true;
    for (const answer of asked) {
      if (answer.status === "rejected") {
        // The others are shown all the same.
        ready = false;
        printFailure(answer.reason, terminal);
        continue;
      }
      const { node, body } = answer.value;
      ready &&= node.ready;
      terminal.out.write(args.flag("json") ? `${JSON.stringify(body)}\n` : `${describeStatus(node, terminal)}\n`);
    }
    return ready ? 0 : 1;
  },
};

interface Answered {
  readonly node: NodeStatus;
  /** The JSON as it came, with what this version does not know. */
  readonly body: unknown;
}

async function fetchStatus(url: string, token: string | undefined): Promise<Answered> {
  const { origin, body } = await askNode(url, { path: "/status", what: "its status", token });
  const node = parseStatus(body);
  if (node === undefined) {
    throw new Error(`Cannot read the status of ${origin}: what answers there is no region node of this version`);
  }
  return { node, body };
}

/** The status of a node as lines for a terminal. */
function describeStatus(node: NodeStatus, terminal: Pick<Terminal, "out">): string {
  const { out } = terminal;
  const state = node.ready
    ? styleText("green", "ready", { stream: out })
    : styleText("red", "not ready", { stream: out });
  const lag =
    node.lagMs === undefined
      ? "no rows yet"
      : `p50 ${ms(node.lagMs.p50)}, p99 ${ms(node.lagMs.p99)} over ${node.lagMs.count} rows`;
  return [
    `${styleText("bold", node.region, { stream: out })} (node ${node.node}, ${node.role}): ${state}, up ${age(node.upSeconds)}, freshet ${node.version}`,
    ...node.problems.map((problem) => `  ${styleText("red", "problem", { stream: out })}  ${printable(problem)}`),
    `  lag      ${node.role === "training" ? `${lag} (it trains: rows are fresh where they are made)` : lag}`,
    ...(node.training === undefined
      ? []
      : [
          `  trains   ${printable(node.training.region)}${node.training.term === 0 ? "" : `, term ${node.training.term}`}`,
        ]),
    `  events   ${node.events.accepted} accepted, ${node.events.refused} refused`,
    `  nats     ${node.nats.version} at ${node.nats.url}, JetStream ${node.nats.jetstream}`,
    ...table(
      ["model", "rows", "samples", "auc", "log loss", "calibr.", "late", "verdict", "digest"],
      node.models.map(modelRow),
    ),
    ...table(
      ["model", "answers as of epoch", "epochs of its shards"],
      node.models.flatMap(({ model, epochs }) =>
        epochs === undefined ? [] : [[model, String(epochs.answers), epochs.shards.map(epochCell).join(" ")]],
      ),
    ),
    ...table(
      ["quality of", "", "samples", "auc", "log loss", "calibr."],
      node.models.flatMap(({ model, slices = [] }) =>
        slices.map(({ slice, samples, ...figures }) => [
          model,
          printable(slice),
          String(samples),
          ...figuresOf(figures),
        ]),
      ),
    ),
    ...table(
      ["baseline of", "samples", "auc", "log loss", "calibr.", "online: auc", "log loss", "calibr."],
      node.models.flatMap(({ model, baseline }) =>
        baseline === undefined
          ? []
          : [[model, String(baseline.samples), ...figuresOf(baseline), ...figuresOf(baseline.online)]],
      ),
    ),
    ...table(
      ["link", "state", "rtt", "in", "out", "window", "rate", "budget", "pulls"],
      node.links.map((link) => [
        link.peer,
        link.connected ? "connected" : "cut",
        link.rttMs === undefined ? "" : ms(link.rttMs),
        amount(link.bytesIn),
        amount(link.bytesOut),
        ...pullCells(link.pulls),
      ]),
    ),
    ...table(
      ["worker", "state", "restarts", "last failure"],
      node.workers.map((worker) => [
        worker.name,
        worker.state,
        String(worker.restarts),
        printable(worker.lastFailure ?? ""),
      ]),
    ),
    ...table(
      ["leader of", "holder"],
      node.leaders.map((leader) => [`${leader.model}/${leader.shard}`, leader.holder]),
    ),
  ].join("\n");
}

function epochCell(epoch: number): string {
  return epoch < 0 ? "-" : String(epoch);
}

function figuresOf({ auc, logLoss, calibration }: Omit<QualityStatus, "samples">): string[] {
  return [fixed(auc), fixed(logLoss), fixed(calibration)];
}

/** Frames that may be in flight, what came through when they were, the most allowed, and pulls that run and wait. */
function pullCells(pulls: PullStatus | undefined): string[] {
  if (pulls === undefined) return ["", "", "", ""];
  const { windowFrames, bytesPerSecond, budget, running, waiting } = pulls;
  return [
    String(windowFrames),
    bytesPerSecond === undefined ? "" : `${amount(bytesPerSecond)}/s`,
    budget === undefined ? "" : `${amount(budget)}/s`,
    waiting === 0 ? String(running) : `${running}, ${waiting} wait`,
  ];
}

function modelRow(model: ModelStatus): string[] {
  const cause = model.verdictCause === undefined ? "" : ` (${printable(model.verdictCause)})`;
  return [
    model.model,
    String(model.rows),
    String(model.samples),
    fixed(model.auc),
    fixed(model.logLoss),
    fixed(model.calibration),
    model.stepsLate === undefined ? "" : model.stepsLate.toFixed(1),
    `${model.verdict}${cause}`,
    model.digest?.slice(0, 12) ?? "moving",
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  return [
    "",
    ...[head, ...rows].map((row) =>
      `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
    ),
  ];
}

function fixed(value: number | undefined): string {
  return value === undefined ? "" : value.toFixed(4);
}

function ms(value: number): string {
  return value < 1000 ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : `${(value / 1000).toFixed(1)} s`;
}

function age(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function amount(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
