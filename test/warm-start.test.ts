import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { packPush } from "../actors/packed-push.ts";
import { shardOf } from "../protocols/keys.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { CATALOGUE, modelLayout } from "../protocols/model-layout.ts";
import { loadImage } from "../protocols/sync/image.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { warmStart } from "../regions/warm-start.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import { nodeDisk } from "../runtime/disk.ts";
import { readImageFile } from "../runtime/image-files.ts";
import { LEAST, parse, problemsOf } from "./config-parsing.ts";
import { eventually } from "./e2e-support.ts";
import { soon, temporaryFolder } from "./file-store-support.ts";
import { ALL_KEYS, batchOf, MODEL, REGION, replicaAfter, shardConfig, TRAINER } from "./snapshot-model.ts";
import { startShard } from "./started-shard.ts";
import { stateOf } from "../actors/row-view.ts";

const BATCHES = 30;
const [USERS, ITEMS] = [1, 2];
/** The same users and items over other shards, items with all their bits; another top, and a table more. */
const FRESH: ModelDeclaration = {
  ...MODEL,
  name: "fresh",
  shards: 3,
  architecture: { kind: "dlrm", embedding: 4, bottom: [4], top: [5] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "colours", key: "colour" },
  ],
};

test("a new model begins with the rows of another, wherever they live now; what is not the same is said and begins as ever", async () => {
  await using folder = await temporaryFolder();
  const old = join(folder.path, "old");
  await writeOld(join(old, "shards"));
  const start = { model: FRESH, from: old, as: "clicks", folder: join(folder.path, "shards") };
  const place = { region: REGION, node: "a", nowMs: 1_770_000_000_000 };
  const tables = await warmStart({ ...start, ...place });
  const { store } = replicaAfter(BATCHES);
  expect(tables).toEqual([
    { table: "catalogue", rows: store.rows(CATALOGUE), hasState: false },
    { table: "users", rows: store.rows(USERS), hasState: true },
    { table: "items", rows: store.rows(ITEMS), hasState: true },
    { table: "colours", rows: 0, hasState: false, why: "there is none of that name there" },
    { table: "dense-top", rows: 0, hasState: false, why: "its rows have 13 numbers there, 26 here" },
  ]);

  const shards = await Promise.all(Array.from({ length: FRESH.shards }, (_, at) => loaded(start.folder, at)));
  for (const table of [USERS, ITEMS]) {
    const keys = ALL_KEYS.filter((key) => store.read(table, BigUint64Array.of(key)).found[0] === 1);
    const values = floatsOf({ precision: table === ITEMS ? "f16" : "f32", dim: 1 }, store.read(table, keys).values);
    for (const [row, key] of keys.entries()) {
      const at = shards[shardOf(table, key, FRESH.shards)];
      const read = at?.read(table, BigUint64Array.of(key));
      expect(read?.found[0]).toBe(1);
      const floats = new Float32Array(read?.values.slice().buffer ?? new ArrayBuffer());
      // What a half hides of a number is there again.
      for (const [d, float] of floats.entries()) {
        const wanted = values[row * floats.length + d] ?? Number.NaN;
        expect(Math.abs(float - wanted)).toBeLessThan(table === ITEMS ? 1e-3 : 1e-12);
      }
      if (at !== undefined) expect(stateOf(at, table, key)).toEqual(stateOf(store, table, key));
    }
  }
  // With images of its own it is new no more.
  expect(await warmStart({ ...start, ...place })).toBeUndefined();
  await expect(warmStart({ ...start, ...place, folder: join(folder.path, "x"), as: "click" })).rejects.toThrow(
    "there is no image of a shard of that name",
  );
});

test("a model whose number of shards was changed is refused, and goes on under a new name with the rows of its own state folder, as the error says", async () => {
  await using folder = await temporaryFolder();
  const shards = join(folder.path, "shards");
  await writeOld(shards);
  const config = shardConfig({ snapshotMs: 1_000_000 });
  await expect(startShard(shards, { ...config, model: { ...MODEL, shards: 2 } })).rejects.toThrow(
    /'catalogue' has shards 1 in the image, now 2.*trainer\.warmStart/,
  );
  const model = { ...MODEL, name: "clicks-2", shards: 2 };
  const place = { region: REGION, node: "a", nowMs: 1_770_000_000_000 };
  await warmStart({ model, from: folder.path, as: "clicks", folder: shards, ...place });
  const { store } = replicaAfter(BATCHES);
  let found = 0;
  for (const at of [0, 1]) {
    await using started = await startShard(shards, { ...config, model, shard: at, name: `clicks-2-${at}` });
    for (const [table, precision] of [
      [USERS, "f32"],
      [ITEMS, "f16"],
    ] as const) {
      const keys = ALL_KEYS.filter((key) => shardOf(table, key, 2) === at);
      const held = keys.filter((key) => store.read(table, BigUint64Array.of(key)).found[0] === 1);
      const { values } = await started.shard.ask("gather", { lists: [{ table, keys: held }] }, { signal: soon() });
      expect(values[0]).toEqual(floatsOf({ precision, dim: 1 }, store.read(table, held).values));
      found += held.length;
    }
  }
  expect(found).toBe(store.rows(USERS) + store.rows(ITEMS));
});

test("a warm start names a model of the config, and a path that is relative to it", () => {
  const warm = { clicks: { from: "../last-year", model: "clicks-1" } };
  expect(parse({ ...LEAST, trainer: { warmStart: warm } }).trainer.warmStart).toEqual({
    clicks: { from: "/etc/last-year", model: "clicks-1" },
  });
  const [problem] = problemsOf({ ...LEAST, trainer: { warmStart: { click: { from: "x" } } } });
  expect(problem).toContain("trainer.warmStart.click");
  expect(problem).toContain("the name of a model here: clicks");
});

/** Images of a shard that has learned so many batches. */
async function writeOld(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await using started = await startShard(folder, shardConfig({ snapshotMs: 20 }));
  const { shard: ref } = started;
  for (let batch = 1; batch <= BATCHES; batch += 1) await ref.ask("push", packPush(batchOf(batch)), { signal: soon() });
  await eventually("the image has all batches", async () => {
    const { durable } = await ref.ask("position", { trainer: TRAINER }, { signal: soon() });
    return durable === BATCHES ? true : undefined;
  });
}

async function loaded(folder: string, at: number): Promise<RowStore> {
  const image = await readImageFile({ disk: nodeDisk, folder, name: `fresh-${at}` }, "current");
  if (image?.kind !== "piece") throw new RangeError(`Cannot find the image of shard ${at}`);
  const store = createTableRowStore(modelLayout(FRESH).tables, { state: true });
  const { applied, knowledge } = loadImage(image.bytes, store);
  // Nothing of the stream of samples was learned from yet, and nothing of what is there is early.
  expect(applied.size).toBe(0);
  expect(knowledge.size).toBe(1);
  return store;
}
