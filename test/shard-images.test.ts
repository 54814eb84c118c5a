import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packPush } from "../actors/packed-push.ts";
import { type ShardConfig } from "../actors/shard-config.ts";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { encodeImage } from "../protocols/sync/image.ts";
import { createRandom, nextFloat } from "../protocols/random.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { soon, temporaryFolder } from "./file-store-support.ts";
import { ALL_KEYS, batchOf, MODEL, replicaAfter, shardConfig, TRAINER } from "./snapshot-model.ts";
import { startShard } from "./started-shard.ts";

const NEVER_MS = 1_000_000;

test("an image in one piece, as older versions wrote it, is loaded and followed by segments", async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, "image-clicks-0.current"), encodeImage(replicaAfter(20)));
  {
    await using node = await start(folder.path);
    expect(await node.shard.ask("position", { trainer: TRAINER }, { signal: soon() })).toMatchObject({
      applied: 20,
      durable: 20,
    });
    await push(node.shard, 21);
  }
  expect((await readFile(join(folder.path, "image-clicks-0.current"))).subarray(0, 4).toString()).toBe("FrMa");
  for (const batch of [22, 23]) {
    await using node = await start(folder.path);
    await push(node.shard, batch);
  }
  await using node = await start(folder.path);
  expect(await node.shard.ask("position", { trainer: TRAINER }, { signal: soon() })).toMatchObject({
    applied: 23,
    durable: 23,
  });
  expect((await rowOf(node.shard)).values).toEqual(expectedRow(23));
  // A whole segment, and what two lives added to it.
  expect((await readdir(folder.path)).filter((file) => file.endsWith(".segment"))).toHaveLength(3);
});

// Each was written by two lives of the shard below: batches 1 to 4, then 5 and 6. A new layout adds a folder, and leaves these alone.
for (const layout of ["layout-3", "layout-4"]) {
  test(`images that a Freshet of ${layout} wrote, a whole one and an increment, are restored with every number of every row, and learned on`, async () => {
    await using folder = await temporaryFolder();
    await cp(new URL(`fixtures/images/${layout}`, import.meta.url), folder.path, { recursive: true });
    await using node = await start(folder.path);
    expect(await node.shard.ask("position", { trainer: TRAINER }, { signal: soon() })).toMatchObject({ durable: 6 });
    await expectRows(node.shard, 6);
    // With what the optimizers keep, and what rounding took away.
    for (let batch = 7; batch <= 9; batch += 1) await push(node.shard, batch);
    await expectRows(node.shard, 9);
  });
}

async function expectRows(ref: ActorRef<ShardProtocol>, batches: number): Promise<void> {
  const { store } = replicaAfter(batches);
  for (const [table, precision] of [
    [1, "f32"],
    [2, "f16"],
  ] as const) {
    const { found } = store.read(table, ALL_KEYS);
    const keys = ALL_KEYS.filter((_, at) => found[at] === 1);
    const numbers = floatsOf({ precision, dim: 1 }, store.read(table, keys).values);
    const answer = await ref.ask("gather", { lists: [{ table, keys }] }, { signal: soon() });
    expect(keys.length).toBeGreaterThan(50);
    expect(answer.values[0]).toEqual(numbers);
  }
}

test("a model that no longer fits its image is refused, and what is different is said", async () => {
  await using folder = await temporaryFolder();
  {
    await using node = await start(folder.path);
    await push(node.shard, 1);
  }
  const model = { ...MODEL, architecture: { ...MODEL.architecture, embedding: 8 } };
  await expect(start(folder.path, { model })).rejects.toThrow(
    /^Cannot restore shard 'clicks-0': none of its images can be used .*'users' has dim 4 in the image, now 8.* Undo the change to the model's declaration; or give the model a new name, and trainer\.warmStart /,
  );
  // A number of shards changes nothing of a table, so it must be named itself.
  await expect(start(folder.path, { model: { ...MODEL, shards: 3 } })).rejects.toThrow(
    /'catalogue' has shards 1 in the image, now 3.* over any number of shards; .* as in a region that trains alone, it learns anew$/,
  );
  const slower = { ...MODEL, optimizer: { ...MODEL.optimizer, learningRate: 0.05 } };
  await expect(start(folder.path, { model: slower })).rejects.toThrow(
    "'users' has learningRate 0.1 in the image, now 0.05",
  );
  await using node = await start(folder.path);
  expect(await node.shard.ask("position", { trainer: TRAINER }, { signal: soon() })).toMatchObject({ applied: 1 });
});

