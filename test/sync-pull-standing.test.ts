/*
 * Pulls that stand at their peer, and pulls that are granted frames from outside: what is due of them, and when.
 */
import { beforeEach, expect, test } from "vitest";
import { ANSWER, failed, last, LIMITS, NEXT, row, us } from "./pull-steps.ts";
import { askedFrames, kinds, PULL } from "./replica-steps.ts";

/** As it stood there, its peer may be answering it. */
const LET_GO = { kind: "send", to: "b", message: "release", body: { pullId: PULL } };

beforeEach(() => us.restart());

test("a standing pull is hurried by its own id alone, and then as good as late", () => {
  us.pull({ stands: true });
  expect(us.step({ kind: "hurry", pullId: NEXT })).toEqual([]);
  const [asked, timer] = us.step({ kind: "hurry", pullId: PULL });
  expect(asked).toMatchObject({ kind: "send", to: "b", message: "pull", body: { pullId: PULL } });
  expect(asked?.kind === "send" && asked.body).not.toHaveProperty("stands");
  expect(timer).toEqual({ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs });
  expect(us.step({ kind: "hurry", pullId: PULL })).toEqual([]);
  expect(kinds(us.timeOut())).toEqual(["timer"]);
  expect(us.timeOut()).toEqual([LET_GO, failed("no-answer")]);
  expect(us.step({ kind: "hurry", pullId: PULL })).toEqual([]);
});

test("hurried where a pull is never tried again, it is tried once", () => {
  us.restart({
    limits: { ...LIMITS, retriesMax: 0 },
  });
  us.pull({ stands: true });
  us.step({ kind: "hurry", pullId: PULL });
  expect(us.replica.pull?.retries).toBe(0);
  expect(us.timeOut()).toEqual([LET_GO, failed("no-answer")]);
});

test("with the first frame of a pull that stood more is due, and whoever has all is level though nothing was new", () => {
  us.pull({ stands: true });
  const effects = us.receive({ frames: 2, rows: [row(1n)] });
  expect(effects).toContainEqual({ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs });
  expect(us.replica.pull?.isStanding).toBe(false);
  expect(us.receive({ frames: 2, index: 1, rows: [row(2n)], end: {} }).map(({ kind }) => kind)).not.toContain("timer");

  us.pull({ pullId: NEXT, stands: true });
  expect(last(us.receive({ pullId: NEXT, answer: { ...ANSWER, number: 2 }, end: {} }))).toMatchObject({
    outcome: "complete",
    rows: 0,
    isLevel: true,
  });
});

test("frames that no window lets us ask for are waited for longer than those that we asked for", () => {
  us.pull({ burst: 30 });
  us.receive({ frames: 3, rows: [row(1n)] });
  us.timeOut();
  for (let turn = 1; turn <= LIMITS.waitsMax; turn += 1) expect(kinds(us.timeOut())).toEqual(["timer"]);
  expect(kinds(us.timeOut())).toEqual(["changed", "pulled"]);
  expect(us.replica.unfinished.has("b")).toBe(true);
});

test("a pull with a burst asks for what it is granted, a window at a time, never for less than before, and for no more than there is", () => {
  expect(us.step({ kind: "grant", pullId: PULL, upTo: 3 })).toEqual([]);
  us.pull({ burst: 30 });
  expect(us.step({ kind: "grant", pullId: PULL, upTo: 1 })).toEqual([]);
  expect(askedFrames(us.receive({ frames: 8, rows: [row(1n)] }))).toEqual([]);
  expect(askedFrames(us.step({ kind: "grant", pullId: PULL, upTo: 6 }))).toEqual([[1, 2], [3, 4], [5]]);
  expect(us.step({ kind: "grant", pullId: PULL, upTo: 2 })).toEqual([]);
  expect(us.replica.pull?.upTo).toBe(6);
  expect(askedFrames(us.receive({ frames: 8, index: 3, rows: [row(2n)] }))).toEqual([]);
  expect(us.step({ kind: "grant", pullId: NEXT, upTo: 99 })).toEqual([]);
  expect(askedFrames(us.step({ kind: "grant", pullId: PULL, upTo: 99 }))).toEqual([[6, 7]]);
});

test("of more frames that were granted and do not come a window is asked for again", () => {
  us.pull({ burst: 30 });
  us.receive({ frames: 9, rows: [row(1n)] });
  us.step({ kind: "grant", pullId: PULL, upTo: 9 });
  us.timeOut();
  expect(askedFrames(us.timeOut())).toEqual([[1, 2]]);
});
