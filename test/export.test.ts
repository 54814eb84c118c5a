/*
 * Parquet files of a model with two shards, so that most items have their rows in one shard and their names in the other.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { expect, test } from "vitest";
import * as z from "zod";
import { writesOf } from "../actors/shard-writes.ts";
import { type GradientPart, type Push, type Sighting } from "../actors/shard-protocol.ts";
import { shardOf } from "../protocols/keys.ts";
import { readCatalogueRow } from "../protocols/learning/catalogue-row.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { CATALOGUE, densePlacement, modelLayout } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { createReplica, type Replica, stepReplica } from "../protocols/sync/replica.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { type Exported, exportImages } from "../regions/snapshot/export.ts";
import { nodeDisk } from "../runtime/disk.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { MODEL } from "./snapshot-model.ts";
import { writeImage } from "./write-images.ts";

const TWO: ModelDeclaration = { ...MODEL, shards: 2, tables: [...MODEL.tables, { name: "colours", key: "colour" }] };
const LAYOUT = modelLayout(TWO);
const [USERS, ITEMS, COLOURS] = [1, 2, 3];
const ITEM_KEYS = Array.from({ length: 60 }, (_, key) => BigInt(key));
/** Has a row of numbers, and its name is gone. */
const NAMELESS = 7n;
/** Likewise; it was forgotten. */
const FORGOTTEN = 11n;
const DELETED = 9n;
const NOW_MS = 1_760_000_000_000;
const never = { signal: new AbortController().signal, progress: (): void => undefined };
const everything = { ...never, shard: undefined, table: undefined };

const row = z.object({ key: z.bigint(), item: z.string().nullable(), t: z.bigint(), writer: z.string() });
const learned = row.extend({ values: z.array(z.number()) });
const sold = row.extend({ popularity: z.number(), first_seen_ms: z.number() });

test("items are named in tables that are keyed by them, whichever shard has the name; deleted rows are left out, the last values count", async () => {
  await using folder = await temporaryFolder();
  const replicas = await writeModel(folder.path);
  const into = join(folder.path, "rows");
  const { tables, unnamed, others } = await exportImages(folder.path, into, everything);
  expect([unnamed, others]).toEqual([[], []]);
  expect(tables.map(({ path }) => path).sort()).toEqual((await readdir(into)).map((name) => join(into, name)).sort());

  for (const [table, isNamed] of [
    [USERS, false],
    [ITEMS, true],
    [COLOURS, false],
  ] as const) {
    const spec = LAYOUT.tables[table] ?? { name: "", precision: "f32", dim: 1 };
    const rows = await rowsOf(into, spec.name, learned);
    const expected = ITEM_KEYS.filter((key) => table !== ITEMS || key !== DELETED);
    expect(rows.map(({ key }) => key).sort(ascending)).toEqual(expected);
    for (const { key, item, t, writer, values } of rows) {
      expect([key, item]).toEqual([key, isNamed && key !== NAMELESS && key !== FORGOTTEN ? `item ${key}` : null]);
      const read = replicas[shardOf(table, key, 2)]?.store.read(table, BigUint64Array.of(key));
      expect(values).toEqual([...floatsOf(spec, read?.values ?? new Uint8Array())]);
      expect([Number(t) >= NOW_MS * 1000, writer]).toEqual([true, "0.here.a.x"]);
    }
  }
  const dense = await rowsOf(into, "dense-top", learned);
  const [top] = densePlacement(LAYOUT);
  const numbers = replicas[top?.shard ?? 0]?.store.read(top?.table ?? 0, BigUint64Array.of(0n)).values;
  const values = [...floatsOf({ precision: "f32", dim: 1 }, numbers ?? new Uint8Array())];
  expect(values.length).toBeGreaterThan(10);
  expect(dense).toMatchObject([{ key: 0n, item: null, values }]);
});

