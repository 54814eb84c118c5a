/*
 * Every schedule of two and three replicas within tiny bounds, and the planted bugs that some schedule shows.
 */
import { expect, test } from "vitest";
import { verifySchedules } from "./verify-seeds.ts";

test("no schedule of two or three replicas within the bounds breaks a property", { timeout: 120_000 }, async () => {
  const { states, failure } = await verifySchedules({ statesMax: 2_500 });
  expect(failure).toBeUndefined();
  expect(states).toBeGreaterThan(6_000);
});

test("the shortest schedule that shows a planted bug is found", { timeout: 120_000 }, async () => {
  const found: Record<string, string | undefined> = {};
  for (const mutant of ["join-on-last-frame", "mix-answers", "count-repeated-frames", "knowledge-after-list"]) {
    const { failure } = await verifySchedules({ statesMax: 10_000, mutant });
    found[mutant] = failure?.property;
  }
  expect(found).toEqual({
    "join-on-last-frame": "S1",
    "mix-answers": "S1",
    "count-repeated-frames": "S1",
    "knowledge-after-list": "S1",
  });
});
