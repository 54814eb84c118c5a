/*
 * Answers that do not come whole in one pull: going on with the rest, and copies that take the place of what is held.
 */
import { beforeEach, expect, test } from "vitest";
import { NO_HORIZON, type Horizon } from "../protocols/sync/horizon.ts";
import { ANSWER, failed, last, LIMITS, more, NEXT, OTHERS, OURS, row, stale, THEIRS, us } from "./pull-steps.ts";
import { askedFrames, kinds, PULL, T } from "./replica-steps.ts";

beforeEach(() => us.restart());

test("a pull that ended for want of more is gone on with: the rest is asked for under its id, and all anew when that is there", () => {
  us.pull({});
  us.receive({ frames: 5, index: 1, rows: [row(1n)] });
  us.receive({ frames: 5, index: 2, rows: [row(2n)] });
  us.giveOut();
  // Of another peer nothing is known.
  expect(kinds(us.pull({ peer: "c", pullId: NEXT }))).toEqual(["pull", "timer"]);
  us.step({ kind: "give-up", pullId: NEXT });

  const [asked, timer] = us.pull({ pullId: NEXT });
  expect(asked).toEqual(more([0, 3]));
  expect(timer).toEqual({ kind: "timer", name: `pull ${NEXT}`, delayMs: LIMITS.retryMs });
  expect(us.replica.unfinished.size).toBe(0);
  expect(us.receive({ frames: 5, index: 2, rows: [row(2n)] })).toEqual([stale("repeated")]);
  const first = us.receive({ frames: 5, index: 3, rows: [row(3n)] });
  expect(first[1]).toMatchObject({ kind: "frame", pullId: NEXT, frames: 3 });
  expect(askedFrames(first)).toEqual([[4]]);
  us.receive({ frames: 5, index: 0, rows: [row(4n)] });
  const rest = us.receive({ frames: 5, index: 4, rows: [row(5n)], end: {} });
  expect(rest.slice(2)).toMatchObject([
    { kind: "send", to: "b", message: "release", body: { pullId: PULL, answer: ANSWER } },
    { kind: "changed", version: { counter: 3, generator: THEIRS } },
    { kind: "send", to: "b", message: "pull", body: { pullId: NEXT } },
  ]);
  expect(us.replica.pull).toMatchObject({ pullId: NEXT, asksAs: NEXT, answer: undefined, staged: [] });
  expect(last(us.receive({ pullId: NEXT, answer: { ...ANSWER, number: 2 }, end: {} }))).toMatchObject({
    pullId: NEXT,
    outcome: "complete",
    rows: 3,
  });
});

test("what is missing of the rest is asked for again by its own number", () => {
  us.pull({});
  us.receive({ frames: 6, index: 0, rows: [row(1n)] });
  us.receive({ frames: 6, index: 2, rows: [row(2n)] });
  us.giveOut();
  const small = { urgent: 1, frames: 0 };
  function timeOutNext(): ReturnType<typeof askedFrames> {
    return askedFrames(us.step({ kind: "timer", name: `pull ${NEXT}` }));
  }
  us.pull({ pullId: NEXT });
  // Its link is slow, so the frames may be on their way: what a small answer comes without is lost, and what is asked for after that is not.
  expect([timeOutNext(), timeOutNext()]).toEqual([[[]], [[]]]);
  expect(askedFrames(us.receive(small))).toEqual([[1, 3]]);
  expect(askedFrames(us.receive(small))).toEqual([]);
  expect(us.replica.pull).toMatchObject({ progress: false, retries: 2, probed: [] });
  expect(askedFrames(us.receive({ frames: 6, index: 3, rows: [row(3n)] }))).toEqual([[4]]);
  expect([timeOutNext(), timeOutNext()]).toEqual([[], [[]]]);
  expect(askedFrames(us.receive(small))).toEqual([[1, 4]]);
});

