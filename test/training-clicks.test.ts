import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { plain } from "../protocols/compute/plain.ts";
import { type Impression } from "../protocols/feedback.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { openData } from "../regions/data/open-data.ts";
import { Replay } from "../regions/data/replay.ts";
import { type ClickSample, clickSamples } from "../regions/train/click-samples.ts";
import { countClicks } from "../regions/train/load-clicks.ts";
import { openStreamCheckpoints, type StreamCheckpoints } from "../regions/train/stream-checkpoint.ts";
import { qualityOf } from "../regions/train/stream-report.ts";
import { runStream, type StreamRun } from "../regions/train/stream-run.ts";
import { expectSoundMarkup } from "./balanced-markup.ts";
import { freshet, type Ran } from "./run-freshet.ts";
import { madeData } from "./training-support.ts";

/*
 * `freshet train` on clicks: one pass in time order, each sample predicted before it is learned from.
 */

const DATA = join(import.meta.dirname, "fixtures", "data");
const GLOBO = join(DATA, "globo");
const SEED = 1;

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-clicks-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const model: ModelDeclaration = {
  name: "news",
  shards: 2,
  architecture: { kind: "deepfm", embedding: 3, deep: [4] },
  tables: [
    { name: "users", key: "user", admit: { kind: "count", count: 2, bytes: 1024 } },
    { name: "items", key: "item" },
    { name: "regions", key: "region", unknown: "zero" },
  ],
  dense: ["popularity"],
  slices: ["device"],
  optimizer: { kind: "adagrad", learningRate: 0.1 },
  denseOptimizer: { kind: "adam", learningRate: 0.01 },
};

async function samplesOf(folder: string, batch: number): Promise<readonly (readonly ClickSample[])[]> {
  const options = { seed: SEED, batch, counts: { clicks: 0, unknown: 0 } };
  return Array.fromAsync(clickSamples(await openData(folder), options));
}

interface Learning {
  readonly batch: number;
  readonly of?: ModelDeclaration;
  readonly checkpoints?: StreamCheckpoints;
  readonly saveMs?: number;
  readonly batches?: AsyncIterable<readonly ClickSample[]>;
}

/** Learns the fixture's clicks, by default from the first to the last. */
async function learned({ batch, of = model, checkpoints, saveMs = Infinity, batches }: Learning): Promise<StreamRun> {
  const { signal } = new AbortController();
  const counted = await countClicks(GLOBO, { model: of, seed: SEED, batch, signal, onProgress: () => undefined });
  if (counted === undefined) throw new Error("was not stopped");
  return runStream({
    layout: modelLayout(of),
    book: counted.book,
    batches: batches ?? clickSamples(await openData(GLOBO), { seed: SEED, batch, counts: { clicks: 0, unknown: 0 } }),
    batchMax: batch,
    backend: plain,
    startMs: counted.firstMs,
    windowMs: 1_800_000,
    checkpoints,
    saveMs,
    signal,
    onResume: () => undefined,
    onReread: () => undefined,
    onProgress: () => undefined,
    onWindow: () => undefined,
    onRefused: () => undefined,
  });
}

test.each(["globo", "movielens"])(
  "clickSamples() gives each impression of a replay of %s once, with its click's label, when that comes",
  async (folder) => {
    const path = join(DATA, folder);
    const data = await openData(path);
    const replay = new Replay({ seed: SEED, popularityMs: data.popularityMs, featuresOf: data.featuresOf });
    const expected: unknown[] = [];
    let open: Impression[] = [];
    function take(events: ReturnType<Replay["push"]>): void {
      for (const { event } of events) {
        if (event.type === "impression") open.push(event);
        else {
          const { request, item: clicked, time: timeMs } = event;
          for (const { user, item, features, dense } of open.filter((shown) => shown.request === request)) {
            expected.push({ request, user, item, features, dense, label: item === clicked ? 1 : 0, weight: 1, timeMs });
          }
          open = open.filter((shown) => shown.request !== request);
        }
      }
    }
    for await (const clicks of data.clicks()) for (const click of clicks) take(replay.push(click));
    take(replay.end());
    expect(open).toEqual([]);
    expect(expected.length).toBeGreaterThan(300);
    for (const batch of [7, 64, 10_000]) {
      const batches = await samplesOf(path, batch);
      expect(batches.flat()).toEqual(expected);
      expect(batches.slice(0, -1).every(({ length }) => length === batch)).toBe(true);
    }
  },
);

