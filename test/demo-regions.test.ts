import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readConfig } from "../regions/read-config.ts";
import { openData } from "../regions/data/open-data.ts";
import { DEMO_REGIONS, DEMO_TRAINING_REGION, type DemoRegion, writeDemoConfigs } from "../regions/demo/demo-regions.ts";
import { type DemoOutcome, describeConvergence, summarizeRegion } from "../regions/demo/demo-summary.ts";
import { DemoWatch } from "../regions/demo/demo-watch.ts";
import { readFeedPosition, writeFeedPosition } from "../regions/demo/feed-position.ts";
import { replayFeed } from "../regions/demo/feed.ts";
import { marketPlan } from "../regions/demo/market-feed.ts";
import { RegionFailed, RegionProcess } from "../regions/demo/region-process.ts";
import { type NodeStatus } from "../regions/status.ts";
import { servedStatus } from "./demo-status.ts";
import { startDemoServer } from "./demo-server.ts";

const never = new AbortController().signal;

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-demo-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("writeDemoConfigs() writes three configs that are good and fit together, and keeps passwords for a second start", async () => {
  const data = await openData(join(import.meta.dirname, "fixtures", "data", "movielens"));
  for (const plan of [marketPlan(1), replayFeed(data, { seed: 1, from: 0 })]) {
    await using folder = await temporaryFolder();
    const options = { plan, natsServer: "/usr/bin/nats-server", portBase: undefined };
    const regions = await writeDemoConfigs(folder.path, options);
    const configs = await Promise.all(regions.map(({ configFile }) => readConfig(configFile)));
    expect(configs.map(({ region }) => region)).toEqual([...DEMO_REGIONS]);
    expect(new Set(configs.map(({ training }) => training))).toEqual(new Set([DEMO_TRAINING_REGION]));
    for (const config of configs) {
      expect(config.models).toEqual([
        {
          ...plan.model,
          urgentPercentile: 99,
          tables: plan.model.tables.map((table) => ({ precision: "f32", ...table })),
        },
      ]);
      for (const peer of config.peers) {
        const other = configs.find(({ region }) => region === peer.region);
        expect(other?.grants.find(({ region }) => region === config.region)?.password).toEqual(peer.password);
        expect(other?.nats.kind === "own" && `nats://127.0.0.1:${other.nats.listen.port}`).toBe(peer.url);
      }
    }
    const ports = configs.flatMap(({ nats, http }) => [
      nats.kind === "own" && nats.listen.port,
      http !== false && http.listen.port,
    ]);
    expect(new Set(ports).size).toBe(6);

    const secrets = await readdir(join(folder.path, "secrets"));
    function read(): Promise<string[]> {
      return Promise.all(secrets.map((name) => readFile(join(folder.path, "secrets", name), "utf8")));
    }
    const before = await read();
    expect(new Set(before).size).toBe(6);
    if (process.platform !== "win32") {
      for (const name of secrets) expect((await stat(join(folder.path, "secrets", name))).mode & 0o777).toBe(0o600);
    }
    await writeDemoConfigs(folder.path, { ...options, portBase: 20_000 });
    expect(await read()).toEqual(before);
    expect((await readConfig(join(folder.path, "oregon.jsonc"))).http).toMatchObject({ listen: { port: 20_003 } });
  }
});

test("a feed's position is read back for the same data and seed only, and a damaged one is a beginning", async () => {
  await using folder = await temporaryFolder();
  const beginning = { data: "d", seed: 1, requests: 0, startedMs: 5 };
  expect(await readFeedPosition(folder.path, beginning)).toEqual(beginning);
  await writeFeedPosition(folder.path, { ...beginning, requests: 70, startedMs: 3 });
  expect(await readFeedPosition(folder.path, beginning)).toMatchObject({ requests: 70, startedMs: 3 });
  expect(await readFeedPosition(folder.path, { ...beginning, seed: 2 })).toMatchObject({ requests: 0 });
  await writeFile(join(folder.path, "feed.json"), '{"data":');
  expect(await readFeedPosition(folder.path, beginning)).toEqual(beginning);
});

// Stands where the command line does: says something, then does what its config file holds.
const SCRIPT = `
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
const [, , , file] = process.argv;
const { port, crash, stubborn } = JSON.parse(readFileSync(file, "utf8"));
console.log("starting");
console.error("12:00:00 ERROR the disk is on fire");
if (crash) throw new Error("nothing works");
createServer((_, response) => response.end()).listen(port, "127.0.0.1");
process.on("SIGINT", () => { console.log("asked to stop"); if (!stubborn) process.exit(0); });
`;

async function prepare(
  folder: string,
  config: { readonly crash?: boolean; readonly stubborn?: boolean },
): Promise<{ readonly region: DemoRegion; readonly cli: string }> {
  const free = await startDemoServer(() => ({ status: 200 }));
  await free[Symbol.asyncDispose]();
  const cli = join(folder, "cli.mjs");
  const region = {
    region: "oregon",
    configFile: join(folder, "oregon.json"),
    logFile: join(folder, "oregon.log"),
    url: free.url,
  };
  await writeFile(cli, SCRIPT);
  await writeFile(region.configFile, JSON.stringify({ ...config, port: Number(new URL(free.url).port) }));
  return { region, cli };
}

test("RegionProcess starts, is ready, logs to its file, shows error lines and stops in order", async () => {
  await using folder = await temporaryFolder();
  const { region, cli } = await prepare(folder.path, {});
  const said: string[] = [];
  await using running = new RegionProcess(region, { cli, say: (line) => said.push(line) });
  await running.ready({ signal: never, deadlineMs: 20_000 });
  expect(await running.stop({ deadlineMs: 20_000 })).toEqual({ code: 0, signal: undefined });
  expect(running.failure).toBeUndefined();
  expect(said).toEqual(["oregon: 12:00:00 ERROR the disk is on fire"]);
  const log = await readFile(region.logFile, "utf8");
  for (const line of ["starting", "the disk is on fire", "asked to stop"]) expect(log).toContain(line);
});

