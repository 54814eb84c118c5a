/*
 * Which updates are urgent (Ekko, section 5, which calls them significant): p = (p_g + p_u) * p_m, and p above the k-th percentile
 * of recent p. p_g is the L1 norm of the update, p_u is there when the row was just created, p_m is the model's share of requests.
 * p_g and p_u are divided by their own running means first: each is 1 on average, whatever the model's scale, so neither drowns
 * the other; where new rows are rare, one of them weighs much.
 */
import { addSize, createSizes, sizeAt, sizeOf, type Sizes } from "./sizes.ts";

/** Updates over which a running mean forgets. */
const MEMORY = 10_000;
/** Two spans of so many updates are what "recent" means: the current one and the one before. */
const SPAN = 20_000;
/** Before so many were seen a percentile says nothing, and nothing is urgent. */
const WARM_UP = 500;
/** The threshold is found again after so many updates. */
const REFRESH = 256;
/** However rare new rows are, one weighs no more than this many average updates. */
const NEW_WEIGHT_MAX = 100;

/** What the rule sees of one update. */
export interface UpdateSigns {
  /** L1 norm of the change; anything but a finite number counts as 0. */
  readonly norm: number;
  /** The update created the row. */
  readonly isNew: boolean;
  /** The model's share of requests, 0 to 1. */
  readonly share: number;
}

/** What is remembered of one model's updates. Plain data of bounded size. */
export interface Urgency {
  /** k: 0 to 100, and 100 turns the rule off. */
  readonly percentile: number;
  seen: number;
  normMean: number;
  newMean: number;
  current: Sizes;
  previous: Sizes;
  /** A size of `sizeOf`: what is urgent is above it. */
  threshold: number;
  untilRefresh: number;
}

export function createUrgency(percentile: number): Urgency {
  if (!(percentile >= 0 && percentile <= 100)) {
    throw new RangeError(`Cannot take the ${percentile}th percentile: it must be 0 to 100`);
  }
  return {
    percentile,
    seen: 0,
    normMean: 0,
    newMean: 0,
    current: createSizes(),
    previous: createSizes(),
    threshold: Infinity,
    untilRefresh: WARM_UP,
  };
}

/** The p of an update by the built-in rule, at least 0 and finite. Moves the running means. */
export function rateUpdate(urgency: Urgency, { norm, isNew, share }: UpdateSigns): number {
  const size = Number.isFinite(norm) ? Math.abs(norm) : 0;
  const created = isNew ? 1 : 0;
  urgency.seen += 1;
  const weight = 1 / Math.min(urgency.seen, MEMORY);
  urgency.normMean += (size - urgency.normMean) * weight;
  urgency.newMean += (created - urgency.newMean) * weight;
  const byNorm = urgency.normMean > 0 ? size / urgency.normMean : 0;
  const byAge = urgency.newMean > 0 ? Math.min(created / urgency.newMean, NEW_WEIGHT_MAX) : 0;
  return (byNorm + byAge) * (share > 0 ? Math.min(1, share) : 0);
}

/**
 * Whether a p is above the percentile of the recent ones, which it joins. What is of the percentile's size (sizes.ts: within
 * 1.6 %) is not urgent: where all are equal, none is. NaN and infinities are above nothing, and are not counted.
 */
export function standsOut(urgency: Urgency, p: number): boolean {
  if (urgency.percentile >= 100) return false;
  if (urgency.current.count >= SPAN) {
    urgency.previous = urgency.current;
    urgency.current = createSizes();
  }
  const size = Number.isFinite(p) ? sizeOf(p) : undefined;
  if (size !== undefined) addSize(urgency.current, size);
  urgency.untilRefresh -= 1;
  if (urgency.untilRefresh <= 0) {
    urgency.threshold = sizeAt([urgency.previous, urgency.current], urgency.percentile / 100) ?? Infinity;
    urgency.untilRefresh = REFRESH;
  }
  return size !== undefined && size > urgency.threshold;
}