test("a pass over clicks predicts each sample before it is learned from, and knows who is new", async () => {
  // Keys that get no row later: what a sample is predicted by changes with learning alone.
  const every = { ...model, tables: model.tables.map(({ name, key }) => ({ name, key })) };
  const still = { kind: "adagrad", learningRate: 0 } as const;
  const untrained = { ...every, optimizer: still, denseOptimizer: still };
  const samples = (await samplesOf(GLOBO, 1_000)).flat();
  // Where all are of one batch, nothing was learned before any of them, and all are new.
  const { quality, slices } = qualityOf((await learned({ batch: 1_000, of: every })).quality);
  const unlearned = qualityOf((await learned({ batch: 10, of: untrained })).quality).quality;
  expect(quality.logLoss).toBeCloseTo(unlearned.logLoss ?? Number.NaN, 6);
  expect(slices.find(({ slice }) => slice === "new items")?.samples).toBe(samples.length);

  const one = qualityOf((await learned({ batch: 1, of: { ...model, tables: model.tables.slice(0, 2) } })).quality);
  expect(one.quality.logLoss).not.toBe(quality.logLoss);
  expect(one.slices.find(({ slice }) => slice === "new items")?.samples).toBe(
    new Set(samples.map((each) => each.item)).size,
  );
  // A user has a row from the second sighting on.
  const sightings = Map.groupBy(samples, ({ user }) => user)
    .values()
    .map(({ length }) => Math.min(length, 2));
  expect(one.slices.find(({ slice }) => slice === "new users")?.samples).toBe(
    sightings.reduce((sum, each) => sum + each, 0),
  );
  // By chance at each sighting, which is another one in each batch.
  const [users, ...others] = every.tables;
  const chosen = { ...users, name: "users", key: "user", admit: { kind: "probability", probability: 0.3 } } as const;
  const { rows } = await learned({ batch: 10, of: { ...every, tables: [chosen, ...others] } });
  // Of 11 users; of chances that are the same in each batch about three would have a row.
  expect(rows[0]).toBeGreaterThan(8);
  for (const device of ["1", "3"]) {
    const of = samples.filter(({ features }) => features["device"] === device);
    const slice = one.slices.find((each) => each.slice === `device=${device}`);
    expect(slice?.samples).toBe(of.length);
    expect(slice?.windows.reduce((sum, window) => sum + window.samples, 0)).toBe(of.length);
  }
});

test("a pass over clicks that ends after a checkpoint goes on from it to the end of one that did not", async () => {
  const whole = await learned({ batch: 16 });
  const total = whole.at.done;
  for (const saves of [1, 2]) {
    await using folder = await temporaryFolder();
    const store = openStreamCheckpoints(folder.path, { run: "run", onDamage: () => undefined });
    // With time enough, only the end is saved.
    let seen = 0;
    const counted: StreamCheckpoints = { ...store, save: () => Promise.resolve(void (seen += 1)) };
    await learned({ batch: 16, checkpoints: counted });
    expect(seen).toBe(1);
    let left = saves;
    const dying: StreamCheckpoints = {
      ...store,
      async save(...kept) {
        await store.save(...kept);
        left -= 1;
        if (left === 0) throw new Error("killed");
      },
    };
    // The last save of a run is its end.
    await expect(learned({ batch: 16, checkpoints: dying, saveMs: 0 })).rejects.toThrow("killed");
    const again = await learned({ batch: 16, checkpoints: store });
    expect(again.samples).toBeLessThan(total);
    expect(JSON.stringify([again.quality, again.at, again.rows])).toBe(
      JSON.stringify([whole.quality, whole.at, whole.rows]),
    );
    // A run that is over says so again, without learning.
    const over = await learned({ batch: 16, checkpoints: store });
    expect(over.samples).toBe(0);
    expect(over.quality).toEqual(whole.quality);
    const other = openStreamCheckpoints(folder.path, { run: "another", onDamage: () => undefined });
    await expect(learned({ batch: 16, checkpoints: other })).rejects.toThrow(
      "it is of another model, data or settings",
    );
  }
});

