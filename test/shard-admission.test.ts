import { expect, test } from "vitest";
import { type ShardConfig } from "../actors/shard-config.ts";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type Address } from "../runtime/actor.ts";
import { ActorSystem } from "../runtime/system.ts";
import { temporaryFolder } from "./file-store-support.ts";

const REGION = "here";
const DIM = 4;
const OGD = { kind: "ogd", learningRate: 0.1 } as const;
const MODEL: ModelDeclaration = {
  name: "clicks",
  shards: 1,
  architecture: { kind: "dlrm", embedding: DIM, bottom: [4], top: [4] },
  tables: [
    { name: "users", key: "user", admit: { kind: "count", count: 3, bytes: 4096 } },
    { name: "items", key: "item" },
  ],
  dense: [],
  optimizer: OGD,
  denseOptimizer: OGD,
};
const USERS = 1;
const ITEMS = 2;

test("a key is read as the default row until its third step, whose gradient is the first that counts", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  await system.worker({
    name: "a",
    permissions: { read: [folder.path], write: [folder.path] },
    actors: [
      { module: module("../runtime/file-store.ts"), export: "fileStore", id: "a", config: { folder: folder.path } },
      { module: module("../actors/shard.ts"), export: "shard", id: "clicks-0-a", config: CONFIG },
    ],
  });
  const shard = system.ref<ShardProtocol>(at("shard", "clicks-0-a"));
  shard.tell("role", { duty: "trains", training: REGION, term: 0 });
  const keys = BigUint64Array.of(7n);
  async function read(table: number): Promise<readonly [found: number | undefined, values: readonly number[]]> {
    const { found, values } = await shard.ask("gather", { lists: [{ table, keys }] }, { signal: soon() });
    return [found[0]?.[0], [...(values[0] ?? [])]];
  }
  const first = await read(ITEMS);
  expect(first[1].every((value) => value !== 0)).toBe(true);
  for (let batch = 1; batch <= 3; batch += 1) {
    expect(await read(USERS)).toEqual([0, [0, 0, 0, 0]]);
    const parts = [USERS, ITEMS].map((table) => ({ table, keys, gradients: new Float32Array(DIM).fill(batch) }));
    const request = { trainer: "t", batch, previous: batch - 1, parts, sightings: [] };
    expect(await shard.ask("push", request, { signal: soon() })).toMatchObject({ kind: "applied" });
  }
  const [found, values] = await read(USERS);
  expect(found).toBe(1);
  // From the values that such a row starts from, between -0.05 and 0.05, a tenth of the third gradient.
  for (const value of values) expect(Math.abs(value + 0.3)).toBeLessThanOrEqual(0.05);
  const text = await system.metricsText();
  expect(text).toContain('freshet_rows_admitted_total{model="clicks"} 1\n');
  expect(text).toContain('freshet_gradients_dropped_total{model="clicks"} 2\n');
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

const CONFIG: ShardConfig = {
  region: REGION,
  node: "a",
  model: MODEL,
  shard: 0,
  name: "clicks-0",
  primaryAt: at("shard", "clicks-0-a"),
  full: true,
  leader: at("leader", "a"),
  files: at("files", "a"),
  snapshotMs: 60_000,
  jumpMs: 60_000,
  urgentHoldMs: 2_000,
  orphanMs: 60_000,
};
