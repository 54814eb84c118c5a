/*
 * A trainer and two real shards, of which one is reached through a gate that keeps pushes, or their answers, back.
 */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type TrainerConfig, type TrainerProtocol } from "../actors/trainer.ts";
import { type PackedPush } from "../actors/packed-push.ts";
import { keyOf, shardOf } from "../protocols/keys.ts";
import { encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type ActorRef, type Address, type Context, defineActor, Refused } from "../runtime/actor.ts";
import { declareStreams } from "../runtime/jetstream-declare.ts";
import { type LinkConfig } from "../runtime/link.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { startTestNats } from "./real-nats.ts";
import { at, clicksModel, REGION, shardConfig, soon, USERS } from "./shard-support.ts";

const SAMPLES = { name: "SAMPLES", subjects: ["samples"] };
const MESSAGES = 12;
const SHARDS = 2;
/** An OGD row's state is the number of its steps. */
const MODEL: ModelDeclaration = { ...clicksModel(4), shards: SHARDS };
const ROLE = { duty: "trains", training: REGION, term: 0, epoch: 0 } as const;

test("a trainer waits for a shard that is held back, runs no further on others, and nothing is lost or doubled when it goes on", async () => {
  await using folder = await temporaryFolder();
  await using nats = await startTestNats({ name: REGION });
  await publish(nats.url);
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const opened = Promise.withResolvers<undefined>();
  const pushed: number[] = [];
  function timesOf(batch: number): number {
    return pushed.filter((each) => each === batch).length;
  }
  await system.host(gate, {
    id: "1",
    config: {
      to: shardAddress(1),
      async before({ batch, parts }) {
        if (parts.keys.length === 0) return;
        pushed.push(batch);
        if (batch === 5) await opened.promise;
        if (batch === 8 && timesOf(batch) === 1) throw new Refused("this push is lost");
      },
      after({ batch }) {
        if (batch === 5 && timesOf(batch) === 1) throw new Refused("its answer is lost");
      },
    },
  });
  const { shards, trainer } = await startAll(system, { folder: folder.path, url: nats.url });
  const [first, second] = shards;
  if (first === undefined || second === undefined) throw new RangeError("There are two shards");

  async function appliedOn(shard: ActorRef<ShardProtocol>): Promise<number> {
    return (await shard.ask("position", { trainer: trainer.id }, { signal: soon() })).applied;
  }
  await eventually("the fifth batch is held back, and learned elsewhere", async () =>
    pushed.at(-1) === 5 && (await appliedOn(first)) === 5 ? true : undefined,
  );
  // Longer than a batch takes, many times.
  for (let turn = 0; turn < 50; turn += 1) {
    const { applied, backlog } = await trainer.ref.ask("status", {}, { signal: soon() });
    expect([applied, backlog, await appliedOn(first), await appliedOn(second)]).toEqual([4, MESSAGES - 4, 5, 4]);
  }
  expect(pushed).toEqual([1, 2, 3, 4, 5]);

  opened.resolve(undefined);
  await eventually("all is learned", async () => {
    const { applied } = await trainer.ref.ask("status", {}, { signal: soon() });
    return applied === MESSAGES ? true : undefined;
  });
  expect([await appliedOn(first), await appliedOn(second)]).toEqual([MESSAGES, MESSAGES]);
  expect(pushed).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12]);
  for (let user = 1; user <= MESSAGES; user += 1) {
    const key = `u${user}`;
    const shard = shardOf(USERS, keyOf(key), SHARDS) === 0 ? first : second;
    const { state = [] } = await shard.ask("row", { table: "users", key }, { signal: soon() });
    expect([key, state[0]]).toEqual([key, 1]);
  }
}, 60_000);

interface GateConfig {
  readonly to: Address;
  readonly before: (push: PackedPush) => Promise<void>;
  readonly after: (push: PackedPush) => void;
}

type GateProtocol = Pick<ShardProtocol, "gather" | "share" | "push" | "position">;

