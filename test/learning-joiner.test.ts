import { expect, test } from "vitest";
import { type Feedback, type Impression } from "../protocols/feedback.ts";
import { createJoiner, type JoinerOptions, oldestNeeded, step, tick } from "../protocols/learning/joiner.ts";

const options: JoinerOptions = {
  windowMs: 10_000,
  latenessMs: 1_000,
  idleAfterMs: 5_000,
  correctionMs: 60_000,
  futureMsMax: 60_000,
  pendingMax: 100,
  heldMax: 100,
  settledMax: 100,
};

function shown(request: string, time: number): Impression {
  return { type: "impression", request, user: "7", item: "42", position: 0, time, features: {}, dense: {} };
}
function clicked(request: string, time: number): Feedback {
  return { type: "feedback", kind: "click", request, item: "42", time };
}

test("a click makes a positive at once", () => {
  const joiner = createJoiner(options);
  expect(step(joiner, { source: "a", sequence: 1, event: shown("r1", 1_000) }, 1_000)).toEqual([]);
  const samples = step(joiner, { source: "a", sequence: 2, event: clicked("r1", 1_500) }, 1_500);
  expect(samples).toMatchObject([
    { id: "r1:42:1", label: 1, correction: false, cause: "feedback", feedback: { kind: "click" } },
  ]);
});

test("a click that overtakes its impression waits for it", () => {
  const joiner = createJoiner(options);
  expect(step(joiner, { source: "a", sequence: 1, event: clicked("r1", 1_500) }, 1_500)).toEqual([]);
  expect(oldestNeeded(joiner).get("a")).toBe(1);
  expect(step(joiner, { source: "b", sequence: 9, event: shown("r1", 1_000) }, 1_600)).toMatchObject([
    { id: "r1:42:1" },
  ]);
});

test("the window's end makes a negative, a late click its correction", () => {
  const joiner = createJoiner(options);
  step(joiner, { source: "a", sequence: 1, event: shown("r1", 1_000) }, 1_000);
  expect(step(joiner, { source: "a", sequence: 2, event: shown("r2", 11_999) }, 11_999)).toEqual([]);
  expect(step(joiner, { source: "a", sequence: 3, event: shown("r3", 12_000) }, 12_000)).toMatchObject([
    { id: "r1:42:0", cause: "window" },
  ]);
  expect(step(joiner, { source: "a", sequence: 4, event: clicked("r1", 12_500) }, 12_500)).toMatchObject([
    { id: "r1:42:1", correction: true },
  ]);
  expect(step(joiner, { source: "a", sequence: 5, event: clicked("r1", 12_600) }, 12_600)).toEqual([]);
});

test("a silent source's windows close by the processing clock, and when it speaks again its old events still join", () => {
  const joiner = createJoiner(options);
  step(joiner, { source: "a", sequence: 1, event: shown("r1", 1_000) }, 1_000);
  expect(tick(joiner, 6_000)).toEqual([]);
  expect(tick(joiner, 13_000)).toMatchObject([{ id: "r1:42:0" }]);
  // The region was cut off for an hour; what happened there meanwhile arrives now and joins by its own time.
  expect(step(joiner, { source: "a", sequence: 2, event: shown("r2", 2_000) }, 3_600_000)).toEqual([]);
  expect(step(joiner, { source: "a", sequence: 3, event: clicked("r2", 3_000) }, 3_600_000)).toMatchObject([
    { id: "r2:42:1", correction: false },
  ]);
});

test("an event far in the future moves its source's clock only as far as allowed", () => {
  const joiner = createJoiner({ ...options, futureMsMax: 100 });
  step(joiner, { source: "a", sequence: 1, event: shown("r1", 1_000) }, 1_000);
  expect(step(joiner, { source: "a", sequence: 2, event: shown("r2", 1e12) }, 2_000)).toEqual([]);
});

test("what is finished and cannot be corrected any more may be acknowledged", () => {
  const joiner = createJoiner(options);
  step(joiner, { source: "a", sequence: 10, event: shown("r1", 1_000) }, 1_000);
  step(joiner, { source: "a", sequence: 11, event: shown("r2", 40_000) }, 40_000);
  expect(oldestNeeded(joiner).get("a")).toBe(10);
  step(joiner, { source: "a", sequence: 12, event: shown("r3", 80_000) }, 80_000);
  expect(oldestNeeded(joiner).get("a")).toBe(11);
});

test("the event that set a source's clock stays needed, so that a replay judges late impressions the same", () => {
  const joiner = createJoiner(options);
  step(joiner, { source: "a", sequence: 1, event: shown("r1", 1_000) }, 1_000);
  step(joiner, { source: "b", sequence: 5, event: clicked("r1", 100_000) }, 100_000);
  step(joiner, { source: "b", sequence: 6, event: clicked("r1", 1_500) }, 100_000);
  expect(joiner.held.size).toBe(0);
  step(joiner, { source: "a", sequence: 2, event: shown("r2", 200_000) }, 200_000);
  expect(oldestNeeded(joiner)).toEqual(
    new Map([
      ["a", 2],
      ["b", 5],
    ]),
  );
});
