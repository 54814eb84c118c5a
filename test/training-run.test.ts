import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { keyOf } from "../protocols/keys.ts";
import { expectSoundMarkup } from "./balanced-markup.ts";
import { plain } from "../protocols/compute/plain.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { UnusableCheckpoint } from "../regions/train/run-image.ts";
import { describeDamage } from "../regions/train/run-terminal.ts";
import { loadSamples } from "../regions/train/load-samples.ts";
import { runTraining } from "../regions/train/training-run.ts";
import { lockStateFolder } from "../runtime/state-lock.ts";
import { freshet, type Ran } from "./run-freshet.ts";
import { madeData, model, settings, trained } from "./training-support.ts";

/** Rows come in the middle of the first pass, where a batch has each user and city. */
const selective: ModelDeclaration = {
  ...model,
  tables: [
    { name: "users", key: "user", admit: { kind: "count", count: 8, bytes: 2048 } },
    { name: "items", key: "item", unknown: "zero" },
    { name: "cities", key: "city", admit: { kind: "probability", probability: 0.2 } },
  ],
};
test("training learns what the interaction of user and item says, and is judged on test as it was after its best pass", async () => {
  await using folder = await madeData();
  const ran = await trained(folder.path);
  expect(ran.isOver).toBe(true);
  expect(ran.test?.auc).toBeGreaterThan(0.8);
  const aucs = ran.results.map(({ valid }) => valid.auc ?? 0);
  expect(ran.best).toBe(1 + aucs.indexOf(Math.max(...aucs)));
  expect(ran.best).toBeLessThan(ran.results.length);
  expect((await trained(folder.path, { passesMax: ran.best })).test).toEqual(ran.test);
});

test("the test part is judged by slice: users and items that were not learned from, and values of declared features", async () => {
  await using folder = await madeData();
  const file = join(folder.path, "test.csv");
  const [header = "", ...lines] = (await readFile(file, "utf8")).trimEnd().split("\n");
  const newcomers = ["1,99,3,0,0.5", "0,99,4,1,0.5", "1,98,97,,0.5"];
  await writeFile(file, [header, ...newcomers, ...lines, ""].join("\n"));
  const ran = await trained(folder.path, { passesMax: 2, model: { ...model, slices: ["city"] } });
  const slices = new Map(ran.testSlices?.map(({ slice, ...metrics }) => [slice, metrics]));
  expect(slices.keys().toArray().sort()).toEqual(["city=", "city=0", "city=1", "city=2", "new items", "new users"]);
  expect(slices.get("new users")).toMatchObject({ samples: 3, positives: 2 });
  expect(slices.get("new items")).toMatchObject({ samples: 1, positives: 1 });
  for (const city of ["0", "1", "2"]) {
    const of = [...newcomers, ...lines].filter((line) => line.split(",")[3] === city);
    const positives = of.filter((line) => line.startsWith("1")).length;
    expect(slices.get(`city=${city}`)).toMatchObject({ samples: of.length, positives });
  }
  // Each sample has one city, so the losses of all cities add up to the whole's.
  const cities = [...slices].filter(([slice]) => slice.startsWith("city="));
  const lossSum = cities.reduce((sum, [, { samples, logLoss }]) => sum + samples * logLoss, 0);
  expect(lossSum / 203).toBeCloseTo(ran.test?.logLoss ?? Number.NaN, 6);
});

test.each([
  [1, selective],
  [7, selective],
  [15, selective],
  [16, model],
  [30, selective],
  [40, model],
  [100, model],
])("a run that is stopped in its batch %i goes on to the end of one that was not", async (stopAfter, of) => {
  await using folder = await madeData();
  const whole = await trained(folder.path, { model: of });
  const out = join(folder.path, "out");
  const stopped = await trained(folder.path, { out, stopAfter, model: of });
  expect(stopped.isOver).toBe(false);
  expect(stopped.test).toBeUndefined();
  const again = await trained(folder.path, { out, model: of });
  expect(again).toMatchObject({ results: whole.results, best: whole.best, test: whole.test, isOver: true });
  // To the order of its fields.
  expect(JSON.stringify([again.results, again.windows])).toBe(JSON.stringify([whole.results, whole.windows]));
  expect(whole.windows.reduce((sum, { samples }) => sum + samples, 0)).toBe(900 * whole.results.length);
  expect(again.samples + stopped.samples).toBe(whole.samples);
  // A run that is over says so again, without learning.
  expect(await trained(folder.path, { out, model: of })).toMatchObject({
    results: whole.results,
    test: whole.test,
    samples: 0,
  });
});

