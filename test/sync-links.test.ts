/*
 * One link and its pulls, step by step, with small numbers: what opens, stands, is granted, paid for and measured.
 */
import { expect, test } from "vitest";
import { LINK_LIMITS, type LinkLimits } from "../protocols/limits.ts";
import { createByteBudget, debtMs, spend } from "../protocols/sync/byte-budget.ts";
import {
  createLinkWindow,
  framesAllowed,
  type LinkWindow,
  noteFrame,
  noteLatency,
  noteLoss,
} from "../protocols/sync/link-window.ts";
import {
  closePull,
  createLink,
  expectedMs,
  framesInFlight,
  type Link,
  type LinkEffect,
  notePullFrame,
  noteStall,
  openPull,
  openStanding,
  turnLink,
  wakeLink,
  wakeStanding,
} from "../protocols/sync/links.ts";

const LIMITS: LinkLimits = {
  ...LINK_LIMITS,
  frameBytes: 1000,
  framesAtFirst: 2,
  framesMax: 8,
  openingBytes: 100,
  openingFramesMax: 3,
  pullsMax: 3,
  shortFramesMax: 2,
  longMax: 1,
  standingMax: 3,
  standMs: 100,
};

function linkOf(limits: Partial<LinkLimits> = {}, bytesPerSecond?: number): Link {
  return createLink("x", { limits: { ...LIMITS, ...limits }, bytesPerSecond, nowMs: 0 });
}

function open(link: Link, shard: string, { isLong = false, nowMs = 1 } = {}): number | undefined {
  return openPull(link, { shard, isLong, nowMs });
}

interface Came {
  readonly bytes?: number;
  readonly frames?: number;
  readonly nowMs?: number;
}

function came(link: Link, shard: string, { bytes = 1000, frames = 1, nowMs = 21 }: Came = {}): LinkEffect[] {
  return notePullFrame(link, { shard, bytes, frames, nowMs });
}

test("the first pull of an idle link may be given a few frames, as many as the window has, and others a little", () => {
  const link = linkOf();
  expect(open(link, "a")).toBe(2000);
  expect(link.pulls.get("a")).toMatchObject({ upTo: 2, asks: [1, 1], unpaid: 2, weight: 1, burst: 2000 });
  expect(open(link, "b")).toBe(1000);
  // The window is used up: an opening is all that comes.
  expect(open(link, "c")).toBe(100);
  expect(link.pulls.get("c")).toMatchObject({ upTo: 1, asks: [1], weight: 0.1, burst: 100 });
  const wide = linkOf({ framesAtFirst: 8 });
  expect(open(wide, "a")).toBe(3000);
  // Four times what is expected, a frame at most, as long as it fits the window.
  wide.expectedBytes = 150;
  expect(open(wide, "b")).toBe(600);
  wide.expectedBytes = 900;
  expect(open(wide, "c")).toBe(1000);
});

test("what is expected counts against the window until the first frame says how much comes", () => {
  const link = linkOf({ framesAtFirst: 3 });
  link.expectedBytes = 500;
  open(link, "a");
  expect(link.pulls.get("a")?.weight).toBe(0.5);
  // 0.5 and 0.5 of 3, then three that are in flight and 0.5.
  expect(open(link, "b")).toBe(1000);
  closePull(link, "b");
  came(link, "a", { frames: 9 });
  turnLink(link, 21);
  expect(link.pulls.get("a")?.asks).toHaveLength(3);
  link.expectedBytes = 500;
  expect(open(link, "b")).toBe(100);
  // Just what there is room for.
  const exact = linkOf({ framesAtFirst: 2 });
  open(exact, "a");
  came(exact, "a", { frames: 2 });
  exact.expectedBytes = 1000;
  expect(open(exact, "b")).toBe(1000);
});

test("a budget bounds what comes unasked, but for a little; in debt nothing opens", () => {
  const link = linkOf({}, 4800);
  link.budget && spend(link.budget, 700, 0);
  expect(link.budget?.bytes).toBe(500);
  expect(open(link, "a", { nowMs: 0 })).toBe(500);
  link.budget && spend(link.budget, 450, 0);
  expect(open(link, "b", { nowMs: 0 })).toBe(100);
  // What may be overdrawn is what may be saved.
  link.budget && spend(link.budget, 1250, 0);
  expect(open(link, "c", { nowMs: 0 })).toBe(100);
  closePull(link, "c");
  link.budget && spend(link.budget, 1, 0);
  expect(open(link, "c", { nowMs: 0 })).toBeUndefined();
});

