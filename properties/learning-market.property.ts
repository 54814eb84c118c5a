// Goal: the simulated market is a fair judge: repeatable, in time order, its clicks as likely as it says, its best answer the best.
// Method: streams over random seeds, replayed and recounted.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent, parseEvent } from "../protocols/feedback.ts";
import {
  activeItems,
  bestItems,
  createMarket,
  drawClick,
  drawList,
  expectedClick,
  featuresOf,
  type Market,
  MARKET_DEFAULTS,
  marketRandom,
  regretOf,
  tasteOf,
} from "../protocols/learning/market.ts";
import { createMarketStream, marketEvents } from "../protocols/learning/market-stream.ts";

const startMs = 1_700_000_000_000;
function open(seed: number): Market {
  return createMarket({
    ...MARKET_DEFAULTS,
    users: 50,
    initialItems: 40,
    itemsPerMinute: 2,
    itemLifeMinutes: 20,
    seed,
    startMs,
  });
}
const seeds = fc.integer({ min: 0, max: 1e9 });

function stream(seed: number, requestsPerSecond: number): ReturnType<typeof createMarketStream> {
  return createMarketStream(open(seed), { requestsPerSecond, name: "s", purpose: 1 });
}

test("events come in time order at the requested rate, are valid, and every click belongs to an earlier impression", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 30 }), (seed, rate) => {
      const shown = new Set<string>();
      let newest = startMs;
      for (const event of marketEvents(stream(seed, rate), { untilMs: startMs + 10_000 })) {
        expect(parseEvent(event, { nowMs: event.time, path: "event" })).toEqual({ kind: "event", event });
        expect(event.time).toBeGreaterThanOrEqual(newest);
        newest = event.time;
        const key = `${event.request} ${event.item}`;
        expect(shown.has(key)).toBe(event.type === "feedback");
        shown.add(key);
        expect(event.item).toMatch(/^[1-9][0-9]*$/);
      }
      expect(shown.size).toBe(10 * rate * MARKET_DEFAULTS.listLength);
    }),
    { numRuns: 20 },
  );
});

test("the same seed gives the same stream, also when it is taken in parts; another seed another one", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 5000 }), (seed, cut) => {
      function take(of: ReturnType<typeof stream>, untilMs: number): FeedbackEvent[] {
        return [...marketEvents(of, { untilMs: startMs + untilMs })];
      }
      const parts = stream(seed, 7);
      const whole = take(stream(seed, 7), 5000);
      expect([...take(parts, cut), ...take(parts, 5000)]).toEqual(whole);
      expect(take(stream(seed + 1, 7), 5000)).not.toEqual(whole);
    }),
    { numRuns: 20 },
  );
});

test("clicks are as frequent as expectedClick() says, and their median delay is as asked", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const market = open(seed);
      const random = marketRandom(market, 3);
      const { item, probability } = bestItems(market, { user: "3", k: 1, timeMs: startMs })[0] ?? {
        item: "",
        probability: NaN,
      };
      expect(expectedClick(market, { user: "3", item, timeMs: startMs })).toBe(probability);
      const delays: number[] = [];
      const draws = 4000;
      for (let i = 0; i < draws; i += 1) {
        delays.push(drawClick(market, { user: "3", item, timeMs: startMs }, random) ?? NaN);
      }
      const clicked = delays.filter(Number.isFinite).sort((a, b) => a - b);
      const deviation = Math.sqrt((probability * (1 - probability)) / draws);
      expect(Math.abs(clicked.length / draws - probability)).toBeLessThan(5 * deviation);
      const below = clicked.filter((delay) => delay < market.options.clickDelayMs).length;
      expect(Math.abs(below / clicked.length - 0.5)).toBeLessThan(2.5 / Math.sqrt(clicked.length));
    }),
    { numRuns: 10 },
  );
});

