/*
 * How long positives let wait, learned from those that came: a histogram of their ages, the time from an impression to its feedback on the
 * clock of the stream that brought the impression. Positives that are still to come are missing, more of the late ones than of the early
 * ones, so a plain histogram would promise too much. What is estimated is therefore, from the longest age down, which share of the positives up to an
 * age came at just that age, among impressions old enough to show it (the product-limit estimate for right-truncated data: Lagakos,
 * Barraj and De Gruttola, Biometrika 1988). It needs no steady stream, and is right from the first day on, as far as it can see.
 */

/** Counts of positives by kind of feedback and bucket of age. */
type Kinds = Map<string, Float64Array<ArrayBuffer>>;

/** What one source has shown. Plain data; change it through the functions here alone. */
export interface DelayModel {
  /** Beyond this age nothing is joined any more. */
  readonly horizonMs: number;
  /** Ages of positives whose impressions are past the horizon, by kind of feedback and bucket; older ones weigh less. */
  readonly complete: Kinds;
  /** The rest, by the slice of time in which their impressions were shown. */
  readonly slices: Map<number, Kinds>;
  /** Impressions shown before this are not learned from: a joiner before this one may have seen their first positives. */
  readonly fromMs: number;
  /** The last slice that is complete. */
  completeTo: number;
  /** The shares that were late at the end of each bucket, from when they were computed last. */
  survival: Float64Array<ArrayBuffer> | undefined;
  sinceComputed: number;
}

/** A model as it is stored: counts by kind, without trailing zeros. */
export type DelayCounts = Readonly<Record<string, readonly number[]>>;

/** Buckets an octave of age, from 1 ms: one is 9 % wide. Between their ends the distribution is taken to be even on the scale of logarithms. */
const PER_OCTAVE = 8;
/** Up to 35 days. */
const BUCKETS = 8 * 32;
/** Slices that a horizon is cut into. */
const SLICES = 64;
/** Of a slice's end, what came before counts for so much less: half after ten horizons. */
const FADE = 2 ** (-1 / (10 * SLICES));
/** Positives until the shares are computed again. */
const RECOMPUTE = 256;
const LEAST = 100;

export function createDelayModel(
  horizonMs: number,
  stored?: { readonly counts: DelayCounts; readonly fromMs: number },
): DelayModel {
  const complete: DelayModel["complete"] = new Map();
  for (const [kind, counts] of Object.entries(stored?.counts ?? {})) {
    const row = new Float64Array(BUCKETS);
    row.set(counts.slice(0, BUCKETS));
    complete.set(kind, row);
  }
  return {
    horizonMs,
    complete,
    slices: new Map(),
    fromMs: stored?.fromMs ?? -Infinity,
    completeTo: -Infinity,
    survival: undefined,
    sinceComputed: 0,
  };
}

/** A positive came at this age of an impression that was shown at `shownMs`. */
export function noteDelay(
  model: DelayModel,
  positive: { readonly kind: string; readonly shownMs: number; readonly ageMs: number },
): void {
  const { kind, shownMs, ageMs } = positive;
  if (shownMs < model.fromMs || ageMs > model.horizonMs) return;
  const slice = Math.floor(shownMs / sliceMs(model));
  let kinds = model.slices.get(slice);
  if (kinds === undefined) model.slices.set(slice, (kinds = new Map()));
  let counts = kinds.get(kind);
  if (counts === undefined) kinds.set(kind, (counts = new Float64Array(BUCKETS)));
  const bucket = bucketOf(ageMs);
  counts[bucket] = (counts[bucket] ?? 0) + 1;
  model.sinceComputed += 1;
}

/** The source's clock is here: slices past the horizon are complete. */
export function completeSlices(model: DelayModel, clockMs: number): void {
  const before = Math.floor((clockMs - model.horizonMs) / sliceMs(model)) - 1;
  if (!(before > model.completeTo)) return;
  model.completeTo = before;
  for (const [slice, kinds] of model.slices) {
    if (slice > before) continue;
    model.slices.delete(slice);
    for (const counts of model.complete.values()) fade(counts);
    addKinds(model.complete, kinds);
    model.survival = undefined;
  }
}

/** The share of positives that come later than at this age, or undefined when too few were seen to say. */
export function shareAfter(model: DelayModel, ageMs: number, clockMs: number): number | undefined {
  const survival = survivalOf(model, clockMs);
  if (survival === undefined) return undefined;
  if (ageMs >= model.horizonMs) return 0;
  const at = positionOf(ageMs);
  const bucket = Math.min(BUCKETS - 1, Math.floor(at));
  const before = bucket === 0 ? 1 : (survival[bucket - 1] ?? 0);
  return before + (at - bucket) * ((survival[bucket] ?? 0) - before);
}

