/*
 * What went wrong once and must not again, and bytes from anywhere. `npm run verify -- --fuzz` gives the decoders more of them.
 */
import { expect, test } from "vitest";
import { COST_MUTANTS } from "./mutants-cost.ts";
import { failingSeeds } from "./verify-ledger.ts";
import { verifySeeds } from "./verify-seeds.ts";
import { runWorld } from "./world/world.ts";

test("every seed that ever failed holds now", { timeout: 120_000 }, () => {
  const seeds = failingSeeds();
  expect(seeds.length).toBeGreaterThan(0);
  for (const seed of seeds) expect(runWorld(seed).failure, `seed ${seed}`).toBeUndefined();
});

test(
  "a hundred thousand hostile inputs end in values or decode errors, at a price that their length bounds",
  { timeout: 240_000 },
  async () => {
    const report = await verifySeeds({ start: 1, seeds: 10, threads: 2, fuzzInputs: 10_000, costSeeds: 2 });
    expect([report.failures, report.events, report.counts["inputs counted"]]).toEqual([[], 100_000, 20_000]);
  },
);

test.each(COST_MUTANTS.map(({ name }) => name))(
  "a decoder that pays too much is found: %s",
  { timeout: 120_000 },
  async (mutant) => {
    const { failures } = await verifySeeds({ start: 1, seeds: 3, threads: 2, fuzzInputs: 6_000, costSeeds: 3, mutant });
    expect(failures[0]?.message).toMatch(/made buffers of|blocks of code|made objects of/);
  },
);