test("the catalogue's file has each item's name, how popular it is, and when it was seen first", async () => {
  await using folder = await temporaryFolder();
  const replicas = await writeModel(folder.path);
  const into = join(folder.path, "rows");
  const { tables } = await exportImages(folder.path, into, { ...everything, table: "catalogue" });
  expect(tables.map(({ rows }) => rows).reduce((sum, rows) => sum + rows)).toBe(ITEM_KEYS.length - 2);
  expect(await readdir(into)).toEqual(["clicks-0.catalogue.parquet", "clicks-1.catalogue.parquet"]);
  const rows = await rowsOf(into, "catalogue", sold);
  expect(rows.map(({ key }) => key).sort(ascending)).toEqual(
    ITEM_KEYS.filter((key) => key !== NAMELESS && key !== FORGOTTEN),
  );
  for (const { key, item, popularity, first_seen_ms: firstSeenMs } of rows) {
    const read = replicas[shardOf(CATALOGUE, key, 2)]?.store.read(CATALOGUE, BigUint64Array.of(key));
    expect({ item, popularity, firstSeenMs }).toEqual(readCatalogueRow(read?.values ?? new Uint8Array()));
    expect([item, firstSeenMs]).toEqual([`item ${key}`, NOW_MS + Number(key)]);
  }
});

test("an export that is stopped at any step, or refused, leaves the files of the one before as they were; others are named", async () => {
  await using folder = await temporaryFolder();
  await writeModel(folder.path);
  const into = join(folder.path, "rows");
  await mkdir(into);
  const before = { "clicks-0.items.parquet": "before", "clicks-9.items.parquet": "of a shard that is no more" };
  for (const [name, text] of Object.entries(before)) await writeFile(join(into, name), text);
  async function isAsBefore(): Promise<void> {
    expect((await readdir(into)).sort()).toEqual(Object.keys(before));
    for (const [name, text] of Object.entries(before)) expect(await readFile(join(into, name), "utf8")).toBe(text);
  }
  /** What an export gave that is stopped at a step of it, if there is one; undefined where it was. */
  async function stopAt(step: number): Promise<Exported | undefined> {
    const controller = new AbortController();
    let at = 0;
    function progress(): void {
      at += 1;
      if (at === step) controller.abort();
    }
    const options = { ...everything, signal: controller.signal, progress };
    try {
      const exported = await exportImages(folder.path, into, options);
      expect(at).toBeLessThan(step);
      return exported;
    } catch (error) {
      expect(error).toBe(controller.signal.reason);
      return undefined;
    }
  }
  await expect(exportImages(folder.path, into, { ...everything, table: "itens" })).rejects.toThrow(
    "Cannot export table 'itens': no shard has it",
  );
  await isAsBefore();
  await expect(exportImages(folder.path, join(into, "clicks-0.items.parquet"), everything)).rejects.toThrow(
    `Cannot export to '${join(into, "clicks-0.items.parquet")}': it, or a part of its path, is a file. Choose another path`,
  );
  // What a process that was killed left.
  await writeFile(join(into, ".clicks-0.items.parquet.freshet-4194305"), "");
  let done = await stopAt(1);
  for (let step = 2; done === undefined; step += 1) {
    await isAsBefore();
    done = await stopAt(step);
  }
  const { tables, others } = done;
  expect(others).toEqual(["clicks-9.items.parquet"]);
  expect(await readdir(into)).toHaveLength(tables.length + others.length);
  expect(await rowsOf(into, "items", learned, ["clicks-0"])).not.toEqual([]);
});

test("where another shard's image is damaged, one is exported without the names that are there, and that is said", async () => {
  await using folder = await temporaryFolder();
  await writeModel(folder.path);
  await writeFile(join(folder.path, "image-clicks-1.current"), "no manifest");
  const into = join(folder.path, "rows");
  const { unnamed } = await exportImages(folder.path, into, { ...everything, shard: "clicks-0" });
  expect(unnamed).toMatchObject([{ shard: "clicks-1", why: /manifest/ }]);
  const items = await rowsOf(into, "items", learned, ["clicks-0"]);
  for (const { key, item } of items) {
    const isNamed = shardOf(CATALOGUE, key, 2) === 0 && key !== NAMELESS && key !== FORGOTTEN;
    expect(item).toBe(isNamed ? `item ${key}` : null);
  }
  await expect(exportImages(folder.path, into, everything)).rejects.toThrow(
    "Cannot read the image of shard 'clicks-1'",
  );
});

