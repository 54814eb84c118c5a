/*
 * A stream of impressions in sixteen contexts whose clicks come late, and what learners make of it that are given labels in several ways. One second is
 * the unit of time. The joiner's own maps would take most of the time here, so this keeps its rules in typed arrays; the delays and the weights are
 * those of the product. `properties/learning-fast-emit.property.ts` has the same of the joiner itself.
 */
import {
  ageOfShare,
  completeSlices,
  createDelayModel,
  noteDelay,
  shareAfter,
} from "../../../protocols/learning/delay-model.ts";
import { calibrated, labelWeight } from "../../../protocols/learning/label-weights.ts";
import { createRandom, nextBelow, nextFloat } from "../../../protocols/random.ts";
import { type DelayMixture, drawDelay } from "./fit.ts";

/** When a negative is given. */
type Emission =
  | { readonly kind: "instant" }
  | { readonly kind: "window"; readonly seconds: number }
  | { readonly kind: "fast"; readonly share: number };

/** One way to learn from late labels. */
export interface Way {
  readonly name: string;
  readonly emission: Emission;
  /** What becomes of labels that were wrong for a time. */
  readonly correct: "weights" | "calibration" | "none" | "late positives dropped";
}

const FAST: Emission = { kind: "fast", share: 0.5 };
const AT_ONCE: Emission = { kind: "fast", share: 0 };
const SHORT: Emission = { kind: "window", seconds: 600 };
const HORIZON_S = 86_400;

/** The first is the oracle. */
export const WAYS: readonly Way[] = [
  { name: "oracle, instant labels", emission: { kind: "instant" }, correct: "none" },
  { name: "window of 24 h, which is all", emission: { kind: "window", seconds: HORIZON_S }, correct: "none" },
  { name: "window of 10 min, later clicks dropped", emission: SHORT, correct: "late positives dropped" },
  { name: "window of 10 min, not weighed", emission: SHORT, correct: "none" },
  { name: "window of 10 min, weighed", emission: SHORT, correct: "weights" },
  { name: "Fast Emit after half, not weighed", emission: FAST, correct: "none" },
  { name: "Fast Emit after half, weighed", emission: FAST, correct: "weights" },
  { name: "Fast Emit at once, not weighed", emission: AT_ONCE, correct: "none" },
  { name: "Fast Emit at once, weighed", emission: AT_ONCE, correct: "weights" },
  { name: "Fast Emit at once, calibrated", emission: AT_ONCE, correct: "calibration" },
];

export interface SimulationOptions {
  readonly seed: number;
  readonly delays: DelayMixture;
  readonly impressions: number;
  readonly days: number;
  /** How far the log-odds of the contexts swing, once in one and a half days. */
  readonly drift: number;
}

export interface WayResult {
  /** The mean of what was predicted and of what was true, over the impressions after the first two days. */
  readonly predicted: number;
  readonly truth: number;
  /** Against the labels as they turned out. */
  readonly logLoss: number;
}

const CONTEXTS = 16;
const WARM_UP_S = 2 * HORIZON_S;

