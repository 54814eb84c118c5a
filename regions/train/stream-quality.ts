/*
 * Quality of a model on a stream, by window of the stream's own time: of all samples, and of each slice (protocols/learning/quality-slices.ts).
 */
import {
  addPrediction,
  createMetrics,
  mergeMetrics,
  type ProgressiveMetrics,
} from "../../protocols/learning/progressive-metrics.ts";
import {
  closeWindow,
  createHistory,
  type QualityHistory,
  type QualityPoint,
} from "../../protocols/learning/quality-history.ts";
import { addToSlices, type SlicedPrediction, type Slices } from "../../protocols/learning/quality-slices.ts";

/** What was measured so far. Plain data, JSON-safe. */
export interface QualityState {
  /** When the open window ends. */
  readonly endMs: number;
  readonly slices: readonly SliceState[];
}

export interface SliceState {
  readonly slice: string;
  /** Of the open window, and of those that are closed. */
  readonly open: ProgressiveMetrics;
  readonly closed: ProgressiveMetrics;
  readonly windows: readonly QualityPoint[];
}

export interface StreamQuality {
  /** Takes in one prediction made before its sample was learned. Times must not go back. Gives the window of all samples that this one ended. */
  measure(prediction: SlicedPrediction): QualityPoint | undefined;
  /** Closes the last window, if there is one. */
  end(): QualityPoint | undefined;
  state(): QualityState;
}

/** The slice that every sample is of. */
export const ALL = "all";

/** Into how many windows a stream's time may be parted. One more is kept, for what comes at its very end. */
export const WINDOWS_MAX = 1_000;

/** Begins with a window that starts at `startMs`, or goes on from what was kept. */
export function createStreamQuality(given: {
  readonly windowMs: number;
  readonly startMs: number;
  readonly features: readonly string[];
  readonly kept: QualityState | undefined;
}): StreamQuality {
  const { windowMs, features, kept } = given;
  const how = { features, halfLifeMs: windowMs };
  let endMs = kept?.endMs ?? given.startMs + windowMs;
  // A slice that was met once stays, so that values of a feature that are too many go into the same slice in every window.
  const open: Slices = new Map([[ALL, createMetrics(how)]]);
  const past = new Map<string, { readonly history: QualityHistory; readonly total: ProgressiveMetrics }>();
  for (const { slice, open: metrics, closed: total, windows } of kept?.slices ?? []) {
    open.set(slice, metrics);
    past.set(slice, { total, history: historyOf(windows) });
  }

  function historyOf(windows: readonly QualityPoint[]): QualityHistory {
    return { ...createHistory({ pointsMax: WINDOWS_MAX + 1, halfLifeMs: windowMs }), points: [...windows] };
  }

  function pastOf(slice: string): { readonly history: QualityHistory; readonly total: ProgressiveMetrics } {
    const known = past.get(slice);
    if (known !== undefined) return known;
    const none = { history: historyOf([]), total: createMetrics(how) };
    past.set(slice, none);
    return none;
  }

  function close(): QualityPoint | undefined {
    let ofAll: QualityPoint | undefined;
    for (const [slice, metrics] of open) {
      const { history, total } = pastOf(slice);
      mergeMetrics(total, metrics);
      history.open = metrics;
      const point = closeWindow(history, endMs);
      if (slice === ALL) ofAll = point;
      open.set(slice, createMetrics(how));
    }
    return ofAll;
  }

  return {
    measure(prediction) {
      const { timeMs } = prediction;
      const closed = timeMs >= endMs ? close() : undefined;
      if (timeMs >= endMs) endMs += windowMs * (1 + Math.floor((timeMs - endMs) / windowMs));
      const all = open.get(ALL);
      if (all !== undefined) addPrediction(all, prediction);
      addToSlices(open, prediction, how);
      return closed;
    },
    end: close,
    state: () => ({
      endMs,
      slices: [...open].map(([slice, metrics]) => {
        const { history, total } = pastOf(slice);
        return { slice, open: metrics, closed: total, windows: history.points };
      }),
    }),
  };
}
