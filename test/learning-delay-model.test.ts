import { expect, test } from "vitest";
import {
  ageOfShare,
  completeSlices,
  createDelayModel,
  type DelayModel,
  medianAges,
  noteDelay,
  shareAfter,
  storedDelays,
} from "../protocols/learning/delay-model.ts";

/** Slices of a second. */
const HORIZON = 64_000;
/** Ages in the middle of everything: bucket 16, 32 and 48. */
const [SHORT, MIDDLE, LONG] = [4, 16, 64];

function note(model: DelayModel, times: number, ageMs: number, { shownMs = 0, kind = "click" } = {}): void {
  for (let time = 0; time < times; time += 1) noteDelay(model, { kind, shownMs, ageMs });
}

/** The end of a bucket. */
function endOf(bucket: number): number {
  return 2 ** ((bucket + 1) / 8);
}

test("ages are counted by kind, by the slice that their impression was shown in, and by buckets of an eighth of an octave", () => {
  const model = createDelayModel(HORIZON);
  for (const ageMs of [-3, 0, 1, 1.05, 1.1, 2, SHORT, HORIZON]) note(model, 1, ageMs, { shownMs: 1_999 });
  note(model, 2, SHORT, { shownMs: 2_000, kind: "buy" });
  expect([...model.slices.keys()]).toEqual([1, 2]);
  const counts = [...(model.slices.get(1)?.get("click") ?? [])];
  expect(counts.flatMap((count, bucket) => (count > 0 ? [[bucket, count]] : []))).toEqual([
    [0, 4],
    [1, 1],
    [8, 1],
    [16, 1],
    [127, 1],
  ]);
  expect(model.slices.get(2)?.get("buy")?.[16]).toBe(2);
  expect(model.sinceComputed).toBe(10);
  const wide = createDelayModel(2 ** 60);
  note(wide, 1, 2 ** 50);
  expect(wide.slices.get(0)?.get("click")?.[255]).toBe(1);
});

test("what is older than the horizon, or was shown before a model's beginning, is not learned from", () => {
  const model = createDelayModel(HORIZON, { counts: {}, fromMs: 5_000 });
  note(model, 1, HORIZON + 0.1, { shownMs: 9_000 });
  note(model, 1, SHORT, { shownMs: 4_999 });
  expect([model.slices.size, model.sinceComputed]).toEqual([0, 0]);
  note(model, 1, HORIZON, { shownMs: 5_000 });
  expect(model.slices.size).toBe(1);
});

test("a slice is complete once all of it is past the horizon; what came before it counts for a little less", () => {
  const model = createDelayModel(HORIZON);
  note(model, 100, SHORT, { shownMs: 5_999 });
  note(model, 7, SHORT, { shownMs: 6_000, kind: "buy" });
  shareAfter(model, SHORT, 1e9);
  completeSlices(model, HORIZON + 5_999);
  expect([model.completeTo, model.slices.size]).toEqual([4, 2]);
  completeSlices(model, HORIZON + 6_999);
  expect([model.completeTo, model.complete.size, model.slices.size]).toEqual([5, 1, 1]);
  expect(model.survival).toBeUndefined();
  expect(model.complete.get("click")?.[16]).toBe(100);
  shareAfter(model, SHORT, 1e9);
  // Nothing more is complete.
  completeSlices(model, HORIZON + 6_999);
  completeSlices(model, HORIZON);
  expect([model.completeTo, model.survival === undefined]).toEqual([5, false]);
  completeSlices(model, HORIZON + 7_000);
  expect([model.completeTo, model.slices.size]).toEqual([6, 0]);
  expect(model.complete.get("buy")?.[16]).toBe(7);
  expect(model.complete.get("click")?.[16]).toBeCloseTo(100 * 2 ** (-1 / 640), 9);
});

test("of fewer than 100 positives nothing is said", () => {
  const model = createDelayModel(HORIZON);
  note(model, 99, SHORT);
  expect([shareAfter(model, 1, 1e9), ageOfShare(model, 0.5, 1e9)]).toEqual([undefined, undefined]);
  note(model, 1, SHORT);
  expect([shareAfter(model, 1, 1e9), ageOfShare(model, 0, 1e9)]).toEqual([1, 0]);
});

test("the share that is later falls within the bucket of an age, evenly on the scale of logarithms", () => {
  const model = createDelayModel(HORIZON);
  note(model, 50, SHORT);
  note(model, 50, MIDDLE, { kind: "buy" });
  function share(position: number): number {
    return shareAfter(model, 2 ** (position / 8), 1e9) ?? Number.NaN;
  }
  for (const [position, wanted] of [
    [0, 1],
    [16, 1],
    [16.5, 0.75],
    [17, 0.5],
    [32, 0.5],
    [32.25, 0.375],
    [33, 0],
    [100, 0],
  ] as const) {
    expect(share(position)).toBeCloseTo(wanted, 9);
  }
  expect(shareAfter(model, 0, 1e9)).toBe(1);
  expect([shareAfter(model, HORIZON, 1e9), shareAfter(model, 1e12, 1e9)]).toEqual([0, 0]);
});

