import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { type DemoView, describeInOneLine, describeInTable } from "../regions/demo/demo-view.ts";
import { Screen } from "../regions/demo/screen.ts";

const VIEW: DemoView = {
  phase: "streaming",
  elapsedMs: 61_000,
  progress: 0.25,
  events: 12_345,
  eventsPerSecond: 678.9,
  samples: 9_000,
  samplesPerSecond: 500,
  auc: 0.71234,
  logLoss: undefined,
  waiting: { messages: 1_234, impressions: 56, behindMs: 1_260 },
  regions: [
    {
      region: "frankfurt",
      training: false,
      status: {
        region: "frankfurt",
        ready: true,
        problems: [],
        model: { rows: 1_000, digest: "d", samples: 1, verdict: "uncertain", verdictCause: "too few samples" },
        lagMs: { p50: 12.4, p99: 15_000 },
        linkBytes: { in: 2_048, out: 3 * 2 ** 20 },
        linksDown: [],
        eventsAccepted: 1,
      },
    },
    { region: "oregon", training: true, status: undefined },
  ],
  extra: [],
};

test("a view shows progress, rates, quality and each region's lag, rows, bytes and health, in a table and in a line", () => {
  const table = describeInTable(VIEW, { color: false }).join("\n");
  for (const text of [
    "1:01",
    "25.0 %",
    "12,345",
    "679/s",
    "9,000",
    "500/s",
    "0.7123",
    "log loss -",
    "12 ms",
    "15.0 s",
    "1,000",
    "2.0 KB",
    "3.0 MB",
    "uncertain: too few samples",
    "oregon *",
    "learned 1.3 s behind, 1,234 messages to learn, 56 impressions wait for feedback",
    "no answer",
  ]) {
    expect(table).toContain(text);
  }
  expect(table).not.toContain("\u001B");
  expect(stripVTControlCharacters(describeInTable(VIEW, { color: true }).join("\n"))).toBe(table);
  const line = describeInOneLine(VIEW);
  expect(line).not.toContain("\n");
  expect(line).toContain("frankfurt lag 12 ms/15.0 s 1,000 rows uncertain: too few samples; oregon no answer");
});

test("Screen draws a block in place on a terminal, no line wider than it, with said lines above", () => {
  const written: string[] = [];
  const screen = new Screen({ isTTY: true, columns: 40, write: (text) => written.push(text) }, { color: false });
  screen.show(VIEW);
  const lines = written.join("").split("\n").length - 1;
  screen.say("frankfurt: an error");
  const all = written.join("");
  expect(all.split("\n").every((line) => stripVTControlCharacters(line).length < 40)).toBe(true);
  expect(all).toContain(`\u001B[${lines}A\u001B[0Jfrankfurt: an error\n`);
  screen.end();
  written.length = 0;
  screen.say("below");
  expect(written.join("")).toBe("below\n");
});

test("Screen writes a line every two seconds to what is no terminal", () => {
  const written: string[] = [];
  const screen = new Screen({ write: (text) => written.push(text) }, { color: false });
  for (let elapsedMs = 0; elapsedMs < 6_000; elapsedMs += 500) screen.show({ ...VIEW, elapsedMs });
  expect(written).toHaveLength(3);
  expect(written.every((text) => text.endsWith("\n") && !text.includes("\u001B"))).toBe(true);
});
