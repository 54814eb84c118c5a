import { mergeMetrics } from "../protocols/learning/progressive-metrics.ts";
import { type Context } from "../runtime/actor.ts";
import { type StateManagerProtocol } from "./state-manager-protocol.ts";
import {
  closeQuality,
  newWatch,
  noteSlices,
  noteWindow,
  type QualityConfig,
  seriesOf,
  type Watched,
} from "./watched-model.ts";

/** The models that a state manager watches, and what it does when it is told of them. */
export interface WatchedModels {
  readonly byName: ReadonlyMap<string, Watched>;
  progress(told: StateManagerProtocol["progress"]["request"]): void;
  quality(): StateManagerProtocol["quality"]["reply"];
  closeWindow(): void;
}

/** Windows of quality are ended from now on. */
export function watchModels(
  { models, quality }: { readonly models: readonly string[]; readonly quality: QualityConfig },
  context: Context<StateManagerProtocol>,
): WatchedModels {
  const { log, metrics } = context;
  const byName = new Map(models.map((model) => [model, newWatch(context.now())] as const));
  context.after(quality.windowMs, "close-window", {});
  return {
    byName,
    progress({ model, window, slices }) {
      const watch = byName.get(model);
      if (watch === undefined) return;
      mergeMetrics(watch.total, window);
      mergeMetrics(watch.window, window);
      noteSlices(model, watch, { slices, metrics });
      noteWindow(watch, { window, slices }, quality);
    },
    quality: () => ({
      nowMs: context.now(),
      windowMs: quality.windowMs,
      models: [...byName].map(([model, watch]) => ({ model, series: seriesOf(watch) })),
    }),
    closeWindow() {
      for (const [model, watch] of byName) closeQuality(model, watch, { nowMs: context.now(), quality, log, metrics });
      context.after(quality.windowMs, "close-window", {});
    },
  };
}
