import { type ReplicaEffect } from "../protocols/sync/replica.ts";
import { type Metrics } from "../runtime/actor.ts";

/** Counts what a step of a shard's replica did to rows, and how its pulls ended: each series once a step, however many tables it wrote. */
export function createEffectCounts(
  metrics: Metrics,
  labels: { readonly model: string },
): (effects: readonly ReplicaEffect[]) => void {
  return (effects) => {
    const applied = new Map<string, number>();
    for (const effect of effects) {
      if (effect.kind === "applied") {
        applied.set(effect.origin, (applied.get(effect.origin) ?? 0) + effect.keys.length);
      } else if (effect.kind === "pulled") {
        const outcome = effect.outcome === "complete" ? "complete" : effect.reason;
        metrics.count("freshet_pulls_total", 1, { ...labels, outcome });
      } else if (effect.kind === "dropped") {
        metrics.count("freshet_rows_dropped_total", effect.keys.length, labels);
      } else if (effect.kind === "written") {
        const { urgent } = effect;
        if (urgent > 0) metrics.count("freshet_urgent_rows_total", urgent, { ...labels, origin: "local" });
        if (effect.refused > 0) metrics.count("freshet_rows_refused_total", effect.refused, labels);
      }
    }
    for (const [origin, rows] of applied) metrics.count("freshet_rows_applied_total", rows, { ...labels, origin });
  };
}