test("no list beats the best one, which has no regret; all items shown are on the market", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 50 }), (seed, minutes, user) => {
      const market = open(seed);
      const timeMs = startMs + minutes * 60_000;
      const { first, last } = activeItems(market, timeMs);
      const items = drawList(market, timeMs, marketRandom(market, minutes));
      expect(new Set(items).size).toBe(market.options.listLength);
      for (const item of items) expect(Number(item) >= first && Number(item) <= last).toBe(true);
      const asked = { user: String(user), timeMs };
      const best = bestItems(market, { ...asked, k: items.length });
      expect(Math.abs(regretOf(market, { ...asked, items: best.map(({ item }) => item) }))).toBeLessThan(1e-12);
      expect(regretOf(market, { ...asked, items })).toBeGreaterThanOrEqual(-1e-12);
      for (let item = first; item <= last; item += 1) {
        if (best.every((one) => one.item !== String(item))) {
          expect(expectedClick(market, { ...asked, item: String(item) })).toBeLessThanOrEqual(
            best.at(-1)?.probability ?? NaN,
          );
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("items are born every minute and leave; numbers never return", () => {
  const market = open(1);
  let before = activeItems(market, startMs);
  expect(before).toEqual({ first: 1, last: 40 });
  for (let minute = 1; minute < 100; minute += 1) {
    const now = activeItems(market, startMs + minute * 60_000);
    expect(now.last - before.last).toBe(2);
    expect(now.first).toBeGreaterThanOrEqual(before.first);
    expect(now.last - now.first + 1).toBeGreaterThanOrEqual(MARKET_DEFAULTS.listLength);
    before = now;
  }
});

test("knowing the truth pays: the best list gets at least twice the clicks of a drawn one, and yesterday's best loses with time", () => {
  const market = createMarket({ ...MARKET_DEFAULTS, seed: 5, startMs });
  function mean(of: (user: string) => number): number {
    return Array.from({ length: 50 }, (_, user) => of(String(user + 1))).reduce((sum, x) => sum + x / 50, 0);
  }
  const random = marketRandom(market, 9);
  function chosen(user: string, from: number): number {
    const items = bestItems(market, { user, k: 10, timeMs: startMs }).map(({ item }) => item);
    return items.reduce((sum, item) => sum + expectedClick(market, { user, item, timeMs: from }), 0);
  }
  const best = mean((user) => chosen(user, startMs));
  const drawn = mean((user) =>
    drawList(market, startMs, random).reduce(
      (sum, item) => sum + expectedClick(market, { user, item, timeMs: startMs }),
      0,
    ),
  );
  const stale = mean((user) => chosen(user, startMs + 20 * 60_000));
  expect(best).toBeGreaterThan(2 * drawn);
  expect(stale).toBeLessThan(0.9 * best);
  // Tastes move steadily: hardly in a second, clearly in the drift time.
  function turned(ms: number): number {
    return mean((user) =>
      tasteOf(market, user, startMs).reduce(
        (sum, x, d) => sum + x * (tasteOf(market, user, startMs + ms)[d] ?? NaN),
        0,
      ),
    );
  }
  expect(turned(1000)).toBeGreaterThan(0.9999);
  expect(turned(30 * 60_000)).toBeLessThan(0.8);
});

test("the more alike, the nearer the tastes of one country's users; wholly alike they are one taste at every time", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 100 }), (seed, minutes) => {
      const timeMs = startMs + minutes * 60_000;
      function nearness(alike: number): number {
        const market = createMarket({ ...MARKET_DEFAULTS, alike, seed, startMs });
        const countries = Map.groupBy(
          Array.from({ length: 50 }, (_, user) => String(user + 1)),
          (user) => featuresOf(market, { user, item: "1" }).country,
        );
        const dots = [...countries.values()].flatMap(([first = "1", ...others]) => {
          const one = tasteOf(market, first, timeMs);
          return others.map((user) =>
            tasteOf(market, user, timeMs).reduce((sum, x, d) => sum + x * (one[d] ?? NaN), 0),
          );
        });
        return dots.reduce((sum, dot) => sum + dot, 0) / dots.length;
      }
      const [apart, near, same] = [nearness(0), nearness(0.7), nearness(1)];
      expect(apart).toBeLessThan(near);
      expect(near).toBeLessThan(same);
      expect(same).toBeCloseTo(1, 9);
    }),
    { numRuns: 20 },
  );
});

test("a market that would run empty is refused", () => {
  const options = { ...MARKET_DEFAULTS, seed: 1, startMs };
  expect(() => createMarket({ ...options, itemsPerMinute: 0 })).toThrow(RangeError);
  expect(() => createMarket({ ...options, users: NaN })).toThrow(RangeError);
  expect(() => createMarket({ ...options, alike: 1.1 })).toThrow(RangeError);
  expect(() => createMarketStream(open(1), { requestsPerSecond: 0, name: "s", purpose: 1 })).toThrow(RangeError);
});
