import { writeFile } from "node:fs/promises";
import { type Backend } from "../../protocols/compute/backend.ts";
import { kernelsBackend } from "../../runtime/compute/kernels-backend.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { type CurvePanel, type CurvePoint, drawCurves } from "./curve-chart.ts";
import { readClicks } from "./freshness/clicks.ts";
import { type Interval, intervalsOf } from "./freshness/intervals.ts";
import { askMarket, type MarketAsked } from "./freshness/market.ts";
import { type Asked, askNews, type Recommender } from "./freshness/news.ts";

const LAGS = [
  { name: "0 s", ms: 0 },
  { name: "1 s", ms: 1_000 },
  { name: "10 s", ms: 10_000 },
  { name: "1 min", ms: 60_000 },
  { name: "10 min", ms: 600_000 },
  { name: "20 min", ms: 1_200_000 },
  { name: "1 h", ms: 3_600_000 },
  { name: "6 h", ms: 21_600_000 },
  { name: "24 h", ms: 86_400_000 },
] as const;
const LAGS_MS = LAGS.map(({ ms }) => ms);
const RECOMMENDERS: readonly Recommender[] = ["model", "popularity of the last hour", "item co-occurrence"];
const SEEDS = 3;
const TOP = 10;
/** Whose gain over which. */
const GAINS = [
  ["1 s", "20 min"],
  ["1 s", "1 h"],
] as const;

/** What it is worth that a model is fresh: the next click of real readers, and lists on a market whose best answers are known. */
export async function* freshness(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { data, quick, seed, progress, signal } = options;
  const backend = kernelsBackend();
  const seeds = Array.from({ length: quick ? 1 : SEEDS }, (_, at) => seed + at);
  const panels: CurvePanel[] = [];
  if (data !== undefined) {
    const clicks = await readClicks(data, {
      days: quick ? 2 : 16,
      onProgress: (done) => progress.write(`\rfreshness: reading, ${percent(done)} `),
    });
    const asked: Asked[] = [];
    for (const each of seeds) {
      const started = performance.now();
      const found = askNews(clicks, {
        seed: each,
        backend,
        lagsMs: LAGS_MS,
        askedShare: quick ? 0.005 : 0.003,
        askedNewShare: 0.05,
        onProgress: (done) => progress.write(`\rfreshness: clicks, seed ${each}, ${percent(done)} `),
        isStopped: () => signal.aborted,
      });
      asked.push(...found.asked);
      if (signal.aborted) return;
      yield figure(`seed ${each}: samples learned`, found.trained, "");
      yield figure(`seed ${each}: time with all questions`, (performance.now() - started) / 1000, "s");
      // Lets signals in.
      await new Promise(setImmediate);
    }
    yield figure("clicks in the data", clicks.count, "");
    yield* newsFigures(asked, { seed, panels });
  }
  yield* market({ options, backend, seeds, panels });
  if (options.chart !== undefined) await writeFile(options.chart, drawChart(panels));
}

async function* market(given: {
  readonly options: BenchOptions;
  readonly backend: Backend;
  readonly seeds: readonly number[];
  readonly panels: CurvePanel[];
}): AsyncGenerator<BenchFigure> {
  const { options, backend, seeds, panels } = given;
  const asked: MarketAsked[] = [];
  for (const seed of seeds) {
    asked.push(
      ...askMarket({
        seed,
        backend,
        lagsMs: LAGS_MS,
        hours: 30,
        requestsPerSecond: options.quick ? 1 : 4,
        asked: options.quick ? 200 : 1_000,
        onProgress: (done) => options.progress.write(`\rfreshness: market, seed ${seed}, ${percent(done)} `),
        isStopped: () => options.signal.aborted,
      }),
    );
    if (options.signal.aborted) return;
    await new Promise(setImmediate);
  }
  options.progress.write("\n");
  const observations = asked.map(({ user, best, reached }) => ({ who: user, figures: [best, ...reached] }));
  const found = intervalsOf(observations, {
    seed: options.seed,
    derive: ([best = 1, ...reached]) => [
      ...reached.map((each) => each / best),
      ...GAINS.map(
        ([one, other]) => ((reached[lagAt(one)] ?? 0) - (reached[lagAt(other)] ?? 0)) / (reached[lagAt(other)] ?? 1),
      ),
    ],
  });
  yield figure("market: lists asked for", asked.length, "");
  yield* byLag("market", found, "share of the best clicks");
  for (const [at, [one, other]] of GAINS.entries()) {
    yield interval(`market: gain of ${one} over ${other}`, found[LAGS.length + at], 100, "%");
  }
  const curves = [{ series: 0, points: found.slice(0, LAGS.length) }];
  panels.push({ title: "market: share of the best clicks", curves });
}

