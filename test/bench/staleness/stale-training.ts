/* One trainer whose steps take effect so many steps late, as those of many trainers at once do, on the simulated market. */
import { type Backend } from "../../../protocols/compute/backend.ts";
import {
  createMetrics,
  addPrediction,
  type ProgressiveMetrics,
} from "../../../protocols/learning/progressive-metrics.ts";
import { activeItems, createMarket, featuresOf, MARKET_DEFAULTS } from "../../../protocols/learning/market.ts";
import { createMarketStream, marketEvents } from "../../../protocols/learning/market-stream.ts";
import { type ModelDeclaration } from "../../../protocols/model.ts";
import { type Optimizer } from "../../../protocols/learning/optimizer.ts";
import { BatchModel, type BatchSample, type ModelStep } from "../batch-model.ts";

const BATCH = 64;
const MARKET = {
  ...MARKET_DEFAULTS,
  users: 500,
  initialItems: 300,
  itemsPerMinute: 0.5,
  itemLifeMinutes: 600,
  driftMinutes: 600,
};

/** A stream of samples, and how many rows each table needs. */
export interface Samples {
  readonly samples: readonly BatchSample[];
  readonly rows: readonly number[];
}

export function drawSamples(seed: number, count: number): Samples {
  const market = createMarket({ ...MARKET, seed, startMs: 0 });
  const stream = createMarketStream(market, { requestsPerSecond: 2, name: "s", purpose: 1 });
  const countries = new Map<string, number>();
  const categories = new Map<string, number>();
  const byKey = new Map<string, BatchSample & { label: number }>();
  const samples: BatchSample[] = [];
  let lastMs = 0;
  for (const event of marketEvents(stream)) {
    if (event.type === "feedback") {
      const clicked = byKey.get(`${event.request}:${event.item}`);
      if (clicked !== undefined) clicked.label = 1;
      continue;
    }
    if (samples.length >= count) break;
    const { country, category } = featuresOf(market, event);
    const rows = Int32Array.of(
      Number(event.user),
      Number(event.item),
      numberOf(countries, country),
      numberOf(categories, category),
    );
    const sample = { rows, dense: new Float32Array(0), label: 0, kept: 1 };
    byKey.set(`${event.request}:${event.item}`, sample);
    samples.push(sample);
    lastMs = event.time;
  }
  return { samples, rows: [MARKET.users + 1, activeItems(market, lastMs).last + 1, 16, 16] };
}

export interface StaleRun {
  readonly optimizer: Optimizer;
  readonly seed: number;
  readonly backend: Backend;
  /** Steps between the reading of a step's rows and its taking effect. */
  readonly staleness: number;
  readonly lambda: number;
}

/** Progressive quality over the second half of the samples. */
export function trainStale({ samples, rows }: Samples, run: StaleRun): ProgressiveMetrics {
  const { backend, seed, staleness, lambda, optimizer } = run;
  const declared = { ...MODEL, optimizer, denseOptimizer: { ...optimizer, learningRate: optimizer.learningRate / 2 } };
  const model = new BatchModel(declared, { backend, batchMax: BATCH, rows, seed });
  const metrics = createMetrics({ halfLifeMs: 1e12 });
  const waiting: ModelStep[] = [];
  for (let from = 0; from + BATCH <= samples.length; from += BATCH) {
    const batch = samples.slice(from, from + BATCH);
    const { probabilities, step } = model.compute(batch, { readValues: lambda > 0 });
    if (from >= samples.length / 2) {
      for (const [at, { label }] of batch.entries()) {
        addPrediction(metrics, { probability: probabilities[at] ?? Number.NaN, label, timeMs: from });
      }
    }
    waiting.push(step);
    const due = waiting.length > staleness ? waiting.shift() : undefined;
    if (due !== undefined) model.apply(due, lambda);
  }
  return metrics;
}

const MODEL: ModelDeclaration = {
  name: "stale",
  shards: 1,
  architecture: { kind: "dlrm", embedding: 16, bottom: [], top: [32, 16] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "countries", key: "country" },
    { name: "categories", key: "category" },
  ],
  dense: [],
  optimizer: { kind: "adagrad", learningRate: 0.1 },
  denseOptimizer: { kind: "adagrad", learningRate: 0.05 },
};

function numberOf(numbers: Map<string, number>, name: string): number {
  let found = numbers.get(name);
  if (found === undefined) numbers.set(name, (found = numbers.size));
  return found;
}
