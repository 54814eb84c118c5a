/*
 * One pass over a stream of samples in the order in which their labels became known, each predicted before it is learned from: what a region does, without its
 * actors. What it does depends on the samples, the settings and the seed alone: a run that was stopped goes on from its checkpoint to the same end.
 */
import { type Backend } from "../../protocols/compute/backend.ts";
import { createLocalModel, type LocalModel } from "../../protocols/learning/local-model.ts";
import { createLocalTrainer, type RefusedBatch } from "../../protocols/learning/local-trainer.ts";
import { type QualityPoint } from "../../protocols/learning/quality-history.ts";
import { encodeSamples, type KeyBook, type SampleSet } from "../../protocols/learning/sample-set.ts";
import { type ModelLayout } from "../../protocols/model-layout.ts";
import { type ClickSample } from "./click-samples.ts";
import { type StreamCheckpoints, type StreamState } from "./stream-checkpoint.ts";
import { createStreamQuality, type QualityState } from "./stream-quality.ts";
import { timedSaves } from "./timed-saves.ts";

export interface StreamRun {
  readonly at: StreamState;
  readonly quality: QualityState;
  readonly isOver: boolean;
  /** Keys of each table that have a row. */
  readonly rows: readonly number[];
  /** Samples learned here, and the time that took. */
  readonly samples: number;
  readonly seconds: number;
}

export interface StreamOptions {
  readonly layout: ModelLayout;
  /** Every key of the samples. */
  readonly book: KeyBook;
  /** From the first on, whatever of them was learned before. */
  readonly batches: AsyncIterable<readonly ClickSample[]>;
  readonly batchMax: number;
  readonly backend: Backend;
  readonly startMs: number;
  readonly windowMs: number;
  readonly checkpoints: StreamCheckpoints | undefined;
  readonly saveMs: number;
  readonly signal: AbortSignal;
  /** There was a checkpoint, of so many samples. */
  readonly onResume: (done: number) => void;
  /** How much is read anew of what was learned before the checkpoint, 0 to 1. */
  readonly onReread: (share: number) => void;
  readonly onProgress: (done: number, perSecond: number) => void;
  readonly onWindow: (window: QualityPoint) => void;
  /** A batch was not learned from: one of the first. `sample` is of its samples. */
  readonly onRefused: (refused: RefusedBatch, samples: readonly ClickSample[]) => void;
}

