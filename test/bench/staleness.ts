import { type Backend } from "../../protocols/compute/backend.ts";
import { summarize } from "../../protocols/learning/progressive-metrics.ts";
import { type Optimizer } from "../../protocols/learning/optimizer.ts";
import { kernelsBackend } from "../../runtime/compute/kernels-backend.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { type Interval, intervalsOf } from "./freshness/intervals.ts";
import { drawSamples, type Samples, trainStale } from "./staleness/stale-training.ts";

const STALENESS = [0, 1, 4, 16, 64] as const;
const LAMBDAS = [0.5, 2, 5, 10, 20] as const;
const OPTIMIZERS: readonly Optimizer[] = [
  { kind: "ogd", learningRate: 1 },
  { kind: "adagrad", learningRate: 0.1 },
];
const SEEDS = 10;
/** Seeds of their own, on which the strength of compensation is chosen. */
const TUNING = [1_001, 1_002, 1_003] as const;

/** What steps that take effect late cost in quality, and how much of it delay compensation brings back. */
export async function* staleness(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { quick, seed, signal, progress } = options;
  const backend = kernelsBackend();
  const count = quick ? 20_000 : 100_000;
  const seeds = Array.from({ length: quick ? 3 : SEEDS }, (_, at) => seed + at);
  const tuning = TUNING.slice(0, quick ? 1 : 3).map((each) => ({ seed: each, samples: drawSamples(each, count) }));
  const measured = seeds.map((each) => ({ seed: each, samples: drawSamples(each, count) }));
  for (const optimizer of OPTIMIZERS) {
    const lambdas = new Map<number, number>();
    for (const steps of STALENESS.slice(1)) {
      let best = { lambda: 0, logLoss: Infinity };
      for (const lambda of LAMBDAS) {
        const losses = tuning.map((each) => qualityOf(each, { optimizer, backend, staleness: steps, lambda }).logLoss);
        const logLoss = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
        if (logLoss < best.logLoss) best = { lambda, logLoss };
      }
      lambdas.set(steps, best.lambda);
      progress.write(`staleness: ${optimizer.kind}, ${steps} steps: lambda ${best.lambda}\n`);
      await new Promise(setImmediate);
      if (signal.aborted) return;
    }
    const observations = [];
    for (const each of measured) {
      const plain = STALENESS.map((steps) => qualityOf(each, { optimizer, backend, staleness: steps, lambda: 0 }));
      const compensated = STALENESS.map((steps, at) =>
        steps === 0
          ? plain[at]
          : qualityOf(each, { optimizer, backend, staleness: steps, lambda: lambdas.get(steps) ?? 0 }),
      );
      const figures = [...plain, ...compensated].flatMap((quality) => [quality?.auc ?? NaN, quality?.logLoss ?? NaN]);
      observations.push({ who: each.seed, figures });
      progress.write(`staleness: ${optimizer.kind}, seed ${each.seed}\n`);
      await new Promise(setImmediate);
      if (signal.aborted) return;
    }
    yield* figuresOf(observations, { name: `${optimizer.kind} ${optimizer.learningRate}`, seed, lambdas });
  }
}

function* figuresOf(
  observations: readonly { readonly who: number; readonly figures: readonly number[] }[],
  {
    name,
    seed,
    lambdas,
  }: { readonly name: string; readonly seed: number; readonly lambdas: ReadonlyMap<number, number> },
): Generator<BenchFigure> {
  const count = STALENESS.length;
  for (const [at, measure] of ["AUC", "log loss"].entries()) {
    const found = intervalsOf(observations, {
      seed,
      derive: (means) => {
        function of(column: number): number {
          return means[2 * column + at] ?? Number.NaN;
        }
        return STALENESS.flatMap((_, steps) => [
          of(steps),
          of(count + steps),
          (of(count + steps) - of(steps)) / (of(0) - of(steps)),
        ]);
      },
    });
    for (const [steps, late] of STALENESS.entries()) {
      const [plain, compensated, recovered] = found.slice(3 * steps, 3 * steps + 3);
      yield interval(`${name}, ${late} steps late: ${measure}`, plain);
      if (late === 0) continue;
      const lambda = lambdas.get(late) ?? 0;
      yield interval(`${name}, ${late} steps late, lambda ${lambda}: ${measure}`, compensated);
      yield interval(`${name}, ${late} steps late: ${measure}, of the loss recovered`, recovered, 100);
    }
  }
}

function qualityOf(
  { seed, samples }: { readonly seed: number; readonly samples: Samples },
  run: {
    readonly optimizer: Optimizer;
    readonly backend: Backend;
    readonly staleness: number;
    readonly lambda: number;
  },
): { readonly auc: number; readonly logLoss: number } {
  const { auc = Number.NaN, logLoss = Number.NaN } = summarize(trainStale(samples, { ...run, seed }), "total");
  return { auc, logLoss };
}

function interval(name: string, found: Interval | undefined, percent?: number): BenchFigure {
  const { value, low, high } = found ?? { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  const scale = percent ?? 1;
  const compared = `95 %: ${(scale * low).toPrecision(4)} to ${(scale * high).toPrecision(4)}`;
  return { bench: "staleness", figure: name, value: scale * value, unit: percent === undefined ? "" : "%", compared };
}
