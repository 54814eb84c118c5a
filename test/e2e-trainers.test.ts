import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type TrainerProtocol } from "../actors/trainer.ts";
import { keyOf, shardOf } from "../protocols/keys.ts";
import { encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { type RegionConfigInput } from "../regions/config.ts";
import { type RegionNode, startNode } from "../regions/node.ts";
import { nodeAddresses } from "../regions/node-plan.ts";
import { readConfig } from "../regions/read-config.ts";
import { declareStreams } from "../runtime/jetstream-declare.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { startTestNats } from "./real-nats.ts";

const REGION = "here";
const MODEL = "m";
const SHARDS = 2;
const MESSAGES = 180;
const USERS = 1;
// Its state is the number of its steps.
const OGD = { kind: "ogd", learningRate: 0.01 } as const;

test("the number of trainers changes while samples wait, and each sample takes effect once", async () => {
  await using folder = await temporaryFolder();
  await using nats = await startTestNats({ name: REGION });
  await publish(nats.url);
  for (const [count, learned] of [
    [2, 40],
    [3, 100],
    [1, MESSAGES],
  ] as const) {
    await using node = await start({ folder: folder.path, url: nats.url, count });
    await eventually(`${count} trainers have learned up to ${learned}`, async () => {
      const applied = await Promise.all(
        nodeAddresses({ region: REGION, node: "a", trainer: { count } })
          .trainers(MODEL)
          .map((at) => node.system.ref<TrainerProtocol>(at).ask("status", {}, { signal: soon() })),
      );
      return Math.min(...applied.map((status) => status.applied)) >= learned ? true : undefined;
    });
    if (learned < MESSAGES) continue;
    const steps = await Promise.all(Array.from({ length: MESSAGES }, (_, at) => stepsOf(node, `u${at + 1}`)));
    expect(steps).toEqual(steps.map(() => 1));
  }
}, 60_000);

/** A message each, of a user who has no other. */
async function publish(url: string): Promise<void> {
  const nc = await connect({ servers: url });
  const subject = `freshet.${REGION}.samples.*.*.${REGION}`;
  await declareStreams(await jetstreamManager(nc, { checkAPI: false }), [{ name: "SAMPLES", subjects: [subject] }], []);
  const js = jetstream(nc);
  for (let seq = 1; seq <= MESSAGES; seq += 1) {
    const named = { id: `r${seq}:i:1`, source: REGION, user: `u${seq}`, item: `i${seq % 7}`, features: {}, dense: {} };
    const sample = { ...named, label: 1, weight: 1, time: seq, correction: false };
    const body = encodeSampleBatch({ keepFrom: seq, positions: [], samples: [sample] });
    await js.publish(subject.replaceAll("*", "all"), body);
  }
  await nc.close();
}

async function start(of: {
  readonly folder: string;
  readonly url: string;
  readonly count: number;
}): Promise<RegionNode> {
  const { folder, url, count } = of;
  const config: RegionConfigInput = {
    region: REGION,
    training: REGION,
    state: "state",
    nats: { url, limits: { streamBytes: "100MB" } },
    http: false,
    models: [
      {
        name: MODEL,
        shards: SHARDS,
        architecture: { kind: "logistic" },
        optimizer: OGD,
        denseOptimizer: OGD,
      },
    ],
    trainer: { count, batch: 1, maxWait: "0ms" },
    // Images are older than the rows when the node ends.
    snapshot: { every: "200ms" },
  };
  await mkdir(folder, { recursive: true });
  const path = join(folder, "here.jsonc");
  await writeFile(path, JSON.stringify(config));
  return startNode(await readConfig(path), { log: () => undefined });
}

async function stepsOf(node: RegionNode, user: string): Promise<number> {
  const shard = nodeAddresses({ region: REGION, node: "a", trainer: { count: 1 } }).shard(
    MODEL,
    shardOf(USERS, keyOf(user), SHARDS),
  );
  const request = { table: "users", key: user };
  const { state = [] } = await node.system.ref<ShardProtocol>(shard).ask("row", request, { signal: soon() });
  return state[0] ?? 0;
}

function soon(): AbortSignal {
  return AbortSignal.timeout(10_000);
}
