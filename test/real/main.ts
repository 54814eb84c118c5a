/*
 * npm run verify -- --real: real region nodes under faults. A program of its own, as the laws know no regions.
 */
import { parseArgs } from "node:util";
import { stopSignal } from "../../regions/cli/stop-signal.ts";
import { runReal } from "./run.ts";
import { type RealReport } from "./report.ts";

const LAST_LINES = 40;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    minutes: { type: "string", default: "20" },
    rounds: { type: "string" },
    within: { type: "string", default: "10" },
    json: { type: "boolean", default: false },
  },
});
const seed = number("--seed", values.seed);
const minutes = number("--minutes", values.minutes);
const roundsMax = values.rounds === undefined ? Infinity : number("--rounds", values.rounds);
const withinSeconds = number("--within", values.within);

using stop = stopSignal();
const lines: string[] = [];
const report = await runReal({
  seed,
  forMs: minutes * 60_000,
  roundsMax,
  equalWithinMs: withinSeconds * 1000,
  signal: stop.signal,
  say: (line) => {
    process.stderr.write(`${line}\n`);
    lines.push(line);
    if (lines.length > LAST_LINES) lines.shift();
  },
}).catch((error: unknown) => {
  if (stop.signal.aborted && error === stop.signal.reason) process.exit(130);
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
if (report.violations.length > 0) process.stderr.write(explain(report));
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : summarize(report));
process.exitCode = report.violations.length > 0 ? 1 : report.interrupted ? 130 : 0;

/** All that helps to find out why. */
function explain({ violations, folder = "", rounds }: RealReport): string {
  return [
    "",
    ...violations.map((violation) => `WRONG: ${violation}`),
    "Last events:",
    ...lines,
    `States and logs are in ${folder}`,
    "The same faults again, in times that the machine makes:",
    `  npm run verify -- --real --seed ${seed} --minutes ${minutes} --rounds ${rounds} --within ${withinSeconds}`,
    "",
  ].join("\n");
}

function summarize(of: RealReport): string {
  const { equalMs, effects } = of;
  const faults = Object.entries(of.faults).map(([kind, count]) => `${count} ${kind}`);
  return [
    `${of.rounds} rounds in ${of.seconds} s, seed ${of.seed}${of.interrupted ? ", interrupted" : ""}: ${faults.join(", ")}`,
    `${of.violations.length} violations; ${of.looks} rows looked at, ${of.compared} versions compared, ${of.terms} terms of leases`,
    `${of.promotions.promote} promotions in order and ${of.promotions.force} by force; all nodes knew who trains within ${(of.agreedMsMax / 1000).toFixed(2)} s of being ready`,
    `all six nodes byte-equal after ${of.heals} heals, ${of.rows} rows at the last${equalMs === undefined ? "" : `; median ${(equalMs.median / 1000).toFixed(2)} s, max ${(equalMs.max / 1000).toFixed(2)} s after the stream paused`}`,
    `${of.events} events acknowledged, ${of.resent} posts sent again`,
    ...(effects === undefined
      ? []
      : [
          `${effects.impressions} impressions and ${effects.clicks} clicks (${effects.clicksApplied} counted by the rows), ${effects.samples} samples${effects.samplesMissed > 0 ? `; ${effects.samplesMissed} messages of samples were purged unread, so samples are not judged` : ""}`,
        ]),
    "",
  ].join("\n");
}

function number(option: string, text: string): number {
  if (/^[0-9]{1,9}(?:\.[0-9]{1,3})?$/.test(text)) return Number(text);
  process.stderr.write(`Cannot use ${JSON.stringify(text)} for ${option}: give a number\n`);
  process.exit(2);
}
