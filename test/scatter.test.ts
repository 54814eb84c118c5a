import { expect, test } from "vitest";
import { type BurstMeter, createBurstMeter, notePositive, scatterWidth } from "../protocols/learning/scatter.ts";

const MAX_MS = 1000;

/** A meter that has seen so many bursts of ten positives, 1 ms apart, at these times. */
function meterOf(starts: readonly number[], positives = 10): BurstMeter {
  const meter = createBurstMeter();
  for (const start of starts) for (let at = 0; at < positives; at += 1) notePositive(meter, start + at, MAX_MS);
  return meter;
}

test("the first positive begins a burst, and says nothing of how dense they are", () => {
  const meter = meterOf([50], 1);
  expect(meter).toEqual({ ...createBurstMeter(), startedMs: 50, lastMs: 50 });
  expect(createBurstMeter().lastMs).toBe(-Infinity);
});

test("positives and the time in which they came are counted, both forgetting over four of the greatest widths", () => {
  const meter = meterOf([0], 2);
  const left = Math.exp(-1 / 4000);
  expect(meter.count).toBe(1);
  expect(meter.timeMs).toBeCloseTo(4000 * (1 - left), 12);
  notePositive(meter, 3, MAX_MS);
  const later = Math.exp(-2 / 4000);
  expect(meter.count).toBeCloseTo(later + 1, 12);
  expect(meter.timeMs).toBeCloseTo(4000 * (1 - left) * later + 4000 * (1 - later), 12);
  // A clock that goes back is no pause.
  const before = { ...meter };
  notePositive(meter, 1, MAX_MS);
  expect(meter).toEqual({ ...before, count: before.count + 1, lastMs: 1 });
});

test("a pause of more than five mean distances ends a burst, once there are more than eight distances", () => {
  // Of ten positives nine distances are known, each of 1 ms or a little less.
  expect(meterOf([0, 9 + 4.9]).bursts).toBe(0);
  expect(meterOf([0, 9 + 5.1]).bursts).toBe(1);
  expect(meterOf([0, 200], 9).bursts).toBe(0);
  expect(meterOf([0, 200], 10).bursts).toBe(1);
});

test("bursts have the mean distance of their starts, and the mean length, each of the first equally, then a quarter of the last", () => {
  expect(meterOf([0, 100])).toMatchObject({ bursts: 1, intervalMs: 100, lengthMs: 9, startedMs: 100, lastMs: 109 });
  expect(meterOf([0, 100, 300])).toMatchObject({ bursts: 2, intervalMs: 150, lengthMs: 9, startedMs: 300 });
  const five = meterOf([0, 100, 300, 450, 600, 1000]);
  // (100 + 200 + 150 + 150) / 4, then a quarter of 400.
  expect(five.intervalMs).toBeCloseTo(150 + (400 - 150) / 4, 9);
  expect(five.bursts).toBe(5);
  const longer = meterOf([0, 100], 10);
  for (let at = 0; at < 20; at += 1) notePositive(longer, 200 + at, MAX_MS);
  notePositive(longer, 300, MAX_MS);
  expect(longer).toMatchObject({ bursts: 3, intervalMs: 100 });
  expect(longer.lengthMs).toBeCloseTo((9 + 9 + 19) / 3, 9);
});

test("positives are spread over the time between bursts, no more than asked for, from the third burst on", () => {
  expect(scatterWidth(createBurstMeter(), MAX_MS)).toBe(0);
  expect(scatterWidth(meterOf([0, 100, 200]), MAX_MS)).toBe(0);
  const meter = meterOf([0, 100, 200, 300]);
  expect(meter.bursts).toBe(3);
  expect(scatterWidth(meter, MAX_MS)).toBeCloseTo(100, 9);
  expect(scatterWidth(meter, 60)).toBe(60);
});

test("bursts that fill more than half of the time are none, and one that goes on for longer than they are apart is none any more", () => {
  const meter = { ...createBurstMeter(), bursts: 3, intervalMs: 100, startedMs: 0, lastMs: 100 };
  expect(scatterWidth({ ...meter, lengthMs: 50 }, MAX_MS)).toBe(100);
  expect(scatterWidth({ ...meter, lengthMs: 50.1 }, MAX_MS)).toBe(0);
  expect(scatterWidth({ ...meter, lastMs: 100.1 }, MAX_MS)).toBe(0);
  expect(scatterWidth({ ...meter, startedMs: 50, lastMs: 150 }, MAX_MS)).toBe(100);
});