test("a pull that ended with a part of its answer, or before what came of it, makes the next one wait twice as long, four times at most", () => {
  function triesOf(pullId: string): number {
    us.pull({ pullId });
    let tries = 0;
    while (us.replica.pull !== undefined && tries < 100) {
      us.step({ kind: "timer", name: `pull ${pullId}` });
      tries += 1;
    }
    return tries;
  }
  const { retriesMax } = LIMITS;
  expect([triesOf(PULL), triesOf(NEXT)]).toEqual([retriesMax + 1, retriesMax + 1]);
  for (const [pullId, times] of [
    [PULL, 1],
    [NEXT, 2],
    [NEXT, 4],
    [NEXT, 4],
  ] as const) {
    // Of the last pull, once.
    us.receive({ pullId, frames: 3, rows: [row(1n)] });
    us.receive({ pullId, frames: 3, rows: [row(1n)] });
    expect(triesOf(NEXT)).toBe(times * retriesMax + 1);
  }
  us.pull({});
  us.receive({ end: {} });
  expect(us.replica.slow.size).toBe(0);
  us.pull({});
  us.receive({ frames: 5, rows: [row(2n)] });
  us.giveOut();
  expect(us.replica.slow.get("b")?.patience).toBe(2);
});

test("with a burst only so much of the rest is asked for at once, and no more than is left", () => {
  us.pull({});
  us.receive({ frames: 5, rows: [row(1n)] });
  us.giveOut();
  expect(askedFrames(us.pull({ pullId: NEXT, burst: 30 }))).toEqual([[1]]);
  us.step({ kind: "give-up", pullId: NEXT });
  us.pull({});
  us.receive({ frames: 2, answer: { ...ANSWER, number: 2 }, rows: [row(1n)] });
  us.giveOut();
  const [asked] = us.pull({ pullId: NEXT });
  expect(asked?.kind === "send" && asked.message === "more" && asked.body.frames).toEqual([1]);
  expect(us.replica.pull?.answer?.asked).toBe(1);
});

test("where the answer to go on with is closed, all is asked for anew", () => {
  us.pull({});
  us.receive({ frames: 5, rows: [row(1n)] });
  us.giveOut();
  us.pull({ pullId: NEXT });
  // Of the id that it asks under.
  expect(us.refuse("gone", { pullId: NEXT })).toEqual([stale("of another pull")]);
  expect(kinds(us.refuse("gone"))).toEqual(["pull"]);
  expect(us.replica.pull).toMatchObject({ pullId: NEXT, asksAs: NEXT, answer: undefined });
  // Any other reason ends it.
  us.step({ kind: "give-up", pullId: NEXT });
  us.pull({});
  us.receive({ frames: 5, answer: { ...ANSWER, number: 2 }, rows: [row(2n)] });
  us.giveOut();
  us.pull({ pullId: NEXT });
  expect(last(us.refuse("full"))).toEqual({ ...failed("full"), pullId: NEXT });
});

/** A horizon that has settled all up to just before now, of writers that we never heard of. */
const SETTLED: Horizon = { ...NO_HORIZON, settled: T, graveyard: new Map([[THEIRS, T]]) };

test("who holds a row that came too late for the answer's horizon is behind, and asks that peer for a copy next", () => {
  us.merge({ key: 7n, t: T - 5, writer: OTHERS });
  us.pull({ peer: "c" });
  us.receive({ frames: 3, rows: [row(8n)] }, "c");
  us.giveOut("c");
  us.pull({ pullId: NEXT });
  const effects = us.receive({ pullId: NEXT, rows: [row(1n)], end: { horizon: SETTLED } });
  expect(kinds(effects)).toEqual(["applied", "frame", "release", "release", "changed", "pulled"]);
  expect(effects).toContainEqual({ kind: "send", to: "c", message: "release", body: { pullId: PULL, answer: ANSWER } });
  expect(last(effects)).toEqual({ ...failed("behind"), pullId: NEXT });
  // What it was given is early; answers from before are of no use to a copy.
  expect([us.replica.early.size, us.replica.knowledge.size, us.replica.unfinished.size]).toEqual([3, 0, 0]);
  expect([...us.replica.copyFrom]).toEqual(["b"]);
  expect(us.pull({})[0]).toMatchObject({ body: { wantsCopy: true, knowledge: [] } });
});