test("a checkpoint of another run, or one that is damaged, is refused with what to do", async () => {
  await using folder = await madeData();
  const out = join(folder.path, "out");
  await trained(folder.path, { out, stopAfter: 3 });
  await expect(trained(folder.path, { out, run: "another" })).rejects.toThrow(
    "it is of another model, data or settings. Choose",
  );
  const files = (await readdir(out)).filter((name) => name.startsWith("image-"));
  expect(files).toHaveLength(2);
  for (const file of files.map((name) => join(out, name))) {
    const bytes = await readFile(file);
    for (const at of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const broken = Uint8Array.from(bytes);
      broken[at] = (broken[at] ?? 0) ^ 1;
      await writeFile(file, broken);
      await expect(trained(folder.path, { out })).rejects.toThrow(UnusableCheckpoint);
    }
    await writeFile(file, bytes.subarray(0, 3));
    await expect(trained(folder.path, { out })).rejects.toThrow(UnusableCheckpoint);
    await writeFile(file, bytes);
  }
  // As older versions wrote it.
  await writeFile(join(out, "image-training.current"), '\u0010\0\0\0{"run":"run","pass"');
  await expect(trained(folder.path, { out })).rejects.toThrow("or of another version of freshet");
});

test("where the last checkpoint is damaged, a run goes on from the one before, and says so", async () => {
  await using folder = await madeData();
  const out = join(folder.path, "out");
  const whole = await trained(folder.path, { out, passesMax: 3 });
  // One after each pass.
  await writeFile(join(out, "image-training.current"), "damaged");
  const damage: string[] = [];
  const again = await trained(folder.path, { out, passesMax: 3, onDamage: (why) => damage.push(why) });
  expect(again).toMatchObject({ results: whole.results, test: whole.test, samples: 900 });
  expect(damage.map(describeDamage)).toEqual([
    "The last checkpoint is damaged (Cannot decode manifest: it begins neither as a manifest nor as an image at byte 0); the one before is whole",
  ]);
});

const CONFIG = {
  region: "lab",
  training: "lab",
  models: [{ ...model, slices: ["city"], denseOptimizer: { kind: "adam", learningRate: 0.01 } }],
};

test("freshet train trains, reports and ends; what is wrong is said with what to do", async () => {
  await using folder = await madeData();
  const config = join(folder.path, "lab.jsonc");
  await writeFile(config, JSON.stringify(CONFIG));
  const args = ["train", "--config", config, "--data", folder.path, "--out", join(folder.path, "out"), "--batch", "64"];
  const ran = await freshet([...args, "--passes", "3", "--json"]);
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.err).toContain("900 samples to train, 200 to validate, 200 to test");
  const report: unknown = JSON.parse(ran.out);
  expect(report).toMatchObject({
    isOver: true,
    backend: "kernels",
    data: { keys: { users: 12, items: 12, cities: 3 }, broken: 0 },
    rows: { users: 12, items: 12, cities: 3 },
  });
  expect(JSON.parse(await readFile(join(folder.path, "out", "report.json"), "utf8"))).toEqual(report);
  const page = await readFile(join(folder.path, "out", "report.html"), "utf8");
  expect(page.match(/<polyline/g)).toHaveLength(7);
  for (const city of [0, 1, 2]) expect(page).toContain(`<td>city=${city}</td>`);
  expectSoundMarkup(page);
  expect(page).not.toMatch(/NaN|undefined|https?:/);

  const other = await freshet([...args, "--passes", "4", "--seed", "2"]);
  expect(other.code).toBe(1);
  expect(other.err).toContain("--restart");
  expect(await freshet([...args, "--passes", "1", "--seed", "2", "--restart"])).toMatchObject({ code: 0 });
  // Whoever comes while a run is going on is told so.
  const held = await lockStateFolder(join(folder.path, "out"), { owner: "another run" });
  const second = await freshet([...args, "--restart"]);
  await held[Symbol.asyncDispose]();
  expect(second).toMatchObject({ code: 1 });
  expect(second.err).toContain("('another run') is at it. Wait for it, or choose another folder with --out");
  const refusals: { readonly said: string; readonly ran: Promise<Ran> }[] = [];
  for (const [change, said] of [
    [["--out", config], "is a file. Choose another path"],
    [["--model", "x"], 'it has likes, not "x"'],
    [["--data", "/nowhere"], "there is no train.csv or train.csv.gz, and no file of clicks: there is no such folder"],
    [["--watch", "f1"], "allowed: auc or log-loss"],
    [["--backend", "gpu"], "allowed: kernels or plain"],
  ] as const) {
    const out = ["--out", join(folder.path, `out-${refusals.length}`)];
    refusals.push({ said, ran: freshet([...args, ...out, ...change]) });
  }
  for (const { said, ran: refusal } of refusals) {
    const refused = await refusal;
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain(said);
  }
});

