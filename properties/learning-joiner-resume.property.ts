// The joiner over its restarts (joiner-laws.ts), and bugs planted in it: the laws must see each.
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { survivors } from "./hunt-laws.ts";
import { type Row, streamsOf } from "./joiner-draws.ts";
import {
  checkCopiesAreKnown,
  checkDroppedEvents,
  checkEachOnce,
  checkLittleMemory,
  checkTooLateStaysSo,
  labelsOf,
  OPTIONS,
} from "./joiner-laws.ts";
import { JoinerWorld, type Stored } from "./joiner-world.ts";
import { JOINER_MUTANTS } from "./mutants-joiner.ts";

test("whatever dies when: every impression once, positive exactly where there is feedback", () => checkEachOnce(2_000));

test("a copy within the correction time has no effect, whatever dies", () => checkCopiesAreKnown(500));

test("with a short correction time, feedback that is too late stays so over every crash", () =>
  checkTooLateStaysSo(1_500));

test("with little memory and whatever dies: every impression once, a positive only where there is feedback, and none lost but by what was let go of", () =>
  checkLittleMemory(1_000));

test("events that are dropped before they were joined, or read again, cost their own samples alone", () =>
  checkDroppedEvents(500));

test("the laws of the joiner see each bug that is planted in it", { timeout: 240_000 }, async () => {
  expect(await survivors(new URL("joiner-laws.ts", import.meta.url), JOINER_MUTANTS)).toEqual([]);
});

test("what a joiner must read again is only what is still open, and the samples of the correction time", () => {
  const shortened = { ...OPTIONS, correctionMs: 100 };
  const all = Array.from({ length: 300 }, (_, at): Row => ({
    impression: true,
    source: 0,
    request: at,
    jitter: 0,
    joined: false,
  }));
  const world = new JoinerWorld(streamsOf(all, ["quito"]), shortened);
  for (let at = 0; at < 300; at += 1) {
    world.take("quito", 1);
    while (world.publish());
  }
  const { samples, events } = world.kept();
  expect(samples).toBeLessThan(40);
  expect(events).toBeLessThan(20);
});

test("while a source has not been read again, no sample that its events may tell of is forgotten", () => {
  function shown(request: string, time: number): FeedbackEvent {
    return {
      type: "impression",
      request,
      user: "7",
      item: "4:2",
      position: 0,
      time,
      features: { a: "b" },
      dense: { c: 1 },
    };
  }
  // The first stays open and keeps all after it in reach; the second is finished, and too old to be corrected.
  const events: readonly FeedbackEvent[] = [shown("open", 5000), shown("done", 1000), shown("next", 1500)];
  const quito = events.map((event, at): Stored => ({ seq: at + 1, storedMs: 1000 + at * 250, events: [event] }));
  const osaka = [{ seq: 1, storedMs: 1000, events: [shown("other", 1000)] }];
  const world = new JoinerWorld(
    new Map([
      ["quito", quito],
      ["osaka", osaka],
    ]),
    { ...OPTIONS, correctionMs: 60 },
  );
  world.take("quito", 3);
  while (world.publish());
  world.crash();
  world.take("osaka", 1);
  while (world.publish());
  world.crash();
  world.finish();
  expect(labelsOf(world).size).toBe(4);
});
