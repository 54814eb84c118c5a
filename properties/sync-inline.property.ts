/*
 * Directed situations and a few worlds in this process, not in threads as properties/sync-world.property.ts has them: a bug that a
 * mutation tester plants is only there in the process that planted it.
 */
import { expect, test } from "vitest";
import { runCacheSchedules } from "./world/directed-cache.ts";
import { runDirected } from "./world/directed.ts";
import { runWorld } from "./world/world.ts";

test("the directed situations hold", () => {
  expect(runDirected()).toEqual([]);
});

test("a few worlds are sound, converge and fall silent", { timeout: 120_000 }, () => {
  for (let seed = 1; seed <= 24; seed += 1) expect(runWorld(seed, {}).failure, `seed ${seed}`).toBeUndefined();
});

test("in some schedules of writes, broken pulls, restarts and clock jumps, the cache answers as a scan would", () => {
  expect(runCacheSchedules({ start: 1, seeds: 40 }).failure).toBeUndefined();
});
