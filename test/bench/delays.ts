import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { measureBursts } from "./delays/bursts.ts";
import { fitDelays, TALKINGDATA } from "./delays/fit.ts";
import { simulate, type SimulationOptions, type WayResult, WAYS } from "./delays/simulate.ts";
import { delaysOf, joinClicks, readTalkingData } from "./delays/talkingdata.ts";

const SEEDS = 20;

/** Labels that come late: what each way of giving negatives makes of a known rate, and how even positives are that come in bursts. */
export async function* delays(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { data, progress, quick, seed } = options;
  const clicks = data === undefined ? undefined : await readTalkingData(data);
  const mixture = clicks === undefined ? TALKINGDATA : fitDelays(delaysOf(clicks));
  const { share, means, deviations } = mixture;
  progress.write(
    `delays: ${percent(share)} log-normal(${means[0].toFixed(2)}, ${deviations[0].toFixed(2)}), the rest (${means[1].toFixed(2)}, ${deviations[1].toFixed(2)}), of seconds\n`,
  );
  const seeds = Array.from({ length: quick ? 3 : SEEDS }, (_, at) => seed + at);
  const impressions = quick ? 400_000 : 3_400_000;
  yield* compare("rates that stand still", { seeds, options, delays: mixture, impressions, days: 8, drift: 0 });
  yield* compare("rates that move", {
    seeds,
    options,
    delays: mixture,
    impressions: impressions / 4,
    days: 8,
    drift: 0.5,
  });

  for (const scatterMsMax of [0, 1_800_000]) {
    if (options.signal.aborted) return;
    const found = measureBursts({ seed, hours: quick ? 4 : 14, scatterMsMax });
    const name = scatterMsMax === 0 ? "bursts, not held" : "bursts, spread";
    yield figure(`${name}: positives a minibatch of 256, mean`, found.positivesMean, "");
    yield figure(`${name}: their deviation`, found.positivesDeviation, "", [found.chanceDeviation, "by chance alone"]);
    yield figure(`${name}: highest line of their spectrum through the mean`, found.peak, "x", [
      found.chancePeak,
      "by chance alone",
    ]);
    yield figure(`${name}: minibatches without a positive`, found.withoutPositives / found.minibatches, "of all");
    yield figure(`${name}: positives held, mean`, found.delayMeanS, "s");
  }

  if (clicks === undefined) return;
  const installs = delaysOf(clicks).length;
  yield figure("TalkingData: installs of 100,000 clicks", installs, "");
  const rate = installs / clicks.length;
  for (const [name, emit] of [
    ["window of 10 min", { windowMs: 600_000 }],
    ["Fast Emit after half", { windowMs: 86_400_000, emitAfterShare: 0.5 }],
  ] as const) {
    const { counts, weighed, plain } = joinClicks(clicks, emit);
    yield figure(`TalkingData, ${name}: corrections`, counts.corrections, "");
    yield figure(`TalkingData, ${name}: rate, not weighed`, plain, "", [rate, "as it was"]);
    yield figure(`TalkingData, ${name}: rate, weighed`, weighed, "", [rate, "as it was"]);
  }
}

async function* compare(
  what: string,
  given: Omit<SimulationOptions, "seed"> & { readonly seeds: readonly number[]; readonly options: BenchOptions },
): AsyncGenerator<BenchFigure> {
  const { seeds, options, ...simulation } = given;
  const runs: (readonly WayResult[])[] = [];
  let positivesLeast = Infinity;
  for (const each of seeds) {
    if (options.signal.aborted) return;
    const { positives, results } = simulate({ ...simulation, seed: each });
    positivesLeast = Math.min(positivesLeast, positives);
    runs.push(results);
    options.progress.write(`delays: ${what}, seed ${each}, ${positives} positives\n`);
    // Lets signals in.
    await new Promise(setImmediate);
  }
  yield figure(`${what}: positives, least of ${seeds.length} seeds`, positivesLeast, "");
  for (const [at, { name, correct }] of WAYS.entries()) {
    const biases = runs.map((results) => (results[at]?.predicted ?? NaN) / (results[at]?.truth ?? NaN) - 1);
    const excess = runs.map((results) => (results[at]?.logLoss ?? NaN) / (results[0]?.logLoss ?? NaN) - 1);
    const isJudged = correct === "weights" && simulation.drift === 0;
    const [bias, error] = [mean(biases), deviation(biases)];
    yield {
      ...figure(`${what}: ${name}: bias of the rate`, 100 * bias, "%", [100 * error, "its standard error in one run"]),
      ...(isJudged && { target: `within +-${(100 * error).toFixed(3)}`, met: Math.abs(bias) <= error }),
    };
    yield figure(`${what}: ${name}: standard error of that bias`, (100 * error) / Math.sqrt(seeds.length), "%");
    if (at === 0) continue;
    yield {
      ...figure(`${what}: ${name}: log loss above the oracle's`, 100 * mean(excess), "%"),
      ...(correct === "weights" && { target: "<= 1", met: mean(excess) <= 0.01 }),
    };
  }
}

function figure(name: string, value: number, unit: string, beside?: readonly [number, string]): BenchFigure {
  const found = { bench: "delays", figure: name, value, unit };
  if (beside === undefined) return found;
  const [other, compared] = beside;
  return { ...found, compared: `${compared} ${other.toPrecision(3)}`, ratio: value / other };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
