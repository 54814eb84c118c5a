/*
 * The joiner where it is full, where times are equal, and where positives are held: what goes first, and what is counted.
 */
import { expect, test } from "vitest";
import { type Feedback, type Impression } from "../protocols/feedback.ts";
import { clockToKeep, oldestNeeded } from "../protocols/learning/joiner-forgetting.ts";
import {
  createJoiner,
  EVENTS_PER_MESSAGE,
  impressionKey,
  type JoinerOptions,
  type JoinerState,
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
  memoryBytesMax: 1e9,
  heldMax: 2,
  scatterMsMax: 0,
  scatteredMax: 2,
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
    return step(state, { source, sequence: sequence * EVENTS_PER_MESSAGE, event }, nowMs);
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
  const { show, state } = joinerOf();
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

/** What one of these impressions takes, open or finished as a negative. */
const ONE = memoryAfter(({ show }) => show("a", 0));

function memoryAfter(play: (joiner: ReturnType<typeof joinerOf>) => void): number {
  const joiner = joinerOf();
  play(joiner);
  return joiner.state.bytes;
}

test("where memory is full and all is open, what came first of all sources is a negative, which can be corrected no more", () => {
  const { show, state, click } = joinerOf({ memoryBytesMax: 3.1 * ONE });
  show("a", 70, "b");
  show("b", 50, "a");
  show("c", 60, "a");
  expect(show("d", 80, "b")).toMatchObject([{ id: "a:i:0", cause: "overflow" }]);
  expect(ids(show("e", 70, "c"))).toEqual(["b:i:0"]);
  expect([...state.pending.keys(), ...state.settled.keys()]).toEqual(["c:i", "d:i", "e:i"]);
  expect(state.counts).toMatchObject({ overflows: 2, negatives: 2, forgotten: 2 });
  // It waits as any feedback does whose impression is not known, and takes its place.
  expect(ids(click("a", 90, "b"))).toEqual(["c:i:0"]);
});

test("where memory is full, finished impressions go first, in the order of their samples, and what is open stays so", () => {
  const { show, click, state } = joinerOf({ memoryBytesMax: 3.1 * ONE });
  show("a", 0);
  show("b", 10);
  expect(ids(show("c", 11_005))).toEqual(["a:i:0"]);
  expect(ids(show("d", 11_006))).toEqual([]);
  expect(ids(show("e", 11_010))).toEqual(["b:i:0"]);
  expect([[...state.settled.keys()], [...state.pending.keys()]]).toEqual([[], ["c:i", "d:i", "e:i"]]);
  expect(state.counts).toMatchObject({ overflows: 0, negatives: 2, forgotten: 2 });
  // A positive takes less, as nothing corrects it.
  expect(ids(click("c", 11_020))).toEqual(["c:i:1"]);
  expect(state.bytes).toBeLessThan(3 * ONE);
});

test("before a finished impression goes, what is open since before it was shown is given, so that nobody reads again that it was", () => {
  const { show, click, state } = joinerOf({ memoryBytesMax: 3.1 * ONE });
  show("a", 0);
  show("b", 1);
  click("b", 2);
  show("c", 3);
  expect(oldestNeeded(state).get("a")).toBe(EVENTS_PER_MESSAGE);
  expect(ids(show("d", 4))).toEqual(["a:i:0"]);
  expect([[...state.settled.keys()], [...state.pending.keys()]]).toEqual([["a:i"], ["c:i", "d:i"]]);
  // It was the second event, and the oldest open one is the fourth.
  expect(oldestNeeded(state).get("a")).toBe(4 * EVENTS_PER_MESSAGE);
  expect(state.counts).toMatchObject({ overflows: 1, forgotten: 0 });
});

test("feedback that waits goes with what was finished after it, and alone where there is nothing else", () => {
  const { show, click, state } = joinerOf({ memoryBytesMax: 2.1 * ONE, heldMax: 100 });
  click("x", 0);
  show("a", 1);
  click("a", 2);
  click("y", 3);
  show("b", 4);
  expect([[...state.held.keys()], [...state.settled.keys()]]).toEqual([["y:i"], []]);
  expect(state.counts).toMatchObject({ heldDropped: 1, overflows: 0, positives: 1 });
  const alone = joinerOf({ memoryBytesMax: 2.1 * ONE, heldMax: 100 });
  for (let at = 0; at < 9; at += 1) alone.click(String(at), at);
  expect(alone.state.bytes).toBeLessThanOrEqual(2.1 * ONE);
  expect([...alone.state.held.keys()].at(-1)).toBe("8:i");
});

test("where memory is full, positives that are held are given before anything is lost", () => {
  const { show, click, state } = bursting({ scatteredMax: 100 });
  click("3-0", 30_010);
  expect(state.scattered).toHaveLength(1);
  state.bytesMax = state.bytes + 0.95 * ONE;
  expect(ids(show("next", 30_011))).toEqual(["3-0:i:1"]);
  expect([state.scattered, state.counts.forgotten]).toEqual([[], 0]);
});

test("what was shown twice, or clicked twice, counts once", () => {
  const { show, click, state } = joinerOf();
  show("a", 0);
  expect(show("a", 1, "b")).toEqual([]);
  expect(ids(click("a", 5))).toEqual(["a:i:1"]);
  expect([click("a", 6), show("a", 7)]).toEqual([[], []]);
  expect(state.counts).toMatchObject({ duplicates: 3, positives: 1 });
  const [entry] = state.settled.values();
  expect([entry?.source, entry?.last, entry?.others]).toEqual([
    "a",
    5 * EVENTS_PER_MESSAGE,
    new Map([["b", 2 * EVENTS_PER_MESSAGE]]),
  ]);
  expect(
    step(
      state,
      {
        source: "a",
        sequence: 5 * EVENTS_PER_MESSAGE,
        event: { type: "feedback", kind: "x", request: "z", item: "i", time: 9 },
      },
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
  const joiner = joinerOf({ scatterMsMax: 60_000, windowMs: 100_000, ...change });
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
  expect(oldestNeeded(state).get("a")).toBeLessThan(80 * EVENTS_PER_MESSAGE);
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