test("a copy is kept back until it is whole, and then takes the place of all that its sender knew", () => {
  us.merge({ key: 7n, t: T - 5, writer: OTHERS });
  us.write(9n);
  us.replica.copyFrom.add("b").add("c");
  us.pull({});
  const first = us.receive({ frames: 2, rows: [{ key: 1n, t: T - 9, writer: THEIRS }], replaces: true });
  expect(kinds(first)).toEqual(["frame"]);
  expect(us.versionOf(1n)).toBeUndefined();
  const knowledge = new Map([[OTHERS, T]]);
  const horizon: Horizon = { ...SETTLED, graveyard: new Map(), settled: T - 3 };
  const done = us.receive({ frames: 2, index: 1, rows: [row(2n)], replaces: true, end: { knowledge, horizon } });
  expect(kinds(done)).toEqual(["frame", "release", "dropped", "applied", "applied", "changed", "pulled"]);
  expect(done).toContainEqual({ kind: "dropped", table: 0, keys: BigUint64Array.of(7n) });
  // Of a copy, too, it is told who sent it.
  expect(done).toContainEqual(
    expect.objectContaining({ kind: "applied", keys: BigUint64Array.of(1n), origin: "peer" }),
  );
  expect(last(done)).toMatchObject({ outcome: "complete", rows: 2 });
  // What was stamped here lies beyond.
  expect([1n, 2n, 7n, 9n].map((key) => us.versionOf(key)?.writer)).toEqual([THEIRS, THEIRS, undefined, OURS]);
  expect(us.replica.horizon.settled).toBe(T - 3);
  expect([...us.replica.copyFrom]).toEqual([]);
});

test("a copy of what is not settled later than here is of no use", () => {
  us.pull({});
  const effects = us.receive({ rows: [row(1n)], replaces: true, end: {} });
  expect(kinds(effects)).toEqual(["frame", "release", "pulled"]);
  expect(last(effects)).toEqual(failed("behind"));
  expect([us.versionOf(1n), us.replica.copyFrom.size]).toEqual([undefined, 0]);
});

test("of copies that did not come whole one is kept, the last; of other answers that of each peer", () => {
  for (const [peer, replaces] of [
    ["c", true],
    ["d", false],
    ["b", true],
  ] as const) {
    us.pull({ peer });
    us.receive({ frames: 3, rows: [row(1n)], replaces }, peer);
    us.giveOut(peer);
  }
  expect([...us.replica.unfinished.keys()]).toEqual(["d", "b"]);
  expect(us.replica.unfinished.get("b")).toMatchObject({ asksAs: PULL, staged: [{ index: 0 }] });
  us.pull({ peer: "e" });
  us.receive({ frames: 3, rows: [row(2n)] }, "e");
  us.giveOut("e");
  expect([...us.replica.unfinished.keys()]).toEqual(["d", "b", "e"]);
  // Going on with a copy, what was kept back is not asked for again.
  expect(us.pull({ pullId: NEXT })[0]).toEqual(more([1, 2]));
  const end = { horizon: { ...NO_HORIZON, settled: T - 9 } };
  us.receive({ frames: 3, index: 1, rows: [row(4n)], replaces: true });
  us.receive({ frames: 3, index: 2, rows: [row(5n)], replaces: true, end });
  expect([1n, 4n, 5n].map((key) => us.versionOf(key) !== undefined)).toEqual([true, true, true]);
});

