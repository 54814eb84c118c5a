/*
 * The answering side of pulls, step by step: which frames are sent when, what their end says, and which pulls are over.
 */
import { expect, test } from "vitest";
import { SYNC_LIMITS, type SyncLimits } from "../protocols/limits.ts";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type Replica, type ReplicaEffect, type ReplicaStart, stepReplica } from "../protocols/sync/replica.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { decodeFrame } from "../protocols/wire/frame-codec.ts";
import { type Frame } from "../protocols/wire/frame.ts";
import { kinds, NOW, PULL, pullBody, replicaOf, T, TABLES, writeRows } from "./replica-steps.ts";

/** The most that a row takes: 19 of its head, values and state. */
const ROW_BYTES = 27;
const LIMITS: SyncLimits = { ...SYNC_LIMITS, frameBytes: ROW_BYTES, windowFrames: 2, answersMax: 3, heldMax: 2 };
const B = parseWriterId("0.b.n.x");
const C = parseWriterId("0.c.n.x");

function start(options: Partial<ReplicaStart> = {}): Replica {
  return replicaOf({ writer: B, limits: LIMITS, ...options });
}

function say(replica: Replica, message: "pull" | "more" | "release", body: object, from = "a"): ReplicaEffect[] {
  const effects = stepReplica(replica, { kind: "message", from, message, body }, NOW);
  return effects.filter((effect) => effect.kind !== "timer");
}

interface Asked {
  readonly from?: string;
  readonly [field: string]: unknown;
}

function ask(replica: Replica, { from = "a", ...fields }: Asked = {}): ReplicaEffect[] {
  return say(replica, "pull", pullBody(replica, fields), from);
}

function more(replica: Replica, frames: readonly number[], fields: object = {}): ReplicaEffect[] {
  return say(replica, "more", { pullId: PULL, answer: { responder: B, number: 1 }, frames, ...fields });
}

function framesIn(effects: readonly ReplicaEffect[]): Frame[] {
  return effects.flatMap((effect) => {
    expect(effect).toMatchObject({ kind: "send", message: "frame" });
    return effect.kind === "send" && effect.message === "frame" ? [decodeFrame(effect.body)] : [];
  });
}

function keysIn(effects: readonly ReplicaEffect[]): bigint[][] {
  return framesIn(effects).map(({ sections }) => sections.flatMap(({ keys }) => [...keys]));
}

/** Numbers of the frames, those of urgent rows below 0. */
function indexesIn(effects: readonly ReplicaEffect[]): number[] {
  return framesIn(effects).map(({ urgent, index }) => (urgent === undefined ? index : -urgent));
}

function gone(pullId = PULL, to = "a"): ReplicaEffect {
  return { kind: "send", to, message: "refuse", body: { pullId, reason: "gone" } };
}

function idOf(number: number): string {
  return number.toString(16).padStart(32, "0");
}

test("an answer begins with a window of frames, the others are sent when asked for, and the last says what all of it comes to", () => {
  const replica = start();
  writeRows(replica, [1n, 2n, 3n]);
  const effects = ask(replica);
  expect(effects.map((effect) => effect.kind === "send" && effect.to)).toEqual(["a", "a"]);
  const [first, second] = framesIn(effects);
  const answer = { responder: B, number: 1 };
  expect(first).toMatchObject({
    pullId: PULL,
    answer,
    index: 0,
    frames: 3,
    hasState: true,
    replaces: false,
    end: undefined,
  });
  expect(second).toMatchObject({ index: 1, end: undefined });
  expect(keysIn(effects)).toEqual([[1n], [2n]]);
  const [last] = framesIn(more(replica, [2]));
  expect(last).toMatchObject({ index: 2, frames: 3 });
  expect(last?.end).toEqual({
    knowledge: new Map([[B, T + 2]]),
    horizon: NO_HORIZON,
    version: replica.version,
    early: false,
    applied: new Map(),
  });
  // Frames that there are not are passed over.
  expect(indexesIn(more(replica, [3, 1, 9]))).toEqual([1]);
});