test("the first bucket begins where all are later", () => {
  const model = createDelayModel(HORIZON);
  note(model, 100, 1);
  expect(shareAfter(model, 2 ** (1 / 16), 1e9)).toBeCloseTo(0.5, 9);
  expect(shareAfter(model, 2, 1e9)).toBe(0);
});

test("the age by which a share has come is the end of its bucket, and no more than the horizon", () => {
  const model = createDelayModel(HORIZON);
  note(model, 50, SHORT);
  note(model, 50, MIDDLE);
  expect([0.1, 0.5, 0.51, 1].map((share) => ageOfShare(model, share, 1e9))).toEqual([16, 16, 32, 32].map(endOf));
  expect([0, -1].map((share) => ageOfShare(model, share, 1e9))).toEqual([0, 0]);
  const near = createDelayModel(SHORT);
  note(near, 100, SHORT);
  expect(ageOfShare(near, 1, 1e9)).toBe(SHORT);
});

test("of slices that are not old enough only the ages count that they have shown whole", () => {
  const model = createDelayModel(HORIZON);
  note(model, 100, SHORT);
  note(model, 100, MIDDLE);
  // The youngest impressions of the slice are 16 ms old: not yet past the bucket of 16 ms.
  expect(shareAfter(model, SHORT * 1.2, 1_016)).toBe(0);
  const later = createDelayModel(HORIZON);
  note(later, 100, SHORT);
  note(later, 100, MIDDLE);
  expect(shareAfter(later, SHORT * 1.2, 1_018)).toBeCloseTo(0.5, 9);
  // Of one that has shown nothing, nothing is said.
  const young = createDelayModel(HORIZON);
  note(young, 200, SHORT);
  expect(shareAfter(young, SHORT, 1_001)).toBeUndefined();
  // At the horizon all is counted, the ages beyond it too.
  const whole = createDelayModel(HORIZON);
  note(whole, 100, HORIZON);
  expect(shareAfter(whole, SHORT, HORIZON + 1_000)).toBe(1);
  expect(shareAfter(createdLike(whole), SHORT, HORIZON + 999)).toBeUndefined();
});

test("old impressions say how many come late among those that young ones have not shown yet", () => {
  const model = createDelayModel(HORIZON);
  note(model, 60, SHORT);
  note(model, 40, LONG);
  note(model, 300, SHORT, { shownMs: 10_000 });
  // Of the second slice all up to 20 ms were seen: 360 short ones among those; of the long ones 40 in 100.
  expect(shareAfter(model, MIDDLE, 11_020)).toBeCloseTo(0.4, 9);
});

test("shares are computed again after 256 positives, or when a slice is complete", () => {
  const model = createDelayModel(HORIZON);
  note(model, 100, SHORT);
  expect(shareAfter(model, MIDDLE, 1e9)).toBe(0);
  note(model, 255, LONG);
  expect(shareAfter(model, MIDDLE, 1e9)).toBe(0);
  note(model, 1, LONG);
  expect(shareAfter(model, MIDDLE, 1e9)).toBeCloseTo(256 / 356, 9);
  expect(model.sinceComputed).toBe(0);
});

test("what is stored has all that came, to a tenth, without what is empty at its end, and begins another model", () => {
  const model = createDelayModel(HORIZON, { counts: { click: [1, 0, 2.06], none: [0, 0] }, fromMs: 3 });
  note(model, 2, 1, { shownMs: 5 });
  note(model, 1, 1.2, { shownMs: 5, kind: "buy" });
  const stored = storedDelays(model);
  expect(stored).toEqual({ click: [3, 0, 2.1], none: [], buy: [0, 0, 1] });
  const next = createDelayModel(HORIZON, { counts: stored, fromMs: 7 });
  expect([next.fromMs, next.complete.get("click")?.[2], next.complete.get("buy")?.[2]]).toEqual([7, 2.1, 1]);
  expect(storedDelays(next)).toEqual(stored);
  expect(createDelayModel(HORIZON)).toMatchObject({ fromMs: -Infinity, completeTo: -Infinity });
  // More than there is room for is left out.
  const long = Array.from({ length: 300 }, () => 1);
  expect(storedDelays(createDelayModel(HORIZON, { counts: { click: long }, fromMs: 0 }))["click"]).toHaveLength(256);
});

test("the median age of each kind is the middle of the bucket in which half has come", () => {
  const model = createDelayModel(HORIZON, { counts: { none: [0] }, fromMs: 0 });
  note(model, 3, SHORT);
  note(model, 3, MIDDLE);
  note(model, 1, SHORT, { kind: "buy" });
  note(model, 2, LONG, { kind: "buy" });
  expect(medianAges(model)).toEqual(
    new Map([
      ["click", 2 ** (16.5 / 8)],
      ["buy", 2 ** (48.5 / 8)],
    ]),
  );
});

function createdLike({ horizonMs }: DelayModel): DelayModel {
  const model = createDelayModel(horizonMs);
  note(model, 100, horizonMs);
  return model;
}
