import { expect, test } from "vitest";
import { createRandom } from "../protocols/random.ts";
import { judgeStart, killWriters } from "./snapshot-kills.ts";

test("a shard that is killed ten times while it learns and writes images comes back whole each time, with all that was durable", async () => {
  const report = await killWriters({
    kills: 10,
    random: createRandom(Date.now()),
    signal: AbortSignal.timeout(100_000),
    progress: () => undefined,
  });
  expect(report).toMatchObject({ kills: 10, verified: 10, wrong: [] });
  expect(report.batches).toBeGreaterThan(0);
}, 120_000);

test("a run that is ended while a process starts counts those before it, and nothing wrong", async () => {
  const run = new AbortController();
  const report = await killWriters({
    kills: 10,
    random: createRandom(Date.now()),
    signal: run.signal,
    // The next process is there by then, and has restored nothing.
    progress: () => setImmediate(() => run.abort()),
  });
  expect(report).toMatchObject({ kills: 1, verified: 1, wrong: [] });
}, 120_000);

test("judgeStart() has no verdict on a process that the end of the run came before, and judges all that it heard", () => {
  const life = { restored: undefined, durable: 0, problem: undefined, waitEnd: "interrupted" } as const;
  expect(judgeStart(life, 5)).toEqual({ kind: "none" });
  expect(judgeStart({ ...life, restored: 5, durable: 7 }, 5)).toEqual({ kind: "whole" });
  expect(judgeStart({ ...life, restored: 4, durable: 4 }, 5)).toEqual({
    kind: "wrong",
    why: "5 batches were durable, and 4 are there",
  });
  expect(judgeStart({ ...life, problem: "wrong 3 of 5, durable 5" }, 5)).toEqual({
    kind: "wrong",
    why: "wrong 3 of 5, durable 5",
  });
  expect(judgeStart({ ...life, waitEnd: "late" }, 0)).toEqual({
    kind: "wrong",
    why: "it did not start within 60 s",
  });
  expect(judgeStart({ ...life, waitEnd: "ended" }, 0)).toEqual({
    kind: "wrong",
    why: "it did not start before it ended by itself",
  });
});