/** Passes on what a trainer asks of a shard, and its answers. */
const gate = defineActor<GateProtocol, GateConfig>({
  kind: "gate",
  messages: ["gather", "share", "push", "position"],
  setup: ({ to, before, after }, context: Context<GateProtocol>) => {
    const shard = context.ref<ShardProtocol>(to);
    function later<Reply>(work: Promise<Reply>): ReturnType<typeof context.later<Reply>>["reply"] {
      const answer = context.later<Reply>();
      work.then(answer.resolve, (error: unknown) => answer.reject(new Refused(String(error))));
      return answer.reply;
    }
    async function push(request: PackedPush): Promise<ShardProtocol["push"]["reply"]> {
      await before(request);
      const outcome = await shard.ask("push", request, { signal: soon() });
      after(request);
      return outcome;
    }
    return {
      handlers: {
        gather: (request) => later(shard.ask("gather", request, { signal: soon() })),
        share: (request) => later(shard.ask("share", request, { signal: soon() })),
        position: (request) => later(shard.ask("position", request, { signal: soon() })),
        push: (request) => later(push(request)),
      },
    };
  },
});

/** Two shards, and a trainer that reaches the second one through the gate. */
async function startAll(
  system: ActorSystem,
  { folder, url }: { readonly folder: string; readonly url: string },
): Promise<{
  readonly shards: readonly ActorRef<ShardProtocol>[];
  readonly trainer: { readonly id: string; readonly ref: ActorRef<TrainerProtocol> };
}> {
  const link: LinkConfig = { region: REGION, node: "a", own: { url }, peers: [], streams: [SAMPLES], buckets: [] };
  const gateway = { module: module("../runtime/link.ts"), export: "openLink", config: link };
  await system.worker({ name: "link", permissions: { net: true }, actors: [], gateway });
  const store = { module: module("../runtime/file-store.ts"), export: "fileStore", id: "a", config: { folder } };
  const shardActors = [0, 1].map((shard) => ({
    module: module("../actors/shard.ts"),
    export: "shard",
    id: shardAddress(shard).id,
    config: shardConfig({ node: "a", model: MODEL, shard }),
  }));
  const permissions = { read: [folder], write: [folder] };
  await system.worker({ name: "shards", permissions, actors: [store, ...shardActors] });
  const shards = [0, 1].map((shard) => system.ref<ShardProtocol>(shardAddress(shard)));
  for (const shard of shards) shard.tell("role", ROLE);
  const config: TrainerConfig = {
    model: MODEL,
    shards: [shardAddress(0), at("gate", "1")],
    stream: at("stream", "a"),
    stateManager: at("state-manager", "a"),
    joiner: at("joiner", "a"),
    region: REGION,
    base: "clicks-a",
    share: { index: 0, count: 1 },
    compensation: 0,
    compute: { kind: "plain" },
    batch: 1,
    maxWaitMs: 0,
  };
  const id = "clicks-a";
  await system.worker({
    name: "trainer",
    actors: [{ module: module("../actors/trainer.ts"), export: "trainer", id, config }],
  });
  const ref = system.ref<TrainerProtocol>(at("trainer", id));
  ref.tell("role", ROLE);
  return { shards, trainer: { id, ref } };
}

/** A message each, of a user who has no other. */
async function publish(url: string): Promise<void> {
  const nc = await connect({ servers: url });
  await declareStreams(await jetstreamManager(nc, { checkAPI: false }), [SAMPLES], []);
  for (let seq = 1; seq <= MESSAGES; seq += 1) {
    const named = { id: `r${seq}:i:1`, source: REGION, user: `u${seq}`, item: `i${seq}`, features: {}, dense: {} };
    const sample = { ...named, label: 1, weight: 1, time: seq, correction: false };
    await jetstream(nc).publish("samples", encodeSampleBatch({ keepFrom: seq, positions: [], samples: [sample] }));
  }
  await nc.close();
}

function shardAddress(shard: number): Address {
  return at("shard", `clicks-${shard}-a`);
}

function module(path: string): URL {
  return new URL(path, import.meta.url);
}