test.skipIf(process.platform === "win32")("RegionProcess kills a process that does not stop in time", async () => {
  await using folder = await temporaryFolder();
  const { region, cli } = await prepare(folder.path, { stubborn: true });
  await using running = new RegionProcess(region, { cli, say: () => undefined });
  await running.ready({ signal: never, deadlineMs: 20_000 });
  expect(await running.stop({ deadlineMs: 50 })).toEqual({ code: undefined, signal: "SIGKILL" });
});

test("RegionProcess that is stopped before it is ready stops waiting for that", async () => {
  await using folder = await temporaryFolder();
  const { region, cli } = await prepare(folder.path, {});
  // Nobody listens there.
  const elsewhere = { ...region, url: "http://127.0.0.1:1" };
  await using running = new RegionProcess(elsewhere, { cli, say: () => undefined });
  const waiting = running.ready({ signal: never, deadlineMs: 600_000 });
  await Promise.all([expect(waiting).rejects.toBeInstanceOf(RegionFailed), running.stop({ deadlineMs: 20_000 })]);
});

test("RegionProcess that ends by itself is a failure with its last lines", async () => {
  await using folder = await temporaryFolder();
  const { region, cli } = await prepare(folder.path, { crash: true });
  await using running = new RegionProcess(region, { cli, say: () => undefined });
  const failure: unknown = await running.ready({ signal: never, deadlineMs: 20_000 }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(RegionFailed);
  expect(String(failure)).toMatch(/region oregon.*exit code 1[\s\S]*nothing works/);
});

test("DemoWatch waits until samples stand still and all digests are equal, and gives how long the last took", async () => {
  await using stack = new AsyncDisposableStack();
  const looks = { oregon: 0, others: 0 };
  function status(region: string): NodeStatus {
    // All begin alike. Then the training region learns for three looks; the others hold its rows two looks later.
    const age = region === DEMO_TRAINING_REGION ? ++looks.oregon : (looks.others += 0.5);
    const step = region === DEMO_TRAINING_REGION ? Math.min(age - 1, 3) : Math.min(Math.max(0, Math.ceil(age) - 3), 3);
    return servedStatus(region, {
      model: { rows: step, digest: `d${step}`, samples: step * 10, auc: 0.75 },
      lagMs: { p50: 1, p99: 2, count: 3 },
      links: [
        { peer: "x", connected: true, bytesIn: 5, bytesOut: 7 },
        { peer: "y", connected: false, bytesIn: 50, bytesOut: 70 },
      ],
    });
  }
  const regions: DemoRegion[] = [];
  for (const region of DEMO_REGIONS) {
    const server = stack.use(await startDemoServer(() => ({ status: 200, body: status(region) })));
    regions.push({ region, configFile: "", logFile: "", url: server.url });
  }
  const watch = new DemoWatch(regions);
  const sinceMs = performance.now();
  const convergedMs = await watch.converged({
    sinceMs,
    sent: { events: 1, messages: 1 },
    signal: never,
    show: () => undefined,
  });
  expect(convergedMs).toBeGreaterThan(0);
  expect(convergedMs).toBeLessThan(performance.now() - sinceMs);
  expect(looks.oregon).toBeGreaterThan(5);
  expect(watch.model).toMatchObject({ samples: 30, auc: 0.75 });
  expect(summarizeRegion("frankfurt", watch.statuses[0])).toEqual({
    region: "frankfurt",
    rows: 3,
    lagMs: { p50: 1, p99: 2 },
    linkBytes: { in: 55, out: 77 },
    digest: "d3",
  });
});

test("DemoWatch gives up at its signal when a region does not come along", async () => {
  await using one = await startDemoServer(() => ({ status: 503 }));
  const region = { region: "oregon", configFile: "", logFile: "", url: one.url };
  const stop = new AbortController();
  let looks = 0;
  const watch = new DemoWatch([region, region]);
  function show(): void {
    if (++looks === 3) stop.abort();
  }
  expect(
    await watch.converged({ sinceMs: performance.now(), sent: { events: 0, messages: 0 }, signal: stop.signal, show }),
  ).toBeUndefined();
});

test("describeConvergence() tells a demo that was stopped from one that waited in vain, and what was in the way", () => {
  const summary = { events: 9, samples: 5, progressiveAuc: null, regions: [summarizeRegion("oregon", undefined)] };
  const outcome: DemoOutcome = {
    summary: { ...summary, converged: false, convergedMs: null },
    logLoss: undefined,
    stopped: true,
    unlearned: { messages: 2, impressions: 3 },
    streamMs: 1,
    trainedMs: 1,
    rowsApplied: [0],
    measures: {},
  };
  expect(describeConvergence(outcome)).toBe("stopped before the regions agreed: 2 messages were not learned from yet");
  expect(describeConvergence({ ...outcome, unlearned: { messages: 0, impressions: 3 } })).toBe(
    "stopped before the regions agreed: 3 impressions still waited for feedback",
  );
  expect(describeConvergence({ ...outcome, stopped: false, unlearned: { messages: 0, impressions: 0 } })).toBe(
    "not converged: oregon gave no digest: no answer, or rows that still change",
  );
  const converged = { ...outcome, stopped: false, summary: { ...summary, converged: true, convergedMs: 1_200 } };
  expect(describeConvergence(converged)).toMatch(/^converged: .*, 1200 ms after the stream's end$/);
});
