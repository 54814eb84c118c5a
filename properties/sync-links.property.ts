/*
 * Goal: a link carries near what it can with a bounded queue, whatever its rate and length; what is small never waits for a catch-up, and
 * every catch-up ends; a byte budget is kept. Method: the real scheduler on a model of one link (link-model.ts), and on arbitrary schedules.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { LINK_LIMITS } from "../protocols/limits.ts";
import { createByteBudget, debtMs, spend } from "../protocols/sync/byte-budget.ts";
import { framesAllowed } from "../protocols/sync/link-window.ts";
import {
  closePull,
  createLink,
  framesInFlight,
  type LinkEffect,
  notePullFrame,
  noteStall,
  openPull,
  openStanding,
  turnLink,
  wakeLink,
  wakeStanding,
} from "../protocols/sync/links.ts";
import { type LinkPlan, runLink } from "./link-model.ts";

const MBPS = 1e6 / 8;
/** How well a window does is a figure and no law: the same forty links each time, so that it is compared with itself. */
const FORTY = { numRuns: 40, seed: 20_261_121 };
const { frameBytes, framesMax, slackMs, slackShare } = LINK_LIMITS;

const links = fc.record({
  bytesPerSecond: fc.double({ min: 128, max: 4_800, noNaN: true }).map((mbps) => mbps * MBPS),
  roundTripMs: fc.double({ min: 1, max: 200, noNaN: true }),
});

function planOf(link: { bytesPerSecond: number; roundTripMs: number }, more: Partial<LinkPlan> = {}): LinkPlan {
  return { ...link, forMs: 20_000, catchUps: 4, catchUpFrames: 1e6, liveEveryMs: 50, liveBytes: 2_000, ...more };
}

test("a link with catch-ups carries 85 % of what it can, or of what the largest window lets it, and its queue is bounded", () => {
  fc.assert(
    fc.property(links, (link) => {
      const { use, queueMsMost } = runLink(planOf(link));
      const frameMs = (frameBytes / link.bytesPerSecond) * 1000;
      const reach = (framesMax * frameMs) / (link.roundTripMs + frameMs);
      expect(use).toBeGreaterThan(0.85 * Math.min(1, reach));
      // A window is doubled at most once too often, and its frames are whole.
      const slack = Math.max(slackMs, (link.roundTripMs + frameMs) * slackShare);
      expect(queueMsMost).toBeLessThan(link.roundTripMs + 3 * slack + 4 * frameMs);
    }),
    FORTY,
  );
});

test("what is small comes with a catch-up running about as late as the queue is long, and the catch-ups end", () => {
  fc.assert(
    fc.property(links, fc.integer({ min: 1, max: 12 }), (link, catchUps) => {
      const catchUpFrames = 40;
      const bytes = catchUps * catchUpFrames * frameBytes;
      const forMs = 20_000 + (bytes / link.bytesPerSecond) * 1_000 * 4;
      const busy = runLink(planOf(link, { catchUps, catchUpFrames, forMs }));
      const idle = runLink(planOf(link, { catchUps: 0, forMs }));
      const frameMs = (frameBytes / link.bytesPerSecond) * 1000;
      const slack = Math.max(slackMs, (link.roundTripMs + frameMs) * slackShare);
      expect(busy.caughtUpMs).toBeDefined();
      expect(middle(busy.liveMs.slice(0, 100)) - middle(idle.liveMs)).toBeLessThan(1.5 * slack + 3 * frameMs);
    }),
    FORTY,
  );
});

test("a byte budget is kept in every second, and what is small is not later for it", () => {
  fc.assert(
    fc.property(links, fc.integer({ min: 1, max: 16 }), (link, share) => {
      const budget = link.bytesPerSecond / (share + 1);
      const { bytesMostASecond, use, liveMs } = runLink(planOf(link, { budget, forMs: 30_000 }));
      const saved = Math.max(frameBytes, budget / 4);
      expect(bytesMostASecond).toBeLessThan(budget + saved + 2 * frameBytes);
      const frameMs = (frameBytes / link.bytesPerSecond) * 1000;
      // A long, fat link carries no more than its largest window each round trip.
      const reach = (framesMax * frameBytes * 1000) / (link.roundTripMs + frameMs);
      expect(use * link.bytesPerSecond).toBeGreaterThan(0.85 * Math.min(budget, reach));
      expect(middle(liveMs)).toBeLessThan(link.roundTripMs + 4 * frameMs + slackMs);
    }),
    FORTY,
  );
});

