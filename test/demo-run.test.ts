import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openData } from "../regions/data/open-data.ts";
import { Replay } from "../regions/data/replay.ts";
import { demonstrate, type DemoOptions } from "../regions/demo/demo.ts";
import { RegionFailed } from "../regions/demo/region-process.ts";

/*
 * The demo's own part, with small stand-ins for the region nodes: three real processes that it starts, feeds, watches and stops.
 */

const FIXTURES = join(import.meta.dirname, "fixtures");
const GLOBO = join(FIXTURES, "data", "globo");
const REGIONS = ["frankfurt", "oregon", "singapore"];
const quiet = { write: () => true };

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-demo-run-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function options(more: Partial<DemoOptions>): DemoOptions {
  return {
    json: true,
    cli: fileURLToPath(new URL("./fixtures/demo-node.ts", import.meta.url)),
    signal: new AbortController().signal,
    ...more,
  };
}

async function takenBy(folder: string): Promise<string[]> {
  const logs = await Promise.all(REGIONS.map((region) => readFile(join(folder, `${region}.log`), "utf8")));
  return logs.flatMap((log) => log.split("\n").filter((line) => line.startsWith("took ")));
}

test("demonstrate() replays a data set through three processes to its end, and a second run goes on there", async () => {
  await using folder = await temporaryFolder();
  const data = await openData(GLOBO);
  const replay = new Replay({ seed: 1, popularityMs: data.popularityMs, featuresOf: data.featuresOf });
  const expected: string[] = [];
  for await (const clicks of data.clicks()) {
    for (const { event } of clicks.flatMap((click) => replay.push(click))) {
      expected.push(`took ${event.type} ${event.request} ${event.item}`);
    }
  }
  for (const { event } of replay.end()) expected.push(`took ${event.type} ${event.request} ${event.item}`);

  const outcome = await demonstrate(options({ data: GLOBO, state: folder.path }), quiet);
  expect((await takenBy(folder.path)).toSorted()).toEqual(expected.toSorted());
  expect(outcome?.summary).toMatchObject({ events: expected.length, progressiveAuc: 0.6, converged: true });
  expect(outcome?.summary.convergedMs).toBeGreaterThanOrEqual(0);
  expect(outcome?.summary.regions).toEqual(
    REGIONS.map((region) => ({
      region,
      rows: 5,
      lagMs: region === "oregon" ? { p50: null, p99: null } : { p50: 3, p99: 9 },
      linkBytes: { in: 10, out: 20 },
      digest: "same",
    })),
  );
  expect(JSON.parse(await readFile(join(folder.path, "feed.json"), "utf8"))).toMatchObject({
    requests: replay.requests,
  });

  const again = await demonstrate(options({ data: GLOBO, state: folder.path }), quiet);
  expect(again?.summary.events).toBeLessThan(20);
});

test("demonstrate() ends at its signal with what was learned until then", async () => {
  const stop = new AbortController();
  const written: string[] = [];
  const output = {
    write: (text: string) => {
      written.push(text);
      if (/ [1-9][\d,]* samples/.test(text)) stop.abort();
    },
  };
  const outcome = await demonstrate(options({ signal: stop.signal }), output);
  expect(outcome?.summary.events).toBeGreaterThan(0);
  expect(outcome?.summary.regions.map(({ digest }) => digest)).toEqual(["same", "same", "same"]);
  expect(written.join("")).toContain("Streaming a simulated market");
});

test("demonstrate() fails with the last lines of a region that dies, and ends the others", async () => {
  await using folder = await temporaryFolder();
  process.env["DEMO_NODE_DIES_AFTER"] = "100";
  try {
    const written: string[] = [];
    const output = { write: (text: string) => written.push(text) };
    const failure: unknown = await demonstrate(options({ data: GLOBO, state: folder.path }), output).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(RegionFailed);
    expect(String(failure)).toMatch(/exit code 7[\s\S]*out of luck/);
    expect(written.join("")).toMatch(/(?:frankfurt|oregon|singapore): 12:00:00 ERROR out of luck/);
    expect(await readdir(folder.path)).toContain("oregon.log");
  } finally {
    delete process.env["DEMO_NODE_DIES_AFTER"];
  }
});

test("demonstrate() starts nothing for a folder that holds no data", async () => {
  const written: string[] = [];
  const output = { write: (text: string) => written.push(text) };
  await expect(demonstrate(options({ data: join(FIXTURES, "nowhere") }), output)).rejects.toThrow(
    "there is no such folder",
  );
  expect(written).toEqual([]);
});