/** The age by which a share of all positives has come; undefined as above. */
export function ageOfShare(model: DelayModel, share: number, clockMs: number): number | undefined {
  const survival = survivalOf(model, clockMs);
  if (survival === undefined) return undefined;
  let bucket = 0;
  while (bucket < BUCKETS - 1 && 1 - (survival[bucket] ?? 0) < share) bucket += 1;
  return share <= 0 ? 0 : Math.min(model.horizonMs, 2 ** ((bucket + 1) / PER_OCTAVE));
}

/** What a joiner after this one begins with: all that came, taken for complete. */
export function storedDelays(model: DelayModel): DelayCounts {
  return Object.fromEntries(
    [...sums(model)].map(([kind, counts]) => {
      const used = counts.subarray(0, counts.findLastIndex((count) => count > 0) + 1);
      return [kind, Array.from(used, (count) => Math.round(count * 10) / 10)];
    }),
  );
}

/** Of which kinds positives came, and the age by which half of each had come. What is still to come is left out. */
export function medianAges(model: DelayModel): ReadonlyMap<string, number> {
  const medians = new Map<string, number>();
  for (const [kind, counts] of sums(model)) {
    const half = counts.reduce((sum, count) => sum + count, 0) / 2;
    let below = 0;
    const bucket = counts.findIndex((count) => (below += count) >= half && below > 0);
    if (bucket >= 0) medians.set(kind, 2 ** ((bucket + 0.5) / PER_OCTAVE));
  }
  return medians;
}

function sums({ complete, slices }: DelayModel): Kinds {
  const all: Kinds = new Map([...complete].map(([kind, counts]) => [kind, counts.slice()] as const));
  for (const kinds of slices.values()) addKinds(all, kinds);
  return all;
}

function addKinds(to: Kinds, kinds: Kinds): void {
  for (const [kind, counts] of kinds) {
    const sum = to.get(kind) ?? new Float64Array(BUCKETS);
    for (let b = 0; b < BUCKETS; b += 1) sum[b] = (sum[b] ?? 0) + (counts[b] ?? 0);
    to.set(kind, sum);
  }
}

function fade(counts: Float64Array): void {
  for (let b = 0; b < BUCKETS; b += 1) counts[b] = (counts[b] ?? 0) * FADE;
}

function survivalOf(model: DelayModel, clockMs: number): Float64Array | undefined {
  if (model.survival === undefined || model.sinceComputed >= RECOMPUTE) {
    model.survival = computeSurvival(model, clockMs);
    model.sinceComputed = 0;
  }
  return model.survival;
}

function computeSurvival(model: DelayModel, clockMs: number): Float64Array<ArrayBuffer> | undefined {
  // At an age, and up to it, among impressions old enough to have shown all of that age's bucket.
  const at = new Float64Array(BUCKETS);
  const upTo = new Float64Array(BUCKETS);
  let total = 0;
  function add(counts: Float64Array, buckets: number): void {
    let sum = 0;
    for (let b = 0; b < buckets; b += 1) {
      const count = counts[b] ?? 0;
      sum += count;
      at[b] = (at[b] ?? 0) + count;
      upTo[b] = (upTo[b] ?? 0) + sum;
    }
    total += sum;
  }
  for (const counts of model.complete.values()) add(counts, BUCKETS);
  for (const [slice, kinds] of model.slices) {
    const youngestMs = clockMs - (slice + 1) * sliceMs(model);
    const seen = youngestMs >= model.horizonMs ? BUCKETS : Math.floor(positionOf(youngestMs));
    for (const counts of kinds.values()) add(counts, Math.max(0, Math.min(BUCKETS, seen)));
  }
  if (total < LEAST) return undefined;
  const survival = new Float64Array(BUCKETS);
  let reached = 1;
  for (let b = BUCKETS - 1; b >= 0; b -= 1) {
    survival[b] = 1 - reached;
    const among = upTo[b] ?? 0;
    if (among > 0) reached *= 1 - (at[b] ?? 0) / among;
  }
  return survival;
}

function sliceMs({ horizonMs }: DelayModel): number {
  return horizonMs / SLICES;
}

/** Where an age stands on the scale of buckets: its whole part is the bucket. */
function positionOf(ageMs: number): number {
  return Math.max(0, Math.log2(Math.max(1, ageMs)) * PER_OCTAVE);
}

function bucketOf(ageMs: number): number {
  return Math.min(BUCKETS - 1, Math.floor(positionOf(ageMs)));
}
