/*
 * What keeps a model honest about probabilities when the samples are not what happened: negatives given before all positives had come, and
 * negatives left out. Both become a weight of the sample's loss, a function of what the model predicts for it; the prediction itself then needs
 * no correction when it is served.
 *
 * Early negatives. Of impressions with click probability p, of whose clicks a share `late` comes after the negative was given, the stream has
 * p positives and 1 - p + p late negatives each. A negative is a true one with probability (1 - p) / (1 - p + p late): that is its weight,
 * and a positive's is 1, so each impression weighs 1 in the mean. With late = 1 these are the weights 1 + p and (1 - p)(1 + p) of Ktena et al.
 * (RecSys 2019, "fake negative weighted"), divided by the 1 + p samples that an impression then gives.
 *
 * Left-out negatives. With a share `kept` of them the odds are 1 / kept times too high, so the model learns with its log-odds raised by
 * -ln kept. The gradient of that is the one without, times the ratio of the two errors.
 */

import { hashText } from "../keys.ts";

/** What samples are labelled with, by sample. */
export interface Labels {
  readonly labels: Float64Array;
  readonly weights: Float64Array;
  /** Of negatives that were given early: the share of positives that come later; NaN of others. Undefined where no sample has one. */
  readonly late: Float64Array | undefined;
}

/** The labels of samples one by one. */
export function labelsOf(
  samples: readonly { readonly label: number; readonly weight: number; readonly late?: number }[],
): Labels {
  return {
    labels: Float64Array.from(samples, ({ label }) => label),
    weights: Float64Array.from(samples, ({ weight }) => weight),
    late: Float64Array.from(samples, ({ late = Number.NaN }) => late),
  };
}

/** Multiplies the samples' own weights by what their labels need, given what is predicted for them. */
export function weighLabels(
  weights: Float32Array,
  given: { readonly labels: Labels; readonly probabilities: Float32Array; readonly kept: number },
): void {
  const { labels: of, probabilities, kept } = given;
  if (kept === 1 && of.late === undefined) return;
  for (let at = 0; at < of.labels.length; at += 1) {
    const late = lateOf(of, at);
    if (kept === 1 && late === undefined) continue;
    const weight = labelWeight(probabilities[at] ?? 0, { label: of.labels[at] ?? 0, late, kept });
    weights[at] = (weights[at] ?? 0) * weight;
  }
}

/** The share of positives that come later than a sample, undefined where that is not known. */
export function lateOf({ late }: Labels, sample: number): number | undefined {
  const share = late?.[sample] ?? Number.NaN;
  return Number.isNaN(share) ? undefined : share;
}

/** Whether a model learns from a sample, when it leaves out some of the negatives: the same whenever it is asked. */
export function isKept(
  sample: { readonly id: string; readonly label: number },
  model: { readonly name: string; readonly negativesKept?: number },
): boolean {
  const { negativesKept = 1, name } = model;
  return negativesKept === 1 || sample.label > 0 || hashText(sample.id, hashText(name, 0)) < negativesKept * 2 ** 32;
}

/** A sample's weight beside its own. `late` of a negative, 0 where all positives had come; `kept` of all negatives, 1 where none was left out. */
export function labelWeight(
  probability: number,
  sample: { readonly label: number; readonly late?: number | undefined; readonly kept: number },
): number {
  const { label, late = 0, kept } = sample;
  const raised = 1 / (probability + (1 - probability) * kept);
  if (label > 0) return kept * raised;
  return raised * trueNegative(probability, late);
}

/** The weight in figures of quality: what was left out counts through what was kept. */
export function evaluationWeight(
  probability: number,
  sample: { readonly label: number; readonly late?: number | undefined; readonly kept: number },
): number {
  const { label, late = 0, kept } = sample;
  return label > 0 ? 1 : trueNegative(probability, late) / kept;
}

/** What a model predicts that learned from early negatives without weights, made right: the calibration of the same paper, for any `late`. */
export function calibrated(biased: number, late: number): number {
  const odds = biased / (1 - biased);
  // biased odds = p / (1 - p + p late)
  return Math.min(1, odds / (1 + odds * (1 - late)));
}

function trueNegative(probability: number, late: number): number {
  if (late <= 0) return 1;
  // A model that is sure of a click would give its negatives no weight at all, and could never learn better.
  return Math.max(WEIGHT_MIN, (1 - probability) / (1 - probability + probability * late));
}

const WEIGHT_MIN = 1e-3;