test("so many pulls run at once, and beside them so many long ones", () => {
  const link = linkOf();
  for (const shard of ["a", "b", "c"]) expect(open(link, shard)).toBeDefined();
  expect(open(link, "d")).toBeUndefined();
  expect(open(link, "l", { isLong: true })).toBeDefined();
  expect(open(link, "m", { isLong: true })).toBeUndefined();
  expect([...link.pulls.keys()]).toEqual(["a", "b", "c", "l"]);
  closePull(link, "b");
  expect(open(link, "d")).toBeDefined();
});

test("a pull that turns out long takes a place for long ones, or is put off where there is none", () => {
  const link = linkOf();
  open(link, "a");
  open(link, "b");
  // Two frames after the first are short.
  expect(came(link, "a", { frames: 3 })).toEqual([]);
  expect(link.pulls.get("a")?.isLong).toBe(false);
  closePull(link, "a");
  expect(came(link, "b", { frames: 4 })).toEqual([]);
  expect(link.pulls.get("b")?.isLong).toBe(true);
  open(link, "c");
  expect(came(link, "c", { frames: 4 })).toEqual([{ kind: "postpone", shard: "c" }]);
  expect(came(link, "c", { frames: 4 })).toEqual([]);
  closePull(link, "b");
  open(link, "l", { isLong: true });
  expect(came(link, "l", { frames: 9 })).toEqual([]);
});

test("the first frame tells how many there are: no more is in flight than that, and the rest is granted in turn", () => {
  const link = linkOf({ framesAtFirst: 3 });
  open(link, "a");
  expect(framesInFlight(link)).toBe(3);
  came(link, "a", { frames: 2 });
  expect(link.pulls.get("a")).toMatchObject({ frames: 2, upTo: 2, received: 1, asks: [1], unpaid: 1 });
  expect(turnLink(link, 30)).toEqual([]);
  open(link, "b");
  expect(framesInFlight(link)).toBe(1);
  came(link, "b", { frames: 3, nowMs: 22 });
  expect(turnLink(link, 30)).toEqual([{ kind: "grant", shard: "b", upTo: 3 }]);
  expect(link.pulls.get("b")).toMatchObject({ upTo: 3, asks: [30, 30] });
  expect([...link.pulls.keys()]).toEqual(["a", "b"]);
  expect(framesInFlight(link)).toBe(3);
});

test("each pull in turn is granted a frame while there is room in the window", () => {
  const link = linkOf({ framesAtFirst: 5, openingFramesMax: 1 });
  link.expectedBytes = 10;
  for (const shard of ["a", "b"]) {
    open(link, shard);
    came(link, shard, { frames: 9 });
  }
  expect(framesInFlight(link)).toBe(0);
  expect(turnLink(link, 30)).toEqual([
    { kind: "grant", shard: "a", upTo: 4 },
    { kind: "grant", shard: "b", upTo: 3 },
  ]);
  expect([...link.pulls.keys()]).toEqual(["b", "a"]);
  expect(turnLink(link, 31)).toEqual([]);
  came(link, "a", { frames: 9, nowMs: 40 });
  expect(turnLink(link, 40)).toEqual([{ kind: "grant", shard: "b", upTo: 4 }]);
});

test("in debt nothing is granted, and the link is turned again when that is over, once", () => {
  const link = linkOf({ framesAtFirst: 4 }, 4000);
  open(link, "a", { nowMs: 0 });
  came(link, "a", { frames: 9, nowMs: 0 });
  expect(link.budget?.bytes).toBe(0);
  link.budget && spend(link.budget, 10, 0);
  expect(turnLink(link, 0)).toEqual([{ kind: "wake", link: "x", delayMs: 3 }]);
  expect(turnLink(link, 1)).toEqual([]);
  // What a frame usually takes is paid when it is granted.
  expect(wakeLink(link, 3)).toEqual([
    { kind: "wake", link: "x", delayMs: 250 },
    { kind: "grant", shard: "a", upTo: 2 },
  ]);
  expect(link.budget?.bytes).toBeCloseTo(-998, 6);
  expect(link.isWaking).toBe(true);
});

