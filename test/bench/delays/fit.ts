import { nextFloat, nextNormal, type Random } from "../../../protocols/random.ts";

/** Delays as a mixture of two log-normal distributions: those who act at once, and those who come back later. */
export interface DelayMixture {
  /** Of the first; the second has the rest. */
  readonly share: number;
  /** Of the logarithm of seconds. */
  readonly means: readonly [number, number];
  readonly deviations: readonly [number, number];
}

/** `fitDelays` of the 227 installs of the TalkingData sample, for runs without it. */
export const TALKINGDATA: DelayMixture = { share: 0.6, means: [4.2, 8.8], deviations: [1.1, 1.1] };

const ROUNDS = 200;

/** The mixture of the greatest likelihood (expectation and maximisation, from the lower and the upper half). */
export function fitDelays(seconds: readonly number[]): DelayMixture {
  const logs = seconds.map((delay) => Math.log(Math.max(1, delay))).sort((a, b) => a - b);
  if (logs.length < 10) throw new RangeError(`Cannot fit delays: ${logs.length} are too few`);
  const half = logs.length >> 1;
  let fit = momentsOf(
    logs,
    logs.map((_, at) => (at < half ? 1 : 0)),
  );
  for (let round = 0; round < ROUNDS; round += 1) {
    const { share, means, deviations } = fit;
    const first = logs.map((x) => {
      const one = share * density(x, means[0], deviations[0]);
      return one / (one + (1 - share) * density(x, means[1], deviations[1]));
    });
    fit = momentsOf(logs, first);
  }
  return fit;
}

/** A delay in seconds, at most `maxSeconds`. */
export function drawDelay(mixture: DelayMixture, maxSeconds: number, random: Random): number {
  for (;;) {
    const which = nextFloat(random) < mixture.share ? 0 : 1;
    const delay = Math.exp(mixture.means[which] + mixture.deviations[which] * nextNormal(random));
    if (delay <= maxSeconds) return delay;
  }
}

function momentsOf(logs: readonly number[], first: readonly number[]): DelayMixture {
  const weight = first.reduce((sum, w) => sum + w, 0);
  const rest = logs.length - weight;
  const [a, b] = [
    weighted(logs, first, weight),
    weighted(
      logs,
      first.map((w) => 1 - w),
      rest,
    ),
  ];
  return { share: weight / logs.length, means: [a.mean, b.mean], deviations: [a.deviation, b.deviation] };
}

function weighted(
  logs: readonly number[],
  weights: readonly number[],
  total: number,
): { mean: number; deviation: number } {
  const mean = logs.reduce((sum, x, at) => sum + x * (weights[at] ?? 0), 0) / total;
  const squares = logs.reduce((sum, x, at) => sum + (x - mean) ** 2 * (weights[at] ?? 0), 0);
  return { mean, deviation: Math.max(0.1, Math.sqrt(squares / total)) };
}

function density(x: number, mean: number, deviation: number): number {
  return Math.exp(-0.5 * ((x - mean) / deviation) ** 2) / deviation;
}
