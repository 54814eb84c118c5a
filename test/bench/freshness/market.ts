/* The same on the simulated market, where the best list is known: what lists by a model that is behind by each of the lags are worth. */
import { type Backend } from "../../../protocols/compute/backend.ts";
import {
  activeItems,
  bestItems,
  createMarket,
  drawUser,
  expectedClick,
  featuresOf,
  type Market,
  MARKET_DEFAULTS,
  marketRandom,
} from "../../../protocols/learning/market.ts";
import { createMarketStream, marketEvents } from "../../../protocols/learning/market-stream.ts";
import { type ModelDeclaration } from "../../../protocols/model.ts";
import { BatchModel, type BatchSample } from "../batch-model.ts";

const MARKET_MODEL: ModelDeclaration = {
  name: "market",
  shards: 1,
  architecture: { kind: "deepfm", embedding: 16, deep: [] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "countries", key: "country" },
    { name: "categories", key: "category" },
  ],
  dense: ["age"],
  optimizer: { kind: "adagrad", learningRate: 0.1 },
  denseOptimizer: { kind: "adagrad", learningRate: 0.02 },
};

/** Tastes turn by a radian in four hours, an item stays for eighteen. */
const MARKET = {
  ...MARKET_DEFAULTS,
  users: 1_000,
  initialItems: 540,
  itemsPerMinute: 0.5,
  itemLifeMinutes: 1_080,
  driftMinutes: 240,
};
const HOUR_MS = 3_600_000;
const STEP_MS = 1_000;

export interface MarketAsked {
  readonly user: number;
  /** Expected clicks on the best list, and by lag on the model's. */
  readonly best: number;
  readonly reached: Float64Array;
}

export function askMarket(options: {
  readonly seed: number;
  readonly backend: Backend;
  readonly lagsMs: readonly number[];
  readonly hours: number;
  readonly requestsPerSecond: number;
  readonly asked: number;
  readonly onProgress: (done: number) => void;
  readonly isStopped: () => boolean;
}): readonly MarketAsked[] {
  const { seed, backend, lagsMs, hours, requestsPerSecond } = options;
  const market = createMarket({ ...MARKET, seed, startMs: 0 });
  const endMs = hours * HOUR_MS;
  const names = { country: new Map<string, number>(), category: new Map<string, number>() };
  const items = activeItems(market, endMs).last + 1;
  const model = new BatchModel(MARKET_MODEL, {
    backend,
    batchMax: 4_096,
    rows: [MARKET.users + 1, items, 16, 16],
    seed,
  });
  const firstMs = Math.max(...lagsMs) + HOUR_MS;
  const random = marketRandom(market, 77);
  const questions = Array.from({ length: options.asked }, (_, at) => ({
    timeMs: firstMs + ((endMs - firstMs) * (at + 0.5)) / options.asked,
    user: drawUser(market, random),
  }));
  const asked = questions.map(({ user, timeMs }): MarketAsked => {
    const best = bestItems(market, { user, k: MARKET.listLength, timeMs });
    const sum = best.reduce((all, { probability }) => all + probability, 0);
    return { user: Number(user), best: sum, reached: new Float64Array(lagsMs.length) };
  });

  function place(
    of: { readonly user: string; readonly item: string; readonly timeMs: number },
    rows: Int32Array,
    dense: Float32Array,
  ): void {
    const { country, category } = featuresOf(market, of);
    rows[0] = Number(of.user);
    rows[1] = Number(of.item);
    rows[2] = numberOf(names.country, country);
    rows[3] = numberOf(names.category, category);
    dense[0] = Math.log1p(ageMs(market, Number(of.item), of.timeMs) / HOUR_MS) / 4;
  }

  const rows = new Int32Array(4);
  const dense = new Float32Array(1);
  function ask(question: number, lag: number): void {
    const { user, timeMs } = questions[question] ?? { user: "1", timeMs: 0 };
    const knownMs = timeMs - (lagsMs[lag] ?? 0);
    const now = activeItems(market, timeMs);
    // What was born since, the replica has not heard of; what left, it would have heard of elsewhere: lists hold what is on the market.
    const known = Math.min(now.last, activeItems(market, knownMs).last);
    const candidates = Array.from({ length: Math.max(0, known - now.first + 1) }, (_, at) => String(now.first + at));
    for (const [at, item] of candidates.entries()) {
      place({ user, item, timeMs }, rows, dense);
      model.place(at, rows, dense);
    }
    const scores = model.predict(candidates.length).slice();
    const list = candidates
      .map((item, at) => ({ item, score: scores[at] ?? 0 }))
      .sort((a, b) => b.score - a.score)
      .slice(0, MARKET.listLength);
    const reached = asked[question]?.reached;
    const expected = list.reduce((sum, { item }) => sum + expectedClick(market, { user, item, timeMs }), 0);
    if (reached !== undefined) reached[lag] = expected;
  }

  const next = lagsMs.map(() => 0);
  const shown = new Map<string, BatchSample & { clicked: boolean }>();
  let batch: BatchSample[] = [];
  let batchMs = 0;
  function flush(): void {
    if (batch.length > 0) model.learn(batch);
    batch = [];
  }
  const stream = createMarketStream(market, { requestsPerSecond, name: "m", purpose: 5 });
  let events = 0;
  // A window of half a minute, as the joiner would have it; clicks that take longer are few here.
  const windowMs = 30_000;
  const open: { readonly key: string; readonly time: number }[] = [];
  let openFrom = 0;
  for (const event of marketEvents(stream, { untilMs: endMs })) {
    const { time } = event;
    for (const [lag, lagMs] of lagsMs.entries()) {
      for (let at = next[lag] ?? 0; at < questions.length && (questions[at]?.timeMs ?? 0) - lagMs <= time; at += 1) {
        flush();
        ask(at, lag);
        next[lag] = at + 1;
      }
    }
    const key = `${event.request}:${event.item}`;
    if (event.type === "impression") {
      const sample = { rows: new Int32Array(4), dense: new Float32Array(1), label: 0, kept: 1, clicked: false };
      place({ user: event.user, item: event.item, timeMs: time }, sample.rows, sample.dense);
      shown.set(key, sample);
      open.push({ key, time });
    } else {
      const sample = shown.get(key);
      if (sample !== undefined && !sample.clicked) {
        sample.clicked = true;
        batch.push({ ...sample, label: 1 });
      }
    }
    for (let first = open[openFrom]; first !== undefined && first.time + windowMs <= time; first = open[openFrom]) {
      openFrom += 1;
      const sample = shown.get(first.key);
      shown.delete(first.key);
      if (sample !== undefined && !sample.clicked) batch.push(sample);
    }
    if (openFrom > 100_000) {
      open.splice(0, openFrom);
      openFrom = 0;
    }
    if (time - batchMs >= STEP_MS || batch.length >= 512) {
      flush();
      batchMs = time;
    }
    events += 1;
    if (events % 50_000 === 0) {
      options.onProgress(time / endMs);
      if (options.isStopped()) break;
    }
  }
  return asked;
}

function ageMs({ options }: Market, item: number, timeMs: number): number {
  const bornMs = options.startMs + (Math.max(0, item - options.initialItems) / options.itemsPerMinute) * 60_000;
  return Math.max(0, timeMs - bornMs);
}

function numberOf(numbers: Map<string, number>, name: string): number {
  let found = numbers.get(name);
  if (found === undefined) numbers.set(name, (found = numbers.size));
  return found;
}
