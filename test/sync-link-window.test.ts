/*
 * The window and the byte budget of one link, step by step, with small numbers.
 */
import { expect, test } from "vitest";
import { LINK_LIMITS, type LinkLimits } from "../protocols/limits.ts";
import { createByteBudget, debtMs, spend } from "../protocols/sync/byte-budget.ts";
import {
  createLinkWindow,
  framesAllowed,
  type LinkWindow,
  noteFrame,
  noteLoss,
} from "../protocols/sync/link-window.ts";

const LIMITS: LinkLimits = { ...LINK_LIMITS, frameBytes: 1000, framesAtFirst: 2, framesMax: 8 };

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
