/* Conversions that are reported in batches, through the joiner: how even the share of positives in a minibatch is, held and not. */
import { type FeedbackEvent } from "../../../protocols/feedback.ts";
import { createJoiner, type JoinerOptions } from "../../../protocols/learning/joiner-state.ts";
import { step, tick } from "../../../protocols/learning/joiner.ts";
import { createRandom, nextFloat, nextNormal } from "../../../protocols/random.ts";

const REPORT_S = 600;
const PER_SECOND = 20;
const CLICK_RATE = 0.1;
const MINIBATCH = 256;

export interface Evenness {
  readonly minibatches: number;
  readonly positivesMean: number;
  readonly positivesDeviation: number;
  /** What a deviation would be if each sample were a positive by chance alone. */
  readonly chanceDeviation: number;
  readonly withoutPositives: number;
  /** The spectrum of positives over minibatches: its highest line through its mean, and what that would be by chance alone. */
  readonly peak: number;
  readonly chancePeak: number;
  readonly delayMeanS: number;
}

export function measureBursts(options: {
  readonly seed: number;
  readonly hours: number;
  readonly scatterMsMax: number;
}): Evenness {
  const { seed, hours, scatterMsMax } = options;
  const joiner = createJoiner({ ...JOINER, scatterMsMax });
  const reported = new Map<string, number>();
  const counts: number[] = [];
  const heldS: number[] = [];
  let size = 0;
  let positives = 0;
  function take(samples: ReturnType<typeof step>, nowMs: number): void {
    for (const { label, impression } of samples) {
      if (nowMs < WARM_UP_S * 1000) continue;
      size += 1;
      positives += label;
      if (label === 1) heldS.push((nowMs - (reported.get(impression.request) ?? nowMs)) / 1000);
      if (size < MINIBATCH) continue;
      counts.push(positives);
      [size, positives] = [0, 0];
    }
  }
  let sequence = 0;
  for (const event of burstyEvents(seed, hours)) {
    sequence += 1;
    if (event.type === "feedback") reported.set(event.request, event.time);
    take(step(joiner, { source: "a", sequence, event }, event.time), event.time);
    if (sequence % PER_SECOND === 0) take(tick(joiner, event.time), event.time);
  }
  return { ...describe(counts), delayMeanS: mean(heldS) };
}

const WARM_UP_S = 2 * 3600;

const JOINER: JoinerOptions = {
  windowMs: 1_800_000,
  latenessMs: 0,
  idleAfterMs: 3_600_000,
  correctionMs: 1_800_000,
  emitAfterShare: 0.5,
  futureMsMax: 1e12,
  memoryBytesMax: 1e9,
  heldMax: 1000,
  scatterMsMax: 0,
  scatteredMax: 1_000_000,
};

/** Impressions all the time; each click is told of at the end of the ten minutes in which it happened. */
function* burstyEvents(seed: number, hours: number): Generator<FeedbackEvent> {
  const random = createRandom(seed);
  const reports = new Map<number, string[]>();
  for (let second = 0; second < hours * 3600; second += 1) {
    const time = second * 1000;
    for (const request of reports.get(second) ?? []) {
      yield { type: "feedback", kind: "conversion", request, item: "1", time };
    }
    reports.delete(second);
    for (let at = 0; at < PER_SECOND; at += 1) {
      const request = `${second}-${at}`;
      yield { type: "impression", request, user: "7", item: "1", position: 0, time, features: {}, dense: {} };
      if (nextFloat(random) >= CLICK_RATE) continue;
      const clicked = second + Math.exp(4 + nextNormal(random));
      // What is reported together comes within two seconds.
      const report = Math.ceil(clicked / REPORT_S) * REPORT_S + Math.floor(2 * nextFloat(random));
      const list = reports.get(report);
      if (list === undefined) reports.set(report, [request]);
      else list.push(request);
    }
  }
}

function describe(counts: readonly number[]): Omit<Evenness, "delayMeanS"> {
  const positivesMean = mean(counts);
  const variance = mean(counts.map((count) => (count - positivesMean) ** 2));
  const share = positivesMean / MINIBATCH;
  const n = counts.length;
  const powers = Array.from({ length: n >> 1 }, (_, k) => {
    let [re, im] = [0, 0];
    for (const [at, count] of counts.entries()) {
      const angle = (2 * Math.PI * (k + 1) * at) / n;
      re += (count - positivesMean) * Math.cos(angle);
      im += (count - positivesMean) * Math.sin(angle);
    }
    return re * re + im * im;
  });
  return {
    minibatches: n,
    positivesMean,
    positivesDeviation: Math.sqrt(variance),
    chanceDeviation: Math.sqrt(MINIBATCH * share * (1 - share)),
    withoutPositives: counts.filter((count) => count === 0).length,
    peak: Math.max(...powers) / mean(powers),
    // The greatest of so many exponentially distributed powers.
    chancePeak: Math.log(powers.length) + 0.5772,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
