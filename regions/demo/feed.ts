import { type ModelDeclaration } from "../../protocols/model.ts";
import { describeBroken } from "../data/data-report.ts";
import { type DataSet } from "../data/open-data.ts";
import { Replay, type UserEvent } from "../data/replay.ts";
import { replayModel } from "../data/replay-model.ts";

/** Events of one turn; `requests` is where the feed is after them, for going on from there another time. */
export interface FeedBatch {
  readonly events: readonly UserEvent[];
  readonly requests: number;
}

/** What a demo's feedback needs of the regions. */
export interface FeedPlan {
  /** One line for people: what it is and what is made up in it. */
  readonly title: string;
  readonly model: ModelDeclaration;
  /** How far apart, in event time, an impression and its feedback may be; and how far events may be out of order. */
  readonly joiner: { readonly window: string; readonly lateness: string };
}

/** Where a demo's feedback comes from. */
export interface Feed extends FeedPlan {
  /** Whether event times are those of now, so that no speed can be chosen. */
  readonly live: boolean;
  readonly batches: (signal: AbortSignal) => AsyncGenerator<FeedBatch>;
  /** How much of it has been given out, 0 to 1; undefined when it has no end. */
  readonly progress: () => number | undefined;
  /** What people should know after it: broken lines and the like. */
  readonly remarks: () => readonly string[];
  /** Lines for the screen about what the feed itself measures. */
  readonly extra: () => readonly string[];
  /** The same as figures, by name. */
  readonly measures: () => Readonly<Record<string, number>>;
}

/** A feed that replays a data set from its request number `from` on. The events of those before are made again but not given out. */
export function replayFeed(data: DataSet, options: { readonly seed: number; readonly from: number }): Feed {
  const { seed, from } = options;
  const replay = new Replay({ seed, popularityMs: data.popularityMs, featuresOf: data.featuresOf });
  return {
    title: `${data.title}, replayed with their own times; each click's request is made up: the clicked item among nine drawn by popularity, none for what nobody clicked lately (seed ${seed})`,
    model: replayModel(data),
    // The replay's own feedback comes within two seconds of event time, in order in each region.
    joiner: { window: "3s", lateness: "1s" },
    live: false,
    batches: () => replayBatches(data, { replay, from }),
    progress: () => data.report.done,
    remarks: () => {
      const { broken, late, firstBroken } = data.report;
      return [
        ...(from > 0 ? [`went on after request ${from} of an earlier run`] : []),
        ...(replay.unknown > 0
          ? [
              `${replay.unknown} of ${replay.requests} clicks made no request: nobody had clicked their item within the ${describeWindow(data.popularityMs)} before`,
            ]
          : []),
        ...(broken > 0
          ? [`${broken} broken lines were left out:`, ...firstBroken.map((line) => `  ${describeBroken(line)}`)]
          : []),
        ...(late > 0 ? [`${late} clicks that come too long after later ones were left out`] : []),
      ];
    },
    extra: () => [],
    measures: () => ({}),
  };
}

async function* replayBatches(
  data: DataSet,
  { replay, from }: { readonly replay: Replay; readonly from: number },
): AsyncGenerator<FeedBatch> {
  for await (const clicks of data.clicks()) {
    for (const click of clicks) {
      const events = replay.push(click);
      if (replay.requests > from && events.length > 0) yield { events, requests: replay.requests };
    }
  }
  yield { events: replay.end(), requests: replay.requests };
}

function describeWindow(windowMs: number): string {
  const days = windowMs / 86_400_000;
  return days >= 1 ? `${days} days` : `${windowMs / 60_000} minutes`;
}