test("what comes unasked is paid for when it comes, and of what was granted what it takes beyond the usual", () => {
  const link = linkOf({ framesAtFirst: 2 }, 1_000_000);
  const budget = link.budget ?? createByteBudget(1, { bytesMin: 1, nowMs: 0 });
  open(link, "a", { nowMs: 0 });
  came(link, "a", { frames: 3, bytes: 400, nowMs: 0 });
  expect(budget.bytes).toBe(250_000 - 400);
  came(link, "a", { frames: 3, bytes: 400, nowMs: 0 });
  expect(budget.bytes).toBe(250_000 - 800);
  const usual = link.window.frameBytes;
  turnLink(link, 0);
  expect(budget.bytes).toBeCloseTo(250_000 - 800 - usual, 6);
  came(link, "a", { frames: 3, bytes: 700, nowMs: 0 });
  expect(budget.bytes).toBeCloseTo(250_000 - 1500, 6);
  // Urgent rows of whatever shard.
  expect(came(link, "z", { frames: 0, bytes: 50, nowMs: 0 })).toEqual([]);
  expect(budget.bytes).toBeCloseTo(250_000 - 1550, 6);
  expect(came(link, "a", { frames: 0, bytes: 50, nowMs: 0 })).toEqual([]);
  expect(link.pulls.get("a")?.received).toBe(3);
});

test("a frame of a pull that is over changes nothing", () => {
  const link = linkOf();
  const before = structuredClone(link.window);
  expect(came(link, "a", { frames: 5 })).toEqual([]);
  expect(link.window).toEqual(before);
});

test("a small first frame tells the latency, a large one how long the way is; one that nobody asked for, its size", () => {
  const small = linkOf();
  open(small, "a");
  came(small, "a", { bytes: 100 });
  expect(small.window).toMatchObject({ latencyMs: 20, base: undefined, frameBytes: 1000 });
  const large = linkOf();
  open(large, "a");
  came(large, "a", { bytes: 101, frames: 3 });
  expect(large.window).toMatchObject({ latencyMs: undefined, round: { came: 1, bytes: 101 } });
  // A later frame is of the way, however small it is.
  came(large, "a", { bytes: 50, frames: 3 });
  expect(large.window).toMatchObject({ latencyMs: undefined, base: undefined });
  expect(large.window.round.beganMs).toBe(21);
  expect(large.pulls.get("a")?.asks).toEqual([]);
  came(large, "a", { bytes: 50, frames: 3 });
  expect(large.window.round.came).toBe(0);
});

test("what an answer takes is expected of the next: more at once, less by and by; one that was cut, twice what came unasked", () => {
  const link = linkOf({ framesAtFirst: 8 });
  link.expectedBytes = 100;
  function answered(shard: string, first: Came): number {
    open(link, shard);
    came(link, shard, first);
    closePull(link, shard);
    return link.expectedBytes;
  }
  expect(answered("a", { bytes: 500 })).toBe(500);
  expect(answered("a", { bytes: 100 })).toBe(400);
  expect(answered("a", { bytes: 5000 })).toBe(1000);
  link.expectedBytes = 100;
  expect(answered("a", { bytes: 70, frames: 4 })).toBe(100);
  open(link, "busy");
  link.expectedBytes = 100;
  open(link, "a");
  expect(link.pulls.get("a")?.burst).toBe(400);
  came(link, "a", { bytes: 300, frames: 3 });
  expect(link.expectedBytes).toBe(800);
});

test("a pull that stalls halves the window, once a round, and much is expected after it; of another link nothing is known", () => {
  const link = linkOf({ framesAtFirst: 4 });
  link.expectedBytes = 10;
  noteStall(link, "a");
  expect([link.window.frames, link.expectedBytes]).toEqual([4, 10]);
  open(link, "a");
  noteStall(link, "a");
  noteStall(link, "a");
  expect([link.window.frames, link.expectedBytes]).toEqual([2, 1000]);
});

