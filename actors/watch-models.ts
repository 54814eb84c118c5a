import { mergeMetrics } from "../protocols/learning/progressive-metrics.ts";
import { type LogEntry } from "../protocols/model-state/region-log.ts";
import { type Context } from "../runtime/actor.ts";
import { type StateManagerProtocol } from "./state-manager-protocol.ts";
import {
  closeQuality,
  judged,
  newWatch,
  noteBaseline,
  noteSlices,
  noteWindow,
  type QualityConfig,
  seriesOf,
  type Watched,
} from "./watched-model.ts";

/** The models that a state manager watches, and what it does when it is told of them. */
export interface WatchedModels {
  readonly byName: ReadonlyMap<string, Watched>;
  /** What is found of the models, for the region log. */
  readonly judge: () => readonly LogEntry[];
  readonly handlers: {
    readonly progress: (told: StateManagerProtocol["progress"]["request"]) => void;
    readonly baseline: (told: StateManagerProtocol["baseline"]["request"]) => void;
    readonly quality: () => StateManagerProtocol["quality"]["reply"];
    readonly "close-window": () => void;
  };
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
    judge: () => [...byName].flatMap(([model, watch]) => judged(model, watch, { nowMs: context.now(), log })),
    handlers: {
      progress: ({ model, window, slices }) => {
        const watch = byName.get(model);
        if (watch === undefined) return;
        mergeMetrics(watch.total, window);
        mergeMetrics(watch.window, window);
        mergeMetrics(watch.sinceBaseline, window);
        noteSlices(model, watch, { slices, metrics });
        noteWindow(watch, { window, slices }, quality);
      },
      baseline: ({ model, measured }) => {
        const watch = byName.get(model);
        if (watch !== undefined) noteBaseline(model, watch, { measured, nowMs: context.now(), log, metrics });
      },
      quality: () => ({
        nowMs: context.now(),
        windowMs: quality.windowMs,
        models: [...byName].map(([model, watch]) => ({ model, series: seriesOf(watch) })),
      }),
      "close-window": () => {
        for (const [model, watch] of byName) {
          closeQuality(model, watch, { nowMs: context.now(), quality, log, metrics });
        }
        context.after(quality.windowMs, "close-window", {});
      },
    },
  };
}
