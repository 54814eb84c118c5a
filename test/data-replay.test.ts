import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent, parseEvent } from "../protocols/feedback.ts";
import { type Click } from "../regions/data/click.ts";
import { openData } from "../regions/data/open-data.ts";
import { Popularity } from "../regions/data/popularity.ts";
import { Replay, REPLAY_FEEDBACK_MS_MAX, REPLAY_ITEMS } from "../regions/data/replay.ts";
import { createRandom } from "../protocols/random.ts";

const HOUR_MS = 3_600_000;

function replayAll(clicks: readonly Click[], options: { readonly seed: number }): FeedbackEvent[] {
  const replay = new Replay({ ...options, popularityMs: HOUR_MS, featuresOf: (item) => ({ of: item }) });
  return [...clicks.flatMap((click) => replay.push(click)), ...replay.end()].map(({ event }) => event);
}

const clicksArbitrary = fc
  .array(fc.record({ pause: fc.oneof(fc.nat(20_000), fc.nat(2 * HOUR_MS)), user: fc.nat(5), item: fc.nat(30) }), {
    maxLength: 120,
  })
  .map((rows) => {
    let time = 1_500_000_000_000;
    return rows.map(({ pause, user, item }): Click => ({
      time: (time += pause),
      user: `u${user}`,
      item: `i${item}`,
      context: { os: "1" },
    }));
  });

test("Replay gives each click on a known item one request: the clicked item once among distinct others, and one click after it", () => {
  fc.assert(
    fc.property(clicksArbitrary, fc.nat(1_000), (clicks, seed) => {
      const events = replayAll(clicks, { seed });
      const requests = Map.groupBy(events, ({ request }) => request);
      for (const [index, { time, item }] of clicks.entries()) {
        const ages = clicks.slice(0, index).flatMap((earlier) => (earlier.item === item ? [time - earlier.time] : []));
        const made = requests.has(`replay-${seed}-${index}`);
        if (made) expect(ages.some((age) => age <= HOUR_MS + REPLAY_FEEDBACK_MS_MAX)).toBe(true);
        else expect(ages.some((age) => age > REPLAY_FEEDBACK_MS_MAX && age <= HOUR_MS)).toBe(false);
      }
      for (const [request, group] of requests) {
        const click = clicks[Number(request.split("-").at(-1))];
        const shown = group.filter((event) => event.type === "impression");
        const feedback = group.filter((event) => event.type === "feedback");
        expect(shown.length).toBeLessThanOrEqual(REPLAY_ITEMS);
        expect(new Set(shown.map(({ item }) => item)).size).toBe(shown.length);
        expect(shown.map(({ position }) => position)).toEqual(shown.keys().toArray());
        expect(shown.filter(({ item }) => item === click?.item)).toHaveLength(1);
        expect(
          shown.every(
            ({ user, time, features, item }) =>
              user === click?.user && time === click.time && features["os"] === "1" && features["of"] === item,
          ),
        ).toBe(true);
        expect(feedback).toHaveLength(1);
        expect(feedback[0]?.item).toBe(click?.item);
        expect(feedback[0]?.time).toBeGreaterThan(click?.time ?? 0);
        expect(group.at(-1)).toBe(feedback[0]);
      }
    }),
  );
});

test("Replay gives events in time order, and all are what the interface takes", () => {
  fc.assert(
    fc.property(clicksArbitrary, (clicks) => {
      const events = replayAll(clicks, { seed: 3 });
      expect(events.map(({ time }) => time)).toEqual(
        events.map(({ time }) => time).toSorted((one, other) => one - other),
      );
      for (const event of events) {
        expect(parseEvent(event, { nowMs: 2e12, path: "event" })).toEqual({ kind: "event", event });
      }
    }),
  );
});

test("Replay shows ten items as soon as the window knows nine others, however uneven their popularity", () => {
  const clicks = Array.from({ length: 400 }, (_, index): Click => ({
    time: 1_500_000_000_000 + index * 100,
    user: `u${index % 7}`,
    item: index < 20 ? `i${index}` : index % 3 === 0 ? "hit" : "other hit",
    context: {},
  }));
  const sizes = Map.groupBy(
    replayAll(clicks, { seed: 1 }).filter(({ type }) => type === "impression"),
    ({ request }) => request,
  )
    .values()
    .map((shown) => shown.length)
    .toArray();
  // The first twenty clicks are on new items; the two hits are new for two seconds more.
  expect(sizes.length).toBeGreaterThan(300);
  expect(sizes.slice(-200)).toEqual(Array.from({ length: 200 }, () => REPLAY_ITEMS));
});

