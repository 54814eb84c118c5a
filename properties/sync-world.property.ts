/*
 * The synchronisation core in simulated worlds, and whether those worlds would notice if it were wrong.
 * `npm run verify` runs more of them.
 */
import { expect, test } from "vitest";
import { verifyMutants, verifySeeds } from "./verify-seeds.ts";

test(
  "worlds with loss, repetition, corruption, cuts, crashes and clock jumps stay sound, converge and fall silent",
  { timeout: 120_000 },
  async () => {
    const report = await verifySeeds({ start: 1, seeds: 400, threads: 2 });
    expect(report.failures).toEqual([]);
    expect(report.seeds).toBe(400);
    // The situations that matter were there, often.
    for (const what of [
      "crash",
      "pull failed",
      "sent more",
      "sent refuse",
      "refused stale",
      "refused undecodable",
      "saved with early rows",
      "applied peer",
    ]) {
      expect(report.counts[what] ?? 0, what).toBeGreaterThan(100);
    }
  },
);

test(
  "every planted bug makes a world or a directed situation fail, by a property that it breaks",
  { timeout: 240_000 },
  async () => {
    const results = await verifyMutants({ start: 1, seedsMax: 1_000, threads: 2 });
    for (const { mutant, killedBy } of results) expect(mutant.kills, mutant.name).toContain(killedBy?.property);
  },
);