test("an export names the shard, and the segment, of a block that is damaged", async () => {
  await using folder = await temporaryFolder();
  await writeModel(folder.path);
  const segments = (await readdir(folder.path)).filter((name) => /^image-clicks-1\..*\.segment$/.test(name));
  for (const name of segments) {
    const path = join(folder.path, name);
    const bytes = await readFile(path);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    await writeFile(path, bytes);
  }
  const into = join(folder.path, "rows");
  await expect(exportImages(folder.path, into, everything)).rejects.toThrow(
    /^Cannot read the image of shard 'clicks-1': segment 1 of 2: .*checksum/,
  );
});

/** Images of both shards, of a whole segment and an increment each, and what is in them. */
async function writeModel(folder: string): Promise<Replica[]> {
  const replicas: Replica[] = [];
  for (const shard of [0, 1]) {
    const replica = createReplica({
      writer: parseWriterId("0.here.a.x"),
      store: createMapRowStore(LAYOUT.tables, { state: true }),
    });
    const place = { disk: nodeDisk, folder, name: `clicks-${shard}` };
    learn(replica, { shard, batch: 1, keys: ITEM_KEYS, sightings: ITEM_KEYS });
    const whole = await writeImage(place, replica);
    learn(replica, { shard, batch: 2, keys: ITEM_KEYS.slice(0, 20), sightings: ITEM_KEYS.slice(0, 30) });
    for (const [table, key] of [
      [CATALOGUE, NAMELESS],
      [ITEMS, DELETED],
    ] as const) {
      if (shardOf(table, key, 2) !== shard) continue;
      const write = { table, keys: BigUint64Array.of(key), mutate: () => "delete" as const };
      stepReplica(replica, { kind: "write", writes: [write] }, NOW_MS + 3);
    }
    replica.store.dropKeys({ table: CATALOGUE, keys: BigUint64Array.of(FORGOTTEN) });
    await writeImage(place, replica, whole);
    replicas.push(replica);
  }
  return replicas;
}

function learn(
  replica: Replica,
  of: { shard: number; batch: number; keys: readonly bigint[]; sightings: readonly bigint[] },
): void {
  const { shard, batch } = of;
  const embeddings = [USERS, ITEMS, COLOURS].map((table) => {
    return partOf(table, { dim: 4, keys: of.keys.filter((key) => shardOf(table, key, 2) === shard) });
  });
  const dense = densePlacement(LAYOUT).filter((each) => each.shard === shard);
  const push: Push = {
    trainer: "t",
    batch,
    previous: batch - 1,
    parts: [
      ...embeddings,
      ...dense.map(({ table }) => partOf(table, { dim: LAYOUT.tables[table]?.dim ?? 0, keys: [0n] })),
    ],
    sightings: of.sightings.map(sightingOf),
  };
  const writes = writesOf(LAYOUT, push, { shard, isUrgent: () => false });
  stepReplica(replica, { kind: "write", writes, batch: { trainer: "t", id: batch } }, NOW_MS + batch);
}

function partOf(
  table: number,
  { dim, keys }: { readonly dim: number; readonly keys: readonly bigint[] },
): GradientPart {
  return {
    table,
    keys: BigUint64Array.from(keys),
    gradients: Float32Array.from({ length: keys.length * dim }, (_, at) => Math.sin(at + table)),
  };
}

function sightingOf(key: bigint): Sighting {
  return { item: `item ${key}`, key, clicks: 1, timeMs: NOW_MS + Number(key) };
}

/** The rows of a table in all shards that have it. */
async function rowsOf<Row extends z.ZodType>(
  folder: string,
  table: string,
  schema: Row,
  shards: readonly string[] = ["clicks-0", "clicks-1"],
): Promise<z.infer<Row>[]> {
  const there = await readdir(folder);
  const names = shards.map((shard) => `${shard}.${table}.parquet`).filter((name) => there.includes(name));
  const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
  const rows = await Promise.all(files.map((bytes) => parquetReadObjects({ file: new Uint8Array(bytes).buffer })));
  return z.array(schema).parse(rows.flat());
}

function ascending(a: bigint, b: bigint): number {
  return Number(a - b);
}