test("spending only without a debt spends no more than the rate, what was saved and one piece", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ waitMs: fc.nat(500), bytes: fc.integer({ min: 1, max: 2_000 }) }), { maxLength: 200 }),
      (steps) => {
        const budget = createByteBudget(10_000, { bytesMin: 1_000, nowMs: 0 });
        let nowMs = 0;
        let spent = 0;
        for (const { waitMs, bytes } of steps) {
          nowMs += waitMs;
          const inDebtMs = debtMs(budget, { nowMs });
          if (inDebtMs > 0) {
            // It says exactly when it will be over.
            expect(debtMs({ ...budget }, { nowMs: nowMs + inDebtMs + 0.001 })).toBe(0);
            continue;
          }
          spend(budget, bytes, nowMs);
          spent += bytes;
          expect(spent).toBeLessThanOrEqual(budget.bytesMax + 10 * nowMs + 2_000);
        }
      },
    ),
  );
});

test("whatever comes, late, lost or never: in flight is no more than the window, one pull does not starve another, and all is given out", () => {
  const step = fc.record({
    kind: fc.constantFrom("open", "open-long", "stand", "hurry", "frame", "frame", "frame", "stall", "close", "wake"),
    shard: fc.nat(30).map((shard) => `s/${shard}`),
    frames: fc.integer({ min: 1, max: 40 }),
    passMs: fc.nat(300),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.boolean(), (steps, hasBudget) => {
      const link = createLink("x", { limits: LINK_LIMITS, bytesPerSecond: hasBudget ? 1e6 : undefined, nowMs: 1 });
      const framesOf = new Map<string, number>();
      let nowMs = 1;
      for (const { kind, shard, frames, passMs } of steps) {
        nowMs += passMs;
        const before = framesAllowed(link.window);
        let effects: LinkEffect[] = [];
        if (kind === "open" || kind === "open-long") {
          if (!link.pulls.has(shard) && !link.standing.has(shard)) {
            const burst = openPull(link, { shard, isLong: kind === "open-long", nowMs });
            if (burst !== undefined) framesOf.set(shard, frames);
          }
        } else if (kind === "stand") {
          const isFree = !link.pulls.has(shard) && !link.standing.has(shard);
          if (isFree && openStanding(link, { shard, nowMs }) !== undefined) framesOf.set(shard, frames);
        } else if (kind === "hurry") wakeStanding(link, shard);
        else if (kind === "frame") {
          effects = notePullFrame(link, { shard, bytes: frameBytes, frames: framesOf.get(shard) ?? 1, nowMs });
        } else if (kind === "stall") noteStall(link, shard);
        else if (kind === "close") closePull(link, shard);
        else effects = wakeLink(link, nowMs);
        effects.push(...turnLink(link, nowMs));
        expect(framesInFlight(link)).toBeLessThanOrEqual(
          Math.max(before, framesAllowed(link.window), LINK_LIMITS.openingFramesMax),
        );
        for (const effect of effects) {
          if (effect.kind === "grant") expect(effect.upTo).toBeLessThanOrEqual(framesOf.get(effect.shard) ?? 0);
          if (effect.kind === "wake") expect(effect.delayMs).toBeGreaterThan(0);
        }
        const waits = [...link.pulls.values()].some((pull) => pull.frames !== undefined && pull.upTo < pull.frames);
        const isFull = framesInFlight(link) >= framesAllowed(link.window);
        expect(!waits || isFull || link.isWaking).toBe(true);
      }
    }),
  );
});

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
