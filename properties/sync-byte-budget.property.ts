// Goal: over any time no more is spent than was earned and saved up. Method: drawn spending against a ledger that adds up from the start.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createByteBudget, debtMs, spend } from "../protocols/sync/byte-budget.ts";

const budgets = fc.record({
  bytesPerSecond: fc.integer({ min: 1, max: 1e6 }),
  bytesMin: fc.integer({ min: 1, max: 1e6 }),
});
const NOW = 1_760_000_000_000;

test("a budget begins with a quarter of a second's bytes, or the least that must fit, and saves up no more", () => {
  fc.assert(
    fc.property(budgets, fc.integer({ min: 0, max: 1e9 }), ({ bytesPerSecond, bytesMin }, idleMs) => {
      const full = Math.max(bytesMin, bytesPerSecond / 4);
      const budget = createByteBudget(bytesPerSecond, { bytesMin, nowMs: NOW });
      expect(debtMs(budget, { nowMs: NOW + idleMs })).toBe(0);
      expect(budget.bytes).toBe(full);
      spend(budget, full, NOW + idleMs);
      expect(debtMs(budget, { nowMs: NOW + idleMs })).toBe(0);
      spend(budget, bytesPerSecond, NOW + idleMs);
      expect(debtMs(budget, { nowMs: NOW + idleMs })).toBeCloseTo(1000, 6);
    }),
  );
});

test("after any spending the debt is what was spent beyond what was earned, in time; a clock that goes back earns nothing", () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: -500, max: 2_000 }), fc.integer({ min: 0, max: 1e5 })), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(budgets, steps, fc.integer({ min: 0, max: 1e5 }), ({ bytesPerSecond, bytesMin }, list, debtMax) => {
      const full = Math.max(bytesMin, bytesPerSecond / 4);
      const budget = createByteBudget(bytesPerSecond, { bytesMin, nowMs: NOW });
      let [left, latestMs, nowMs] = [full, NOW, NOW];
      for (const [passedMs, bytes] of list) {
        nowMs += passedMs;
        left = Math.min(full, left + (Math.max(0, nowMs - latestMs) * bytesPerSecond) / 1000) - bytes;
        latestMs = Math.max(latestMs, nowMs);
        spend(budget, bytes, nowMs);
        expect(debtMs(budget, { nowMs })).toBeCloseTo((Math.max(0, -left) / bytesPerSecond) * 1000, 3);
        expect(debtMs(budget, { nowMs, debtMax })).toBeCloseTo(
          (Math.max(0, -left - debtMax) / bytesPerSecond) * 1000,
          3,
        );
      }
    }),
  );
});

test("what is given back is there again, up to what can be saved", () => {
  const budget = createByteBudget(1_000, { bytesMin: 400, nowMs: NOW });
  spend(budget, 300, NOW);
  spend(budget, -200, NOW);
  expect(budget.bytes).toBe(300);
  spend(budget, -10_000, NOW);
  expect(budget.bytes).toBe(400);
});
