/*
 * Trains one model on a data set, pass by pass, until it is no longer better on the validation part. What it does depends on the data, the
 * settings and the seed alone: a run that was stopped goes on from its checkpoint to the same end.
 */
import { type Backend } from "../../protocols/compute/backend.ts";
import { type ExactMetrics, exactMetrics } from "../../protocols/learning/exact-metrics.ts";
import { createLocalModel, type LocalModel } from "../../protocols/learning/local-model.ts";
import { createLocalTrainer, type LocalTrainer, type RefusedBatch } from "../../protocols/learning/local-trainer.ts";
import { judgePasses, passOrder, type PassResult, type PassRules } from "../../protocols/learning/passes.ts";
import { addPrediction } from "../../protocols/learning/progressive-metrics.ts";
import {
  closeWindow,
  createHistory,
  type QualityHistory,
  type QualityPoint,
} from "../../protocols/learning/quality-history.ts";
import { mixUint32 } from "../../protocols/random.ts";
import { type ModelLayout } from "../../protocols/model-layout.ts";
import { type Checkpoint, type CheckpointStore, type PassState } from "./checkpoint.ts";
import { type LoadedSamples } from "./load-samples.ts";
import { slicedMetrics, type SliceMetrics } from "./sample-slices.ts";
import { timedSaves } from "./timed-saves.ts";

export interface TrainingSettings extends PassRules {
  readonly batch: number;
  readonly seed: number;
  readonly l2: number;
  readonly dropout: number;
}

export interface TrainingRun {
  readonly results: readonly PassResult[];
  /** Of the training samples, each predicted before it was learned from: ten windows a pass. `at` is in passes. */
  readonly windows: readonly QualityPoint[];
  readonly best: number;
  /** Of the best pass, on the test part; absent where there is none, or the run was stopped. */
  readonly test?: ExactMetrics;
  /** Of the same predictions, by slice, the largest first. */
  readonly testSlices?: readonly SliceMetrics[];
  readonly isOver: boolean;
  /** Keys of each table that have a row: all that are learned from, where its table has no rule of admission. */
  readonly rows: readonly number[];
  /** Samples learned here, and the time that took, evaluation not counted. */
  readonly samples: number;
  readonly seconds: number;
}

/** How a pass goes, now and then while it does. */
export interface PassProgress {
  readonly pass: number;
  readonly done: number;
  readonly samples: number;
  readonly perSecond: number;
}

export interface TrainingOptions {
  readonly layout: ModelLayout;
  readonly data: LoadedSamples;
  readonly backend: Backend;
  readonly settings: TrainingSettings;
  readonly checkpoints: CheckpointStore | undefined;
  /** How often a checkpoint is written within a pass, about: what a kill costs. */
  readonly saveMs: number;
  readonly signal: AbortSignal;
  /** There was a checkpoint. */
  readonly onResume: (passes: number, done: number) => void;
  readonly onProgress: (progress: PassProgress) => void;
  readonly onPass: (result: PassResult) => void;
  /** A batch was not learned from: one of the first. */
  readonly onRefused: (pass: number, refused: RefusedBatch) => void;
}

/** Trains until the rules say that it is over, or the signal that it must stop. */
export async function runTraining(options: TrainingOptions): Promise<TrainingRun> {
  const { layout, data, settings, checkpoints, signal } = options;
  const { train, valid, test } = data;
  const model = createLocalModel(layout, data.book);
  using trainer = createLocalTrainer(model, { backend: options.backend, batchMax: settings.batch });
  const kept = await checkpoints?.load(model);
  if (kept !== undefined) options.onResume(kept.results.length, kept.pass.done);
  const results: PassResult[] = [...(kept?.results ?? [])];
  const history = kept?.history ?? createHistory({ pointsMax: WINDOWS_MAX, halfLifeMs: HALF_LIFE_MS });
  const { points: windows } = history;
  let bestValues = kept?.bestValues ?? valuesOf(model);
  let resumed = kept?.pass ?? START;
  let samples = 0;
  let seconds = 0;

  async function save(pass: PassState): Promise<void> {
    const checkpoint: Checkpoint = { results, bestValues, history, pass };
    await checkpoints?.save(model, checkpoint);
  }
  const saveInTime = timedSaves(options.saveMs, save);

  function ran(end: Pick<TrainingRun, "isOver" | "test" | "testSlices">): TrainingRun {
    const { best } = judgePasses(results, settings);
    const rows = model.embeddings.map(({ admission }, at) =>
      admission === undefined ? (data.trainKeys[at] ?? 0) : admission.hasRow.reduce((sum, has) => sum + has, 0),
    );
    return { results, windows, best, rows, samples, seconds, ...end };
  }

  for (;;) {
    const { rate, isOver } = judgePasses(results, settings);
    if (isOver) {
      if (test === undefined) return ran({ isOver });
      restoreValues(model, bestValues);
      const probabilities = trainer.predict(test);
      return ran({
        isOver,
        test: exactMetrics(probabilities, test.labels),
        testSlices: slicedMetrics(data.slices, probabilities, test.labels),
      });
    }
    const pass = results.length + 1;
    const order = passOrder(train.size, { seed: settings.seed, pass });
    const at = await runPass(trainer, { options, order, from: resumed, pass, rate, history, save: saveInTime });
    samples += at.done - resumed.done;
    seconds += at.seconds;
    if (at.done < train.size) {
      await save(at);
      return ran({ isOver: false });
    }
    resumed = START;
    const result = {
      pass,
      rate,
      trainLoss: at.lossSum / at.learned,
      refused: at.refused,
      valid: exactMetrics(trainer.predict(valid), valid.labels),
    };
    results.push(result);
    if (judgePasses(results, settings).best === pass) bestValues = valuesOf(model);
    await save(START);
    options.onPass(result);
    if (signal.aborted) return ran({ isOver: false });
  }
}

