import { evaluationWeight, lateOf } from "../protocols/learning/label-weights.ts";
import { type NewRows } from "../protocols/learning/new-rows.ts";
import { addPrediction, createMetrics, type ProgressiveMetrics } from "../protocols/learning/progressive-metrics.ts";
import { addToSlices, type Slices } from "../protocols/learning/quality-slices.ts";
import { type SampleColumns } from "../protocols/learning/sample-frame.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type SampleLabels, valuesIn } from "./sample-messages.ts";

/** Reports of quality until one with its slices, which are many and nobody waits for. */
const SLICES_EVERY = 8;
/** Recent quality forgets half of what it knew in this much event time. */
const HALF_LIFE_MS = 3_600_000;

/** What was predicted of some samples, and whether the rows of their users and items had never been trained. */
interface Predicted {
  readonly probabilities: Float32Array;
  readonly isNew: NewRows;
}

/** What one trainer predicted before it learned, since it was last told. */
export interface TrainingQuality {
  /** Takes in what was predicted of some samples, which are labelled so. */
  measure(parts: readonly SampleColumns[], labels: SampleLabels, predicted: Predicted): void;
  /** What is to be told now; undefined where nothing was predicted. */
  take(): { readonly window: ProgressiveMetrics; readonly slices: Slices } | undefined;
}

export function createTrainingQuality({ slices: features = [], negativesKept = 1 }: ModelDeclaration): TrainingQuality {
  let window = createMetrics({ halfLifeMs: HALF_LIFE_MS });
  let slices: Slices = new Map();
  let reports = 0;
  return {
    measure(parts, labels, { probabilities, isNew }) {
      const values = features.length === 0 ? [] : valuesIn(parts, features);
      for (let at = 0; at < labels.labels.length; at += 1) {
        const label = labels.labels[at] ?? 0;
        const probability = probabilities[at] ?? Number.NaN;
        const by = evaluationWeight(probability, { label, late: lateOf(labels, at), kept: negativesKept });
        const weight = (labels.weights[at] ?? 0) * by;
        const measured = { probability, label, weight, timeMs: labels.times[at] ?? 0 };
        addPrediction(window, measured);
        const isNewUser = isNew.user(at);
        const isNewItem = isNew.item(at);
        if (!isNewUser && !isNewItem && features.length === 0) continue;
        const sliced = { ...measured, values: values[at] ?? [], isNewUser, isNewItem };
        addToSlices(slices, sliced, { features, halfLifeMs: HALF_LIFE_MS });
      }
    },
    take() {
      if (window.total.samples + window.nonFinite === 0) return undefined;
      reports += 1;
      const hasSlices = reports % SLICES_EVERY === 0;
      const told = { window, slices: hasSlices ? slices : new Map() };
      window = createMetrics({ halfLifeMs: HALF_LIFE_MS });
      if (hasSlices) slices = new Map();
      return told;
    },
  };
}
