/*
 * Our pull, step by step, against a peer whose frames are made by hand: what it asks for, when it asks again, and what ends it.
 */
import { beforeEach, expect, test } from "vitest";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { ANSWER, failed, last, LIMITS, more, NEXT, OTHERS, OURS, row, stale, THEIRS, us } from "./pull-steps.ts";
import { askedFrames, kinds, PULL, T } from "./replica-steps.ts";

const LET_GO = { kind: "send", to: "b", message: "release", body: { pullId: PULL } };

beforeEach(() => us.restart());

test("a pull says what it knows and wants, waits for an answer, and no other runs meanwhile", () => {
  us.write(9n);
  const body = {
    pullId: PULL,
    declaration: us.replica.declaration,
    wantsState: true,
    settled: 0,
    knowledge: [[OURS, T]],
  };
  expect(us.pull({})).toEqual([
    { kind: "send", to: "b", message: "pull", body },
    { kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs },
  ]);
  const busy = { kind: "pulled", outcome: "failed", reason: "busy" };
  expect(us.pull({ peer: "c", pullId: NEXT })).toEqual([{ ...busy, peer: "c", pullId: NEXT }]);
  expect(us.pull({ pullId: NEXT, stands: true })).toEqual([{ ...busy, peer: "b", pullId: NEXT }]);
  expect(us.replica.pull?.pullId).toBe(PULL);
});

test("a pull with a burst says so, and one that stands says of which version, has no timer, and gives way", () => {
  expect(us.pull({ burst: 100, stands: true })).toMatchObject([
    { kind: "send", to: "b", message: "pull", body: { burst: 100, stands: us.replica.version } },
  ]);
  const [released, asked, timer] = us.pull({ pullId: NEXT, peer: "c" });
  expect(released).toEqual({ kind: "send", to: "b", message: "release", body: { pullId: PULL } });
  expect(asked).toMatchObject({ to: "c", message: "pull", body: { pullId: NEXT } });
  for (const field of ["burst", "stands", "wantsCopy", "urgent", "epoch"]) {
    expect(asked?.kind === "send" && asked.body).not.toHaveProperty(field);
  }
  expect(timer).toEqual({ kind: "timer", name: `pull ${NEXT}`, delayMs: LIMITS.retryMs });
});

test("a frame is applied, told of, and the next ones in the window are asked for; only with the last is the pull complete", () => {
  us.pull({});
  const first = us.receive({ frames: 5, index: 0, rows: [row(1n)] });
  expect(first).toMatchObject([
    { kind: "applied", table: 0, keys: BigUint64Array.of(1n), t: Float64Array.of(T + 1), origin: "peer" },
    { kind: "frame", pullId: PULL, frames: 5 },
    more([2]),
  ]);
  expect([us.replica.early.size, us.replica.knowledge.size]).toEqual([1, 0]);
  // The end may overtake others.
  expect(askedFrames(us.receive({ frames: 5, index: 4, rows: [row(5n)], end: {} }))).toEqual([[3]]);
  expect(askedFrames(us.receive({ frames: 5, index: 1, rows: [row(2n)] }))).toEqual([[4]]);
  expect(askedFrames(us.receive({ frames: 5, index: 3, rows: [row(4n)] }))).toEqual([]);
  const done = us.receive({ frames: 5, index: 2, rows: [row(3n)] });
  expect(done.slice(1)).toMatchObject([
    { kind: "frame", pullId: PULL, frames: 5 },
    { kind: "send", to: "b", message: "release", body: { pullId: PULL, answer: ANSWER } },
    { kind: "changed", version: { counter: 3, generator: THEIRS } },
    { kind: "pulled", peer: "b", pullId: PULL, outcome: "complete", rows: 5, isLevel: true },
  ]);
  expect([us.replica.early.size, us.replica.knowledge]).toEqual([0, new Map([[THEIRS, T + 9]])]);
  expect(us.replica.version).toEqual({ counter: 3, generator: THEIRS });
  expect(us.replica.stamper.greatestSeen).toBe(T + 9);
  expect(us.replica.pull).toBeUndefined();
});

test("a frame of another pull, peer, answer or count, or one that came, changes nothing and is told of", () => {
  expect(us.receive({ frames: 3 })).toEqual([stale("of another pull")]);
  us.pull({});
  us.receive({ frames: 3, rows: [row(1n)] });
  const held = us.replica.store.digest();
  expect(us.receive({ frames: 3, index: 1, pullId: NEXT, rows: [row(2n)] })).toEqual([stale("of another pull")]);
  const body = us.frameOf({ frames: 3, index: 1, rows: [row(2n)] });
  expect(us.step({ kind: "message", from: "c", message: "frame", body })).toEqual([stale("of another pull", "c")]);
  for (const answer of [
    { ...ANSWER, number: 2 },
    { ...ANSWER, responder: OTHERS },
  ]) {
    expect(us.receive({ frames: 3, index: 1, answer, rows: [row(2n)] })).toEqual([stale("of another answer")]);
  }
  expect(us.receive({ frames: 4, index: 1, rows: [row(2n)] })).toEqual([stale("of another count of frames")]);
  expect(us.receive({ frames: 3, index: 0, rows: [row(2n)] })).toEqual([stale("repeated")]);
  expect(us.step({ kind: "message", from: "b", message: "frame", body: [1] })).toEqual([
    { kind: "refused", reason: "undecodable", from: "b", detail: "Cannot decode frame: it is not bytes at byte 0" },
  ]);
  expect(us.replica.store.digest()).toBe(held);
  expect(us.replica.pull?.answer?.receivedCount).toBe(1);
});