function* newsFigures(
  asked: readonly Asked[],
  { seed, panels }: { readonly seed: number; readonly panels: CurvePanel[] },
): Generator<BenchFigure> {
  for (const [group, those] of [
    ["all articles", asked.filter(({ isDrawn }) => isDrawn)],
    ["articles under 1 h old", asked.filter(({ isNew }) => isNew)],
  ] as const) {
    yield figure(`${group}: clicks asked for`, those.length, "");
    const measures = ["hit rate at 10", "MRR at 10"] as const;
    const columns = RECOMMENDERS.flatMap((who) => measures.map((measure) => ({ who, measure }) as const));
    const observations = those.map(({ user, ranks, auc }) => ({
      who: user,
      figures: [
        ...columns.flatMap(({ who, measure }) => Array.from(ranks[who], (rank) => worth(measure, rank))),
        ...auc,
      ],
    }));
    const count = LAGS.length;
    const modelAt = { "hit rate at 10": 0, "MRR at 10": count };
    const aucAt = columns.length * count;
    const found = intervalsOf(observations, {
      seed,
      derive: (means) => [
        ...means,
        // At lag 0: the model's less each other's; then the gains of seconds.
        ...columns.slice(2).map(({ measure }, at) => (means[modelAt[measure]] ?? 0) - (means[(at + 2) * count] ?? 0)),
        ...[0, count, aucAt].flatMap((from) =>
          GAINS.map(([one, other]) => (means[from + lagAt(one)] ?? 0) / (means[from + lagAt(other)] ?? 1) - 1),
        ),
      ],
    });
    const lines = columns.map(({ who, measure }, column) => ({
      who,
      measure,
      points: found.slice(column * count, (column + 1) * count),
    }));
    for (const { who, measure, points } of lines) {
      yield* byLag(`${group}, ${who}`, points, measure);
    }
    yield* byLag(`${group}, model`, found.slice(aucAt), "AUC");
    const more = found.slice(aucAt + count);
    for (const [at, { who, measure }] of columns.slice(2).entries()) {
      const difference = more[at];
      const isJudged = group === "all articles";
      yield {
        ...interval(`${group}: model less ${who}, ${measure}`, difference),
        ...(isJudged && { target: "interval above 0", met: (difference?.low ?? 0) > 0 }),
      };
    }
    const gains = more.slice(columns.length - 2);
    for (const [at, measure] of [...measures, "AUC"].entries()) {
      for (const [pair, [one, other]] of GAINS.entries()) {
        yield interval(`${group}: gain of ${one} over ${other}, ${measure}`, gains[at * GAINS.length + pair], 100, "%");
      }
    }
    const curves = lines
      .filter(({ measure }) => measure === "hit rate at 10")
      .map(({ points }, series) => ({ series, points }));
    panels.push({ title: `${group}: hit rate at 10`, curves });
  }
}

function* byLag(who: string, found: readonly Interval[], measure: string): Generator<BenchFigure> {
  for (const [at, { name }] of LAGS.entries()) yield interval(`${who}, ${name} behind: ${measure}`, found[at]);
}

function worth(measure: "hit rate at 10" | "MRR at 10", rank: number): number {
  if (rank > TOP) return 0;
  return measure === "MRR at 10" ? 1 / rank : 1;
}

function lagAt(name: string): number {
  return LAGS.findIndex((lag) => lag.name === name);
}

function drawChart(panels: readonly CurvePanel[]): string {
  return drawCurves({
    title: "What freshness is worth",
    axis: "how far the serving replica is behind the trainer",
    note: "The best ten of all articles seen so far, one pass over the clicks; bands are 95 % intervals (bootstrap over readers), three seeds.",
    places: LAGS.map(({ name }) => name),
    series: [
      { name: "model", colour: ["#0b62c4", "#6cb0ff"] },
      { name: "popularity of the last hour", colour: ["#b35900", "#ffb266"], dashed: true },
      { name: "item co-occurrence", colour: ["#2a7d3f", "#7fd897"], dashed: true },
    ],
    panels,
  });
}

function interval(name: string, found: (Interval & CurvePoint) | undefined, scale = 1, unit = ""): BenchFigure {
  const { value, low, high } = found ?? { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  const compared = `95 %: ${(scale * low).toPrecision(3)} to ${(scale * high).toPrecision(3)}`;
  return { ...figure(name, scale * value, unit), compared };
}

function figure(name: string, value: number, unit: string): BenchFigure {
  return { bench: "freshness", figure: name, value, unit };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
