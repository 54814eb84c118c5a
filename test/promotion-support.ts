/* Feedback while training moves, and whether each event took effect once in the end. */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { Posting } from "./crash-posting.ts";
import { CrashRows } from "./crash-rows.ts";
import { SampleLog } from "./crash-samples.ts";
import { CrashStream } from "./crash-stream.ts";
import { type Deviation, deviationsOf, judge, NO_DEVIATIONS } from "./crash-verdict.ts";
import { rest } from "./crash-driver.ts";
import { MODEL, TRAINERS } from "./crash-world.ts";
import { type Regions } from "./e2e-regions.ts";
import { eventually } from "./e2e-support.ts";
import { type TestNode } from "./test-node.ts";

const ROUND_MS = 250;
const TRAINS_MS = 60_000;

/** Feedback in all regions until stopped; then all that was ever to be sent has been taken by some region. */
export function feed(regions: Regions): {
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

/** Waits until these nodes know that a region trains, and no other is to. */
export async function trains(region: string, nodes: readonly TestNode[]): Promise<void> {
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

/** Waits until a node has learned from more samples than now. */
export async function learnedMore(node: TestNode): Promise<void> {
  const before = (await node.status())?.models[0]?.samples ?? 0;
  await eventually(`${node.region} learns`, async () => {
    const samples = (await node.status())?.models[0]?.samples ?? 0;
    return samples > before ? true : undefined;
  });
}

/**
 * Lets all that is left be learned by the region that trains; every event took effect once, and all nodes are equal. Events behind so many messages as a forced promotion
 * said count twice: rows had learned from them before the copy of the samples had them, as happens on a busy machine.
 */
export async function expectOnce(
  regions: Regions,
  {
    trainer,
    stream,
    posting,
    twice = 0,
  }: {
    readonly trainer: TestNode;
    readonly stream: CrashStream;
    readonly posting: Posting;
    readonly twice?: number;
  },
): Promise<void> {
  const [nc, own] = [await trainer.operator(), await trainer.operator()];
  try {
    const log = await SampleLog.open(nc);
    const rows = new CrashRows(own, { region: trainer.region, model: MODEL, trainers: TRAINERS });
    const lines: string[] = [];
    await rest({ posting, log, stream, rows }, (line) => lines.push(line));
    await regions.converged(regions.all, trainer.region);
    const verdict = await judge(stream.shown, { log, rows });
    const found = deviationsOf(verdict);
    const { doubledClicks, doubledSteps } = found;
    const said = twice === 0 ? {} : { doubledClicks, doubledSteps };
    expect({ ...found, missed: log.missed }, lines.join("\n")).toEqual({ ...NO_DEVIATIONS, ...said, missed: 0 });
    for (const clicks of doubledClicks) expect(clicks.found).toBeLessThanOrEqual(2 * mostOf(clicks));
    for (const steps of doubledSteps) expect(steps.found).toBeLessThanOrEqual(mostOf(steps) + twice);
    expect(verdict.clicks).toBeGreaterThan(20);
    expect(posting.refusal).toBeUndefined();
  } finally {
    await Promise.all([nc.close(), own.close()]);
  }
}

/** Of "2", or of "1 to 2". */
function mostOf({ expected }: Deviation): number {
  return Number(expected.split(" ").at(-1));
}
