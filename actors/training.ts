/*
 * Trains one model from the region's stream of samples: gather rows, predict, learn, push gradients to the primaries.
 *
 * What holds:
 * 1. Each sample takes effect once on each shard, whatever restarts (protocols/learning/sample-positions.ts). The trainer keeps nothing on
 *    disk: where it stands is what the shards' images say.
 * 2. Each sample is predicted before it is learned from, so the metrics are of data the model had not seen.
 * 3. A batch that cannot be learned from (undecodable, not finite, too large a step) is counted and passed over, on all shards alike.
 */
import { type Backend } from "../protocols/compute/backend.ts";
import { createLearner, learn, placeRows, planColumns, roomFor } from "../protocols/learning/learner.ts";
import { newRows, type NewRows, NO_NEW_ROWS } from "../protocols/learning/new-rows.ts";
import { type SampleColumns } from "../protocols/learning/sample-frame.ts";
import { sizeOf } from "../protocols/learning/training-batch.ts";
import {
  batchLimit,
  neededFrom,
  nextToRead,
  type SamplePositions,
  shardsLacking,
} from "../protocols/learning/sample-positions.ts";
import { type Earlier, isOwnMessage, lastLearned, startOf, wasLearned } from "../protocols/learning/trainer-layout.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { type ActorRef, type Context } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type JoinerProtocol } from "./joiner.ts";
import { type GradientPart, type ShardProtocol } from "./shard-protocol.ts";
import {
  type Batch,
  decode,
  keptOf,
  labelsIn,
  type Queued,
  type SampleLabels,
  sightingsOf,
} from "./sample-messages.ts";
import { packPush } from "./packed-push.ts";
import { createSharedRows } from "./shared-rows.ts";
import { type StateManagerProtocol } from "./state-manager-protocol.ts";
import { createTrainingQuality } from "./training-quality.ts";
import { brokenGradient, originOf, ShardElsewhere } from "./training-faults.ts";
import { createTrainerPushes, type ShardStep } from "./trainer-pushes.ts";
import { type TrainerConfig, type TrainerProtocol, type TrainerStatus } from "./trainer.ts";

const ASK_MS = 10_000;
/** Messages read at once. Each holds up to a joiner's chunk of samples. */
const READ_MAX = 32;

export interface Training {
  turn(): Promise<void>;
  report(): void;
  status(): TrainerStatus;
  forgetPositions(): void;
}

