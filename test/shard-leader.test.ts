import { expect, test } from "vitest";
import { leader } from "../actors/leader.ts";
import { drawPullId } from "../protocols/wire/pull.ts";
import { defineActor } from "../runtime/actor.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { at, clicksModel, push, REGION, rowsOf, shardAt, startShard } from "./shard-support.ts";

const DIM = 4;

/** Hears of pulls, at a leader's or a shard's address, and does nothing. */
function listener(kind: "leader" | "shard", heard: (message: string, body: unknown) => void) {
  const messages = kind === "leader" ? ["shard-changed", "shard-pulled"] : ["led-anew", "pull"];
  return defineActor<Record<string, { request: unknown; reply: void }>, undefined>({
    kind,
    messages,
    setup: () => ({
      handlers: Object.fromEntries(messages.map((each) => [each, (body: unknown) => heard(each, body)])),
    }),
  });
}

test("a shard whose leader started again pulls at once what the new one asks for, though the pull of the old one runs", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const outcomes: unknown[] = [];
  await system.host(
    listener("leader", (message, body) => message === "shard-pulled" && outcomes.push(body)),
    { id: "b", config: undefined },
  );
  let asked = 0;
  await system.host(
    listener("shard", () => void (asked += 1)),
    { id: shardAt("silent").id, config: undefined },
  );
  const plan = { model: clicksModel(DIM), folder: folder.path };
  const [a, b] = [await startShard(system, { node: "a", ...plan }), await startShard(system, { node: "b", ...plan })];
  a.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  await push(a, { keys: [1n, 2n], dim: DIM });

  b.tell("synchronise", { peer: shardAt("silent"), pullId: drawPullId(() => Math.random()), burst: 1 });
  await eventually("it pulls from who does not answer", async () => (asked > 0 ? true : undefined));
  b.tell("led-anew", {});
  const pullId = drawPullId(() => Math.random());
  b.tell("synchronise", { peer: shardAt("a"), pullId });
  await eventually("it has pulled", async () => ((await rowsOf(b)) === 2 ? true : undefined));
  expect(outcomes.at(-1)).toMatchObject({ pullId, outcome: "complete" });
});

test("a leader that starts tells its shards so first", async () => {
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const heard: string[] = [];
  await system.host(
    listener("shard", (message) => heard.push(message)),
    { id: shardAt("b").id, config: undefined },
  );
  const config = {
    region: REGION,
    node: "b",
    shards: ["clicks-0"],
    mayTrain: false,
    peers: [],
    stream: at("stream", "b"),
    leaseMs: 60_000,
    pollWaitMs: 1_000,
    gapMs: 50,
  };
  await system.host(leader, { id: "b", config });
  expect(await eventually("the shard hears of it", async () => heard[0])).toBe("led-anew");
});
