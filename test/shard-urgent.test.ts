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
import { slowLink, type SlowLinkConfig } from "./runtime-fixtures/slow-link.ts";

const REGION = "here";
const DIM = 16;
// Steps in proportion to gradients: a large gradient makes a large update.
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
const ROWS = 60_000;
const PUSH = 20_000;
const NEWS = 1_000_000n;

test("an urgent row overtakes a long pull on a slow link: it is served while the pull still runs", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const primary = at("shard", "clicks-0-a");
  const follower = at("shard", "clicks-0-b");
  const link = at(slowLink.kind, "link");
  for (const name of ["a", "b"]) {
    const path = join(folder.path, name);
    await mkdir(path);
    await system.worker({
      name,
      permissions: { read: [path], write: [path] },
      actors: [
        { module: module("../runtime/file-store.ts"), export: "fileStore", id: name, config: { folder: path } },
        {
          module: module("../actors/shard.ts"),
          export: "shard",
          id: `clicks-0-${name}`,
          config: shardOn(name, primary),
        },
      ],
    });
  }
  const slow: SlowLinkConfig = { puller: follower, responder: primary, bytesPerSecond: 1_000_000 };
  await system.worker({
    name: "link",
    actors: [{ module: module("./runtime-fixtures/slow-link.ts"), export: "slowLink", id: link.id, config: slow }],
  });
  const a = system.ref<ShardProtocol>(primary);
  const b = system.ref<ShardProtocol>(follower);
  a.tell("role", { duty: "trains", training: REGION, term: 0 });

  let batch = 0;
  async function push(keys: readonly bigint[], gradient: number): Promise<void> {
    batch += 1;
    const part = {
      table: USERS,
      keys: BigUint64Array.from(keys),
      gradients: new Float32Array(keys.length * DIM).fill(gradient),
    };
    const request = { trainer: "t", batch, previous: batch - 1, parts: [part], sightings: [] };
    expect(await a.ask("push", request, { signal: soon() })).toMatchObject({ kind: "applied" });
  }
  for (let first = 0; first < ROWS; first += PUSH) {
    await push(
      Array.from({ length: PUSH }, (_, row) => BigInt(first + row)),
      0.01,
    );
  }
  b.tell("synchronise", { peer: link });
  await eventually("the pull has begun", async () => ((await rowsOf(b)) > 0 ? true : undefined));
  await push([NEWS], 1);

  const seen = await eventually("the urgent row is there", async () => {
    const row = await b.ask("row", { table: "users", key: String(NEWS) }, { signal: soon() });
    return row.found ? row : undefined;
  });
  // It is not in what the pull was answered with: whoever has it now has it ahead.
  expect(await rowsOf(b)).toBeLessThan(ROWS);
  expect(seen.values).toEqual((await a.ask("row", { table: "users", key: String(NEWS) }, { signal: soon() })).values);
  await eventually("the pull is complete", async () => ((await rowsOf(b)) === ROWS + 1 ? true : undefined));
  const text = await system.metricsText();
  // The shards tell them apart: equal updates are none of them urgent, the large one is.
  expect(text).toContain('freshet_urgent_rows_total{model="clicks",origin="local"} 1\n');
  expect(text).toContain('freshet_urgent_rows_total{model="clicks",origin="peer"} 1\n');
  expect(text).toContain('freshet_urgent_lag_seconds_count{model="clicks"} 1\n');
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

function shardOn(node: string, primaryAt: Address): ShardConfig {
  return {
    region: REGION,
    node,
    model: MODEL,
    shard: 0,
    name: "clicks-0",
    primaryAt,
    full: node === "a",
    leader: at("leader", node),
    files: at("files", node),
    snapshotMs: 60_000,
    jumpMs: 60_000,
    urgentHoldMs: 2_000,
    orphanMs: 60_000,
  };
}