test("an answer of nothing is one empty frame, with its end", () => {
  const [frame, ...rest] = framesIn(ask(start()));
  expect(rest).toEqual([]);
  expect(frame).toMatchObject({ index: 0, frames: 1, sections: [], end: { early: false } });
});

test("frames are filled up to their size, of which state is no part that is not wanted; the first may be smaller", () => {
  function cuts(frameBytes: number, asked: Asked = {}): number[] {
    const replica = start({ limits: { ...LIMITS, frameBytes, windowFrames: 4 } });
    writeRows(replica, [1n, 2n, 3n, 4n]);
    return keysIn(ask(replica, asked)).map(({ length }) => length);
  }
  expect(cuts(2 * ROW_BYTES)).toEqual([2, 2]);
  expect(cuts(2 * ROW_BYTES - 1)).toEqual([1, 1, 1, 1]);
  expect(cuts(2 * (ROW_BYTES - 4), { wantsState: false })).toEqual([2, 2]);
  expect(cuts(2 * (ROW_BYTES - 4) - 1, { wantsState: false })).toEqual([1, 1, 1, 1]);
  // A row that does not fit has a frame of its own. With a burst as many come unasked as it pays for.
  expect(cuts(1)).toEqual([1, 1, 1, 1]);
  expect(cuts(3 * ROW_BYTES, { burst: ROW_BYTES })).toEqual([1]);
  expect(cuts(ROW_BYTES, { burst: 2 * ROW_BYTES + 26 })).toEqual([1, 1]);
  expect(cuts(ROW_BYTES, { burst: 99 * ROW_BYTES })).toEqual([1, 1, 1, 1]);
  expect(cuts(ROW_BYTES, { burst: 1 })).toEqual([1]);
});

test("only what the asker lacks is sent, and positions of trainers only with state", () => {
  const replica = start();
  writeRows(replica, [1n, 2n, 3n]);
  replica.applied.set("trainer", 4);
  const known = ask(replica, { knowledge: [[B, T + 1]] });
  expect(keysIn(known)).toEqual([[3n]]);
  expect(framesIn(known)[0]?.end?.applied).toEqual(new Map([["trainer", 4]]));
  const [serving] = framesIn(ask(replica, { from: "s", knowledge: [[B, T + 2]], wantsState: false }));
  expect(serving).toMatchObject({ hasState: false, sections: [] });
  expect(serving?.end?.applied).toEqual(new Map());
});

test("the end says whether rows are early here", () => {
  const replica = start();
  writeRows(replica, [1n]);
  replica.early.add(replica.store.slotOf(0, 1n) ?? 0);
  expect(framesIn(ask(replica))[0]?.end?.early).toBe(true);
});

test("a pull that is repeated has the same answer, of the moment when it was opened; those of others are others", () => {
  const replica = start();
  writeRows(replica, [1n]);
  const [first] = framesIn(ask(replica));
  writeRows(replica, [2n]);
  const [again] = framesIn(ask(replica));
  expect(again?.answer).toEqual(first?.answer);
  expect(again?.end).toEqual(first?.end);
  expect(framesIn(ask(replica, { from: "c" }))[0]?.answer.number).toBe(2);
  expect(framesIn(ask(replica, { pullId: idOf(9) }))[0]?.answer.number).toBe(3);
  expect(framesIn(ask(replica, { burst: 1 }))).toHaveLength(1);
});

test("a pull of other tables, of state where there is none, or of times to come is refused", () => {
  const replica = start({ store: createMapRowStore(TABLES, { state: false }) });
  expect(ask(replica, { declaration: "0".repeat(16), wantsState: false })).toEqual([
    { kind: "send", to: "a", message: "refuse", body: { pullId: PULL, reason: "declaration" } },
    { kind: "refused", reason: "declaration", from: "a", detail: "the peer's tables differ from ours" },
  ]);
  expect(ask(replica)).toEqual([
    { kind: "send", to: "a", message: "refuse", body: { pullId: PULL, reason: "serving" } },
  ]);
  const most = T + LIMITS.jumpMs * 1000;
  for (const late of [{ knowledge: [[C, most + 1]] }, { settled: most + 1 }]) {
    expect(ask(replica, { wantsState: false, ...late })).toEqual([
      { kind: "refused", reason: "time", from: "a", detail: `a knowledge of t ${most + 1}` },
    ]);
  }
  expect(replica.answers.size).toBe(0);
  expect(framesIn(ask(replica, { wantsState: false, knowledge: [[C, most]] }))).toHaveLength(1);
});

