import { mkdir } from "node:fs/promises";
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
    { name: "users", key: "user", ttlMs: 3_000 },
    { name: "items", key: "item" },
  ],
  dense: [],
  optimizer: OGD,
  denseOptimizer: OGD,
};
const USERS = 1;
const ITEMS = 2;

test("rows of a table with an age are gone at the primary and at who pulls from it; those of another table stay", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  for (const node of ["a", "b"]) {
    const path = join(folder.path, node);
    await mkdir(path);
    await system.worker({
      name: node,
      permissions: { read: [path], write: [path] },
      actors: [
        { module: module("../runtime/file-store.ts"), export: "fileStore", id: node, config: { folder: path } },
        { module: module("../actors/shard.ts"), export: "shard", id: `clicks-0-${node}`, config: shardOn(node) },
      ],
    });
  }
  const primary = at("shard", "clicks-0-a");
  const [a, b] = [system.ref<ShardProtocol>(primary), system.ref<ShardProtocol>(at("shard", "clicks-0-b"))];
  a.tell("role", { duty: "trains", training: REGION, term: 0 });
  const parts = [USERS, ITEMS].map((table) => ({
    table,
    keys: BigUint64Array.of(1n, 2n, 3n),
    gradients: new Float32Array(3 * DIM).fill(0.1),
  }));
  const request = { trainer: "t", batch: 1, previous: 0, parts, sightings: [] };
  expect(await a.ask("push", request, { signal: soon() })).toMatchObject({ kind: "applied" });
  b.tell("synchronise", { peer: primary });
  await eventually("the follower has all rows", async () => ((await rowsOf(b)) === 6 ? true : undefined));
  await eventually("users have expired at the follower", async () => {
    b.tell("synchronise", { peer: primary });
    return (await rowsOf(b)) === 3 ? true : undefined;
  });
  expect(await rowsOf(a)).toBe(3);
  for (const table of ["users", "items"]) {
    const row = await b.ask("row", { table, key: "2" }, { signal: soon() });
    expect(row.found).toBe(table === "items");
  }
  expect(await system.metricsText()).toContain('freshet_rows_dropped_total{model="clicks"} 6\n');
}, 60_000);

function at(kind: string, id: string): Address {
  return { region: REGION, kind, id };
}

function module(path: string): URL {
  return new URL(path, import.meta.url);
}

function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

async function rowsOf(replica: ActorRef<ShardProtocol>): Promise<number> {
  return (await replica.ask("status", {}, { signal: soon() })).rows;
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
    snapshotMs: 60_000,
    jumpMs: 60_000,
    urgentHoldMs: 2_000,
    orphanMs: 60_000,
  };
}
