/*
 * The baseline that an online model is compared with: the same declaration, trained anew in one pass on what was there before a moment, and judged on what
 * came after it. A model that has learned for long beats a new one for a wrong reason; one that is retrained on the same samples is a fair opponent.
 */
import { type Backend } from "../compute/backend.ts";
import { modelLayout } from "../model-layout.ts";
import { type ModelDeclaration } from "../model.ts";
import { evaluationWeight } from "./label-weights.ts";
import { createLocalModel } from "./local-model.ts";
import { createLocalTrainer } from "./local-trainer.ts";
import { addPrediction, createMetrics, type ProgressiveMetrics } from "./progressive-metrics.ts";
import { type PublishedSample } from "./sample-batch.ts";
import { createKeyBook, encodeSamples } from "./sample-set.ts";

const HALF_LIFE_MS = 3_600_000;

/** How a retrained baseline did on what came after. */
export interface JudgedBaseline {
  readonly measured: ProgressiveMetrics;
  /** Batches that were not learned from, by the rule that shards refuse pushes by. */
  readonly refused: number;
}

/**
 * Trains on some samples, then predicts others, without learning from them. A negative that was corrected by then is learned as the positive alone, or,
 * where it was given early, weighed as the online model weighs it.
 */
export function judgeBaseline(
  model: ModelDeclaration,
  given: {
    readonly backend: Backend;
    readonly batch: number;
    readonly train: readonly PublishedSample[];
    readonly judge: readonly PublishedSample[];
  },
): JudgedBaseline {
  const { backend, batch, judge } = given;
  const train = withFinalLabels(given.train);
  const book = createKeyBook(model);
  const [trainSet, judgeSet] = [encodeSamples(model, book, train), encodeSamples(model, book, judge)];
  using trainer = createLocalTrainer(createLocalModel(modelLayout(model), book), { backend, batchMax: batch });
  const order = Uint32Array.from(train.keys());
  let refused = 0;
  for (let from = 0; from < order.length; from += batch) {
    const how = { rate: 1, l2: 0, dropout: 0, seed: 0, sighting: 1 + from / batch };
    if (trainer.step(trainSet, order.subarray(from, from + batch), how).refused !== undefined) refused += 1;
  }
  const measured = createMetrics({ halfLifeMs: HALF_LIFE_MS });
  for (const [at, probability] of trainer.predict(judgeSet).entries()) {
    const sample = judge[at];
    if (sample === undefined) continue;
    const { label, late, weight, time: timeMs } = sample;
    // As the online model is measured, whose negatives that it leaves out count through those that it keeps.
    const by = evaluationWeight(probability, { label, late, kept: 1 });
    addPrediction(measured, { probability, label, weight: weight * by, timeMs });
  }
  return { measured, refused };
}

/**
 * Without the negatives that a correction among them took back. One that says how many positives come later stays: it is weighed for all of them
 * (label-weights.ts), so those that came by now must not be taken out once more.
 */
export function withFinalLabels(samples: readonly PublishedSample[]): readonly PublishedSample[] {
  const corrected = new Set(samples.filter(({ correction }) => correction).map(impressionOf));
  return samples.filter(
    (sample) => sample.label > 0 || sample.late !== undefined || !corrected.has(impressionOf(sample)),
  );
}

/** A sample's id without its label. */
function impressionOf({ id }: PublishedSample): string {
  return id.slice(0, id.lastIndexOf(":"));
}
