import { expect, test } from "vitest";
import { countDistinct, createWorkload, SYNC_WORKLOAD } from "./bench/sync-workload.ts";

test("the synchronisation benches' work stays what it was: figures of different days can be set beside each other", () => {
  const workload = createWorkload(SYNC_WORKLOAD);
  const { keys } = SYNC_WORKLOAD;
  expect(countDistinct(workload, { keys, updates: 1_000_000, round: 10_000 })).toBe(438_532);
  expect(countDistinct(workload, { keys, updates: 300_000, round: 300_000 })).toBe(48_937);
});

test("the benches' values are finite as floats", () => {
  const { nextValue } = createWorkload(SYNC_WORKLOAD);
  for (let value = 0; value < 10_000; value += 1) {
    expect(new Float32Array(nextValue().slice().buffer).every(Number.isFinite)).toBe(true);
  }
});
