/*
 * Directed situations and a few worlds in this process, not in threads as properties/sync-world.property.ts has them: a bug that a
 * mutation tester plants is only there in the process that planted it. One test each, so that it finds the quick ones.
 */
import { expect, test } from "vitest";
import { runCacheSchedules } from "./world/directed-cache.ts";
import { DIRECTED, runDirected } from "./world/directed.ts";
import { runWorld } from "./world/world.ts";

const WORLDS = Array.from({ length: 24 }, (_, index) => index + 1);
const SCHEDULES = [1, 11, 21, 31];

test.each(DIRECTED)("the directed situations of %s hold", (property) => {
  expect([...runDirected([property])]).toEqual([]);
});

test.each(WORLDS)("world %s is sound, converges and falls silent", { timeout: 120_000 }, (seed) => {
  expect(runWorld(seed, {}).failure).toBeUndefined();
});

test.each(SCHEDULES)(
  "in ten schedules of writes, broken pulls, restarts and jumps from %s the cache answers as a scan",
  (start) => {
    expect(runCacheSchedules({ start, seeds: 10 }).failure).toBeUndefined();
  },
);
