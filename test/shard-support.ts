// A model's one shard on several nodes of one region, each in a worker of its own, as tests of replicas need them.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { packPush } from "../actors/packed-push.ts";
import { type ShardConfig } from "../actors/shard-config.ts";
import { type GradientPart, type ShardProtocol, type Sighting } from "../actors/shard-protocol.ts";
import { type ModelDeclaration, type TableDeclaration } from "../protocols/model.ts";
import { drawPullId } from "../protocols/wire/pull.ts";
import { type ActorRef, type Address } from "../runtime/actor.ts";
import { type ActorSystem } from "../runtime/system.ts";

export const REGION = "here";
/** Indices of the tables of such a model; 0 is that of its dense parameters. */
export const USERS = 1;
export const ITEMS = 2;

/** A model named `clicks` with rows of `dim` numbers. Its steps are in proportion to gradients: a large gradient makes a large update. */
export function clicksModel(dim: number, users: Partial<TableDeclaration> = {}): ModelDeclaration {
  const optimizer = { kind: "ogd", learningRate: 0.1 } as const;
  return {
    name: "clicks",
    shards: 1,
    architecture: { kind: "dlrm", embedding: dim, bottom: [4], top: [4] },
    tables: [
      { name: "users", key: "user", ...users },
      { name: "items", key: "item" },
    ],
    dense: [],
    optimizer,
    denseOptimizer: optimizer,
  };
}

export function at(kind: string, id: string): Address {
  return { region: REGION, kind, id };
}

/** The shard's replica on a node; node `a` is the primary. */
export function shardAt(node: string): Address {
  return at("shard", `clicks-0-${node}`);
}

interface ShardPlan {
  readonly node: string;
  readonly model: ModelDeclaration;
  readonly snapshotMs?: number;
  /** It holds optimizer state. Default: the primary does. */
  readonly full?: boolean;
  readonly scorer?: Address;
  /** A folder in which it has one for rows that are not in memory. */
  readonly scratch?: string;
  /** Which of the model's shards the node has. Default: the first. */
  readonly shard?: number;
}

export function shardConfig({
  node,
  model,
  snapshotMs = 60_000,
  full = node === "a",
  shard = 0,
  ...more
}: ShardPlan): ShardConfig {
  const { scorer, scratch } = more;
  return {
    region: REGION,
    node,
    model,
    shard,
    name: `clicks-${shard}`,
    primaryAt: shardAt("a"),
    full,
    leader: at("leader", node),
    files: at("files", node),
    snapshotMs,
    jumpMs: 60_000,
    urgentHoldMs: 2_000,
    orphanMs: 60_000,
    ...(scorer !== undefined && { scorer }),
    ...(scratch !== undefined && { scratch: join(scratch, "clicks-0") }),
  };
}

/** Where a test gives up. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(20_000);
}

/** Starts the replica of a node, with its files in a folder named after it. */
export async function startShard(
  system: ActorSystem,
  { folder, ...plan }: ShardPlan & { readonly folder: string },
): Promise<ActorRef<ShardProtocol>> {
  const { node } = plan;
  const path = join(folder, node);
  const config = shardConfig(plan);
  const paths = [path, ...(plan.scratch === undefined ? [] : [plan.scratch])];
  // Only what is a folder by then is granted with what comes to be in it.
  for (const each of paths) await mkdir(each, { recursive: true });
  await system.worker({
    name: node,
    permissions: { read: paths, write: paths },
    actors: [
      { module: module("../runtime/file-store.ts"), export: "fileStore", id: node, config: { folder: path } },
      { module: module("../actors/shard.ts"), export: "shard", id: shardAt(node).id, config },
    ],
  });
  return system.ref<ShardProtocol>(shardAt(node));
}

/** Has a replica pull from another, unless it pulls already. */
export function pullFrom(replica: ActorRef<ShardProtocol>, peer: Address): void {
  replica.tell("synchronise", { peer, pullId: drawPullId(() => Math.random()) });
}

/** Has the primary learn one gradient for all numbers of some rows, after all that it learned so far. */
export async function push(
  primary: ActorRef<ShardProtocol>,
  {
    keys,
    dim,
    gradient = 0.1,
    tables = [USERS],
    sightings = [],
  }: {
    readonly keys: readonly bigint[];
    readonly dim: number;
    readonly gradient?: number;
    readonly tables?: readonly number[];
    readonly sightings?: readonly Sighting[];
  },
): Promise<void> {
  const { applied } = await primary.ask("position", { trainer: "t" }, { signal: soon() });
  const gradients = new Float32Array(keys.length * dim).fill(gradient);
  const parts: GradientPart[] = tables.map((table) => ({ table, keys: BigUint64Array.from(keys), gradients }));
  const request = { trainer: "t", batch: applied + 1, previous: applied, parts, sightings };
  expect(await primary.ask("push", packPush(request), { signal: soon() })).toMatchObject({ kind: "applied" });
}

export async function rowsOf(replica: ActorRef<ShardProtocol>): Promise<number> {
  return (await replica.ask("status", {}, { signal: soon() })).rows;
}

function module(path: string): URL {
  return new URL(path, import.meta.url);
}
