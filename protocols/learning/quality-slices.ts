/*
 * Quality apart for parts of the samples: users and items that the model had never learned of, and the values of declared features. What is true of the whole may
 * not be true of these.
 */
import { addPrediction, createMetrics, mergeMetrics, type ProgressiveMetrics } from "./progressive-metrics.ts";

/** Metrics by the name of a slice: `new users`, `new items`, `country=de`. */
export type Slices = Map<string, ProgressiveMetrics>;

/** One prediction, and what it was for. */
export interface SlicedPrediction {
  /** Of each declared feature, in order: the sample's value, empty where it has none. */
  readonly values: readonly string[];
  readonly probability: number;
  readonly label: number;
  readonly weight: number;
  readonly timeMs: number;
  /** Whether a row had never been trained. */
  readonly isNewUser: boolean;
  readonly isNewItem: boolean;
}

/** Values of one feature that are told apart; what comes after them is `other`. */
const VALUES_MAX = 16;
const VALUE_CHARS_MAX = 32;

/** Adds a prediction to each slice that it is of. */
export function addToSlices(
  slices: Slices,
  prediction: SlicedPrediction,
  options: { readonly features: readonly string[]; readonly halfLifeMs: number },
): void {
  const { values, isNewUser, isNewItem, probability, label, weight, timeMs } = prediction;
  const measured = { probability, label, weight, timeMs };
  function add(slice: string): void {
    let metrics = slices.get(slice);
    if (metrics === undefined) slices.set(slice, (metrics = createMetrics({ halfLifeMs: options.halfLifeMs })));
    addPrediction(metrics, measured);
  }
  if (isNewUser) add("new users");
  if (isNewItem) add("new items");
  for (const [at, feature] of options.features.entries()) add(sliceOf(slices, feature, values[at] ?? ""));
}

/** Adds what another counted. */
export function mergeSlices(slices: Slices, other: Slices): void {
  for (const [slice, metrics] of other) {
    const at = slices.has(slice) ? slice : boundedSlice(slices, slice);
    const known = slices.get(at);
    if (known === undefined) slices.set(at, metrics);
    else mergeMetrics(known, metrics);
  }
}

/** The slice of a feature's value: `other` once as many values are known as are told apart. */
export function sliceOf(slices: ReadonlyMap<string, unknown>, feature: string, value: string): string {
  return boundedSlice(slices, `${feature}=${value.slice(0, VALUE_CHARS_MAX)}`);
}

function boundedSlice(slices: ReadonlyMap<string, unknown>, slice: string): string {
  const equals = slice.indexOf("=");
  if (equals < 0 || slices.has(slice)) return slice;
  const prefix = slice.slice(0, equals + 1);
  let known = 0;
  for (const each of slices.keys()) if (each.startsWith(prefix)) known += 1;
  return known < VALUES_MAX ? slice : `${prefix}other`;
}