test("Replay repeats itself for a seed and differs for another", async () => {
  const data = await openData(join(import.meta.dirname, "fixtures", "data", "globo"));
  const clicks: Click[] = [];
  for await (const batch of data.clicks()) clicks.push(...batch);
  expect(replayAll(clicks, { seed: 1 })).toEqual(replayAll(clicks, { seed: 1 }));
  function items(seed: number): string[] {
    return replayAll(clicks, { seed }).map(({ item }) => item);
  }
  expect(items(1)).not.toEqual(items(2));

  // The clicked item stands anywhere, or its place would give the click away.
  const events = replayAll(clicks, { seed: 1 });
  const clicked = new Set(
    events.filter(({ type }) => type === "feedback").map(({ request, item }) => `${request} ${item}`),
  );
  const places = events.flatMap((event) =>
    event.type === "impression" && clicked.has(`${event.request} ${event.item}`) ? [event.position] : [],
  );
  expect(new Set(places).size).toBe(REPLAY_ITEMS);
});

test("Replay's features know nothing of the click they belong to, nor of clicks not yet fed back", () => {
  function click(time: number): Click {
    return { time, user: "u", item: "new", context: {} };
  }
  const start = 1_500_000_000_000;
  const hours = [0, 0, 0.5, 0.5, 1.25, 3];
  const shown = replayAll(
    hours.map((hour) => click(start + hour * HOUR_MS)),
    { seed: 1 },
  ).filter((event) => event.type === "impression");
  // Nobody had clicked it before the first two, and nobody lately before the last.
  expect(shown.map(({ request }) => request)).toEqual(["replay-1-2", "replay-1-3", "replay-1-4"]);
  const dense = shown.map((event) => event.dense);
  expect(dense.map((each) => each["popularity"])).toEqual([2, 2, 2].map((clicks) => Math.log1p(clicks)));
  expect(dense[1]?.["age"]).toBeCloseTo(Math.log1p(0.5), 2);
  expect(dense[2]?.["age"]).toBeCloseTo(Math.log1p(1.25), 2);
});

test("Replay's first clicks make no request, but are counted and make their item known", () => {
  const replay = new Replay({ seed: 1, popularityMs: HOUR_MS, featuresOf: () => ({}) });
  const start = 1_500_000_000_000;
  function push(seconds: number, item: string): readonly string[] {
    return replay
      .push({ time: start + seconds * 1_000, user: "u", item, context: {} })
      .map(({ event }) => `${event.type} ${event.item}`);
  }
  expect([push(0, "a"), push(1, "b"), push(5, "a").toSorted(), push(9, "c")]).toEqual([
    [],
    [],
    ["impression a", "impression b"],
    ["feedback a"],
  ]);
  expect(replay.end()).toEqual([]);
  expect(replay.requests).toBe(4);
  expect(replay.unknown).toBe(3);
});

test("Popularity draws what others clicked as long as that suffices, in proportion to their clicks", () => {
  const popularity = new Popularity(1_000);
  for (let index = 0; index < 40; index++) {
    popularity.add({ time: 0, user: index % 2 === 0 ? "me" : "other", item: `${index}` });
  }
  for (let index = 0; index < 60; index++) popularity.add({ time: 0, user: "other", item: "hit" });
  let hits = 0;
  for (let seed = 0; seed < 200; seed++) {
    const drawn = popularity.draw(createRandom(seed), { count: 3, except: "1", user: "me" });
    expect(drawn.filter((item) => item !== "hit" && Number(item) % 2 === 0)).toEqual([]);
    if (drawn[0] === "hit") hits += 1;
  }
  expect(hits).toBeGreaterThan(110);
  expect(hits).toBeLessThan(190);
  expect(popularity.top(1)).toEqual(["hit"]);
});

test("Popularity counts exactly the clicks of its window, and draws only others' items from it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ pause: fc.nat(500), item: fc.nat(8), user: fc.nat(3) }), { maxLength: 60 }),
      fc.nat(9),
      (rows, seed) => {
        const popularity = new Popularity(1_000);
        let time = 0;
        const past: { time: number; item: string; user: string }[] = [];
        for (const { pause, item, user } of rows) {
          past.push({ time: (time += pause), item: `i${item}`, user: `u${user}` });
          popularity.add(past.at(-1) ?? { time, item: "", user: "" });
        }
        const live = past.filter((click) => click.time >= time - 1_000);
        for (let item = 0; item < 9; item++) {
          expect(popularity.clicksOf(`i${item}`)).toBe(live.filter((click) => click.item === `i${item}`).length);
        }
        const known = new Set(live.map(({ item }) => item));
        known.delete("i3");
        const drawn = popularity.draw(createRandom(seed), { count: 4, except: "i3", user: "u1" });
        expect(drawn.length).toBe(Math.min(4, known.size));
        expect(drawn.every((item) => known.has(item))).toBe(true);
        expect(new Set(drawn).size).toBe(drawn.length);
      },
    ),
  );
});
