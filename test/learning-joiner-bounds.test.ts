/*
 * The joiner where it is full, where times are equal, and where positives are held: what goes first, and what is counted.
 */
import { expect, test } from "vitest";
import { type Feedback, type Impression } from "../protocols/feedback.ts";
import {
  clockToKeep,
  createJoiner,
  impressionKey,
  type JoinerOptions,
  type JoinerState,
  oldestNeeded,
  requestOf,
  restoreClock,
  type Sample,
} from "../protocols/learning/joiner-state.ts";
import { step, tick, waitOf } from "../protocols/learning/joiner.ts";

const OPTIONS: JoinerOptions = {
  windowMs: 10_000,
  latenessMs: 1_000,
  idleAfterMs: 5_000,
  correctionMs: 60_000,
  futureMsMax: 60_000,
  pendingMax: 3,
  heldMax: 2,
  scatterMsMax: 0,
  scatteredMax: 2,
  settledMax: 100,
};

/** A joiner with numbers of events as they come. */
function joinerOf(change: Partial<JoinerOptions> = {}): {
  readonly state: JoinerState;
  readonly show: (request: string, time: number, source?: string, nowMs?: number) => readonly Sample[];
  readonly click: (request: string, time: number, source?: string, nowMs?: number) => readonly Sample[];
} {
  const state = createJoiner({ ...OPTIONS, ...change });
  let sequence = 0;
  function take(event: Impression | Feedback, source: string, nowMs: number): readonly Sample[] {
    sequence += 1;
    return step(state, { source, sequence, event }, nowMs);
  }
  return {
    state,
    show(request, time, source = "a", nowMs = time) {
      const event = { type: "impression", user: "7", item: "i", position: 0, features: {}, dense: {} } as const;
      return take({ ...event, request, time }, source, nowMs);
    },
    click(request, time, source = "a", nowMs = time) {
      return take({ type: "feedback", kind: "click", request, item: "i", time }, source, nowMs);
    },
  };
}

function ids(samples: readonly Sample[]): string[] {
  return samples.map(({ id }) => id);
}

test("windows that end at once end in order of name, and others in order of time, in the same way on every run", () => {
  const { show, state } = joinerOf({ pendingMax: 9 });
  for (const [request, time] of [
    ["c", 2],
    ["b", 3],
    ["a", 3],
    ["d", 1],
  ] as const) {
    show(request, time);
  }
  expect(ids(tick(state, 1e9))).toEqual(["d:i:0", "c:i:0", "a:i:0", "b:i:0"]);
  expect(state.counts.negatives).toBe(4);
});

test("a window ends once the source's clock is past it and its lateness, to the millisecond", () => {
  const { show } = joinerOf();
  show("a", 0);
  expect(show("b", 10_999)).toEqual([]);
  expect(show("c", 11_000)).toMatchObject([{ id: "a:i:0", label: 0, cause: "window", correction: false, source: "a" }]);
});

test("a source that is silent for longer than allowed has its windows closed by the clock, unless it is away", () => {
  const { show, state } = joinerOf();
  show("a", 0);
  expect(tick(state, 5_000)).toEqual([]);
  expect(ids(tick(state, 10_999))).toEqual([]);
  expect(ids(tick(state, 11_000, (source) => source === "a"))).toEqual([]);
  expect(ids(tick(state, 11_000, (source) => source === "b"))).toEqual(["a:i:0"]);
});

test("where more is open than may be, the one that is due first of all sources is a negative", () => {
  const { show, state, click } = joinerOf();
  show("b", 50, "b");
  show("a", 70, "a");
  show("c", 60, "a");
  click("b", 55, "b");
  expect(ids(show("d", 80, "b"))).toEqual([]);
  expect(show("e", 90, "b")).toMatchObject([{ id: "c:i:0", cause: "overflow" }]);
  expect(ids(show("f", 70, "c"))).toEqual(["a:i:0"]);
  expect(state.counts).toMatchObject({ overflows: 2, negatives: 2, positives: 1 });
  expect(state.pending.size).toBe(3);
});

test("what was shown twice, or clicked twice, counts once", () => {
  const { show, click, state } = joinerOf();
  show("a", 0);
  expect(show("a", 1, "b")).toEqual([]);
  expect(ids(click("a", 5))).toEqual(["a:i:1"]);
  expect([click("a", 6), show("a", 7)]).toEqual([[], []]);
  expect(state.counts).toMatchObject({ duplicates: 3, positives: 1 });
  const [entry] = state.settled.values();
  expect(entry?.touched).toEqual(
    new Map([
      ["a", 5],
      ["b", 2],
    ]),
  );
  expect(
    step(
      state,
      { source: "a", sequence: 5, event: { type: "feedback", kind: "x", request: "z", item: "i", time: 9 } },
      9,
    ),
  ).toEqual([]);
  expect([state.counts.duplicates, state.held.size]).toEqual([4, 0]);
});

test("feedback without its impression waits, so many at most, the longest there goes; it keeps who told of it", () => {
  const { click, show, state } = joinerOf();
  click("a", 1);
  click("a", 2, "b");
  expect(state.counts.duplicates).toBe(1);
  click("b", 3);
  expect([...state.held.keys()]).toEqual(["a:i", "b:i"]);
  click("c", 4);
  expect([...state.held.keys()]).toEqual(["b:i", "c:i"]);
  expect(state.counts.heldDropped).toBe(1);
  expect(ids(show("b", 5))).toEqual(["b:i:1"]);
  expect(state.held.size).toBe(1);
});

