// The market's events, in time order, at a requested rate.
import { popHeap, pushHeap } from "../binary-heap.ts";
import { type Feedback, type FeedbackEvent, type Impression } from "../feedback.ts";
import { type Random } from "../random.ts";
import { drawClick, drawList, drawUser, featuresOf, type Market, marketRandom } from "./market.ts";

/** A stream over a market. `pending` are clicks that have not happened yet, the next one first. */
export interface MarketStream {
  readonly market: Market;
  readonly requestsPerSecond: number;
  readonly name: string;
  readonly random: Random;
  readonly pending: Feedback[];
  requests: number;
}

/** A stream of `requestsPerSecond` requests from the market's start on. Its name stands in its request ids, so several can run side by side. */
export function createMarketStream(
  market: Market,
  options: { readonly requestsPerSecond: number; readonly name: string; readonly purpose: number },
): MarketStream {
  const { requestsPerSecond, name, purpose } = options;
  if (!(Number.isFinite(requestsPerSecond) && requestsPerSecond > 0)) {
    throw new RangeError(`Cannot make ${requestsPerSecond} requests per second`);
  }
  return { market, requestsPerSecond, name, random: marketRandom(market, purpose), pending: [], requests: 0 };
}

/**
 * Events in time order, without end: each request shows a list at once, its clicks come after their delays. Lists are drawn as a site without a
 * recommender would, or are `listFor`'s answer. The stream may be left and gone on with; `until` stops it before the first event at or after that time.
 */
export function* marketEvents(
  stream: MarketStream,
  options: {
    readonly untilMs?: number;
    readonly listFor?: (request: { readonly user: string; readonly timeMs: number }) => readonly string[];
  } = {},
): Generator<FeedbackEvent, void, undefined> {
  const { untilMs = Infinity, listFor } = options;
  for (;;) {
    const requestMs = requestTime(stream);
    const click = stream.pending[0];
    if (click !== undefined && click.time <= requestMs) {
      if (click.time >= untilMs) return;
      popHeap(stream.pending, happensBefore);
      yield click;
      continue;
    }
    if (requestMs >= untilMs) return;
    const user = drawUser(stream.market, stream.random);
    const drawn = drawList(stream.market, requestMs, stream.random);
    stream.requests += 1;
    yield* show(stream, {
      request: `${stream.name}-${stream.requests}`,
      user,
      items: listFor?.({ user, timeMs: requestMs }) ?? drawn,
      timeMs: requestMs,
    });
  }
}

/** Shows a list to a user: returns its impressions and queues the clicks that follow from it. Use it to close the loop with a real recommender's answers. */
export function show(
  stream: MarketStream,
  shown: {
    readonly request: string;
    readonly user: string;
    readonly items: readonly string[];
    readonly timeMs: number;
  },
): Impression[] {
  const { market, random, pending } = stream;
  const { request, user, items, timeMs } = shown;
  return items.map((item, position) => {
    const delayMs = drawClick(market, { user, item, timeMs }, random);
    if (delayMs !== undefined) {
      pushHeap(
        pending,
        { type: "feedback", kind: "click", request, item, time: Math.ceil(timeMs + delayMs) },
        happensBefore,
      );
    }
    return {
      type: "impression",
      request,
      user,
      item,
      position,
      time: timeMs,
      features: featuresOf(market, { user, item }),
      dense: {},
    };
  });
}

function requestTime({ market, requests, requestsPerSecond }: MarketStream): number {
  return Math.floor(market.options.startMs + (requests * 1000) / requestsPerSecond);
}

function happensBefore(a: Feedback, b: Feedback): boolean {
  if (a.time !== b.time) return a.time < b.time;
  return a.request === b.request ? a.item < b.item : a.request < b.request;
}
