import { setTimeout } from "node:timers/promises";
import * as z from "zod";
import { popHeap, pushHeap } from "../../protocols/binary-heap.ts";
import { type Feedback } from "../../protocols/feedback.ts";
import {
  activeItems,
  createMarket,
  drawList,
  drawUser,
  featuresOf,
  type Market,
  MARKET_DEFAULTS,
  type MarketOptions,
} from "../../protocols/learning/market.ts";
import { createMarketStream, type MarketStream, show } from "../../protocols/learning/market-stream.ts";
import { nextFloat } from "../../protocols/random.ts";
import { type UserEvent } from "../data/replay.ts";
import { type Feed, type FeedBatch, type FeedPlan } from "./feed.ts";
import { MarketScore } from "./market-score.ts";
import { regionOf } from "./region-of.ts";

export interface MarketFeedOptions {
  readonly seed: number;
  /** When the market opened; a later run of the same one goes on with the same users and items. */
  readonly startMs: number;
  /** Where each region answers, in the order that users are spread over. */
  readonly urls: readonly string[];
  /** Lists shown a second. Default 150. */
  readonly requestsPerSecond?: number;
}

/** A small market whose countries have tastes of their own, so that half a minute's clicks say something of everybody's. */
export const DEMO_MARKET: Omit<MarketOptions, "seed" | "startMs"> = {
  ...MARKET_DEFAULTS,
  users: 200,
  initialItems: 200,
  alike: 0.8,
  clickDelayMs: 250,
};

/** What the market needs of the regions. */
export function marketPlan(seed: number): FeedPlan {
  return {
    title:
      `a simulated market (seed ${seed}): ${DEMO_MARKET.users} users with drifting tastes, ${DEMO_MARKET.initialItems} items and ${DEMO_MARKET.itemsPerMinute} new ones a minute; ` +
      "half of the lists are what the user's region recommends, half are drawn as a site without a recommender would",
    model: {
      name: "market",
      shards: 4,
      architecture: { kind: "dlrm", embedding: 16, bottom: [16], top: [32, 16] },
      tables: ["user", "item", "country"].map((key) => ({ name: key, key })),
      dense: [],
      // High rates for a short show: at 0.05 the first half minute would teach little.
      optimizer: { kind: "adagrad", learningRate: 0.4 },
      denseOptimizer: { kind: "adagrad", learningRate: 0.1 },
    },
    // Nearly all clicks come within two seconds; later ones correct their sample. Negatives that came much later than positives would teach
    // that everybody clicks on everything.
    joiner: { window: "2s", lateness: "500ms" },
  };
}

/** A feed that plays the users of a market at the speed of the clock, and closes the loop: they click on what the regions recommend. */
export function marketFeed(options: MarketFeedOptions): Feed {
  const { seed, startMs, urls, requestsPerSecond = 150 } = options;
  const market = createMarket({ ...DEMO_MARKET, seed, startMs });
  const score = new MarketScore(market);
  const counts = { recommended: 0, unanswered: 0 };
  return {
    ...marketPlan(seed),
    live: true,
    batches: (signal) => marketBatches({ market, score, counts, urls, requestsPerSecond, signal }),
    progress: () => undefined,
    remarks: () =>
      counts.unanswered === 0
        ? []
        : [
            `${counts.unanswered} of ${counts.recommended + counts.unanswered} requests for recommendations had no answer in time; a drawn list was shown`,
          ],
    extra: () => {
      const { figures } = score;
      if (figures === undefined) return [];
      const { served, best, popular, random } = figures;
      return [
        `expected click rate: served ${share(served)}   best possible ${share(best)}   popular ${share(popular)}   random ${share(random)}   regret ${share(best - served)}`,
      ];
    },
    measures: () => {
      const { figures } = score;
      return figures === undefined ? {} : { ...figures, regret: figures.best - figures.served };
    },
  };
}

interface Playing {
  readonly market: Market;
  readonly score: MarketScore;
  readonly counts: { recommended: number; unanswered: number };
  readonly urls: readonly string[];
  readonly requestsPerSecond: number;
  readonly signal: AbortSignal;
}

interface PendingClick {
  readonly user: string;
  readonly feedback: Feedback;
}

