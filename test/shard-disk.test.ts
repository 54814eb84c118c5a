// Shards in threads of their own, whose images' folder is no folder for a while: nothing can be written there, nor read.
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { type ShardProtocol, type ShardStatus } from "../actors/shard-protocol.ts";
import { drawPullId } from "../protocols/wire/pull.ts";
import { type ActorRef, defineActor } from "../runtime/actor.ts";
import { type LogLine } from "../runtime/log.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, pullFrom, push, REGION, rowsOf, shardAt, soon, startShard } from "./shard-support.ts";

const DIM = 4;
const MODEL = clicksModel(DIM);
const MEMBERS = ["a", "b"].map((node) => ({ region: REGION, node }));
const FAILING = 'freshet_images_failing{shard="clicks-0",worker="a"}';
// Each waits for some ten rounds and images, seconds on a quiet machine.
vi.setConfig({ testTimeout: 120_000 });

const TRAINS = { duty: "trains", training: REGION, term: 0, epoch: 0 } as const;

test("while the disk takes no images a primary learns on and is pulled from, settles nothing and tells nothing durable; on another disk it begins anew", async () => {
  await using folder = await temporaryFolder();
  {
    await using world = await start(folder.path, { snapshotMs: 200 });
    const { a, b, system } = world;
    // Many, so that images of what comes after are small ones, added to the first.
    await push(a, { keys: Array.from({ length: 200 }, (_, at) => BigInt(1000 + at)), dim: DIM });
    await eventually("it is durable", async () => ((await durableOf(a)) === 1 ? true : undefined));
    await push(a, { keys: [1n, 2n], dim: DIM });
    await level(world);
    await eventually("it is durable", async () => ((await durableOf(a)) === 2 ? true : undefined));
    const life = await lifeOf(a);

    // One round of two, and the answer to the next is held back by a pull that nobody answers.
    a.tell("settle", { members: MEMBERS });
    await level(world);
    const held = await holdPull(world);
    a.tell("settle", { members: MEMBERS });
    await statusOf(a);
    await breakDisk(folder.path);
    await push(a, { keys: [3n], dim: DIM });
    const { notWritten } = await eventually("it is said", async () => {
      const status = await statusOf(a);
      return status.notWritten === undefined ? undefined : status;
    });
    expect(notWritten?.message).toContain(`Cannot save image 'clicks-0' in '${join(folder.path, "a")}': `);
    expect(await system.metricsText()).toContain(`${FAILING} 1`);
    for (const pullId of held) b.tell("give-up", { pullId });
    // Nothing comes of that answer, nor of further rounds.
    for (let round = 0; round < 6; round += 1) {
      a.tell("settle", { members: MEMBERS });
      await push(a, { keys: [4n, BigInt(10 + round)], dim: DIM });
      await level(world);
    }
    expect((await statusOf(a)).settled).toBe(0);
    expect(await durableOf(a)).toBe(2);

    // An empty disk in the other's place.
    await rm(join(folder.path, "a"));
    await mkdir(join(folder.path, "a"));
    await eventually("all is durable", async () => ((await durableOf(a)) === 9 ? true : undefined));
    await settled(world);
    expect((await statusOf(a)).notWritten).toBeUndefined();
    expect(await system.metricsText()).toContain(`${FAILING} 0`);
    expect(await lifeOf(a)).toBe(life);
    expect(world.lines.map(({ text }) => text)).toContain("Images can be written again, and all is on disk");
  }
  await using again = await start(folder.path, { snapshotMs: 200 });
  expect(await durableOf(again.a)).toBe(9);
  expect(await rowsOf(again.a)).toBe(210);
});

test("a settled time that could not be written is heard by nobody until it is; meanwhile the primary learns on", async () => {
  await using folder = await temporaryFolder();
  await using world = await start(folder.path, { snapshotMs: 600_000 });
  const { a, b, system } = world;
  // No member, so it is not asked; what changes is on its way to it at once.
  const standing = await startShard(system, { node: "c", model: MODEL, folder: folder.path });
  await push(a, { keys: [1n, 2n], dim: DIM });
  const life = await lifeOf(a);
  await push(a, { keys: [3n], dim: DIM });
  await level(world);
  await level({ a, b: standing });
  standing.tell("synchronise", { peer: shardAt("a"), pullId: drawPullId(() => Math.random()), stands: true });
  // Two rounds settle a time. Before the first all is written, and nothing changes from then on.
  a.tell("settle", { members: MEMBERS });
  await eventually("all is durable", async () => ((await durableOf(a)) === 2 ? true : undefined));
  await breakDisk(folder.path);
  await eventually("a time is settled", async () => {
    a.tell("settle", { members: MEMBERS });
    return (await statusOf(a)).settled > 0 ? true : undefined;
  });
  expect((await statusOf(a)).notWritten?.code).toBe("io");
  const rows = await rowsOf(b);
  for (let round = 0; round < 6; round += 1) {
    await push(a, { keys: [BigInt(10 + round)], dim: DIM });
    pullFrom(b, shardAt("a"));
    a.tell("settle", { members: MEMBERS });
    expect(await statusOf(b)).toMatchObject({ settled: 0, rows });
    expect(await statusOf(standing)).toMatchObject({ settled: 0, rows });
  }
  expect(await durableOf(a)).toBe(2);

  await mendDisk(folder.path);
  await settled(world);
  expect(await durableOf(a)).toBe(8);
  expect(await rowsOf(b)).toBe(rows + 6);
  expect(await lifeOf(a)).toBe(life);
});