/** Each way's result, in their order, and how many positives there were. */
export function simulate(options: SimulationOptions): {
  readonly positives: number;
  readonly results: readonly WayResult[];
} {
  const { impressions: count, days } = options;
  const random = createRandom(options.seed);
  const seconds = days * 86_400;
  const shownAt = new Int32Array(count);
  const context = new Uint8Array(count);
  const delay = new Int32Array(count).fill(-1);
  const probability = new Float32Array(count);
  const phases = Float64Array.from({ length: CONTEXTS }, () => 2 * Math.PI * nextFloat(random));
  let positives = 0;
  for (let at = 0; at < count; at += 1) {
    const time = Math.floor((at / count) * seconds);
    const c = nextBelow(random, CONTEXTS);
    const swing = options.drift * Math.sin((2 * Math.PI * time) / (1.5 * 86_400) + (phases[c] ?? 0));
    const p = sigmoid(-3 + (4 * c) / (CONTEXTS - 1) + swing);
    shownAt[at] = time;
    context[at] = c;
    probability[at] = p;
    if (nextFloat(random) >= p) continue;
    delay[at] = Math.round(drawDelay(options.delays, HORIZON_S - 1, random));
    positives += 1;
  }

  const arrivals = createCalendar(seconds, count);
  for (let at = 0; at < count; at += 1) {
    const lateBy = delay[at] ?? -1;
    if (lateBy >= 0) addTo(arrivals, (shownAt[at] ?? 0) + lateBy, at);
  }
  const delays = createDelayModel(HORIZON_S * 1000);
  const isDrifting = options.drift > 0;
  const learners = WAYS.map((way) => ({ way, ...createLearner(isDrifting), sums: { predicted: 0, loss: 0 } }));
  // Ways that give negatives at the same time share one calendar of when.
  const emissions = [...new Set(WAYS.map(({ emission }) => emission))].filter(({ kind }) => kind !== "instant");
  const plans = emissions.map((emission) => ({
    emission,
    due: createCalendar(seconds, count),
    given: new Uint8Array(count),
    learners: learners.filter((each) => each.way.emission === emission),
  }));
  const instant = learners.filter(({ way }) => way.emission.kind === "instant");
  const evaluated = { count: 0, truth: 0 };

  function waitOf(emission: Emission, nowMs: number): number {
    if (emission.kind === "instant") return 0;
    if (emission.kind === "window") return emission.seconds;
    const ms = ageOfShare(delays, emission.share, nowMs);
    return ms === undefined ? HORIZON_S : Math.ceil(ms / 1000);
  }

  function takeClick({ given, learners: those }: (typeof plans)[number], at: number, c: number): void {
    const isLate = given[at] === 1;
    given[at] = 2;
    for (const { way, learn } of those) if (!isLate || way.correct !== "late positives dropped") learn(c, 1, 0);
  }

  let next = 0;
  let waits: readonly number[] = [];
  for (let now = 0; now < seconds; now += 1) {
    const nowMs = now * 1000;
    completeSlices(delays, nowMs);
    for (let at = arrivals.heads[now] ?? -1; at >= 0; at = arrivals.next[at] ?? -1) {
      const c = context[at] ?? 0;
      const shownMs = (shownAt[at] ?? 0) * 1000;
      noteDelay(delays, { kind: "click", shownMs, ageMs: nowMs - shownMs });
      for (const plan of plans) takeClick(plan, at, c);
    }
    for (const { emission, due, given, learners: those } of plans) {
      for (let at = due.heads[now] ?? -1; at >= 0; at = due.next[at] ?? -1) {
        if (given[at] !== 0) continue;
        given[at] = 1;
        const ageMs = nowMs - (shownAt[at] ?? 0) * 1000;
        const late =
          emission.kind === "window" && emission.seconds === HORIZON_S ? 0 : (shareAfter(delays, ageMs, nowMs) ?? 0);
        for (const { way, learn } of those) learn(context[at] ?? 0, 0, way.correct === "weights" ? late : 0);
      }
    }
    if (now % 60 === 0) waits = plans.map(({ emission }) => waitOf(emission, nowMs));
    for (; next < count && shownAt[next] === now; next += 1) {
      const c = context[next] ?? 0;
      const label = (delay[next] ?? -1) >= 0 ? 1 : 0;
      if (now >= WARM_UP_S) {
        evaluated.count += 1;
        evaluated.truth += probability[next] ?? 0;
        for (const { way, predict, sums } of learners) {
          const raw = predict(c);
          const p = way.correct === "calibration" ? calibrated(raw, 1) : raw;
          sums.predicted += p;
          sums.loss -= Math.log(Math.max(1e-7, label === 1 ? p : 1 - p));
        }
      }
      for (const { learn } of instant) learn(c, label, 0);
      for (const [plan, { due }] of plans.entries()) addTo(due, now + (waits[plan] ?? 0), next);
      // Given at once: its second has been gone through already.
      for (const [plan, { emission, given, learners: those }] of plans.entries()) {
        if (emission.kind !== "fast" || waits[plan] !== 0) continue;
        given[next] = 1;
        for (const { way, learn } of those) learn(c, 0, way.correct === "weights" ? 1 : 0);
      }
    }
  }
  const results = learners.map(({ sums }) => ({
    predicted: sums.predicted / evaluated.count,
    truth: evaluated.truth / evaluated.count,
    logLoss: sums.loss / evaluated.count,
  }));
  return { positives, results };
}

/** Logistic regression on the context: AdaGrad where the truth stands still, steps of one size where it moves. */
function createLearner(isDrifting: boolean): {
  readonly predict: (context: number) => number;
  readonly learn: (context: number, label: number, late: number) => void;
} {
  const logOdds = new Float64Array(CONTEXTS).fill(-1);
  const squares = new Float64Array(CONTEXTS).fill(0.1);
  function predict(context: number): number {
    return sigmoid(logOdds[context] ?? 0);
  }
  return {
    predict,
    learn(context, label, late) {
      const p = predict(context);
      const g = (late === 0 ? 1 : labelWeight(p, { label, late, kept: 1 })) * (p - label);
      squares[context] = (squares[context] ?? 0) + g * g;
      const rate = isDrifting ? 0.02 : 0.3 / Math.sqrt(squares[context] ?? 1);
      logOdds[context] = (logOdds[context] ?? 0) - rate * g;
    },
  };
}

/** Lists of impressions by second. What is after the end is left out. */
interface Calendar {
  readonly heads: Int32Array;
  readonly next: Int32Array;
}

function createCalendar(seconds: number, count: number): Calendar {
  return { heads: new Int32Array(seconds).fill(-1), next: new Int32Array(count).fill(-1) };
}

function addTo({ heads, next }: Calendar, second: number, at: number): void {
  if (second >= heads.length) return;
  next[at] = heads[second] ?? -1;
  heads[second] = at;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