async function* marketBatches(playing: Playing): AsyncGenerator<FeedBatch> {
  const { market, score, requestsPerSecond, signal } = playing;
  const openedMs = Date.now();
  // Named by when it began, so that a later run of the same market does not repeat its request ids.
  const stream = createMarketStream(market, {
    requestsPerSecond,
    name: `market-${openedMs}`,
    purpose: openedMs % 0x8000_0000,
  });
  const clicks: PendingClick[] = [];
  while (!signal.aborted) {
    const due = Math.floor(((Date.now() - openedMs) * requestsPerSecond) / 1_000) + 1;
    // After a pause (a slow machine, a stopped process) the missed requests are not made up for.
    const visitors = Array.from({ length: Math.min(VISITORS_MAX, due - stream.requests) }, () =>
      visit(stream, playing),
    );
    stream.requests = Math.max(due, stream.requests);
    const lists = await Promise.all(visitors);
    const timeMs = Date.now();

    const events: UserEvent[] = [];
    while (clicks[0] !== undefined && clicks[0].feedback.time <= timeMs) {
      const click = popHeap(clicks, soonest);
      if (click === undefined) break;
      score.clicked({ time: click.feedback.time, user: click.user, item: click.feedback.item });
      events.push({ user: click.user, event: click.feedback });
    }
    for (const { request, user, items, recommended } of lists) {
      if (recommended) score.served({ user, items, timeMs });
      for (const event of show(stream, { request, user, items, timeMs })) events.push({ user, event });
      for (const feedback of stream.pending.splice(0)) pushHeap(clicks, { user, feedback }, soonest);
    }
    if (events.length > 0) yield { events, requests: stream.requests };
    await setTimeout(TURN_MS, undefined, { signal }).catch(() => undefined); // the loop sees the signal
  }
}

// Events of one turn go together, so that a step of learning sees some tens of them: single ones would make it jumpy.
const TURN_MS = 200;
const VISITORS_MAX = 64;
const RECOMMENDED_SHARE = 0.5;
const ANSWER_MS_MAX = 1_000;

function soonest(one: PendingClick, other: PendingClick): boolean {
  return one.feedback.time < other.feedback.time;
}

interface ShownList {
  readonly request: string;
  readonly user: string;
  readonly items: readonly string[];
  readonly recommended: boolean;
}

// Everything drawn is drawn before the first wait, so that chance does not depend on who answers first.
async function visit(stream: MarketStream, playing: Playing): Promise<ShownList> {
  const { market, counts, urls, signal } = playing;
  const user = drawUser(market, stream.random);
  const timeMs = Date.now();
  const drawn = drawList(market, timeMs, stream.random);
  stream.requests += 1;
  const request = `${stream.name}-${stream.requests}`;
  const url = urls[regionOf(user, urls.length)];
  if (url === undefined || nextFloat(stream.random) >= RECOMMENDED_SHARE) {
    return { request, user, items: drawn, recommended: false };
  }
  // More than are shown: the site leaves out what it does not sell any more.
  const answer = await askRegion(url, { market, user, k: 2 * market.options.listLength, signal });
  if (answer === undefined) {
    counts.unanswered += 1;
    return { request, user, items: drawn, recommended: false };
  }
  counts.recommended += 1;
  const { first, last } = activeItems(market, timeMs);
  const onSale = answer.items.filter((item) => Number(item) >= first && Number(item) <= last);
  const items = [...new Set([...onSale, ...drawn])].slice(0, market.options.listLength);
  return { request: answer.request ?? request, user, items, recommended: true };
}

const answerSchema = z.object({
  request: z.string().optional(),
  items: z.array(z.union([z.string(), z.object({ item: z.string() }).transform(({ item }) => item)])),
});

async function askRegion(
  url: string,
  ask: { readonly market: Market; readonly user: string; readonly k: number; readonly signal: AbortSignal },
): Promise<z.output<typeof answerSchema> | undefined> {
  try {
    const signal = AbortSignal.any([ask.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
    const { country, device } = featuresOf(ask.market, { user: ask.user, item: "1" });
    // The site records itself what it showed of the answer.
    const query = new URLSearchParams({
      user: ask.user,
      k: String(ask.k),
      impressions: "none",
      "feature.country": country,
      "feature.device": device,
    });
    const response = await fetch(`${url}/v1/recommendations?${query.toString()}`, { signal });
    const body: unknown = await response.json();
    return answerSchema.safeParse(body).data;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined; // away or overdue; counted by the caller
  }
}

function share(rate: number): string {
  return `${(100 * rate).toFixed(1)} %`;
}