test("feedback that waited for too long makes no positive of an impression, which waits for other", () => {
  const { click, show, state } = joinerOf();
  click("a", 0);
  click("z", 71_000);
  expect(show("a", 71_000)).toEqual([]);
  expect(state.counts.tooLate).toBe(1);
  expect(state.pending.has("a:i")).toBe(true);
});

test("feedback corrects a negative until the clock is past the window and the time of corrections", () => {
  const { click, show, state } = joinerOf();
  show("a", 0);
  show("b", 0);
  show("c", 70_999);
  expect(click("a", 70_999)).toMatchObject([{ id: "a:i:1", correction: true, label: 1 }]);
  show("d", 71_000);
  expect(click("b", 71_000)).toEqual([]);
  expect(state.counts).toMatchObject({ corrections: 1, positives: 0, tooLate: 1 });
});

/** Three bursts of ten, 10 s apart: the next positive is held for a share of that. */
function bursting(change: Partial<JoinerOptions> = {}): ReturnType<typeof joinerOf> {
  const joiner = joinerOf({ scatterMsMax: 60_000, pendingMax: 100, windowMs: 100_000, ...change });
  for (let burst = 0; burst < 4; burst += 1) {
    for (let at = 0; at < 10; at += 1) {
      const time = burst * 10_000 + at;
      joiner.show(`${burst}-${at}`, time);
      if (burst < 3) joiner.click(`${burst}-${at}`, time);
    }
  }
  return joiner;
}

test("positives of a burst are held, so many at most: one more is given at once", () => {
  const { click, state } = bursting();
  expect([0, 1, 2].flatMap((at) => ids(click(`3-${at}`, 30_009 + at)))).toEqual(["3-2:i:1"]);
  expect(state.counts.scattered).toBe(2);
  expect(state.scattered).toHaveLength(2);
});

test("held positives go by and by, and their windows give no negative meanwhile", () => {
  const { click, state } = bursting({ scatteredMax: 100 });
  for (let at = 0; at < 8; at += 1) click(`3-${at}`, 30_009 + at);
  const count = state.scattered.length;
  expect(count).toBe(8);
  const due = state.scattered.map(({ key, positive }) => ({ key, ms: positive?.releaseMs ?? Number.NaN }));
  for (const { ms } of due) expect(ms - 30_009).toBeLessThanOrEqual(10_007);
  const wanted = due.toSorted((a, b) => a.ms - b.ms).map(({ key }) => `${key}:1`);
  expect(clockToKeep(state, "a")).toBe(30_009);
  expect(clockToKeep(state, "b")).toBe(-Infinity);
  expect(oldestNeeded(state).get("a")).toBeLessThan(80);
  const first = Math.min(...due.map(({ ms }) => ms));
  expect(tick(state, first - 0.001)).toEqual([]);
  expect(ids(tick(state, first))).toEqual(wanted.slice(0, 1));
  // Clicked again while it is held, it is the same.
  const duplicates = state.counts.duplicates;
  const [left] = wanted.slice(-1);
  expect(click(left?.slice(0, 3) ?? "", 30_020)).toEqual([]);
  expect(state.counts.duplicates).toBe(duplicates + 1);
  expect(ids(tick(state, 41_000)).filter((id) => id.endsWith(":1"))).toEqual(wanted.slice(1));
  expect(state.scattered).toEqual([]);
});

test("how long an impression waits: its window, or the age by which a share of the positives came, where that is known and shorter", () => {
  expect(waitOf(joinerOf().state, "a")).toBe(10_000);
  const { state } = joinerOf({ emitAfterShare: 0.5 });
  expect(waitOf(state, "a")).toBe(10_000);
  const click = Array.from({ length: 17 }, (_, bucket) => (bucket === 16 ? 200 : 0));
  restoreClock(state, "a", { newestTime: 5_000, delays: { click } });
  expect(waitOf(state, "a")).toBeCloseTo(2 ** (17 / 8), 9);
  expect(waitOf(state, "b")).toBe(10_000);
  const slow = joinerOf({ emitAfterShare: 0.5, windowMs: 3 });
  restoreClock(slow.state, "a", { newestTime: 5_000, delays: { click } });
  expect(waitOf(slow.state, "a")).toBe(3);
});

test("a negative says which share of positives comes later, where that is known", () => {
  function late(latenessMs: number, endMs: number): number | undefined {
    const { show, state } = joinerOf({ emitAfterShare: 0.5, latenessMs });
    const click = Array.from({ length: 40 }, (_, bucket) => (bucket === 16 || bucket === 39 ? 100 : 0));
    restoreClock(state, "a", { newestTime: 0, delays: { click } });
    show("a", 0);
    const [negative] = show("b", endMs);
    expect(negative).toMatchObject({ id: "a:i:0", label: 0 });
    return negative?.late;
  }
  expect(late(0, 5)).toBeCloseTo(0.5, 9);
  // By then all have come.
  expect(late(1_000, 1_005)).toBeUndefined();
});

test("names of impressions are joined without ambiguity, and give their request back", () => {
  expect(impressionKey({ request: "a:b%", item: "c:d" })).toBe("a%3Ab%25:c%3Ad");
  expect(requestOf("a%3Ab%25:c%3Ad:1")).toBe("a:b%");
});
