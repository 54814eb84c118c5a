/*
 * A shard whose every batch follows from its number, so that whoever knows how many took effect knows all its rows.
 */
import { type ShardConfig } from "../actors/shard-config.ts";
import { type Push } from "../actors/shard-protocol.ts";
import { createUrgentRule, writesOf } from "../actors/shard-writes.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { createRandom, nextBelow, nextFloat } from "../protocols/random.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../protocols/sync/replica.ts";
import { parseWriterId } from "../protocols/sync/version.ts";

export const REGION = "here";
export const TRAINER = "t";
const DIM = 4;
const KEYS = 20_000;
const BATCH_KEYS = 100;
const ADAGRAD = { kind: "adagrad", learningRate: 0.1 } as const;

export const MODEL: ModelDeclaration = {
  name: "clicks",
  shards: 1,
  architecture: { kind: "dlrm", embedding: DIM, bottom: [4], top: [4] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item", precision: "f16" },
  ],
  dense: [],
  optimizer: ADAGRAD,
  denseOptimizer: ADAGRAD,
};
/** The tables that learn here. */
export const TABLES = [1, 2] as const;
/** Every key that a batch may name. */
export const ALL_KEYS: BigUint64Array = BigUint64Array.from({ length: KEYS }, (_, key) => BigInt(key));

export function shardConfig({ snapshotMs }: { readonly snapshotMs: number }): ShardConfig {
  const self = { region: REGION, kind: "shard", id: "clicks-0-a" };
  return {
    region: REGION,
    node: "a",
    model: MODEL,
    shard: 0,
    name: "clicks-0",
    primaryAt: self,
    full: true,
    leader: { region: REGION, kind: "leader", id: "a" },
    files: { region: REGION, kind: "files", id: "a" },
    snapshotMs,
    jumpMs: 60_000,
    urgentHoldMs: 1_000,
    orphanMs: 60_000,
  };
}

export function batchOf(batch: number): Push {
  const random = createRandom(batch);
  // Few keys come often and most seldom, so that rows change again while an image is read.
  const keys = new Set(Array.from({ length: BATCH_KEYS }, () => BigInt(Math.floor(KEYS * nextFloat(random) ** 3))));
  const gradients = Float32Array.from({ length: keys.size * DIM }, () => nextFloat(random) - 0.5);
  const part = { table: TABLES[nextBelow(random, 2)] ?? 1, keys: BigUint64Array.from(keys), gradients };
  return { trainer: TRAINER, batch, previous: batch - 1, parts: [part], sightings: [sightingOf(batch)] };
}

/** Every batch has one click, so that the catalogue has names. */
function sightingOf(batch: number): Push["sightings"][number] {
  const key = batch % 50;
  return { item: String(key), key: BigInt(key), clicks: 1, timeMs: 1_760_000_000_000 + batch };
}

/** The replica after so many batches, computed anew. */
export function replicaAfter(batches: number): Replica {
  const layout = modelLayout(MODEL);
  const replica = createReplica({
    writer: parseWriterId("0.here.a.x"),
    store: createMapRowStore(layout.tables, { state: true }),
  });
  const isUrgent = createUrgentRule(MODEL);
  for (let batch = 1; batch <= batches; batch += 1) {
    const writes = writesOf(layout, batchOf(batch), { shard: 0, isUrgent });
    stepReplica(replica, { kind: "write", writes, batch: { trainer: TRAINER, id: batch } }, 1_760_000_000_000 + batch);
  }
  return replica;
}
