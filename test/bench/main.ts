import { demonstrate } from "../../regions/demo/demo.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";

/** The main job: three regions as processes, a stream of clicks through them for a bounded time, then convergence. */
export async function* main(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { data, forMs = FOR_MS, seed, signal, progress } = options;
  const outcome = await demonstrate(
    { json: true, forMs, seed, signal, ...(data === undefined ? {} : { data }) },
    progress,
  );
  if (outcome === undefined) return;
  const { summary, logLoss, streamMs, trainedMs, rowsApplied, measures } = outcome;
  function figure(name: string, value: number, unit: string): BenchFigure {
    return { bench: "main", figure: name, value, unit };
  }

  yield figure("events", summary.events, "events");
  yield figure("events per second", (1_000 * summary.events) / Math.max(1, streamMs), "1/s");
  yield figure("samples", summary.samples, "samples");
  yield figure("samples per second", (1_000 * summary.samples) / Math.max(1, trainedMs), "1/s");
  if (summary.progressiveAuc !== null) yield figure("progressive AUC", summary.progressiveAuc, "");
  if (logLoss !== undefined) yield figure("log loss", logLoss, "nats");
  for (const [index, { region, rows, lagMs, linkBytes }] of summary.regions.entries()) {
    yield figure(`${region}: rows`, rows, "rows");
    if (lagMs.p50 !== null) yield figure(`${region}: lag p50`, lagMs.p50, "ms");
    if (lagMs.p99 !== null) yield figure(`${region}: lag p99`, lagMs.p99, "ms");
    if (summary.samples > 0) {
      yield figure(`${region}: link bytes per sample`, (linkBytes.in + linkBytes.out) / summary.samples, "B");
    }
    // The training region applies none of others: what its links bring are events.
    const applied = rowsApplied[index] ?? 0;
    if (applied > 0) {
      yield figure(`${region}: rows applied`, applied, "rows");
      yield figure(`${region}: link bytes in per row applied`, linkBytes.in / applied, "B");
    }
  }
  for (const [name, value] of Object.entries(measures)) yield figure(`expected click rate: ${name}`, value, "");
  yield { ...figure("converged", summary.converged ? 1 : 0, ""), target: "1", met: summary.converged };
  if (summary.convergedMs !== null) yield figure("converged after the stream's end", summary.convergedMs, "ms");
}

const FOR_MS = 60_000;
