import { expect, test } from "vitest";
import { bestItems, createMarket } from "../protocols/learning/market.ts";
import { parseEvent } from "../protocols/feedback.ts";
import { type UserEvent } from "../regions/data/replay.ts";
import { DEMO_MARKET, marketFeed } from "../regions/demo/market-feed.ts";
import { regionOf } from "../regions/demo/region-of.ts";
import { startDemoServer } from "./demo-server.ts";

async function play(options: {
  readonly seed: number;
  readonly startMs: number;
  readonly urls: readonly string[];
  readonly requests: number;
}) {
  const feed = marketFeed({ ...options, requestsPerSecond: 1_000 });
  const stop = new AbortController();
  const events: UserEvent[] = [];
  for await (const batch of feed.batches(stop.signal)) {
    events.push(...batch.events);
    const impressions = events.filter(({ event }) => event.type === "impression").length;
    if (impressions >= 10 * options.requests && impressions < events.length) stop.abort();
  }
  return { feed, events };
}

test("marketFeed() shows what the user's region recommends, posts what is clicked of it, and measures it against the best", async () => {
  const seed = 4;
  const startMs = Date.now();
  const market = createMarket({ ...DEMO_MARKET, seed, startMs });
  const asked: { readonly region: number; readonly user: string }[] = [];
  await using stack = new AsyncDisposableStack();
  const urls: string[] = [];
  for (let region = 0; region < 3; region++) {
    const server = stack.use(
      await startDemoServer(({ url = "" }) => {
        const query = new URL(url, "http://region").searchParams;
        const user = query.get("user") ?? "";
        asked.push({ region, user });
        // The best there is, after things that nobody sells.
        const best = bestItems(market, { user, k: Number(query.get("k")), timeMs: Date.now() });
        const items = [
          { item: "999999", score: 9 },
          ...best.map(({ item, probability }) => ({ item, score: probability })),
        ];
        return { status: 200, body: { request: `asked-${asked.length}`, model: "market", step: "model", items } };
      }),
    );
    urls.push(server.url);
  }
  const { feed, events } = await play({ seed, startMs, urls, requests: 200 });

  expect(asked.length).toBeGreaterThan(50);
  expect(asked.every(({ region, user }) => regionOf(user, 3) === region)).toBe(true);
  const shown = Map.groupBy(
    events.filter(({ event }) => event.type === "impression"),
    ({ event }) => event.request,
  );
  expect([...shown.values()].every((list) => list.length === 10)).toBe(true);
  const recommended = [...shown].filter(([request]) => request.startsWith("asked-"));
  expect(recommended.length).toBeGreaterThan(50);
  expect(recommended.length).toBeLessThan(shown.size);
  expect(recommended.flatMap(([, list]) => list).some(({ event }) => event.item === "999999")).toBe(false);
  for (const { event, user } of events) {
    expect(parseEvent(event, { nowMs: Date.now(), path: "event" })).toEqual({ kind: "event", event });
    if (event.type === "feedback") {
      expect(shown.get(event.request)?.some((each) => each.user === user && each.event.item === event.item)).toBe(true);
    }
  }
  const { served = 0, best = 0, random = 1, regret = 1 } = feed.measures();
  expect(served).toBeCloseTo(best, 2);
  expect(regret).toBeCloseTo(0, 2);
  expect(random).toBeLessThan(0.7 * best);
  expect(feed.extra().join("")).toContain("regret");
});

test("marketFeed() shows drawn lists where no region answers, and says how often that was", async () => {
  await using silent = await startDemoServer(() => ({ status: 503 }));
  const { feed, events } = await play({ seed: 1, startMs: Date.now(), urls: [silent.url], requests: 60 });
  expect(events.filter(({ event }) => event.type === "impression").length).toBeGreaterThanOrEqual(600);
  expect(feed.measures()).toEqual({});
  expect(feed.remarks().join("")).toMatch(/^\d+ of \d+ requests for recommendations had no answer/);
});