test("a batch of clicks that must not be learned from is passed over and counted, and its users stay new", async () => {
  const all = await samplesOf(GLOBO, 64);
  async function* outsize(): AsyncGenerator<readonly ClickSample[]> {
    for (const [at, batch] of all.entries()) {
      yield at === 0 ? batch.map((sample) => ({ ...sample, dense: { popularity: 3e38 } })) : batch;
    }
  }
  const ran = await learned({ batch: 64, batches: outsize() });
  expect(ran.at).toMatchObject({ batches: all.length, done: all.flat().length, refusedBatches: 1, refusedSamples: 64 });
  const { slices } = qualityOf(ran.quality);
  const firstTwo = all.slice(0, 2).flat().length;
  expect(slices.find(({ slice }) => slice === "new items")?.samples).toBeGreaterThanOrEqual(firstTwo);
});

test("freshet train learns clicks, with a config or without, and reports; what does not fit is refused with what to do", async () => {
  await using folder = await temporaryFolder();
  const out = join(folder.path, "out");
  const example = ["--config", "regions/examples/training/globo.jsonc"];
  const ran = await freshet(["train", ...example, "--data", GLOBO, "--out", out, "--window", "30m", "--json"]);
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.err).toContain("news clicks of Globo.com: 87 clicks, 35 of which make no request; 492 samples");
  expect(ran.err).toContain("clicks_hour_001.csv:5");
  const report: unknown = JSON.parse(ran.out);
  expect(report).toMatchObject({
    isOver: true,
    done: 492,
    data: { clicks: 87, samples: 492, broken: 2, keys: { users: 11, items: 19 } },
    settings: { batch: 256, windowMs: 1_800_000 },
    quality: { samples: 492, nonFinite: 0 },
    rows: { users: 11, items: 19 },
  });
  expect(JSON.parse(await readFile(join(out, "report.json"), "utf8"))).toEqual(report);
  const page = await readFile(join(out, "report.html"), "utf8");
  for (const slice of ["new users", "new items", "device=1", "referrer=5"]) expect(page).toContain(`<td>${slice}</td>`);
  expect(page).toContain("A point is 0.5 hours");
  expectSoundMarkup(page);
  expect(page).not.toMatch(/NaN|undefined|https?:/);
  // The same once more, from its checkpoint.
  const again = await freshet(["train", ...example, "--data", GLOBO, "--out", out, "--window", "30m"]);
  expect(again.out).toContain("It was learned to its end before; --restart begins anew");

  await using samples = await madeData();
  const frappe = join("regions", "examples", "training", "frappe.jsonc");
  const refusals: { readonly code: number; readonly said: string; readonly ran: Promise<Ran> }[] = [];
  const own = join(folder.path, "own");
  for (const [code, args, said] of [
    [0, ["--data", GLOBO, "--out", own], "all samples  AUC 0."],
    [2, ["--data", GLOBO, "--passes", "3"], "--passes is for samples in train.csv"],
    [
      2,
      ["--data", GLOBO, "--window", "1s", "--out", join(folder.path, "windows")],
      "--window is 1000ms; allowed: at least 16s, a thousandth of the clicks' time, which is from 2020-09-13T13:29:20.187Z to",
    ],
    [2, ["--data", GLOBO, "--model", "x"], "--model names a model of --config FILE, which is missing"],
    [2, ["--data", samples.path], "--config FILE is missing: the samples"],
    [2, ["--data", samples.path, "--config", frappe, "--window", "1h"], "--window is for clicks"],
    [
      1,
      ["--data", GLOBO, "--config", frappe, "--out", join(folder.path, "frappe")],
      "it reads daytime, weekday, isweekend, homework, cost, weather, city, and a replay of them has user, item, environment",
    ],
  ] as const) {
    refusals.push({ code, said, ran: freshet(["train", ...args]) });
  }
  for (const { code, said, ran: refusal } of refusals) {
    const { code: given, out: told, err } = await refusal;
    expect(told + err).toContain(said);
    expect(given).toBe(code);
  }
  expect(JSON.parse(await readFile(join(own, "report.json"), "utf8"))).toMatchObject({ model: { name: "globo" } });
});
