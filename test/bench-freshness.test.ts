import fc from "fast-check";
import { expect, test } from "vitest";
import { plain } from "../protocols/compute/plain.ts";
import { createRandom, nextBelow, nextFloat } from "../protocols/random.ts";
import { modelSchema } from "../regions/config-model.ts";
import { drawCurves } from "./bench/curve-chart.ts";
import { columnsOf } from "./bench/freshness/clicks.ts";
import { intervalsOf } from "./bench/freshness/intervals.ts";
import { askNews, NEWS_MODEL } from "./bench/freshness/news.ts";
import { RecentClicks } from "./bench/freshness/recent-clicks.ts";

const MINUTE = 60_000;

/** Readers who mostly click article n + 1 of a day after article n; every day has its own articles. */
function madeClicks(seed: number) {
  const random = createRandom(seed);
  const clicks: { user: number[]; item: number[]; time: number[] } = { user: [], item: [], time: [] };
  const articles = 40;
  for (let minute = 0; minute < 3 * 24 * 60; minute += 1) {
    const day = Math.floor(minute / (24 * 60));
    for (let reader = 0; reader < 3; reader += 1) {
      const user = nextBelow(random, 300);
      let article = nextBelow(random, articles);
      for (let click = 0; click < 3; click += 1) {
        clicks.user.push(user);
        clicks.item.push(day * articles + article);
        clicks.time.push(minute * MINUTE + reader * 10_000 + click * 1_000);
        article = nextFloat(random) < 0.8 ? (article + 1) % articles : nextBelow(random, articles);
      }
    }
  }
  return columnsOf(clicks, { users: 300, items: 3 * articles });
}

test("askNews(): the model finds what follows, fresh better than stale, and of what it has not heard it names nothing", () => {
  const clicks = madeClicks(4);
  const lagsMs = [0, 2 * 60 * MINUTE, 24 * 60 * MINUTE];
  const { asked } = askNews(clicks, {
    seed: 1,
    backend: plain,
    lagsMs,
    askedShare: 0.05,
    askedNewShare: 0,
    onProgress: () => undefined,
    isStopped: () => false,
  });
  expect(asked.length).toBeGreaterThan(200);
  function hits(who: "model" | "popularity of the last hour", lag: number): number {
    return asked.filter(({ ranks }) => (ranks[who][lag] ?? Infinity) <= 10).length / asked.length;
  }
  expect(hits("model", 0)).toBeGreaterThan(hits("popularity of the last hour", 0) + 0.2);
  expect(hits("model", 0)).toBeGreaterThan(hits("model", 1));
  expect(hits("model", 2)).toBe(0);
}, 60_000);

test("the news model is one that a region's config can declare", () => {
  expect(modelSchema.safeParse(NEWS_MODEL).success).toBe(true);
});

test("RecentClicks counts the last hour, whatever comes when", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 0, max: 40 })), { maxLength: 60, size: "max" }),
      (drawn) => {
        let now = 0;
        const time = drawn.map(([, minutes]) => (now += minutes * MINUTE));
        const item = drawn.map(([each]) => each);
        const clicks = columnsOf({ user: item, item, time }, { users: 6, items: 6 });
        const recent = new RecentClicks(clicks);
        for (let at = 0; at < time.length; at += 1) {
          recent.take();
          const live = item.slice(0, at + 1).filter((_, each) => (time[each] ?? 0) >= (time[at] ?? 0) - 60 * MINUTE);
          for (let each = 0; each < 6; each += 1) {
            expect(recent.ofHour(each)).toBe(live.filter((other) => other === each).length);
          }
          expect(new Set(recent.active)).toEqual(new Set(live));
          expect(recent.active.length).toBe(new Set(live).size);
          expect(recent.clicksOfHour).toBe(live.length);
        }
      },
    ),
  );
});

test("intervalsOf() covers the truth about as often as it says, and knows that differences are of the same people", () => {
  const random = createRandom(9);
  let covered = 0;
  for (let run = 0; run < 40; run += 1) {
    const observations = Array.from({ length: 300 }, (_, at) => {
      const chance = nextFloat(random);
      const hit = nextFloat(random) < 0.3 ? 1 : 0;
      return { who: at % 100, figures: [hit, hit + chance, Number.NaN] };
    });
    const [first, difference] = intervalsOf(observations, { seed: run, derive: ([a = 0, b = 0]) => [a, b - a] });
    if (first !== undefined && first.low <= 0.3 && first.high >= 0.3) covered += 1;
    expect((difference?.high ?? 9) - (difference?.low ?? 0)).toBeLessThan(0.12);
  }
  expect(covered).toBeGreaterThan(32);
}, 60_000);

test("drawCurves() gives one document with every element closed, every text escaped and every panel drawn", () => {
  const points = [1, 2].map((value) => ({ value, low: value - 0.1, high: value + 0.1 }));
  const svg = drawCurves({
    title: "A & B",
    note: "<note>",
    axis: "behind",
    places: ["0 s", "1 h"],
    series: [{ name: "model", colour: ["#111111", "#eeeeee"] }],
    panels: ["one", "two"].map((title) => ({ title, curves: [{ series: 0, points }] })),
  });
  const open: string[] = [];
  for (const [, slash = "", name = "", ends = ""] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (slash !== "") expect(open.pop()).toBe(name);
    else if (ends === "") open.push(name);
  }
  expect(open).toEqual([]);
  for (const words of ["A &amp; B", "&lt;note&gt;", "one", "two", "0 s", "1 h", "model"]) {
    expect(svg).toContain(`>${words}<`);
  }
  expect(svg).not.toContain("NaN");
});