test("frames of an answer that is not open, or of another than was opened, are gone", () => {
  const replica = start();
  expect(more(replica, [0])).toEqual([gone()]);
  ask(replica);
  expect(more(replica, [0], { answer: { responder: B, number: 2 } })).toEqual([gone()]);
  expect(more(replica, [0], { answer: { responder: C, number: 1 } })).toEqual([gone()]);
  expect(more(replica, [0], { pullId: idOf(9) })).toEqual([gone(idOf(9))]);
  expect(indexesIn(more(replica, [0]))).toEqual([0]);
});

test("a pull is over once its answer is let go, and a copy of it that comes late is told so", () => {
  const replica = start();
  writeRows(replica, [1n]);
  ask(replica);
  const answer = { responder: B, number: 1 };
  // Of another answer nothing is let go.
  expect(say(replica, "release", { pullId: PULL, answer: { ...answer, number: 2 } })).toEqual([]);
  expect(say(replica, "release", { pullId: PULL, answer }, "c")).toEqual([]);
  expect(replica.answers.size).toBe(1);
  expect(say(replica, "release", { pullId: PULL, answer })).toEqual([]);
  expect(replica.answers.size).toBe(0);
  expect(ask(replica)).toEqual([gone()]);
  expect(framesIn(ask(replica, { from: "c" }))).toHaveLength(1);
});

test("of each asker the last four pulls that are over are remembered, of as many askers as may have one stand", () => {
  const replica = start();
  function over(number: number, from = "a"): void {
    say(replica, "release", { pullId: idOf(number) }, from);
  }
  for (const number of [1, 2, 3, 4, 5]) over(number);
  expect(ask(replica, { pullId: idOf(2) })).toEqual([gone(idOf(2))]);
  expect(framesIn(ask(replica, { pullId: idOf(1) }))).toHaveLength(1);
  over(9, "c");
  over(6);
  over(9, "d");
  expect([...replica.over.keys()]).toEqual(["a", "d"]);
});

test("to make room an answer of one frame is closed, or else the last, and its pull is over", () => {
  const replica = start();
  function opened(...numbers: readonly number[]): number[] {
    for (const number of numbers) ask(replica, { pullId: idOf(number) });
    return [...replica.answers.values()].map(({ pullId }) => Number(pullId));
  }
  expect(opened(1, 2, 3, 4)).toEqual([2, 3, 4]);
  expect(ask(replica, { pullId: idOf(1) })).toEqual([gone(idOf(1))]);
  writeRows(replica, [1n, 2n]);
  expect(opened(5, 6, 7)).toEqual([5, 6, 7]);
  expect(opened(8)).toEqual([5, 6, 8]);
  expect(ask(replica, { pullId: idOf(7) })).toEqual([gone(idOf(7))]);
});

test("a copy is sent to whoever asks for one and stands earlier, and to whom no deletion could be told any more", () => {
  const horizon = { ...NO_HORIZON, settled: T, before: T - 5, graveyard: new Map([[B, T]]) };
  const replica = start({ horizon });
  writeRows(replica, [1n, 2n]);
  const covers = { settled: T - 5, knowledge: [[B, T]] };
  let number = 0;
  function isCopy(asked: Asked): boolean[] {
    number += 1;
    return framesIn(ask(replica, { pullId: idOf(number), ...asked })).map(({ replaces }) => replaces);
  }
  expect(isCopy({ settled: T })).toEqual([false, false]);
  expect(isCopy({ settled: T, wantsCopy: true })).toEqual([false, false]);
  expect(isCopy(covers)).toEqual([false, false]);
  expect(isCopy({ ...covers, wantsCopy: true })).toEqual([true, true]);
  expect(isCopy({ ...covers, knowledge: [] })).toEqual([true, true]);
  // All of it, whatever is known.
  const known = { settled: T - 6, knowledge: [[B, T + 9]] };
  expect(keysIn(ask(replica, { pullId: idOf(99), ...known }))).toEqual([[1n], [2n]]);
});

