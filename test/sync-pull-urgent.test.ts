/*
 * Urgent rows in the middle of our pull, step by step, from a peer whose frames are made by hand.
 */
import { beforeEach, expect, test } from "vitest";
import { ANSWER, LIMITS, NEXT, row, THEIRS, us } from "./pull-steps.ts";
import { askedFrames, kinds, PULL, T } from "./replica-steps.ts";

beforeEach(() => us.restart());

test("with the cursor in its list the peer is told which urgent rows are here; one without news asks for nothing", () => {
  us.pull({});
  us.receive({ frames: 9, rows: [row(1n)] });
  const urgent = us.receive({ index: 0, frames: 0, urgent: 3, rows: [row(50n)] });
  expect(kinds(urgent)).toEqual(["applied", "frame", "changed"]);
  expect(urgent).toContainEqual(expect.objectContaining({ kind: "frame", frames: 0 }));
  expect(askedFrames(us.receive({ frames: 9, index: 1, rows: [row(2n)] }))).toEqual([[3]]);
  expect(us.receive({ frames: 9, index: 2, rows: [row(3n)] }).find((effect) => effect.kind === "send")).toMatchObject({
    body: { urgent: { writer: THEIRS, number: 3 } },
  });
});

test("on a congested link urgent rows alone are asked for, and their hold ends when they do or when its time is up", () => {
  us.pull({});
  us.receive({ frames: 9, rows: [row(1n)] });
  us.timeOut();
  us.timeOut();
  expect(us.replica.pull?.congested).toBe(true);
  const held = us.receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  expect(held.slice(-2)).toMatchObject([
    { kind: "send", to: "b", message: "more", body: { frames: [], answer: ANSWER } },
    { kind: "timer", name: `hold ${PULL}`, delayMs: LIMITS.urgentHoldMs },
  ]);
  expect(us.replica.pull?.hold).toBe("on");
  // An ordinary frame that comes now brings no other.
  expect(askedFrames(us.receive({ frames: 9, index: 1, rows: [row(2n)] }))).toEqual([]);
  // None are left.
  expect(askedFrames(us.receive({ frames: 0, urgent: 2 })).length).toBeGreaterThan(0);
  expect(us.replica.pull?.hold).toBe("off");
  expect(kinds(us.receive({ frames: 0, urgent: 3, rows: [row(51n)] }))).not.toContain("timer");
  expect(us.step({ kind: "timer", name: `hold ${NEXT}` })).toEqual([]);
  us.step({ kind: "timer", name: `hold ${PULL}` });
  expect(us.replica.pull?.hold).toBe("over");
  expect(askedFrames(us.receive({ frames: 0, urgent: 4, rows: [row(52n)] }))).toEqual([]);
});

test("urgent rows that were to come alone and do not are waited for no longer than a pull is tried again", () => {
  us.pull({});
  us.receive({ frames: 9, rows: [row(1n)] });
  us.timeOut();
  us.timeOut();
  for (const index of [1, 2]) us.receive({ frames: 9, index, rows: [row(BigInt(index + 1))] });
  for (let index = 3; us.replica.pull !== undefined && us.replica.pull.answer?.asked === index; index += 1) {
    us.receive({ frames: 9, index, rows: [row(BigInt(index + 1))] });
  }
  us.receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  for (let index = 3; index < (us.replica.pull?.answer?.asked ?? 0); index += 1) {
    us.receive({ frames: 9, index, rows: [row(BigInt(index + 1))] });
  }
  expect(us.replica.pull?.hold).toBe("on");
  us.timeOut();
  const ended = us.timeOut();
  expect(kinds(ended)).toEqual(["stalled", "more", "timer"]);
  expect(us.replica.pull?.hold).toBe("over");
});

test("urgent rows are refused as any others, and without a new one nothing has changed", () => {
  us.pull({});
  us.receive({ frames: 9, rows: [row(1n)] });
  const far = { key: 50n, t: T + 2 * LIMITS.jumpMs * 1000 };
  expect(us.receive({ frames: 0, urgent: 1, rows: [far] })).toMatchObject([
    { kind: "refused", from: "b", reason: "time" },
  ]);
  expect(us.replica.cursors.size).toBe(0);
  us.receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  us.timeOut();
  const again = us.receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  expect(kinds(again)).toEqual(["frame"]);
  // It is a sign of life all the same.
  expect(kinds(us.timeOut())).toEqual(["timer"]);
});

test("a pull that stood and is given urgent rows first is due from then on", () => {
  us.pull({ stands: true });
  expect(kinds(us.receive({ frames: 0, urgent: 1, rows: [row(50n)] }))).toEqual([
    "applied",
    "frame",
    "changed",
    "timer",
  ]);
});

test("cursors are kept for 256 peers, those that were heard of last", () => {
  for (let peer = 0; peer <= 256; peer += 1) {
    us.pull({ peer: `p${peer}` });
    if (peer === 256) expect(us.replica.cursors.size).toBe(256);
    us.receive({ frames: 0, urgent: peer + 1 }, `p${peer}`);
    us.step({ kind: "give-up", pullId: PULL });
    if (peer === 200) {
      us.pull({ peer: "p0" });
      us.receive({ frames: 0, urgent: 1000 }, "p0");
      us.step({ kind: "give-up", pullId: PULL });
    }
  }
  expect([...us.replica.cursors.keys()].slice(0, 2)).toEqual(["p2", "p3"]);
  expect([us.replica.cursors.size, us.replica.cursors.get("p0")?.number, us.replica.cursors.has("p1")]).toEqual([
    256,
    1000,
    false,
  ]);
});