test("whoever knows or holds more than the answer says has a version of its own, and is not level", () => {
  const grown = { kind: "changed", version: { counter: 3, generator: OURS } };
  us.write(9n);
  us.pull({});
  const effects = us.receive({ rows: [row(1n)], end: {} });
  expect(effects).toContainEqual(grown);
  expect(last(effects)).toMatchObject({ outcome: "complete", rows: 1, isLevel: false });
});

test.each([
  ["it has rows early, which we then lack", { early: true }],
  ["more is settled there", { horizon: { ...NO_HORIZON, expired: new Map([[0, 1]]) } }],
] as const)("the version of an answer is not ours where %s", (_, end) => {
  us.pull({});
  const effects = us.receive({ rows: [row(1n)], end });
  const isEqual = "horizon" in end;
  // A horizon that is taken on makes the same of both.
  expect(last(effects)).toMatchObject({ outcome: "complete", isLevel: isEqual });
  expect(us.replica.version.generator).toBe(isEqual ? THEIRS : OURS);
});

test("an answer with nothing new changes no version, and tells of none", () => {
  us.pull({});
  us.receive({ rows: [row(1n)], end: {} });
  us.pull({ pullId: NEXT });
  const effects = us.receive({ pullId: NEXT, answer: { ...ANSWER, number: 2 }, end: {} });
  expect(effects.slice(1)).toEqual([
    { kind: "send", to: "b", message: "release", body: { pullId: NEXT, answer: { ...ANSWER, number: 2 } } },
    { kind: "pulled", peer: "b", pullId: NEXT, outcome: "complete", rows: 0, isLevel: false },
  ]);
});

test("knowledge that grows without a row is a change", () => {
  us.pull({});
  expect(us.receive({ end: {} }).slice(2)).toEqual([
    { kind: "changed", version: { counter: 3, generator: THEIRS } },
    { kind: "pulled", peer: "b", pullId: PULL, outcome: "complete", rows: 0, isLevel: true },
  ]);
});

test("where nothing comes a pull is repeated a bounded number of times; whose frames come is left alone", () => {
  us.pull({});
  expect(us.step({ kind: "timer", name: `pull ${NEXT}` })).toEqual([]);
  for (let turn = 1; turn <= LIMITS.retriesMax; turn += 1) {
    const effects = us.timeOut();
    // After one, two, four time-outs: what was asked for may be on its way.
    expect(kinds(effects)).toEqual(turn === 3 ? ["timer"] : ["stalled", "pull", "timer"]);
    // A little of it is enough to begin with.
    if (turn < 3) expect(effects[1]).toMatchObject({ body: { pullId: PULL, burst: 2 } });
  }
  expect(us.timeOut()).toEqual([LET_GO, failed("no-answer")]);
  expect(us.timeOut()).toEqual([]);
  expect(us.replica.unfinished.size).toBe(0);

  us.pull({});
  us.timeOut();
  us.receive({ frames: 9, rows: [row(1n)] });
  expect(us.timeOut()).toEqual([{ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs }]);
  expect(us.replica.pull).toMatchObject({ progress: false, retries: 0 });
  expect(kinds(us.timeOut())).toEqual(["stalled", "more", "timer"]);
  expect(us.replica.pull?.retries).toBe(1);
});

test("frames that do not come are asked for again, a window of them at most, and fewer are then in flight", () => {
  us.restart({
    limits: { ...LIMITS, windowFrames: 4 },
  });
  us.pull({});
  expect(askedFrames(us.receive({ frames: 20, index: 1, rows: [row(1n)] }))).toEqual([[4]]);
  expect(askedFrames(us.receive({ frames: 20, index: 4, rows: [row(2n)] }))).toEqual([[5]]);
  us.timeOut();
  const again = us.timeOut();
  expect(kinds(again)).toEqual(["stalled", "more", "timer"]);
  expect(askedFrames(again)).toEqual([[0, 2, 3, 5]]);
  expect(us.replica.pull).toMatchObject({ congested: true, window: 2 });
  us.timeOut();
  expect(us.replica.pull?.window).toBe(1);
  us.timeOut();
  expect(us.replica.pull?.window).toBe(1);
  // One more in flight with each that comes.
  expect(askedFrames(us.receive({ frames: 20, index: 0, rows: [row(3n)] }))).toEqual([]);
  expect(us.replica.pull?.window).toBe(2);
  for (const index of [2, 3, 5]) us.receive({ frames: 20, index, rows: [row(BigInt(index + 10))] });
  expect(us.replica.pull?.window).toBe(4);
});