test("a pull that may stand waits while its asker has all, and is answered with the next change, once", () => {
  const replica = start();
  writeRows(replica, [1n]);
  const stands = replica.version;
  expect(ask(replica, { stands, knowledge: [[B, T]] })).toEqual([]);
  expect([...replica.held.keys()]).toEqual(["a"]);
  const effects = writeRows(replica, [2n]);
  expect(kinds(effects)).toEqual(["applied", "changed", "written", "frame", "timer"]);
  expect(keysIn(effects.filter(({ kind }) => kind === "send"))).toEqual([[2n]]);
  expect(replica.held.size).toBe(0);
  expect(writeRows(replica, [3n]).some(({ kind }) => kind === "send")).toBe(false);
  // What it stands for is no longer what there is.
  expect(framesIn(ask(replica, { pullId: idOf(2), stands, knowledge: [[B, T]] }))).toHaveLength(2);
});

test("of each asker the last pull stands; beyond so many the one that stood longest is forgotten; one let go stands no more", () => {
  const replica = start();
  const stands = replica.version;
  for (const [from, number] of [
    ["a", 1],
    ["c", 2],
    ["a", 3],
  ] as const) {
    ask(replica, { from, pullId: idOf(number), stands });
  }
  expect([...replica.held].map(([from, { pullId }]) => [from, pullId])).toEqual([
    ["c", idOf(2)],
    ["a", idOf(3)],
  ]);
  ask(replica, { from: "d", pullId: idOf(4), stands });
  expect([...replica.held.keys()]).toEqual(["a", "d"]);
  say(replica, "release", { pullId: idOf(9) });
  expect([...replica.held.keys()]).toEqual(["a", "d"]);
  say(replica, "release", { pullId: idOf(3) });
  expect([...replica.held.keys()]).toEqual(["d"]);
  // One that does not stand takes the place of one that did.
  ask(replica, { from: "d", pullId: idOf(5) });
  expect(replica.held.size).toBe(0);
});

test("urgent rows that the asker lacks go before the frames of a long answer, by its cursor in our list", () => {
  const replica = start();
  writeRows(replica, [1n, 2n, 3n], { urgent: [3n] });
  expect(indexesIn(ask(replica))).toEqual([-1, 0, 1]);
  expect(indexesIn(more(replica, [2], { urgent: { writer: B, number: 1 } }))).toEqual([2]);
  // A cursor in the list of another start, or beyond the end of ours.
  expect(indexesIn(more(replica, [2], { urgent: { writer: C, number: 1 } }))).toEqual([-1, 2]);
  expect(indexesIn(more(replica, [2], { urgent: { writer: B, number: 9 } }))).toEqual([2]);
  // Asked for urgent rows alone it says so where there are none.
  const [none] = framesIn(more(replica, [], { urgent: { writer: B, number: 1 } }));
  expect(none).toMatchObject({ urgent: 1, frames: 0, sections: [], replaces: false, end: undefined });
  writeRows(replica, [4n], { urgent: [4n] });
  expect(keysIn(more(replica, [], { urgent: { writer: B, number: 1 } }))).toEqual([[4n]]);
});

test("an answer of one frame brings its urgent rows itself, and what the asker knows is not urgent", () => {
  const replica = start();
  writeRows(replica, [1n], { urgent: [1n] });
  expect(indexesIn(ask(replica))).toEqual([0]);
  const known = start();
  writeRows(known, [1n, 2n, 3n], { urgent: [1n] });
  expect(indexesIn(ask(known, { knowledge: [[B, T]] }))).toEqual([0, 1]);
});

test("urgent rows of a copy replace nothing", () => {
  const replica = start({ horizon: { ...NO_HORIZON, settled: T, before: T - 5, graveyard: new Map([[B, T]]) } });
  writeRows(replica, [1n, 2n], { urgent: [2n] });
  expect(framesIn(ask(replica)).map(({ replaces }) => replaces)).toEqual([false, true, true]);
});
