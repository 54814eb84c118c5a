import { type Impression } from "../../protocols/feedback.ts";
import { type LabelledExample } from "../../protocols/learning/training-batch.ts";
import { type DataSet } from "../data/open-data.ts";
import { Replay, type UserEvent } from "../data/replay.ts";

/** An item that a replayed request showed, and whether it was clicked. */
export interface ClickSample extends LabelledExample {
  readonly request: string;
  /** When its label was known, milliseconds since the epoch. Never before that of the sample before. */
  readonly timeMs: number;
}

/** What a replay made of the clicks so far. */
export interface ClickCounts {
  clicks: number;
  /** Clicks that made no request, as nobody had clicked their item lately. */
  unknown: number;
}

/**
 * Replays clicks (regions/data/replay.ts) and joins each request with its click: samples in the order in which their labels become known, `batch` at a time. The same
 * for the same clicks, seed and batch.
 */
export async function* clickSamples(
  data: DataSet,
  { seed, batch, counts }: { readonly seed: number; readonly batch: number; readonly counts: ClickCounts },
): AsyncGenerator<readonly ClickSample[]> {
  const replay = new Replay({ seed, popularityMs: data.popularityMs, featuresOf: data.featuresOf });
  const shown = new Map<string, Impression[]>();
  let samples: ClickSample[] = [];

  function take(events: readonly UserEvent[]): void {
    for (const { event } of events) {
      const { request } = event;
      if (event.type === "impression") {
        const others = shown.get(request);
        if (others === undefined) shown.set(request, [event]);
        else others.push(event);
        continue;
      }
      for (const { user, item, features, dense } of shown.get(request) ?? []) {
        const label = item === event.item ? 1 : 0;
        samples.push({ request, user, item, features, dense, label, weight: 1, timeMs: event.time });
      }
      // Each request is clicked once.
      shown.delete(request);
    }
  }

  function* full(): Generator<readonly ClickSample[]> {
    let from = 0;
    for (; from + batch <= samples.length; from += batch) yield samples.slice(from, from + batch);
    samples = samples.slice(from);
  }

  for await (const clicks of data.clicks()) {
    for (const click of clicks) {
      take(replay.push(click));
      if (samples.length >= batch) yield* full();
    }
    counts.clicks = replay.requests;
    counts.unknown = replay.unknown;
  }
  take(replay.end());
  yield* full();
  if (samples.length > 0) yield samples;
}