/** Training of one model, turn by turn. After a turn that failed, `forgetPositions`. */
export function startTraining(given: {
  readonly config: TrainerConfig;
  readonly context: Context<TrainerProtocol>;
  readonly backend: Backend;
}): Training {
  const { config, context, backend } = given;
  const { model } = config;
  const layout = modelLayout(model);
  const shards = config.shards.map((address): ActorRef<ShardProtocol> => context.ref<ShardProtocol>(address));
  const stream = context.ref<StreamProtocol>(config.stream);
  const stateManager = context.ref<StateManagerProtocol>(config.stateManager);
  const joiner = context.ref<JoinerProtocol>(config.joiner);
  const self = context.self.id;
  const labels = { model: model.name };
  const rows = createSharedRows(layout, shards, {
    upMs: () => context.upMs(),
    count: (name, by) => context.metrics.count(name, by, { ...labels, reader: "trainer" }),
  });
  const pushes = createTrainerPushes({ trainer: self, shards, compensation: config.compensation, wasLearnedOn });
  let learner = createLearner(layout, { backend, batchMax: 4 * config.batch });
  let positions: SamplePositions | undefined;
  /** By shard: what trainers of another number had learned from when this one began. */
  let earlier: readonly (readonly Earlier[])[] = [];
  let idle = false;
  let queue: Queued[] = [];
  let samplesLearned = 0;
  let lastSeq = 0;
  const quality = createTrainingQuality(model);

  function deadline(): Until {
    return { signal: context.deadline(ASK_MS) };
  }

  async function locate(): Promise<SamplePositions> {
    const found = await Promise.all(shards.map((_, shard) => locateOn(shard)));
    earlier = found.map((each) => each.earlier);
    return { applied: found.map(({ applied }) => applied), durable: found.map(({ durable }) => durable) };
  }

  /** Where this trainer stands on a shard; where others before it stood, it takes their place first. */
  async function locateOn(shard: number): Promise<Located> {
    const { base, share } = config;
    const ref = shards[shard];
    if (ref === undefined) return { applied: 0, durable: 0, earlier: [] };
    const { applied, durable, known } = await ref.ask("position", { trainer: self }, deadline());
    const { position, earlier: others } = startOf(known, { base, share });
    if (position === applied) return { applied, durable, earlier: others };
    const push = { trainer: self, batch: position, previous: applied, parts: [], sightings: [] };
    const outcome = await ref.ask("push", packPush(push), deadline());
    if (outcome.kind !== "applied") throw new ShardElsewhere(shard, applied);
    return { applied: position, durable, earlier: others };
  }

  /** Whether a message that is this trainer's own took effect on a shard before its number was what it is. */
  function wasLearnedOn(shard: number, seq: number): boolean {
    return isOwnMessage(seq, config.share) && wasLearned(earlier[shard] ?? [], seq);
  }

  async function read(from: number, waitMs: number): Promise<void> {
    const request = { region: config.region, stream: "SAMPLES", fromSeq: from, max: READ_MAX, waitMs };
    const answer = await stream.ask("read", request, { signal: context.deadline(waitMs + ASK_MS) });
    lastSeq = answer.lastSeq;
    if (answer.firstSeq > from && answer.messages.length > 0 && (answer.messages[0]?.seq ?? 0) > from) {
      const lost = (answer.messages[0]?.seq ?? from) - from;
      context.metrics.count("freshet_samples_lost_total", lost, labels);
      context.log.error("Samples were dropped by the stream's limits before they were learned; raise nats.limits", {
        lost,
        from,
      });
    }
    for (const message of answer.messages) {
      // What other trainers learn from is passed over unread.
      const isOwn = isOwnMessage(message.seq, config.share);
      queue.push({ seq: message.seq, message: isOwn ? message : undefined, parts: undefined });
    }
  }

  /**
   * The next batch off the queue: whole messages, about `batch` samples, not across a position where some shard stands. What others may have learned from on
   * some shards comes message by message.
   */
  function take(known: SamplePositions): Batch | undefined {
    const first = queue[0];
    if (first === undefined) return undefined;
    const limit = batchLimit(known, first.seq);
    const apartUpTo = Math.max(0, ...earlier.map(lastLearned));
    const parts: SampleColumns[] = [];
    let last = 0;
    let count = 0;
    let size = 0;
    for (const queued of queue) {
      if (queued.seq > limit) break;
      const more = partsOf(queued);
      size += sizeOf(more);
      if (count > 0 && size > config.batch) break;
      parts.push(...more);
      last = queued.seq;
      count += 1;
      if (queued.seq <= apartUpTo && isOwnMessage(queued.seq, config.share)) break;
    }
    queue = queue.slice(count);
    return { seq: last, parts };
  }

  /** Read when its turn has come. */
  function partsOf(queued: Queued): readonly SampleColumns[] {
    const { message } = queued;
    queued.parts ??= message === undefined ? [] : decode(message, context, labels);
    return queued.parts;
  }

  /** Whether what is queued makes a full batch. */
  function isFull(): boolean {
    let waiting = 0;
    return queue.some((queued) => (waiting += sizeOf(partsOf(queued))) >= config.batch);
  }

  async function step(known: SamplePositions, batch: Batch): Promise<void> {
    const { seq } = batch;
    const lacking = shardsLacking(known, seq).filter(({ shard }) => !wasLearnedOn(shard, seq));
    const samples = lacking.length === 0 ? [] : batch.parts;
    const size = sizeOf(samples);
    // A message as large as a stream allows may hold more than the joiner ever puts in one.
    if (size > learner.compiled.batchMax) {
      learner.compiled[Symbol.dispose]();
      learner = createLearner(layout, { backend, batchMax: size });
    }
    // After a restart some shards may have learned this already: then it was counted and measured before.
    const isNew = lacking.length === shards.length;
    const learned = keptOf(samples, model);
    const labelled = labelsIn(learned);
    // One for all that is asked: each is a timer, and an error once nobody waits any more.
    const until = deadline();
    const computed = learned.length === 0 ? NOTHING : await compute(learned, { labelled, until });
    const { parts } = computed;
    const sightings = parts.length === 0 && learned.length > 0 ? [] : sightingsOf(samples, shards.length);
    let outcome = await pushes.push(known, { seq, parts, sightings, ...until });
    if (outcome.refused !== undefined) {
      // Never by a gradient: what a shard asks of those was asked before any of them had one.
      context.metrics.count("freshet_batches_refused_total", 1, { ...labels, reason: outcome.refused });
      context.log.warn("A batch was refused and passed over", { reason: outcome.refused, upTo: seq });
      outcome = await pushes.push(outcome.positions, { seq, parts: [], sightings: [], ...until });
    }
    positions = outcome.positions;
    if (!isNew) return;
    quality.measure(learned, labelled, computed);
    samplesLearned += size;
    context.metrics.count("freshet_samples_total", size, labels);
  }

  async function compute(
    samples: readonly SampleColumns[],
    { labelled, until }: { readonly labelled: SampleLabels; readonly until: Until },
  ): Promise<Computed> {
    const planned = planColumns(layout, samples, learner.planKeys);
    // Where rows are to be sent along as they were read, they must not be the learner's own memory.
    const into = config.compensation === 0 ? roomFor(learner, planned) : [];
    const gathered = await rows.gatherAll(planned.lists, until.signal, { into });
    placeRows(
      learner,
      planned,
      gathered.map(({ values }) => values),
    );
    const learned = learn(learner, planned, labelled, pushes.room);
    const { loss, gradients } = learned;
    const probabilities = learned.probabilities.slice();
    const broken = brokenGradient(layout, learned);
    const reason = broken?.reason ?? (Number.isFinite(loss.lossSum) ? undefined : "loss");
    if (reason !== undefined) {
      context.metrics.count("freshet_batches_refused_total", 1, { ...labels, reason });
      context.log.error("A batch's gradients must not enter the model; passed over", {
        reason,
        samples: sizeOf(samples),
        ...(broken !== undefined && originOf(broken, { layout, parts: samples })),
      });
      return { ...NOTHING, probabilities };
    }
    const parts = gradients.map((list, shard): ShardStep => {
      const { values = [], steps: readAt = 0 } = gathered[shard] ?? {};
      if (config.compensation === 0) return { parts: list, readAt };
      const withRead = list.map((part, at): GradientPart => {
        const computedAt = values[at];
        return computedAt === undefined ? part : { ...part, read: computedAt };
      });
      return { parts: withRead, readAt };
    });
    return { parts, probabilities, isNew: newRows(layout, planned, gathered) };
  }

  return {
    async turn() {
      // With nothing to do, ask again: a shard may have fallen back to its image, or saved a newer one.
      if (positions === undefined || idle) positions = await locate();
      const from = queue.length > 0 ? undefined : nextToRead(positions);
      if (from !== undefined) await read(from, READ_WAIT_MS);
      idle = queue.length === 0;
      // A step is hardly dearer for a full batch than for one sample, so a few more may come.
      const last = queue.at(-1)?.seq;
      if (last !== undefined && config.maxWaitMs > 0 && !isFull()) await read(last + 1, config.maxWaitMs);
      for (let batch = take(positions); batch !== undefined; batch = take(positions)) await step(positions, batch);
    },
    report() {
      const applied = positions === undefined ? 0 : nextToRead(positions) - 1;
      context.metrics.gauge("freshet_trainer_backlog_messages", Math.max(0, lastSeq - applied), labels);
      // Several models learn from one stream, so the joiner purges it, of what none of them needs.
      if (positions !== undefined) joiner.tell("needed", { trainer: self, from: neededFrom(positions) });
      const measured = quality.take();
      if (measured !== undefined) stateManager.tell("progress", { model: model.name, trainer: self, ...measured });
    },
    status() {
      const applied = positions === undefined ? 0 : nextToRead(positions) - 1;
      const durable = positions === undefined ? 0 : neededFrom(positions) - 1;
      return { applied, durable, backlog: Math.max(0, lastSeq - applied), samples: samplesLearned, late: pushes.late };
    },
    forgetPositions() {
      positions = undefined;
      queue = [];
      rows.forget();
    },
  };
}

const READ_WAIT_MS = 1_000;

/** Until when what is asked waits. */
interface Until {
  readonly signal: AbortSignal;
}

/** Where a trainer stands on one shard. */
interface Located {
  readonly applied: number;
  readonly durable: number;
  readonly earlier: readonly Earlier[];
}

/** What a batch gives: gradients by shard, and what was predicted before. */
interface Computed {
  readonly parts: readonly ShardStep[];
  readonly probabilities: Float32Array;
  /** By sample: whether the row of its user, or item, had never been trained. */
  readonly isNew: NewRows;
}

const NOTHING: Computed = { parts: [], probabilities: new Float32Array(), isNew: NO_NEW_ROWS };
