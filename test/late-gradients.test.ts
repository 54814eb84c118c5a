import { expect, test } from "vitest";
import { compensated, stepsLate } from "../actors/late-gradients.ts";
import { type Push } from "../actors/shard-protocol.ts";

const KEYS = BigUint64Array.of(7n, 8n);

function push(part: { readonly read?: Float32Array }, compensation: number): Push {
  const gradients = Float32Array.of(1, -2, 0.5, 0);
  return {
    trainer: "t",
    batch: 2,
    previous: 1,
    parts: [{ table: 1, keys: KEYS, gradients, ...part }],
    sightings: [],
    compensation,
  };
}

test("compensated() moves gradients by their square and by what changed since they were read", () => {
  const read = Float32Array.of(0, 0, 1, 1);
  const now = Float32Array.of(0.5, 0.5, 1, 3);
  const sent = push({ read }, 2);
  const { push: taken, ...counts } = compensated(sent, ({ table, keys }) => {
    expect([table, keys]).toEqual([1, KEYS]);
    return now;
  });
  // g + 2 g^2 (now - read)
  expect([...(taken.parts[0]?.gradients ?? [])]).toEqual([2, 2, 0.5, 0]);
  expect(counts).toEqual({ corrected: 2, uncorrected: [] });
  expect([...(sent.parts[0]?.gradients ?? [])]).toEqual([1, -2, 0.5, 0]);
});

test("compensated() leaves gradients alone without a lambda, or without what they were computed at", () => {
  function none(): Float32Array {
    throw new Error("read for nothing");
  }
  const plain = push({ read: new Float32Array(4) }, 0);
  expect(compensated(plain, none)).toEqual({ push: plain, corrected: 0, uncorrected: [] });
  for (const part of [{}, { read: new Float32Array(3) }]) {
    const { push: taken, corrected } = compensated(push(part, 1), none);
    expect([taken.parts[0]?.gradients, corrected]).toEqual([push({}, 1).parts[0]?.gradients, 0]);
  }
});

test.each([
  ["norm", 2_000],
  ["infinity", 3e38],
  ["nan", Number.NaN],
] as const)(
  "a row whose corrected gradient would be refused for its %s keeps the computed one, alone",
  (reason, moved) => {
    const now = Float32Array.of(1, 1, moved, 0);
    const { push: taken, ...counts } = compensated(push({ read: new Float32Array(4) }, 100), () => now);
    // 1 + 100 * 1 * 1, -2 + 100 * 4 * 1
    expect([...(taken.parts[0]?.gradients ?? [])]).toEqual([101, 398, 0.5, 0]);
    expect(counts).toEqual({ corrected: 1, uncorrected: [{ reason, table: 1, key: 8n }] });
  },
);

test("stepsLate() counts the steps between reading and writing, and none where a restart lost count", () => {
  expect(stepsLate({ readAt: 5 }, 9)).toBe(4);
  expect(stepsLate({ readAt: 9 }, 2)).toBe(0);
  expect(stepsLate({}, 9)).toBe(0);
});