test("a damaged increment is left out, a damaged whole segment gives way to the image before; the next image is whole", async () => {
  await using folder = await temporaryFolder();
  const segments: string[] = [];
  for (let batch = 1; batch <= 3; batch += 1) {
    await using node = await start(folder.path);
    await push(node.shard, batch);
    await node[Symbol.asyncDispose]();
    for (const file of await readdir(folder.path)) {
      if (file.endsWith(".segment") && !segments.includes(file)) segments.push(file);
    }
  }
  await damage(folder.path, segments[2]);
  {
    await using node = await start(folder.path);
    expect(await node.shard.ask("position", { trainer: TRAINER }, { signal: soon() })).toMatchObject({ durable: 2 });
    expect((await rowOf(node.shard)).values).toEqual(expectedRow(2));
    expect(node.lines.map(({ text }) => text)).toContain(
      "An image, or the end of one, cannot be used; trying what is before",
    );
    await push(node.shard, 3);
  }
  {
    await using node = await start(folder.path);
    expect((await rowOf(node.shard)).values).toEqual(expectedRow(3));
  }
  const whole = (await readdir(folder.path)).find((file) => file.endsWith(".segment") && !segments.includes(file));
  await damage(folder.path, whole);
  await using node = await start(folder.path);
  // The image before is the one whose last increment is damaged.
  expect(await node.shard.ask("position", { trainer: TRAINER }, { signal: soon() })).toMatchObject({ durable: 2 });
});

test("an image of many reads, whose memory is used again, is restored with every number of every row", async () => {
  await using folder = await temporaryFolder();
  const random = createRandom(1);
  const keys = BigUint64Array.from({ length: 200_000 }, (_, at) => BigInt(at));
  // Of numbers that are not compressed: what is read is what is loaded.
  const gradients = Float32Array.from({ length: keys.length * 4 }, () => nextFloat(random) - 0.5);
  let before: Float32Array | undefined;
  {
    await using node = await start(folder.path);
    const request = { ...batchOf(1), parts: [{ table: 1, keys, gradients }] };
    expect(await node.shard.ask("push", packPush(request), { signal: soon() })).toMatchObject({ kind: "applied" });
    before = (await node.shard.ask("gather", { lists: [{ table: 1, keys }] }, { signal: soon() })).values[0];
  }
  await using node = await start(folder.path);
  const after = (await node.shard.ask("gather", { lists: [{ table: 1, keys }] }, { signal: soon() })).values[0];
  expect(before?.length).toBe(keys.length * 4);
  expect(bytesOf(after ?? new Float32Array()).equals(bytesOf(before ?? new Float32Array()))).toBe(true);
});

/** The shard of these tests, in what `changed` says otherwise. */
function start(folder: string, changed: Partial<ShardConfig> = {}): ReturnType<typeof startShard> {
  return startShard(folder, { ...shardConfig({ snapshotMs: NEVER_MS }), ...changed });
}

async function push(ref: ActorRef<ShardProtocol>, batch: number): Promise<void> {
  expect(await ref.ask("push", packPush(batchOf(batch)), { signal: soon() })).toMatchObject({ kind: "applied" });
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function rowOf(ref: ActorRef<ShardProtocol>): Promise<ShardProtocol["row"]["reply"]> {
  return ref.ask("row", { table: "users", key: "0" }, { signal: soon() });
}

function expectedRow(batches: number): number[] | undefined {
  const { found, values } = replicaAfter(batches).store.read(1, BigUint64Array.of(0n));
  return found[0] === 1 ? [...new Float32Array(values.buffer)] : undefined;
}

async function damage(folder: string, file = ""): Promise<void> {
  const path = join(folder, file);
  const bytes = await readFile(path);
  bytes[9] = (bytes[9] ?? 0) ^ 4;
  await writeFile(path, bytes);
}
