// How popular something is, with old events fading, in one number that needs no upkeep. The score is the logarithm of the sum of
// exp(lambda (t - landmark)) over its events (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009). As the factor that turns it into
// today's value is the same for all, scores compare at any time, however long ago each was last touched; as logarithms they never overflow.

import { popHeap, pushHeap } from "../binary-heap.ts";

/** How fast events fade. All scores that are compared share one. `landmarkMs` is any fixed time; near the present keeps most digits. */
export interface Decay {
  readonly halfLifeMs: number;
  readonly landmarkMs: number;
}

/** The score of something that had no event. */
export const NO_POPULARITY = -Infinity;

/** The score after one more event at `timeMs`, counting `weight` (default 1) when it is fresh. The order of events does not matter. */
export function addPopularity(
  score: number,
  event: { readonly timeMs: number; readonly weight?: number },
  decay: Decay,
): number {
  const { timeMs, weight = 1 } = event;
  if (!(weight > 0) || !Number.isFinite(timeMs)) return score;
  return logSum(score, Math.log(weight) + lambda(decay) * (timeMs - decay.landmarkMs));
}

/** The score of both parts' events together. */
export function mergePopularity(score: number, other: number): number {
  return logSum(score, other);
}

/** The score in plain words: how many fresh events it is worth at `timeMs`. */
export function popularityAt(score: number, timeMs: number, decay: Decay): number {
  return Math.exp(score - lambda(decay) * (timeMs - decay.landmarkMs));
}

type Ranked = readonly [key: string, score: number];

/** The keys of highest score, at most `max` of them. Plain data but for the Map. */
export interface TopList {
  readonly max: number;
  readonly scores: Map<string, number>;
  /** A heap of the keys, whoever leaves first in front, with scores that some had before: those mean nothing any more. */
  order: Ranked[];
}

export function createTopList(max: number): TopList {
  if (!Number.isSafeInteger(max) || max < 1) {
    throw new RangeError(`Cannot keep a list of the best ${max}: the size must be at least 1`);
  }
  return { max, scores: new Map(), order: [] };
}

/**
 * Tells the list a key's current score. As long as every change is told and scores only rise, which forward decay gives, the list holds exactly
 * the best keys; ties go to the smaller key. O(log max).
 */
export function offerTop(list: TopList, key: string, score: number): void {
  if (Number.isNaN(score)) return;
  const { scores, max } = list;
  const held = scores.get(key);
  if (held === score) return;
  if (held === undefined && scores.size >= max) {
    const weakest = findWeakest(list);
    if (weakest === undefined || !ranksBefore([key, score], weakest)) return;
    scores.delete(weakest[0]);
  }
  scores.set(key, score);
  if (list.order.length < ORDER_MAX * max) pushHeap(list.order, [key, score], leavesBefore);
  // Sorted, it is a heap too.
  else list.order = [...scores].sort((a, b) => (leavesBefore(a, b) ? -1 : 1));
}

/** Takes a key out, for instance a withdrawn item. The place stays free until another key is offered. */
export function removeTop(list: TopList, key: string): void {
  list.scores.delete(key);
}

/** The keys and scores, best first. */
export function rankedTop(list: TopList): [key: string, score: number][] {
  return [...list.scores].sort((a, b) => (ranksBefore(a, b) ? -1 : 1));
}

/** Entries of the order for each key that there may be: with more, those that mean nothing are left out. */
const ORDER_MAX = 4;

function findWeakest({ scores, order }: TopList): Ranked | undefined {
  for (let weakest = order[0]; weakest !== undefined; weakest = order[0]) {
    if (scores.get(weakest[0]) === weakest[1]) return weakest;
    popHeap(order, leavesBefore);
  }
  return undefined;
}

function leavesBefore(a: Ranked, b: Ranked): boolean {
  return ranksBefore(b, a);
}

function ranksBefore(a: Ranked, b: Ranked): boolean {
  return a[1] > b[1] || (a[1] === b[1] && a[0] < b[0]);
}

function lambda({ halfLifeMs }: Decay): number {
  return Math.LN2 / halfLifeMs;
}

function logSum(a: number, b: number): number {
  const high = Math.max(a, b);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(a, b) - high));
}