test("pulls stand while what they may bring fits the window; those that stood for long give way, the longest first", () => {
  const link = linkOf({ framesAtFirst: 2, pullsMax: 1 });
  link.expectedBytes = 500;
  function stand(shard: string, nowMs: number): unknown {
    return openStanding(link, { shard, nowMs });
  }
  expect(stand("a", 0)).toEqual({ burst: 1000, giveWay: [] });
  expect(link.standing.get("a")).toEqual({ weight: 0.5, burst: 1000, sinceMs: 0 });
  expect(stand("b", 10)).toEqual({ burst: 1000, giveWay: [] });
  expect(stand("c", 20)).toEqual({ burst: 1000, giveWay: [] });
  // At most three stand.
  expect(stand("d", 99)).toBeUndefined();
  expect(stand("d", 100)).toEqual({ burst: 1000, giveWay: ["a"] });
  expect([...link.standing.keys()]).toEqual(["b", "c", "d"]);
  // Four halves fit a window of two, and no more.
  link.window.frames = 1;
  expect(stand("e", 130)).toEqual({ burst: 1000, giveWay: ["b", "c"] });
  link.window.frames = 0.1;
  expect(stand("f", 1000)).toEqual({ burst: 1000, giveWay: ["d", "e"] });
  expect(stand("g", 1000)).toBeUndefined();
  expect([...link.standing.keys()]).toEqual(["f"]);
});

test("openings may stand together though no window has room, and one pull always", () => {
  const link = linkOf({ framesAtFirst: 1, pullsMax: 20, standingMax: 9 });
  link.expectedBytes = 500;
  const stood = Array.from({ length: 5 }, (_, at) => openStanding(link, { shard: `s${at}`, nowMs: 0 }) !== undefined);
  expect(stood).toEqual([true, true, true, true, false]);
  const large = linkOf({ framesAtFirst: 1, pullsMax: 1, frameBytes: 1000, framesMin: 0 });
  large.window.frames = 0;
  expect(openStanding(large, { shard: "a", nowMs: 0 })).toEqual({ burst: 1000, giveWay: [] });
});

test("what stands is bounded by what a budget saves up, nothing is left standing in debt, and little is expected of a little", () => {
  const link = linkOf({ framesAtFirst: 8 }, 8000);
  link.expectedBytes = 250;
  expect(openStanding(link, { shard: "a", nowMs: 0 })).toEqual({ burst: 1000, giveWay: [] });
  expect(openStanding(link, { shard: "b", nowMs: 0 })).toEqual({ burst: 1000, giveWay: [] });
  expect(openStanding(link, { shard: "c", nowMs: 0 })).toBeUndefined();
  link.expectedBytes = 10;
  closePull(link, "b");
  expect(openStanding(link, { shard: "c", nowMs: 0 })).toEqual({ burst: 100, giveWay: [] });
  expect(link.standing.get("c")?.weight).toBe(0.01);
  link.budget && spend(link.budget, 2001, 0);
  expect(openStanding(link, { shard: "d", nowMs: 0 })).toBeUndefined();
});

test("a standing pull that is answered takes part like any other, and says nothing of how long the way is", () => {
  const link = linkOf({ framesAtFirst: 4 });
  openStanding(link, { shard: "a", nowMs: 0 });
  wakeStanding(link, "b");
  expect(link.pulls.size).toBe(0);
  wakeStanding(link, "a");
  expect([...link.standing.keys()]).toEqual([]);
  expect(link.pulls.get("a")).toEqual({
    isLong: false,
    frames: undefined,
    upTo: 1,
    received: 0,
    asks: [],
    weight: 1,
    burst: 1000,
    unpaid: 1,
  });
  openStanding(link, { shard: "c", nowMs: 0 });
  came(link, "c", { frames: 3, bytes: 500 });
  expect(link.pulls.get("c")).toMatchObject({ frames: 3, received: 1 });
  expect(link.window).toMatchObject({ base: undefined, latencyMs: undefined, frameBytes: 875 });
  openStanding(link, { shard: "d", nowMs: 0 });
  closePull(link, "d");
  expect([link.standing.size, link.pulls.has("d")]).toEqual([0, false]);
});

test("how late a small answer would be: the way, and what is in flight on it", () => {
  const link = linkOf({ framesAtFirst: 4 });
  expect(expectedMs(link)).toBe(0);
  noteLatency(link.window, 30);
  expect(expectedMs(link)).toBe(30);
  noteLatency(link.window, 50);
  link.window.bytesPerSecond = 100_000;
  expect(expectedMs(link)).toBe(35);
  open(link, "a");
  // Three frames of 1,000 bytes.
  expect(expectedMs(link)).toBe(65);
});

/** A round of frames on a way of so many milliseconds, all asked for at once. */
function round(
  window: LinkWindow,
  { atMs, rttMs, inFlight }: { atMs: number; rttMs: number; inFlight?: number },
): void {
  const { frames } = window.round;
  for (let frame = 0; frame < frames; frame += 1) {
    noteFrame(window, { askedMs: atMs, nowMs: atMs + rttMs, bytes: 1000, inFlight: inFlight ?? framesAllowed(window) });
  }
}

