/*
 * A shard that is the primary in an epoch that its disk does not hold, over real threads.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packPush } from "../actors/packed-push.ts";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, pullFrom, push, REGION, soon, startShard } from "./shard-support.ts";

const DIM = 4;
const MODEL = clicksModel(DIM);
const MEMBERS = ["a", "b"].map((node) => ({ region: REGION, node }));

test.each([
  { duty: "trains", from: "an image of before it" },
  { duty: "hands-over", from: "an empty disk" },
] as const)(
  "a primary that $duty in an epoch and starts from $from learns nothing, and says of nothing that it is learned, before a member gave it the epoch",
  async ({ duty, from }) => {
    await using folder = await temporaryFolder();
    const start = { model: MODEL, folder: folder.path, full: true, snapshotMs: 10_000 };
    async function startBoth(system: ActorSystem): Promise<Both> {
      return [await startShard(system, { node: "a", ...start }), await startShard(system, { node: "b", ...start })];
    }
    {
      await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
      const [a, b] = await startBoth(system);
      a.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
      for (const key of [1n, 2n, 3n]) await push(a, { keys: [key], dim: DIM });
      await pullAll(b, a);
      // Behind the cut.
      for (const key of [4n, 5n]) await push(a, { keys: [key], dim: DIM });
      await b.ask("lead", { epoch: 1 }, { signal: soon() });
      await system.stop({ deadlineMs: 20_000 });
    }
    if (from === "an empty disk") await rm(join(folder.path, "a"), { recursive: true });

    await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
    const [a, b] = await startBoth(system);
    const role: Role = { duty, training: REGION, term: 1, epoch: 1 };
    a.tell("role", role);
    const lacks = "shard clicks-0 of region here lacks the rows of epoch 1, which it takes from a member first";
    await expect(a.ask("position", { trainer: "t" }, { signal: soon() })).rejects.toThrow(lacks);
    const next = packPush({ trainer: "t", batch: 6, previous: 5, parts: [], sightings: [] });
    await expect(a.ask("push", next, { signal: soon() })).rejects.toThrow(lacks);
    // A log that does not name it yet does not name all who may hold the epoch.
    for (let turn = 0; turn < 3; turn += 1) a.tell("settle", { members: [], ifBehind: true });
    const position = await eventually("a member has given the epoch", async () => {
      a.tell("settle", { members: MEMBERS, ifBehind: true });
      a.tell("role", role);
      return a.ask("position", { trainer: "t" }, { signal: soon() }).catch(() => undefined);
    });
    expect(position).toMatchObject({ applied: 3, durable: 3 });
    await push(a, { keys: [9n], dim: DIM });
    await pullAll(b, a);
  },
  60_000,
);

type Both = readonly [a: ActorRef<ShardProtocol>, b: ActorRef<ShardProtocol>];

async function pullAll(from: ActorRef<ShardProtocol>, primary: ActorRef<ShardProtocol>): Promise<void> {
  await eventually("what the primary wrote is there", async () => {
    pullFrom(from, primary.address);
    const [ours, theirs] = await Promise.all([primary, from].map((each) => each.ask("status", {}, { signal: soon() })));
    return ours?.digest !== undefined && ours.digest === theirs?.digest ? true : undefined;
  });
}