test("no epoch is begun by who cannot write it down, and why is said; it is once the disk is well", async () => {
  await using folder = await temporaryFolder();
  await using world = await start(folder.path, { snapshotMs: 600_000 });
  const { a } = world;
  await push(a, { keys: [1n], dim: DIM });
  await breakDisk(folder.path);
  await expect(a.ask("lead", { epoch: 1 }, { signal: soon() })).rejects.toThrow(
    /begins no epoch that it cannot write down: Cannot save image 'clicks-0' in .*; see that the folder is there/,
  );
  // It goes on in the one before.
  await push(a, { keys: [2n], dim: DIM });
  await level(world);
  await mendDisk(folder.path);
  await eventually("it begins the epoch", async () => {
    try {
      return await a.ask("lead", { epoch: 1 }, { signal: soon() });
    } catch {
      return undefined; // not written yet
    }
  });
  a.tell("role", { ...TRAINS, term: 1, epoch: 1 });
  await push(a, { keys: [3n], dim: DIM });
  await level(world);
});

interface World extends AsyncDisposable {
  readonly system: ActorSystem;
  readonly a: ActorRef<ShardProtocol>;
  readonly b: ActorRef<ShardProtocol>;
  readonly lines: readonly LogLine[];
}

async function start(folder: string, { snapshotMs }: { readonly snapshotMs: number }): Promise<World> {
  const lines: LogLine[] = [];
  await using undo = new AsyncDisposableStack();
  const system = undo.use(await ActorSystem.start({ region: REGION, sink: (line) => lines.push(line) }));
  const plan = { model: MODEL, folder, snapshotMs };
  const [a, b] = [await startShard(system, { node: "a", ...plan }), await startShard(system, { node: "b", ...plan })];
  a.tell("role", TRAINS);
  const all = undo.move();
  return { system, a, b, lines, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** The primary's images have nowhere to go. */
async function breakDisk(folder: string): Promise<void> {
  await rename(join(folder, "a"), join(folder, "away"));
  await writeFile(join(folder, "a"), "");
}

async function mendDisk(folder: string): Promise<void> {
  await rm(join(folder, "a"));
  await rename(join(folder, "away"), join(folder, "a"));
}

async function level({ a, b }: Pick<World, "a" | "b">): Promise<void> {
  await eventually("the follower has all rows", async () => {
    pullFrom(b, shardAt("a"));
    const [here, there] = [await statusOf(a), await statusOf(b)];
    return here.digest !== undefined && here.digest === there.digest ? true : undefined;
  });
}

async function settled(world: World): Promise<void> {
  const { a, b } = world;
  await eventually("all is settled", async () => {
    a.tell("settle", { members: MEMBERS });
    pullFrom(b, shardAt("a"));
    const all = await Promise.all([statusOf(a), statusOf(b)]);
    const isSettled = all.every(({ settled: t, unsettled: { entries } }) => t > 0 && entries === 0);
    return isSettled && all[0]?.settled === all[1]?.settled ? true : undefined;
  });
}

/** Has the follower begin a pull of which nothing will come; gives the ids of which one is that pull's. */
async function holdPull({ system, b }: World): Promise<readonly string[]> {
  let isHeard = false;
  const silent = defineActor<{ readonly pull: { request: unknown; reply: void } }, undefined>({
    kind: "shard",
    messages: ["pull"],
    setup: () => ({ handlers: { pull: () => void (isHeard = true) } }),
  });
  const { id } = shardAt("silent");
  await system.host(silent, { id, config: undefined });
  const pullIds: string[] = [];
  await eventually("the silent peer is asked", async () => {
    // Left alone while another pull runs.
    const pullId = drawPullId(() => Math.random());
    pullIds.push(pullId);
    b.tell("synchronise", { peer: shardAt("silent"), pullId });
    await statusOf(b);
    return isHeard ? true : undefined;
  });
  return pullIds;
}

function statusOf(replica: ActorRef<ShardProtocol>): Promise<ShardStatus> {
  return replica.ask("status", {}, { signal: soon() });
}

async function durableOf(primary: ActorRef<ShardProtocol>): Promise<number> {
  return (await primary.ask("position", { trainer: "t" }, { signal: soon() })).durable;
}

/** Which start of the shard it is. */
async function lifeOf(replica: ActorRef<ShardProtocol>): Promise<string> {
  return (await replica.ask("share", {}, { signal: soon() })).life;
}
