import { writesOf } from "../../actors/shard-writes.ts";
import { type Impression } from "../../protocols/feedback.ts";
import { keyOf } from "../../protocols/keys.ts";
import { plain } from "../../protocols/compute/plain.ts";
import { labelsOf } from "../../protocols/learning/label-weights.ts";
import { createLearner, learn, placeRows, planExamples } from "../../protocols/learning/learner.ts";
import { createMarketStream, marketEvents } from "../../protocols/learning/market-stream.ts";
import { createMarket, MARKET_DEFAULTS } from "../../protocols/learning/market.ts";
import { type LabelledExample } from "../../protocols/learning/training-batch.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { modelLayout, type ModelLayout } from "../../protocols/model-layout.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { pullWhole } from "../../properties/pull-whole.ts";
import { gatherRows } from "../../actors/gather-rows.ts";

/** Frames as the links carry them, of a model that learned from the simulated market. */
export interface TrainedFrames {
  /** One answer for about each 2,000 samples: what a link carries while the model learns. */
  readonly live: readonly Uint8Array[];
  /** The whole shard, as a new replica is sent it. */
  readonly whole: readonly Uint8Array[];
}

const BATCH = 256;
const BATCHES_PER_PULL = 8;
const START_MS = 1_760_000_000_000;

/** Trains one shard in this thread, the real learner, optimizer, store and replica, without any actors. Users and items have names, so keys are hashes. */
export function trainFrames(options: {
  readonly seed: number;
  readonly samples: number;
  readonly precision: "f32" | "f16";
}): TrainedFrames {
  const { seed, samples, precision } = options;
  const layout = modelLayout(modelOf(precision));
  const primary = open(layout, "primary");
  const follower = open(layout, "follower");
  const learner = createLearner(layout, { backend: plain, batchMax: BATCH });
  const live: Uint8Array[] = [];
  let batch: LabelledExample[] = [];
  let batches = 0;
  for (const { impression, clicked } of shown(seed, samples)) {
    const { user, item, time } = impression;
    batch.push({
      user: `user ${user}`,
      item: `item ${item}`,
      features: {},
      dense: {},
      label: clicked ? 1 : 0,
      weight: 1,
    });
    if (batch.length < BATCH) continue;
    batches += 1;
    train(primary, { layout, learner, batch, number: batches, nowMs: time });
    batch = [];
    if (batches % BATCHES_PER_PULL !== 0) continue;
    live.push(...pullWhole(follower, { peer: primary, id: batches, nowMs: time }));
  }
  const nowMs = START_MS + 3_600_000;
  return { live, whole: pullWhole(open(layout, "new"), { peer: primary, id: 0, nowMs }) };
}

function modelOf(precision: "f32" | "f16"): ModelDeclaration {
  return {
    name: "clicks",
    shards: 1,
    architecture: { kind: "dlrm", embedding: 16, bottom: [], top: [32, 16] },
    tables: [
      { name: "users", key: "user", precision },
      { name: "items", key: "item", precision },
    ],
    dense: [],
    optimizer: { kind: "adagrad", learningRate: 0.05 },
    denseOptimizer: { kind: "adagrad", learningRate: 0.02 },
  };
}

/** Impressions in order, each with whether its click came. */
function shown(seed: number, samples: number): { readonly impression: Impression; readonly clicked: boolean }[] {
  const market = createMarket({ ...MARKET_DEFAULTS, users: 20_000, initialItems: 5_000, seed, startMs: START_MS });
  const impressions: Impression[] = [];
  const clicks = new Set<string>();
  for (const event of marketEvents(createMarketStream(market, { requestsPerSecond: 100, name: "r", purpose: 1 }))) {
    if (event.type === "feedback") clicks.add(`${event.request} ${event.item}`);
    else impressions.push(event);
    if (impressions.length >= samples) break;
  }
  return impressions.map((impression) => ({
    impression,
    clicked: clicks.has(`${impression.request} ${impression.item}`),
  }));
}

function train(
  replica: Replica,
  options: {
    readonly layout: ModelLayout;
    readonly learner: ReturnType<typeof createLearner>;
    readonly batch: readonly LabelledExample[];
    readonly number: number;
    readonly nowMs: number;
  },
): void {
  const { layout, learner, batch, number, nowMs } = options;
  const planned = planExamples(layout, batch);
  const gathered = planned.lists.map((lists) =>
    lists.map(({ table, keys }) => gatherRows(layout, replica.store, { table, keys }).values),
  );
  placeRows(learner, planned, gathered);
  const { gradients } = learn(learner, planned, labelsOf(batch));
  const sightings = batch.map(({ item, label }) => ({ item, key: keyOf(item), clicks: label, timeMs: nowMs }));
  const push = { trainer: "t", batch: number, previous: number - 1, parts: gradients[0] ?? [], sightings };
  stepReplica(replica, { kind: "write", writes: writesOf(layout, push, { shard: 0, isUrgent: () => false }) }, nowMs);
}

function open(layout: ModelLayout, node: string): Replica {
  const store = createMapRowStore(layout.tables, { state: node === "primary" });
  return createReplica({ writer: parseWriterId(`0.bench.${node}.x`), store });
}