const START: PassState = { done: 0, learned: 0, lossSum: 0, refused: 0 };
/** Refused batches that are told of one by one. */
const REFUSED_TOLD_MAX = 5;
const WINDOWS_A_PASS = 10;
const WINDOWS_MAX = 1_000;
/** The samples have no times here, and nothing asks for the recent past. */
const HALF_LIFE_MS = 1;
/** How long the thread computes before it looks whether anybody wants it to stop. */
const TURN_MS = 200;

async function runPass(
  trainer: LocalTrainer,
  pass: {
    readonly options: TrainingOptions;
    readonly order: Uint32Array;
    readonly from: PassState;
    readonly pass: number;
    readonly rate: number;
    readonly history: QualityHistory;
    readonly save: (at: PassState) => Promise<void>;
  },
): Promise<PassState & { readonly seconds: number }> {
  const { options, order } = pass;
  const { train } = options.data;
  const { batch, seed, l2, dropout } = options.settings;
  let { done, learned, lossSum, refused } = pass.from;
  const startedMs = performance.now();
  let turnMs = startedMs;
  while (done < train.size && !options.signal.aborted) {
    const samples = order.subarray(done, done + batch);
    const drawn = mixUint32(mixUint32(seed, pass.pass), done);
    const loss = trainer.step(train, samples, {
      rate: pass.rate,
      l2,
      dropout,
      seed: drawn,
      // A sample that comes again is no second sighting of its keys.
      ...(pass.pass === 1 && { sighting: 1 + Math.floor(done / batch) }),
    });
    if (loss.refused === undefined) {
      learned += samples.length;
      lossSum += loss.lossSum;
    } else {
      if (refused < REFUSED_TOLD_MAX) options.onRefused(pass.pass, loss.refused);
      refused += 1;
    }
    for (const [at, sample] of samples.entries()) {
      const probability = loss.probabilities[at] ?? Number.NaN;
      const weight = train.weights[sample] ?? 0;
      addPrediction(pass.history.open, { probability, label: train.labels[sample] ?? 0, weight, timeMs: 0 });
    }
    const windowsBefore = Math.floor((WINDOWS_A_PASS * done) / train.size);
    done += samples.length;
    if (Math.floor((WINDOWS_A_PASS * done) / train.size) > windowsBefore) {
      closeWindow(pass.history, pass.pass - 1 + done / train.size);
    }
    if (performance.now() - turnMs > TURN_MS) {
      const perSecond = (1000 * (done - pass.from.done)) / (performance.now() - startedMs);
      options.onProgress({ pass: pass.pass, done, samples: train.size, perSecond });
      await new Promise((resolve) => setImmediate(resolve));
      await pass.save({ done, learned, lossSum, refused });
      turnMs = performance.now();
    }
  }
  if (done === train.size && learned === 0) throw new NothingLearned(pass.pass, options.layout.model.name);
  return { done, learned, lossSum, refused, seconds: (performance.now() - startedMs) / 1000 };
}

/** Every batch of a pass was refused. */
class NothingLearned extends Error {
  override readonly name = "NothingLearned";

  constructor(pass: number, model: string) {
    super(
      `Cannot train model ${model}: every batch of pass ${pass} was refused, as their gradients must not enter a model. ` +
        "Lower its learning rates, smaller batches may do, or scale its dense features down",
    );
  }
}

function valuesOf({ embeddings, groups }: LocalModel): readonly Float32Array<ArrayBuffer>[] {
  return [...embeddings, ...groups].map(({ values }) => values.slice());
}

function restoreValues({ embeddings, groups }: LocalModel, values: readonly Float32Array[]): void {
  for (const [at, table] of [...embeddings, ...groups].entries()) table.values.set(values[at] ?? []);
}