test("a model may be keyed by what is made of a file's columns", async () => {
  await using folder = await madeData();
  const parity: ModelDeclaration = {
    ...model,
    architecture: { kind: "logistic" },
    tables: [...model.tables, { name: "pairs", key: "pair" }, { name: "ages", key: "age-group" }],
    dense: [],
    derived: [
      { name: "age-group", kind: "bucketised", of: "age", bounds: [0.25, 0.5] },
      { name: "pair", kind: "crossed", of: ["user", "item"] },
    ],
  };
  const data = await loadSamples(folder.path, { model: parity, say: () => undefined });
  expect(data.book.map(({ size }) => size)).toEqual([12, 12, 3, 144, 3]);
  const ran = await runTraining({
    layout: modelLayout(parity),
    data,
    backend: plain,
    settings: { ...settings, dropout: 0, l2: 0 },
    checkpoints: undefined,
    signal: new AbortController().signal,
    onResume: () => undefined,
    onProgress: () => undefined,
    onPass: () => undefined,
    onRefused: () => undefined,
    saveMs: 60_000,
  });
  // Weights alone cannot tell even from odd: the crossed feature does.
  expect(ran.test?.auc).toBeGreaterThan(0.75);
});

test("a number is a decimal number of 32 bits, or missing: an empty cell is 0, and all else a broken line", async () => {
  await using folder = await madeData();
  const numbers = ["0.5", " -1.5e-3 ", "+.25", "3.", "", " "];
  const broken = ["0x10", "1e300", "1e", "Infinity", "NaN", "1_000", "--1"];
  const lines = [...numbers, ...broken].map((number) => `1,1,1,1,${number}`);
  await writeFile(join(folder.path, "train.csv"), ["label,user,item,city,age", ...lines, ""].join("\n"));
  const grouped: ModelDeclaration = {
    ...model,
    tables: [...model.tables, { name: "ages", key: "age-group" }],
    derived: [{ name: "age-group", kind: "bucketised", of: "age", bounds: [-1e6] }],
  };
  const { report, train, book } = await loadSamples(folder.path, { model: grouped, say: () => undefined });
  expect([...train.dense]).toEqual([0.5, -1.5e-3, 0.25, 3, 0, 0].map(Math.fround));
  // In ranges a number that is missing is no 0.
  expect(book[3]?.size).toBe(2);
  expect(report.broken).toBe(broken.length);
  expect(report.firstBroken.slice(0, 2)).toEqual([
    { file: "train.csv", line: 8, why: 'age is "0x10", which is no decimal number' },
    { file: "train.csv", line: 9, why: "age is 1e300, which is larger than a 32-bit number may be (3.4e38)" },
  ]);
});

test("lines that are no samples are counted and left out; files without a column, or without one sample, are refused", async () => {
  await using folder = await madeData();
  const quiet = { model, say: () => undefined };
  const train = join(folder.path, "train.csv");
  await writeFile(train, 'label,user,item,city,age\n2,1,1,1,0\n1,1,1,1,x\n1,1\n1,é,"a,b",,1e3\n0,1,1,1,0\n');
  const { report, train: samples, book } = await loadSamples(folder.path, quiet);
  expect([samples.size, report.broken]).toEqual([2, 3]);
  expect([...samples.dense]).toEqual([1000, 0]);
  expect(book[2]?.keys()).toContain(keyOf(""));
  await writeFile(train, "label,user,item\n1,1,1\n");
  await expect(loadSamples(folder.path, quiet)).rejects.toThrow("missing are city, age");
  await writeFile(train, "label,user,item,city,age\n");
  await expect(loadSamples(folder.path, quiet)).rejects.toThrow("400 lines are samples, 0 are not; train.csv has none");
  await rm(train);
  await expect(loadSamples(folder.path, quiet)).rejects.toThrow("there is no train.csv or train.csv.gz");
  await mkdir(train);
  await expect(loadSamples(folder.path, quiet)).rejects.toThrow('train.csv": it is a folder');
});
