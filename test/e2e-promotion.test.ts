import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Posting } from "./crash-posting.ts";
import { CrashRows } from "./crash-rows.ts";
import { SampleLog } from "./crash-samples.ts";
import { CrashStream } from "./crash-stream.ts";
import { judge } from "./crash-verdict.ts";
import { rest } from "./crash-driver.ts";
import { learning, MODEL, TRAINERS } from "./crash-world.ts";
import { type Regions, startRegions } from "./e2e-regions.ts";
import { eventually, type TestNode } from "./e2e-support.ts";
import { freshet } from "./run-freshet.ts";

const ROUND_MS = 250;
const TRAINS_MS = 60_000;

/** Feedback in all regions until stopped; then all that was ever to be sent has been taken by some region. */
function feed(regions: Regions): {
  readonly stream: CrashStream;
  readonly posting: Posting;
  readonly stop: () => Promise<void>;
} {
  const urls = new Map(regions.all.map(({ region, url }) => [region, url]));
  const posting = new Posting(urls);
  const stream = new CrashStream({ seed: 11, regions: [...urls.keys()] });
  let isOn = true;
  async function run(): Promise<void> {
    for (; isOn; await delay(ROUND_MS)) {
      for (const post of stream.round(Date.now())) posting.send(post);
      for (const post of stream.due(Date.now(), { all: false })) posting.send(post);
    }
    for (const post of stream.due(Date.now(), { all: true })) posting.send(post);
  }
  const running = run();
  return {
    stream,
    posting,
    async stop() {
      isOn = false;
      await running;
    },
  };
}

async function trains(region: string, nodes: readonly TestNode[]): Promise<void> {
  for (const node of nodes) {
    await eventually(
      `${node.region} knows that ${region} trains`,
      async () => {
        const known = await node.training();
        return known?.training === region && known.next === undefined ? true : undefined;
      },
      TRAINS_MS,
    ).catch(async (error: unknown) => {
      const lines = nodes.flatMap((each) => each.lines.slice(-12));
      throw new Error(`${String(error)}\n${lines.join("\n")}`, { cause: error });
    });
  }
}

async function learnedMore(node: TestNode): Promise<void> {
  const before = (await node.status())?.models[0]?.samples ?? 0;
  await eventually(`${node.region} learns`, async () => {
    const samples = (await node.status())?.models[0]?.samples ?? 0;
    return samples > before ? true : undefined;
  });
}

test("training moves there and back while feedback comes, and every event takes effect once", async () => {
  await using regions = await startRegions({
    nodes: { oregon: ["a"], frankfurt: ["a"], singapore: ["a"] },
    training: "oregon",
    servers: "own",
    config: { ...learning(), standby: ["frankfurt"] },
  });
  const [oregon, frankfurt, singapore] = [regions.node("oregon"), regions.node("frankfurt"), regions.node("singapore")];
  const { stream, posting, stop } = feed(regions);
  await using _ = posting;
  try {
    await learnedMore(oregon);
    const refused = await freshet(["promote", "singapore", oregon.url]);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toContain("Training stays where it is: singapore holds no optimizer state");
    const elsewhere = await freshet(["promote", "frankfurt", singapore.url]);
    expect(elsewhere.err).toContain("it is decided in oregon, the region that trains; ask a node there");

    const moved = await freshet(["promote", "frankfurt", oregon.url]);
    expect(moved).toMatchObject({ code: 0, err: "" });
    expect(moved.out).toMatch(/frankfurt trains, term 1\n$/);
    await trains("frankfurt", regions.all);
    await learnedMore(frankfurt);
    expect((await oregon.status())?.models[0]?.backlog).toBeUndefined();

    // Back again, while the region that takes over is killed with its server, and then the one that hands over.
    const decided = await fetch(`${frankfurt.url}/v1/promote`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ region: "oregon" }),
    });
    expect([decided.status, await decided.json()]).toMatchObject([
      200,
      { training: "frankfurt", term: 2, next: "oregon" },
    ]);
    for (const node of [oregon, frankfurt]) {
      await node.kill();
      await node.start();
    }
    await trains("oregon", regions.all);
    await learnedMore(oregon);
  } finally {
    await stop();
  }
  const [nc, own] = [await oregon.operator(), await oregon.operator()];
  try {
    const log = await SampleLog.open(nc);
    const rows = new CrashRows(own, { region: "oregon", model: MODEL, trainers: TRAINERS });
    const lines: string[] = [];
    await rest({ posting, log, stream, rows }, (line) => lines.push(line));
    await regions.converged(regions.all);
    const verdict = await judge(stream.shown, { log, rows });
    const { lostClicks, doubledClicks, lostSamples, doubledSamples, lostSteps, doubledSteps } = verdict;
    expect(
      { lostClicks, doubledClicks, lostSamples, doubledSamples, lostSteps, doubledSteps, missed: log.missed },
      lines.join("\n"),
    ).toEqual({
      lostClicks: [],
      doubledClicks: [],
      lostSamples: [],
      doubledSamples: [],
      lostSteps: [],
      doubledSteps: [],
      missed: 0,
    });
    expect(verdict.clicks).toBeGreaterThan(20);
    expect(posting.refusal).toBeUndefined();
  } finally {
    await Promise.all([nc.close(), own.close()]);
  }
}, 300_000);
