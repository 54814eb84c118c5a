import { expect, test } from "vitest";
import { type Feedback, type Impression } from "../protocols/feedback.ts";
import { oldestNeeded, oldestSampleNeeded } from "../protocols/learning/joiner-forgetting.ts";
import { createJoiner, type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { step, tick } from "../protocols/learning/joiner.ts";

const options: JoinerOptions = {
  windowMs: 10_000,
  latenessMs: 1_000,
  idleAfterMs: 5_000,
  correctionMs: 60_000,
  futureMsMax: 60_000,
  memoryBytesMax: 1e9,
  heldMax: 100,
  scatterMsMax: 0,
  scatteredMax: 100,
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

test("an event far in the future moves its source's clock only as far past its storing as allowed", () => {
  const joiner = createJoiner({ ...options, futureMsMax: 100 });
  step(joiner, { source: "a", sequence: 1, event: shown("r1", 1_000), storedMs: 1_000 }, 1_000);
  // Read again a year later, it moves the clock no further.
  const late = { source: "a", sequence: 2, event: shown("r2", 1e12), storedMs: 2_000 };
  expect(step(joiner, late, 1e12)).toEqual([]);
});

test("only what is open must be read again", () => {
  const joiner = createJoiner(options);
  step(joiner, { source: "a", sequence: 10, event: shown("r1", 1_000) }, 1_000);
  step(joiner, { source: "a", sequence: 11, event: clicked("r2", 1_500) }, 1_500);
  step(joiner, { source: "b", sequence: 7, event: shown("r2", 1_000) }, 1_500);
  expect(oldestNeeded(joiner)).toEqual(new Map([["a", 10]]));
  step(joiner, { source: "a", sequence: 12, event: shown("r3", 40_000) }, 40_000);
  expect(oldestNeeded(joiner)).toEqual(new Map([["a", 12]]));
});

test("feedback whose impression never comes does not wait for ever", () => {
  const joiner = createJoiner(options);
  step(joiner, { source: "a", sequence: 1, event: clicked("r1", 1_000) }, 1_000);
  step(joiner, { source: "a", sequence: 2, event: clicked("r2", 72_000) }, 72_000);
  expect(oldestNeeded(joiner)).toEqual(new Map([["a", 2]]));
  expect(joiner.counts.heldDropped).toBe(1);
});

test("a sample must be recalled while it can be corrected or its events are read again, and is then still known by name", () => {
  const joiner = createJoiner(options);
  step(joiner, { source: "a", sequence: 1, event: shown("r1", 1_000) }, 1_000);
  step(joiner, { source: "a", sequence: 2, event: shown("r2", 12_000) }, 12_000);
  joiner.publishedSeq = 1;
  expect(oldestSampleNeeded(joiner, () => false)).toBe(1);
  step(joiner, { source: "a", sequence: 3, event: shown("r3", 80_000) }, 80_000);
  joiner.publishedSeq = 2;
  expect(oldestSampleNeeded(joiner, ({ sequence }) => sequence === 1)).toBe(1);
  expect(oldestSampleNeeded(joiner, () => false)).toBe(2);
  expect(step(joiner, { source: "a", sequence: 4, event: shown("r1", 1_000) }, 80_000)).toEqual([]);
  expect(step(joiner, { source: "a", sequence: 5, event: clicked("r1", 1_000) }, 80_000)).toEqual([]);
  expect(joiner.counts).toMatchObject({ duplicates: 1, tooLate: 1 });
});
