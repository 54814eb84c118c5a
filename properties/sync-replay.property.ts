/*
 * What went wrong once and must not again, and bytes from anywhere. `npm run verify -- --fuzz` gives the decoders more of them.
 */
import { expect, test } from "vitest";
import { failingSeeds } from "./verify-ledger.ts";
import { verifySeeds } from "./verify-seeds.ts";
import { runWorld } from "./world/world.ts";

test("every seed that ever failed holds now", { timeout: 120_000 }, () => {
  const seeds = failingSeeds();
  expect(seeds.length).toBeGreaterThan(0);
  for (const seed of seeds) expect(runWorld(seed).failure, `seed ${seed}`).toBeUndefined();
});

test("a hundred thousand hostile inputs end in values or decode errors", { timeout: 120_000 }, async () => {
  const report = await verifySeeds({ start: 1, seeds: 10, threads: 2, fuzzInputs: 10_000 });
  expect([report.failures, report.events]).toEqual([[], 100_000]);
});
