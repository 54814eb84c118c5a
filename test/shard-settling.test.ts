import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ShardConfig } from "../actors/shard-config.ts";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type ActorRef, type Address } from "../runtime/actor.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";

const REGION = "here";
const DIM = 4;
const OGD = { kind: "ogd", learningRate: 0.1 } as const;
const MODEL: ModelDeclaration = {
  name: "clicks",
  shards: 1,
  architecture: { kind: "dlrm", embedding: DIM, bottom: [4], top: [4] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
  ],
  dense: [],
  optimizer: OGD,
  denseOptimizer: OGD,
};
const USERS = 1;
const SETTLED_AGE = 'freshet_settled_age_seconds{shard="clicks-0",worker="a"}';
const MEMBERS = ["a", "b", "c"].map((node) => ({ region: REGION, node }));

test("what all members know leaves every vector, over restarts of the primary that lost what others hold", async () => {
  await using folder = await temporaryFolder();
  const paths = MEMBERS.map(({ node }) => join(folder.path, node));
  for (const path of paths) await mkdir(path);
  const [disk, backup] = [paths[0] ?? "", join(folder.path, "backup")];
  for (let life = 1; life <= 3; life += 1) {
    await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
    for (const [place, { node }] of MEMBERS.entries()) {
      const path = paths[place] ?? "";
      await system.worker({
        name: node,
        permissions: { read: [path], write: [path] },
        actors: [
          { module: module("../runtime/file-store.ts"), export: "fileStore", id: node, config: { folder: path } },
          { module: module("../actors/shard.ts"), export: "shard", id: `clicks-0-${node}`, config: shardOn(node) },
        ],
      });
    }
    const [a, b, c] = MEMBERS.map(({ node }) => system.ref<ShardProtocol>(at("shard", `clicks-0-${node}`)));
    if (a === undefined || b === undefined || c === undefined) throw new RangeError("Cannot test: there are three");
    a.tell("role", { duty: "trains", training: REGION, term: 0 });
    function pullAll(): void {
      for (const follower of [b, c]) follower?.tell("synchronise", { peer: at("shard", "clicks-0-a") });
    }
    await push(a, [1n, 2n, BigInt(life)]);
    await eventually(`all is settled at every member in life ${life}`, async () => {
      a.tell("settle", { members: MEMBERS });
      pullAll();
      const all = await Promise.all([a, b, c].map((replica) => replica.ask("status", {}, { signal: soon() })));
      const isSettled = all.every(
        ({ settled, unsettled: { entries, tombstones } }) => settled > 0 && entries + tombstones === 0,
      );
      return isSettled && new Set(all.map(({ digest }) => digest)).size === 1 ? true : undefined;
    });
    // Gauges follow with the next turn to write.
    const shown = await eventually("the metrics say that all is settled", async () => {
      const text = await system.metricsText();
      const lines = ['freshet_tombstones{shard="clicks-0",worker="a"} 0', SETTLED_AGE];
      return lines.every((line) => text.includes(line)) ? text : undefined;
    });
    expect(shown).toContain(SETTLED_AGE);
    if (life !== 2) continue;
    // The next start knows nothing of these rows, which the others hold; only one of them is ever written again.
    await cp(disk, backup, { recursive: true });
    await push(a, [1n, 7n]);
    await eventually("the others hold what will be lost", async () => {
      pullAll();
      return (await digests(a, b, c)).size === 1 ? true : undefined;
    });
    await system[Symbol.asyncDispose]();
    await rm(disk, { recursive: true });
    await cp(backup, disk, { recursive: true });
  }
}, 90_000);

async function push(primary: ActorRef<ShardProtocol>, keys: readonly bigint[]): Promise<void> {
  const { applied } = await primary.ask("position", { trainer: "t" }, { signal: soon() });
  const gradients = new Float32Array(keys.length * DIM).fill(0.1);
  const parts = [{ table: USERS, keys: BigUint64Array.from(keys), gradients }];
  const request = { trainer: "t", batch: applied + 1, previous: applied, parts, sightings: [] };
  expect(await primary.ask("push", request, { signal: soon() })).toMatchObject({ kind: "applied" });
}

async function digests(...replicas: readonly ActorRef<ShardProtocol>[]): Promise<ReadonlySet<string>> {
  const all = await Promise.all(replicas.map((replica) => replica.ask("status", {}, { signal: soon() })));
  return new Set(all.map(({ digest }) => digest));
}

function at(kind: string, id: string): Address {
  return { region: REGION, kind, id };
}

function module(path: string): URL {
  return new URL(path, import.meta.url);
}

function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

function shardOn(node: string): ShardConfig {
  return {
    region: REGION,
    node,
    model: MODEL,
    shard: 0,
    name: "clicks-0",
    primaryAt: at("shard", "clicks-0-a"),
    full: node === "a",
    leader: at("leader", node),
    files: at("files", node),
    snapshotMs: 500,
    jumpMs: 60_000,
    urgentHoldMs: 2_000,
    orphanMs: 60_000,
  };
}
