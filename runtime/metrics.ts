import { type Labels, type Metrics } from "./actor.ts";

/** What one metric is, by the name of its labels' values. */
export type MetricKind = "counter" | "gauge" | "histogram";

/** One time series, as data: crosses threads. `buckets` counts values up to each bound, not summed up. */
export interface Series {
  readonly name: string;
  readonly kind: MetricKind;
  readonly labels: Labels;
  readonly value: number;
  readonly count?: number;
  readonly buckets?: readonly number[];
}

/** The metrics of one thread. */
export interface MetricsRegistry extends Metrics {
  snapshot(): Series[];
}

/** Upper bounds of every histogram: powers of four from 2^-20 (a microsecond) to 2^30 (a gigabyte), then infinity. */
const BUCKET_BOUNDS: readonly number[] = Array.from({ length: 26 }, (_, index) => 2 ** (2 * index - 20));
const SERIES_MAX = 5_000;

interface MutableSeries {
  readonly name: string;
  readonly kind: MetricKind;
  readonly labels: Labels;
  value: number;
  count?: number;
  buckets?: number[];
}

/** A registry that holds at most 5,000 series; further ones are counted under `freshet_metrics_refused_total`. */
export function createMetrics(): MetricsRegistry {
  const series = new Map<string, MutableSeries>();
  let refused = 0;

  function find(kind: MetricKind, name: string, labels: Labels): MutableSeries | undefined {
    const key = name + labelText(labels);
    const found = series.get(key);
    if (found !== undefined) return found.kind === kind ? found : void refused++;
    if (series.size >= SERIES_MAX || !/^[a-z_][a-z0-9_]*$/.test(name)) return void refused++;
    const made: MutableSeries = { name, kind, labels: { ...labels }, value: 0 };
    if (kind === "histogram") {
      made.count = 0;
      made.buckets = Array.from({ length: BUCKET_BOUNDS.length + 1 }, () => 0);
    }
    series.set(key, made);
    return made;
  }
  return {
    count(name, by = 1, labels = {}) {
      const found = find("counter", name, labels);
      if (found !== undefined && by > 0) found.value += by;
    },
    gauge(name, value, labels = {}) {
      const found = find("gauge", name, labels);
      if (found !== undefined) found.value = value;
    },
    observe(name, value, labels = {}) {
      const found = find("histogram", name, labels);
      if (found?.buckets === undefined || Number.isNaN(value)) return;
      const above = BUCKET_BOUNDS.findIndex((bound) => value <= bound);
      const bucket = above === -1 ? BUCKET_BOUNDS.length : above;
      found.buckets[bucket] = (found.buckets[bucket] ?? 0) + 1;
      found.count = (found.count ?? 0) + 1;
      found.value += value;
    },
    snapshot() {
      const all: Series[] = [...series.values()].map((one) => ({
        ...one,
        ...(one.buckets === undefined ? {} : { buckets: [...one.buckets] }),
      }));
      if (refused > 0) all.push({ name: "freshet_metrics_refused_total", kind: "counter", labels: {}, value: refused });
      return all;
    },
  };
}

/** One worker's series. */
export interface WorkerSeries {
  readonly worker: string;
  readonly series: readonly Series[];
}

/**
 * One list from all threads: counters and histograms of the same name and labels are summed. A gauge cannot be, so where two
 * threads have the same one, each keeps its own under the label `worker`.
 */
export function mergeSeries(all: readonly WorkerSeries[]): Series[] {
  const merged = new Map<string, MutableSeries>();
  const shared = new Set<string>();
  const seen = new Set<string>();
  for (const { series } of all) {
    for (const { name, kind, labels } of series) {
      const key = name + labelText(labels);
      if (kind === "gauge" && seen.has(key)) shared.add(key);
      seen.add(key);
    }
  }
  for (const { worker, series } of all) {
    for (const one of series) {
      const plainKey = one.name + labelText(one.labels);
      const labels = shared.has(plainKey) ? { ...one.labels, worker } : one.labels;
      const key = one.name + labelText(labels);
      const held = merged.get(key);
      if (held === undefined) merged.set(key, mutable(one, labels));
      else if (held.kind === one.kind && one.kind !== "gauge") add(held, one);
    }
  }
  return [...merged.values()];
}

function mutable({ name, kind, value, count, buckets }: Series, labels: Labels): MutableSeries {
  return {
    name,
    kind,
    labels,
    value,
    ...(count === undefined || buckets === undefined ? {} : { count, buckets: [...buckets] }),
  };
}

function add(held: MutableSeries, one: Series): void {
  held.value += one.value;
  if (held.buckets === undefined || one.buckets === undefined) return;
  held.count = (held.count ?? 0) + (one.count ?? 0);
  for (const [index, count] of one.buckets.entries()) held.buckets[index] = (held.buckets[index] ?? 0) + count;
}

/** The Prometheus text format, sorted by name, so that two scrapes compare. */
export function prometheusText(series: readonly Series[]): string {
  const sorted = series.toSorted(
    (a, b) => compare(a.name, b.name) || compare(labelText(a.labels), labelText(b.labels)),
  );
  const lines: string[] = [];
  let last = "";
  for (const one of sorted) {
    if (one.name !== last) lines.push(`# TYPE ${one.name} ${one.kind}`);
    last = one.name;
    if (one.buckets === undefined) {
      lines.push(`${one.name}${labelText(one.labels)} ${one.value}`);
      continue;
    }
    let sum = 0;
    for (const [index, count] of one.buckets.entries()) {
      sum += count;
      const bound = BUCKET_BOUNDS[index];
      lines.push(
        `${one.name}_bucket${labelText({ ...one.labels, le: bound === undefined ? "+Inf" : String(bound) })} ${sum}`,
      );
    }
    lines.push(
      `${one.name}_sum${labelText(one.labels)} ${one.value}`,
      `${one.name}_count${labelText(one.labels)} ${one.count ?? 0}`,
    );
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function labelText(labels: Labels): string {
  const names = Object.keys(labels);
  if (names.length === 0) return "";
  return `{${names
    .toSorted()
    .map((name) => `${name}="${escapeValue(labels[name] ?? "")}"`)
    .join(",")}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