/** Learns the stream to its end, or until the signal says that it must stop. */
export async function runStream(options: StreamOptions): Promise<StreamRun> {
  const { layout, book, checkpoints, windowMs, startMs } = options;
  const { slices: features = [] } = layout.model;
  const model = createLocalModel(layout, book);
  const learned = model.embeddings.map(({ keys }) => new Uint8Array(keys.length));
  const novelty = createNovelty(model, learned);
  using trainer = createLocalTrainer(model, { backend: options.backend, batchMax: options.batchMax });
  const kept = await checkpoints?.load(model, learned);
  if (kept !== undefined) options.onResume(kept.at.done);
  const quality = createStreamQuality({ windowMs, startMs, features, kept: kept?.quality });
  let at = kept?.at ?? START;
  const all = Uint32Array.from({ length: options.batchMax }, (_, index) => index);

  function save(): Promise<void> {
    return checkpoints?.save(model, { at, quality: quality.state() }, learned) ?? Promise.resolve();
  }
  const saveInTime = timedSaves(options.saveMs, save);

  function learn(samples: readonly ClickSample[]): void {
    const set = encodeSamples(layout.model, book, samples);
    if (book.some(({ size }, table) => size !== model.embeddings[table]?.keys.length)) {
      throw new ClicksChanged(layout.model.name);
    }
    const isNew = samples.map((_, sample) => novelty.of(set, sample));
    const how = { rate: 1, l2: 0, dropout: 0, seed: 0, sighting: at.batches + 1 };
    const { probabilities, refused } = trainer.step(set, all.subarray(0, samples.length), how);
    for (const [index, { label, weight, timeMs, features: values }] of samples.entries()) {
      const { isNewUser = false, isNewItem = false } = isNew[index] ?? {};
      const window = quality.measure({
        probability: probabilities[index] ?? Number.NaN,
        label,
        weight,
        timeMs,
        values: features.map((name) => values[name] ?? ""),
        isNewUser,
        isNewItem,
      });
      if (window !== undefined) options.onWindow(window);
    }
    if (refused === undefined) novelty.learned(set);
    else if (at.refusedBatches < REFUSED_TOLD_MAX) options.onRefused(refused, samples);
    at = {
      batches: at.batches + 1,
      done: at.done + samples.length,
      refusedBatches: at.refusedBatches + (refused === undefined ? 0 : 1),
      refusedSamples: at.refusedSamples + (refused === undefined ? 0 : samples.length),
    };
  }

  const { batches: known, done: doneBefore } = at;
  let startedMs = performance.now();
  let turnMs = startedMs;
  let next = 0;

  function ran(isOver: boolean): StreamRun {
    const rows = model.embeddings.map(({ admission }, table) =>
      (admission?.hasRow ?? learned[table] ?? new Uint8Array()).reduce((sum, has) => sum + has, 0),
    );
    const seconds = (performance.now() - startedMs) / 1000;
    return { at, quality: quality.state(), isOver, rows, samples: at.done - doneBefore, seconds };
  }

  for await (const samples of options.batches) {
    next += 1;
    // What was learned before is made again, as later clicks depend on it, and passed over.
    if (next > known) {
      learn(samples);
      await saveInTime();
    } else startedMs = performance.now();
    if (performance.now() - turnMs < TURN_MS) continue;
    const tookMs = performance.now() - startedMs;
    if (next <= known) options.onReread(next / known);
    else options.onProgress(at.done, tookMs > 0 ? (1000 * (at.done - doneBefore)) / tookMs : 0);
    await new Promise((resolve) => setImmediate(resolve));
    turnMs = performance.now();
    if (!options.signal.aborted) continue;
    if (next > known) await save();
    return ran(false);
  }
  if (next > known) await save();
  const last = quality.end();
  if (last !== undefined) options.onWindow(last);
  return ran(true);
}

const START: StreamState = { batches: 0, done: 0, refusedBatches: 0, refusedSamples: 0 };
/** Refused batches that are told of one by one. */
const REFUSED_TOLD_MAX = 5;
/** How long the thread computes before it looks whether anybody wants it to stop. */
const TURN_MS = 200;

/** Which users and items were never learned from. */
interface Novelty {
  of(set: SampleSet, sample: number): { readonly isNewUser: boolean; readonly isNewItem: boolean };
  /** Notes that a batch was learned from. */
  learned(set: SampleSet): void;
}

function createNovelty({ layout, embeddings }: LocalModel, learned: readonly Uint8Array[]): Novelty {
  const { tables } = layout.model;
  const [users, items] = ["user", "item"].map((key) =>
    tables.findIndex((table) => table.key === key && table.sequence === undefined),
  );

  function isNew({ rows, starts }: SampleSet, sample: number, table = -1): boolean {
    const cell = sample * tables.length + table;
    const row = rows[starts?.[cell] ?? cell] ?? 0;
    return (embeddings[table]?.admission?.hasRow ?? learned[table])?.[row] === 0;
  }

  return {
    of: (set, sample) => ({ isNewUser: isNew(set, sample, users), isNewItem: isNew(set, sample, items) }),
    learned({ size, rows, starts }) {
      for (let sample = 0; sample < size; sample += 1) {
        for (const [table, bytes] of learned.entries()) {
          const cell = sample * tables.length + table;
          const [from = cell, to = cell + 1] = starts === undefined ? [] : starts.subarray(cell, cell + 2);
          for (let entry = from; entry < to; entry += 1) bytes[rows[entry] ?? 0] = 1;
        }
      }
    },
  };
}

/** The files are not what they were when their keys were counted. */
class ClicksChanged extends Error {
  override readonly name = "ClicksChanged";

  constructor(model: string) {
    super(`Cannot train model ${JSON.stringify(model)}: the clicks changed while they were read. Run it again`);
  }
}
