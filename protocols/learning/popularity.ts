// How popular something is, with old events fading, in one number that needs no upkeep. The score is the logarithm of the sum of
// exp(lambda (t - landmark)) over its events (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009). As the factor that turns it into
// today's value is the same for all, scores compare at any time, however long ago each was last touched; as logarithms they never overflow.

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

/** The keys of highest score, at most `max` of them. Plain data but for the Map. */
export interface TopList {
  readonly max: number;
  readonly scores: Map<string, number>;
  /** The key that leaves first; undefined when it has to be looked for. */
  weakest: string | undefined;
}

export function createTopList(max: number): TopList {
  if (!Number.isSafeInteger(max) || max < 1) {
    throw new RangeError(`Cannot keep a list of the best ${max}: the size must be at least 1`);
  }
  return { max, scores: new Map(), weakest: undefined };
}

/**
 * Tells the list a key's current score. As long as every change is told and scores only rise, which forward decay gives, the list holds exactly
 * the best keys; ties go to the smaller key. Usually O(1), O(max) when the weakest changes.
 */
export function offerTop(list: TopList, key: string, score: number): void {
  if (Number.isNaN(score)) return;
  const { scores, max } = list;
  const held = scores.has(key);
  if (!held && scores.size >= max) {
    const weakest = findWeakest(list);
    if (weakest === undefined || !ranksBefore([key, score], weakest)) return;
    scores.delete(weakest[0]);
    list.weakest = undefined;
  }
  scores.set(key, score);
  const weakest = list.weakest === undefined ? undefined : scores.get(list.weakest);
  if (list.weakest === key || weakest === undefined || score <= weakest) list.weakest = undefined;
}

/** Takes a key out, for instance a withdrawn item. The place stays free until another key is offered. */
export function removeTop(list: TopList, key: string): void {
  list.scores.delete(key);
  list.weakest = undefined;
}

/** The keys and scores, best first. */
export function rankedTop(list: TopList): [key: string, score: number][] {
  return [...list.scores].sort((a, b) => (ranksBefore(a, b) ? -1 : 1));
}

function findWeakest(list: TopList): [string, number] | undefined {
  const known = list.weakest === undefined ? undefined : list.scores.get(list.weakest);
  if (list.weakest !== undefined && known !== undefined) return [list.weakest, known];
  let weakest: [string, number] | undefined;
  for (const entry of list.scores) if (weakest === undefined || ranksBefore(weakest, entry)) weakest = entry;
  list.weakest = weakest?.[0];
  return weakest;
}

function ranksBefore(a: readonly [string, number], b: readonly [string, number]): boolean {
  return a[1] > b[1] || (a[1] === b[1] && a[0] < b[0]);
}

function lambda({ halfLifeMs }: Decay): number {
  return Math.LN2 / halfLifeMs;
}

function logSum(a: number, b: number): number {
  const high = Math.max(a, b);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(a, b) - high));
}