test("a pull that is given up says so to its peer, and keeps nothing to go on with; what came stays and is told of", () => {
  expect(us.step({ kind: "give-up", pullId: PULL })).toEqual([]);
  us.pull({});
  expect(us.step({ kind: "give-up", pullId: NEXT })).toEqual([]);
  // Its answer may be on its way.
  expect(us.step({ kind: "give-up", pullId: PULL })).toEqual([LET_GO, failed("given-up")]);
  us.pull({});
  us.receive({ frames: 3, rows: [row(1n)] });
  expect(us.step({ kind: "give-up", pullId: PULL })).toEqual([
    { kind: "send", to: "b", message: "release", body: { pullId: PULL, answer: ANSWER } },
    { kind: "changed", version: { counter: 2, generator: OURS } },
    failed("given-up"),
  ]);
  expect([us.replica.unfinished.size, us.replica.early.size]).toEqual([0, 1]);
  us.pull({ stands: true });
  expect(us.step({ kind: "give-up", pullId: PULL })).toEqual([
    { kind: "send", to: "b", message: "release", body: { pullId: PULL } },
    failed("given-up"),
  ]);
});

test("a refusal of our pull by its peer ends it with its reason, any other changes nothing", () => {
  expect(us.refuse("full")).toEqual([stale("of another pull")]);
  for (const reason of ["declaration", "serving", "full", "gone"] as const) {
    us.pull({});
    expect(us.refuse(reason, { pullId: NEXT })).toEqual([stale("of another pull")]);
    expect(us.refuse(reason, { from: "c" })).toEqual([stale("of another pull", "c")]);
    expect(us.refuse(reason)).toEqual(reason === "gone" ? [failed(reason)] : [LET_GO, failed(reason)]);
  }
  us.pull({});
  us.receive({ frames: 3, rows: [row(1n)] });
  // The peer said itself that the answer is closed.
  expect(us.refuse("gone")).toEqual([{ kind: "changed", version: us.replica.version }, failed("gone")]);
  us.pull({});
  us.receive({ frames: 3, rows: [row(1n)] });
  expect(kinds(us.refuse("full"))).toEqual(["release", "pulled"]);
});

test("entries that say no more than what is settled are not taken over", () => {
  us.restart({
    horizon: { ...NO_HORIZON, settled: T },
    limits: LIMITS,
  });
  us.pull({});
  const knowledge = new Map([
    [THEIRS, T],
    [OTHERS, T + 1],
  ]);
  us.receive({ end: { knowledge } });
  expect(us.replica.knowledge).toEqual(new Map([[OTHERS, T + 1]]));
});

test("the trainers' positions come with a whole answer", () => {
  us.pull({});
  us.receive({ end: { applied: new Map([["trainer", 4]]) } });
  expect(us.replica.applied).toEqual(new Map([["trainer", 4]]));
});

test("a horizon that moves is a change, and so is a row that nobody's knowledge covers, which stays early", () => {
  us.pull({});
  us.receive({ rows: [row(1n)], end: {} });
  us.pull({});
  const moved = { ...NO_HORIZON, settled: T + 20, graveyard: new Map([[THEIRS, T + 9]]) };
  const version = { counter: 7, generator: THEIRS };
  const second = { ...ANSWER, number: 2 };
  expect(us.receive({ answer: second, end: { horizon: moved, knowledge: new Map(), version } }).slice(2)).toEqual([
    { kind: "changed", version },
    { kind: "pulled", peer: "b", pullId: PULL, outcome: "complete", rows: 0, isLevel: true },
  ]);
  us.pull({});
  const third = { answer: { ...ANSWER, number: 3 }, rows: [{ key: 2n, t: T + 30 }] };
  const effects = us.receive({ ...third, end: { horizon: moved, knowledge: new Map(), version } });
  expect(us.replica.early.size).toBe(1);
  expect(us.replica.version.generator).toBe(OURS);
  expect(last(effects)).toMatchObject({ outcome: "complete", rows: 1, isLevel: false });
});

test("asked while a pull runs where it stands, it says so when the pull is over, however that ends", () => {
  const survey = { kind: "message", from: "p", message: "survey", body: { asker: OTHERS, round: 1 } } as const;
  us.pull({});
  expect(us.step(survey)).toEqual([]);
  const report = { kind: "send", to: "p", message: "report" };
  expect(last(us.receive({ end: {} }))).toMatchObject(report);
  us.pull({});
  expect(us.step(survey)).toEqual([]);
  expect(last(us.step({ kind: "give-up", pullId: PULL }))).toMatchObject(report);
  expect(kinds(us.step({ kind: "give-up", pullId: PULL }))).toEqual([]);
});
