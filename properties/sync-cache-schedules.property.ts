/* The update cache: a pull answered from it is answered as a scan would (X2), and its floor is where it must be (X1). */
import { expect, test } from "vitest";
import { runCacheSchedules } from "./world/directed-cache.ts";

test("in any schedule of writes, broken pulls, restarts and clock jumps, the cache answers as a scan would", () => {
  const { failure, hits, scans, gaveUp, left } = runCacheSchedules({ start: 1, seeds: 600 });
  expect(failure).toBeUndefined();
  // Each way of the cache was gone, often.
  expect(Math.min(hits, scans, gaveUp, left)).toBeGreaterThan(1_000);
});
