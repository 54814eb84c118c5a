import { type Context, type Protocol } from "../runtime/actor.ts";
import { addToSketch, createSketch, mergeSketch, type QuantileSketch } from "../protocols/quantile-sketch.ts";

/** How old rows are when they become visible here: the freshness of a region. Compares the primary's clock with ours. */
export interface LagMeter {
  /** Notes rows merged now, by their t in microseconds. Rows stamped before this meter began are a start's catching up, and left out. */
  add(times: Float64Array, nowMs: number): void;
  /** The lags of the last one to two minutes, in milliseconds. */
  recent(nowMs: number): QuantileSketch;
}

const SPAN_MS = 60_000;

export function createLagMeter(startedMs: number): LagMeter {
  let spans: { readonly beganMs: number; readonly sketch: QuantileSketch }[] = [
    { beganMs: startedMs, sketch: createSketch() },
  ];

  function current(nowMs: number): QuantileSketch {
    const last = spans.at(-1);
    if (last !== undefined && nowMs - last.beganMs < SPAN_MS) return last.sketch;
    const sketch = createSketch();
    spans = [...spans.filter(({ beganMs }) => nowMs - beganMs < 2 * SPAN_MS), { beganMs: nowMs, sketch }];
    return sketch;
  }

  return {
    add(times, nowMs) {
      const sketch = current(nowMs);
      for (const t of times) if (t / 1000 >= startedMs) addToSketch(sketch, Math.max(0, nowMs - t / 1000));
    },
    recent(nowMs) {
      current(nowMs);
      const merged = createSketch();
      for (const { sketch } of spans) mergeSketch(merged, sketch);
      return merged;
    },
  };
}

/** Counts urgent rows that came from a peer, with how late each was. */
export function noteUrgentRows<P extends Protocol<P>>(
  { metrics, now }: Pick<Context<P>, "metrics" | "now">,
  { times, labels }: { readonly times: Float64Array; readonly labels: { readonly model: string } },
): void {
  metrics.count("freshet_urgent_rows_total", times.length, { ...labels, origin: "peer" });
  for (const t of times) metrics.observe("freshet_urgent_lag_seconds", Math.max(0, now() / 1000 - t / 1e6), labels);
}
