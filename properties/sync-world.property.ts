/*
 * The synchronisation core in simulated worlds, and whether those worlds would notice if it were wrong.
 * `npm run verify` runs more of them.
 */
import { expect, test } from "vitest";
import { CATALOGUE } from "./catalogue.ts";
import { MUTANTS } from "./mutants.ts";
import { rareSituations } from "./situations.ts";
import { verifyMutants, verifySeeds } from "./verify-seeds.ts";

test(
  "worlds with loss, repetition, corruption, cuts, crashes, pauses and clock jumps stay sound, converge and fall silent",
  { timeout: 480_000 },
  async () => {
    // The same seeds each time, so that this never fails by chance; `npm run verify` is for new ones.
    const report = await verifySeeds({ start: 1, seeds: 3_000, threads: 2 });
    expect(report.failures).toEqual([]);
    expect(report.seeds).toBe(3_000);
    // The situations that matter were there, often.
    expect(rareSituations(report.counts, report.seeds)).toEqual([]);
  },
);

test(
  "every planted bug makes a world or a directed situation fail, by a property that it breaks",
  { timeout: 240_000 },
  async () => {
    const results = await verifyMutants({ seedsMax: 1_000, threads: 2 });
    expect(results.length).toBe(MUTANTS.length);
    const properties = CATALOGUE.map(({ property }) => property);
    for (const { mutant, killedBy } of results) expect(properties, mutant.name).toContain(killedBy?.property);
  },
);