test("a copy of more bytes than the tables may hold ends its pull, is told of, and leaves nothing in memory", () => {
  const bytes = [1n, 2n].map((key) => us.frameOf({ frames: 9, rows: [row(key)], replaces: true }).length);
  const copyBytesMax = bytes.reduce((sum, each) => sum + each);
  us.restart({ limits: { ...LIMITS, copyBytesMax } });
  us.write(9n);
  us.pull({});
  us.receive({ frames: 9, rows: [row(1n)], replaces: true });
  // A part that is kept counts with what comes after it.
  us.giveOut();
  us.pull({ pullId: NEXT });
  us.receive({ frames: 9, index: 1, rows: [row(2n)], replaces: true });
  expect(us.replica.pull?.stagedBytes).toBe(copyBytesMax);
  // A frame that came already takes no room.
  expect(us.receive({ frames: 9, index: 1, rows: [row(2n)], replaces: true })).toEqual([stale("repeated")]);
  const refused = us.receive({ frames: 9, index: 2, rows: [row(3n)], replaces: true });
  expect(refused).toMatchObject([
    { kind: "refused", reason: "full", from: "b" },
    { kind: "send", to: "b", message: "release", body: { pullId: PULL, answer: ANSWER } },
    { kind: "pulled", peer: "b", pullId: NEXT, outcome: "failed", reason: "full" },
  ]);
  expect([us.replica.pull, us.replica.unfinished.size]).toEqual([undefined, 0]);
  expect([1n, 9n].map((key) => us.versionOf(key)?.writer)).toEqual([undefined, OURS]);
  // Another answer of that peer begins anew.
  us.pull({ pullId: PULL });
  us.receive({ rows: [row(1n)], replaces: true, end: { horizon: { ...NO_HORIZON, settled: T - 9 } } });
  expect(us.versionOf(1n)?.writer).toBe(THEIRS);
});

test("what is no copy is applied as it comes, and has no such bound", () => {
  us.restart({ limits: { ...LIMITS, copyBytesMax: 0 } });
  us.pull({});
  us.receive({ rows: [row(1n)], end: {} });
  expect(us.versionOf(1n)?.writer).toBe(THEIRS);
});

test("of copies one is held at a time: what was kept of another gives way when one begins to come", () => {
  us.pull({ peer: "c" });
  us.receive({ frames: 3, rows: [row(1n)], replaces: true }, "c");
  us.giveOut("c");
  us.pull({});
  const first = us.receive({ frames: 3, rows: [row(1n)], replaces: true });
  expect(first).toContainEqual(expect.objectContaining({ kind: "send", to: "c", message: "release" }));
  expect(us.replica.unfinished.size).toBe(0);
});

test("an answer that is no copy leaves what other peers are to be asked for, and forgets its own", () => {
  us.replica.copyFrom.add("b").add("c");
  us.pull({});
  us.receive({ end: {} });
  expect([...us.replica.copyFrom]).toEqual(["c"]);
});

test("whoever takes a copy follows its epoch; whoever goes on into one follows the epoch before", () => {
  const horizon = { ...NO_HORIZON, epoch: 1, settled: T };
  us.pull({});
  us.receive({ replaces: true, rows: [row(1n)], end: { horizon, knowledge: new Map() } });
  expect(us.replica).toMatchObject({ follows: 1, horizon: { epoch: 1 } });
  us.pull({});
  us.receive({
    answer: { ...ANSWER, number: 2 },
    end: { horizon: { ...horizon, epoch: 2, before: 0 }, knowledge: new Map() },
  });
  expect(us.replica).toMatchObject({ follows: 1, horizon: { epoch: 2 } });
});

test("a copy drops the row that is the last its sender knows of a writer, and not the one after", () => {
  us.merge({ key: 7n, t: T, writer: OTHERS });
  us.merge({ key: 8n, t: T + 1, writer: OTHERS });
  us.replica.copyFrom.add("b");
  us.pull({});
  const end = { knowledge: new Map([[OTHERS, T]]), horizon: { ...NO_HORIZON, settled: T - 1 } };
  us.receive({ rows: [row(1n)], replaces: true, end });
  expect([7n, 8n].map((key) => us.versionOf(key) !== undefined)).toEqual([false, true]);
});
