/*
 * Pulls that stand at their peer, and pulls that are granted frames from outside: what is due of them, and when.
 */
import { beforeEach, expect, test } from "vitest";
import { ANSWER, failed, last, LIMITS, NEXT, pull, receive, restart, row, step, timeOut, us } from "./pull-steps.ts";
import { askedFrames, kinds, PULL } from "./replica-steps.ts";

/** As it stood there, its peer may be answering it. */
const LET_GO = { kind: "send", to: "b", message: "release", body: { pullId: PULL } };

beforeEach(() => restart());

test("a standing pull is hurried by its own peer alone, and then as good as late", () => {
  pull({ stands: true });
  expect(step({ kind: "hurry", peer: "c" })).toEqual([]);
  const [asked, timer] = step({ kind: "hurry", peer: "b" });
  expect(asked).toMatchObject({ kind: "send", to: "b", message: "pull", body: { pullId: PULL } });
  expect(asked?.kind === "send" && asked.body).not.toHaveProperty("stands");
  expect(timer).toEqual({ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs });
  expect(step({ kind: "hurry", peer: "b" })).toEqual([]);
  expect(kinds(timeOut())).toEqual(["stalled", "pull", "timer"]);
  expect(timeOut()).toEqual([LET_GO, failed("no-answer")]);
  expect(step({ kind: "hurry", peer: "b" })).toEqual([]);
});

test("hurried where a pull is never tried again, it is tried once", () => {
  restart({
    limits: { ...LIMITS, retriesMax: 0 },
  });
  pull({ stands: true });
  step({ kind: "hurry", peer: "b" });
  expect(us.replica.pull?.retries).toBe(0);
  expect(timeOut()).toEqual([LET_GO, failed("no-answer")]);
});

test("with the first frame of a pull that stood more is due, and whoever has all is level though nothing was new", () => {
  pull({ stands: true });
  const effects = receive({ frames: 2, rows: [row(1n)] });
  expect(effects).toContainEqual({ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs });
  expect(us.replica.pull?.isStanding).toBe(false);
  expect(receive({ frames: 2, index: 1, rows: [row(2n)], end: {} }).map(({ kind }) => kind)).not.toContain("timer");

  pull({ pullId: NEXT, stands: true });
  expect(last(receive({ pullId: NEXT, answer: { ...ANSWER, number: 2 }, end: {} }))).toMatchObject({
    outcome: "complete",
    rows: 0,
    isLevel: true,
  });
});

test("frames that no window lets us ask for are waited for longer than those that we asked for", () => {
  pull({ burst: 30 });
  receive({ frames: 3, rows: [row(1n)] });
  timeOut();
  for (let turn = 1; turn <= LIMITS.waitsMax; turn += 1) expect(kinds(timeOut())).toEqual(["timer"]);
  expect(kinds(timeOut())).toEqual(["changed", "pulled"]);
  expect(us.replica.unfinished.has("b")).toBe(true);
});

test("a pull with a burst asks for what it is granted, a window at a time, never for less than before, and for no more than there is", () => {
  expect(step({ kind: "grant", upTo: 3 })).toEqual([]);
  pull({ burst: 30 });
  expect(step({ kind: "grant", upTo: 1 })).toEqual([]);
  expect(askedFrames(receive({ frames: 8, rows: [row(1n)] }))).toEqual([]);
  expect(askedFrames(step({ kind: "grant", upTo: 6 }))).toEqual([[1, 2], [3, 4], [5]]);
  expect(step({ kind: "grant", upTo: 2 })).toEqual([]);
  expect(us.replica.pull?.upTo).toBe(6);
  expect(askedFrames(receive({ frames: 8, index: 3, rows: [row(2n)] }))).toEqual([]);
  expect(askedFrames(step({ kind: "grant", upTo: 99 }))).toEqual([[6, 7]]);
});

test("of more frames that were granted and do not come a window is asked for again", () => {
  pull({ burst: 30 });
  receive({ frames: 9, rows: [row(1n)] });
  step({ kind: "grant", upTo: 9 });
  timeOut();
  expect(askedFrames(timeOut())).toEqual([[1, 2]]);
});