test("a window grows by what its queue may be over what it is, twice at most, and shrinks to half at most", () => {
  const window = createLinkWindow({ ...LIMITS, framesMax: 64 });
  round(window, { atMs: 0, rttMs: 100 });
  // Of (100 + 25) / 100.
  expect(window).toMatchObject({
    frames: 2.5,
    base: { ms: 100, atMs: 100 },
    bytesPerSecond: undefined,
    round: { frames: 2 },
  });
  round(window, { atMs: 100, rttMs: 250 });
  expect(window.frames).toBe(1.25);
  // 2,000 bytes in a quarter of a second.
  expect(window.bytesPerSecond).toBe(8000);
  round(window, { atMs: 350, rttMs: 1000 });
  // No less than one.
  expect(window.frames).toBe(1);
  expect(window.bytesPerSecond).toBe(8000 + (2000 - 8000) / 4);
  // On a short way the slack is 10 ms.
  round(window, { atMs: 1350, rttMs: 4 });
  expect(window).toMatchObject({ frames: 2, base: { ms: 4, atMs: 1354 } });
  const wide = createLinkWindow({ ...LIMITS, framesMax: 5, framesAtFirst: 4 });
  round(wide, { atMs: 0, rttMs: 1 });
  expect(wide.frames).toBe(5);
});

test("a round in which the window was not in use says nothing of it, one in which half was does not either", () => {
  const window = createLinkWindow({ ...LIMITS, framesAtFirst: 4 });
  round(window, { atMs: 1, rttMs: 10, inFlight: 3 });
  expect(window).toMatchObject({ frames: 4, bytesPerSecond: undefined, round: { beganMs: 11 } });
  for (let frame = 0; frame < 4; frame += 1) {
    noteFrame(window, { askedMs: 11, nowMs: 21, bytes: 1000, inFlight: frame < 2 ? 4 : 3 });
  }
  expect(window).toMatchObject({ frames: 4, bytesPerSecond: undefined });
  for (let frame = 0; frame < 4; frame += 1) {
    noteFrame(window, { askedMs: 21, nowMs: 31, bytes: 1000, inFlight: frame < 3 ? 4 : 3 });
  }
  expect(window.bytesPerSecond).toBe(400_000);
  expect(window.frames).toBe(8);
});

test("frames that were asked for before a round are not of it, and short ones say nothing of how long the way is", () => {
  const window = createLinkWindow({ ...LIMITS, framesAtFirst: 4 });
  round(window, { atMs: 10, rttMs: 10 });
  const { beganMs } = window.round;
  expect([beganMs, window.round.frames]).toEqual([20, 4]);
  noteFrame(window, { askedMs: 19, nowMs: 24, bytes: 1000, inFlight: 8 });
  expect(window.round).toMatchObject({ came: 0, limited: 0, bytes: 1000, rttMsMin: Infinity });
  expect(window.base).toEqual({ ms: 5, atMs: 24 });
  noteFrame(window, { askedMs: 20, nowMs: 22, bytes: 1000, inFlight: 8 });
  expect(window.round).toMatchObject({ came: 1, limited: 1, rttMsMin: Infinity });
  noteFrame(window, { askedMs: 20, nowMs: 29, bytes: 1000, inFlight: 8 });
  expect(window.round).toMatchObject({ came: 2, limited: 2, rttMsMin: Infinity });
  noteFrame(window, { askedMs: 20, nowMs: 21, bytes: 499, inFlight: 7 });
  expect(window.round).toMatchObject({ came: 3, limited: 2, rttMsMin: Infinity });
  expect(window.base?.ms).toBe(2);
  // Of the later half of a round, the shortest.
  const half = createLinkWindow({ ...LIMITS, framesAtFirst: 4 });
  for (const rttMs of [1, 2, 9, 10]) {
    noteFrame(half, { askedMs: 0, nowMs: rttMs, bytes: 1000, inFlight: 4 });
    if (rttMs === 9) expect(half.round).toMatchObject({ came: 3, rttMsMin: 9 });
  }
  // Of (1 + 10) / 9.
  expect(half.frames).toBeCloseTo(4 * (11 / 9), 9);
  // At once is 10 microseconds.
  noteFrame(half, { askedMs: 30, nowMs: 30, bytes: 1000, inFlight: 1 });
  expect(half.base).toEqual({ ms: 0.01, atMs: 30 });
});

