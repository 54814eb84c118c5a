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
import { initialValues, modelLayout, type ModelLayout } from "../../protocols/model-layout.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { floatsOf } from "../../protocols/sync/precision.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../../protocols/sync/replica.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";

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
    if (batches % BATCHES_PER_PULL === 0) live.push(...pull(follower, { peer: primary, pull: batches, nowMs: time }));
  }
  const nowMs = START_MS + 3_600_000;
  return { live, whole: pull(open(layout, "new"), { peer: primary, pull: 0, nowMs }) };
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
    lists.map(({ table, keys }) => gather(replica, { layout, table, keys })),
  );
  placeRows(learner, planned, gathered);
  const { gradients } = learn(learner, planned, labelsOf(batch));
  const sightings = batch.map(({ item, label }) => ({ item, key: keyOf(item), clicks: label, timeMs: nowMs }));
  const push = { trainer: "t", batch: number, previous: number - 1, parts: gradients[0] ?? [], sightings };
  stepReplica(replica, { kind: "write", writes: writesOf(layout, push, { shard: 0, isUrgent: () => false }) }, nowMs);
}

function gather(
  { store }: Replica,
  { layout, table, keys }: { readonly layout: ModelLayout; readonly table: number; readonly keys: BigUint64Array },
): Float32Array {
  const { precision = "f32", dim = 0 } = layout.tables[table] ?? {};
  const { found, values } = store.read(table, keys);
  const floats = floatsOf({ precision, dim }, values);
  for (const [at, key] of keys.entries()) if (found[at] === 0) floats.set(initialValues(layout, table, key), at * dim);
  return floats;
}

function open(layout: ModelLayout, node: string): Replica {
  const store = createMapRowStore(layout.tables, { state: node === "primary" });
  return createReplica({ writer: parseWriterId(`0.bench.${node}.x`), store });
}

/** Pulls what a replica lacks; gives the frames it came in. */
function pull(
  puller: Replica,
  options: { readonly peer: Replica; readonly pull: number; readonly nowMs: number },
): Uint8Array[] {
  const { peer, nowMs } = options;
  const frames: Uint8Array[] = [];
  let effects: readonly ReplicaEffect[] = stepReplica(
    puller,
    { kind: "pull", peer: "peer", pullId: options.pull.toString(16).padStart(32, "0") },
    nowMs,
  );
  while (effects.length > 0) {
    const answers = effects.flatMap((effect) =>
      effect.kind === "send" && (effect.message === "pull" || effect.message === "more" || effect.message === "release")
        ? stepReplica(peer, { kind: "message", from: puller.writer, message: effect.message, body: effect.body }, nowMs)
        : [],
    );
    effects = answers.flatMap((answer) => {
      if (answer.kind !== "send" || answer.message !== "frame") return [];
      frames.push(answer.body);
      return stepReplica(puller, { kind: "message", from: "peer", message: "frame", body: answer.body }, nowMs);
    });
  }
  return frames;
}
