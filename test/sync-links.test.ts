/*
 * One link and its pulls, step by step, with small numbers: what opens, is granted, paid for and measured.
 */
import { expect, test } from "vitest";
import { createByteBudget } from "../protocols/sync/byte-budget.ts";
import { noteLatency } from "../protocols/sync/link-window.ts";
import { closePull, expectedMs, framesInFlight, noteStall, turnLink, wakeLink } from "../protocols/sync/links.ts";
import { type Came, came, linkOf, open, pay } from "./link-steps.ts";

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
  pay(link, 700);
  expect(link.budget?.bytes).toBe(500);
  expect(open(link, "a", { nowMs: 0 })).toBe(500);
  pay(link, 450);
  expect(open(link, "b", { nowMs: 0 })).toBe(100);
  // What may be overdrawn is what may be saved.
  pay(link, 1250);
  expect(open(link, "c", { nowMs: 0 })).toBe(100);
  closePull(link, "c");
  pay(link, 1);
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
  closePull(link, "l");
  // The rest of an answer may be short, and what is asked for anew after it long.
  open(link, "r");
  came(link, "r", { frames: 2 });
  came(link, "r", { frames: 2 });
  came(link, "r", { frames: 9 });
  expect(link.pulls.get("r")?.isLong).toBe(true);
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
  pay(link, 10);
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

test("what opens is little until the link is known to be quick: some times what came in time; halved by what is late, little again after a stall", () => {
  const link = linkOf({ framesAtFirst: 8, openingMs: 50 });
  link.quickBytes = 100;
  expect(open(link, "a")).toBe(100);
  came(link, "a", { bytes: 90, frames: 3, nowMs: 51 });
  expect(link.quickBytes).toBe(360);
  closePull(link, "a");
  link.quickBytes = 361;
  expect(open(link, "a")).toBe(361);
  came(link, "a", { bytes: 360, frames: 3, nowMs: 52 });
  expect(link.quickBytes).toBe(180);
  came(link, "a", { bytes: 10_000, frames: 3, nowMs: 53 });
  // When nobody asked for it, nobody knows how long it took.
  expect(link.quickBytes).toBe(180);
  noteStall(link, "a");
  expect(link.quickBytes).toBe(100);
});