test("frames of half the usual size count as whole ones, shorter ones leave the window as it is; a way as long as before is measured anew", () => {
  const window = createLinkWindow(LIMITS);
  noteFrame(window, { askedMs: 0, nowMs: 8, bytes: 500, inFlight: 2 });
  expect(window).toMatchObject({ base: { ms: 8, atMs: 8 }, frameBytes: 875 });
  noteFrame(window, { askedMs: 1, nowMs: 9, bytes: 875, inFlight: 2 });
  expect(window.base?.atMs).toBe(9);
  const short = createLinkWindow(LIMITS);
  for (const nowMs of [5, 6]) noteFrame(short, { askedMs: 0, nowMs, bytes: 10, inFlight: 2 });
  expect(short).toMatchObject({ frames: 2, base: undefined, round: { beganMs: 6 } });
  // A way is known, and the next round is of short frames alone.
  short.base = { ms: 3, atMs: 6 };
  for (const nowMs of [7, 8]) noteFrame(short, { askedMs: 6, nowMs, bytes: 10, inFlight: 2 });
  expect(short).toMatchObject({ frames: 2, bytesPerSecond: 10_000 });
});

test("a loss halves the window once a round, which then does not grow", () => {
  const window = createLinkWindow({ ...LIMITS, framesAtFirst: 4 });
  noteLoss(window);
  noteLoss(window);
  expect(window.frames).toBe(2);
  round(window, { atMs: 0, rttMs: 10 });
  expect([window.frames, window.round.isLossy]).toEqual([2, false]);
  noteLoss(window);
  round(window, { atMs: 10, rttMs: 10 });
  noteLoss(window);
  expect(window.frames).toBe(1);
});

test("after a while the queue is let go for two rounds, and the second says how long the way is now", () => {
  const window = createLinkWindow({ ...LIMITS, framesAtFirst: 8, baseMs: 1000 });
  round(window, { atMs: 0, rttMs: 100 });
  expect(window).toMatchObject({ probing: 0, frames: 8 });
  round(window, { atMs: 999, rttMs: 101 });
  expect(window.probing).toBe(0);
  round(window, { atMs: 1100, rttMs: 101 });
  expect(window.probing).toBe(2);
  const { frames } = window;
  // Of 8 frames 0.75 x 100 / 125.
  expect([frames, framesAllowed(window)]).toEqual([8, 4]);
  expect(window.round.frames).toBe(8);
  round(window, { atMs: 1201, rttMs: 150 });
  expect(window).toMatchObject({ probing: 1, base: { ms: 100 }, frames: 8, round: { frames: 4 } });
  round(window, { atMs: 1400, rttMs: 140 });
  expect(window).toMatchObject({ probing: 0, base: { ms: 140, atMs: 1540 }, frames: 8 });
  expect(framesAllowed(window)).toBe(8);
});

test("a byte budget saves up a quarter of a second, or a frame where that is more, and never counts back", () => {
  const budget = createByteBudget(4000, { bytesMin: 10, nowMs: 5 });
  expect(budget).toEqual({ bytesPerSecond: 4000, bytesMax: 1000, bytes: 1000, atMs: 5 });
  expect(createByteBudget(4000, { bytesMin: 1001, nowMs: 0 }).bytesMax).toBe(1001);
  spend(budget, 1500, 5);
  expect(budget.bytes).toBe(-500);
  expect(debtMs(budget, { nowMs: 5 })).toBe(125);
  expect(debtMs(budget, { nowMs: 5, debtMax: 400 })).toBe(25);
  expect(debtMs(budget, { nowMs: 5, debtMax: 500 })).toBe(0);
  // A clock that goes back adds nothing, and takes nothing twice.
  expect(debtMs(budget, { nowMs: 0 })).toBe(125);
  expect(debtMs(budget, { nowMs: 105 })).toBe(25);
  expect(debtMs(budget, { nowMs: 130 })).toBe(0);
  spend(budget, 500, 130);
  spend(budget, 0, 155);
  expect(budget.bytes).toBe(-400);
  spend(budget, -5000, 155);
  expect(budget.bytes).toBe(1000);
  spend(budget, 400, 10_000);
  expect(budget.bytes).toBe(600);
});
