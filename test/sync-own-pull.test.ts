/*
 * Our pull, step by step, against a peer whose frames are made here: what it asks for, when it asks again, what ends it, and what it leaves behind.
 */
import { beforeEach, expect, test } from "vitest";
import { SYNC_LIMITS, type SyncLimits } from "../protocols/limits.ts";
import { type Horizon, NO_HORIZON } from "../protocols/sync/horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../protocols/sync/replica.ts";
import { type RowBatch, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId, type WriterId } from "../protocols/sync/version.ts";
import { encodeFrame } from "../protocols/wire/frame-codec.ts";
import { type AnswerEnd } from "../protocols/wire/frame.ts";

const NOW = 1_760_000_000_000;
const T = NOW * 1000;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "adagrad" },
];
const LIMITS: SyncLimits = { ...SYNC_LIMITS, frameBytes: 30, windowFrames: 2, retriesMax: 3, waitsMax: 4 };
const OURS = parseWriterId("0.a.n.x");
const THEIRS = parseWriterId("0.b.n.x");
const OTHERS = parseWriterId("0.c.n.x");
const [PULL, NEXT] = ["1".repeat(32), "2".repeat(32)];
const ANSWER = { responder: THEIRS, number: 1 };
const STALE = "a frame or refusal";

interface Row {
  readonly key: bigint;
  readonly t: number;
  readonly writer?: WriterId;
}

interface Sent {
  readonly pullId?: string;
  readonly index?: number;
  readonly frames?: number;
  readonly answer?: typeof ANSWER;
  readonly rows?: readonly Row[];
  readonly replaces?: boolean;
  readonly urgent?: number;
  readonly end?: Partial<AnswerEnd>;
}

let replica: Replica;

beforeEach(() => {
  replica = createReplica({ writer: OURS, store: createMapRowStore(TABLES, { state: true }), limits: LIMITS });
});

test("a pull says what it knows and wants, waits for an answer, and no other runs meanwhile", () => {
  write(9n);
  const body = {
    pullId: PULL,
    declaration: replica.declaration,
    wantsState: true,
    settled: 0,
    knowledge: [[OURS, T]],
  };
  expect(pull({})).toEqual([
    { kind: "send", to: "b", message: "pull", body },
    { kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs },
  ]);
  const busy = { kind: "pulled", outcome: "failed", reason: "busy" };
  expect(pull({ peer: "c", pullId: NEXT })).toEqual([{ ...busy, peer: "c", pullId: NEXT }]);
  expect(pull({ pullId: NEXT, stands: true })).toEqual([{ ...busy, peer: "b", pullId: NEXT }]);
  expect(replica.pull?.pullId).toBe(PULL);
});

test("a pull with a burst says so, and one that stands says of which version, has no timer, and gives way", () => {
  expect(pull({ burst: 100, stands: true })).toEqual([
    { kind: "send", to: "b", message: "pull", body: expect.objectContaining({ burst: 100, stands: replica.version }) },
  ]);
  const [released, asked, timer] = pull({ pullId: NEXT, peer: "c" });
  expect(released).toEqual({ kind: "send", to: "b", message: "release", body: { pullId: PULL } });
  expect(asked).toMatchObject({ to: "c", message: "pull", body: { pullId: NEXT } });
  for (const field of ["burst", "stands", "wantsCopy", "urgent", "epoch"]) {
    expect(asked?.kind === "send" && asked.body).not.toHaveProperty(field);
  }
  expect(timer).toEqual({ kind: "timer", name: `pull ${NEXT}`, delayMs: LIMITS.retryMs });
});

test("a standing pull is hurried by its own peer alone, and then as good as late", () => {
  pull({ stands: true });
  expect(step({ kind: "hurry", peer: "c" })).toEqual([]);
  const [asked, timer] = step({ kind: "hurry", peer: "b" });
  expect(asked).toMatchObject({ kind: "send", to: "b", message: "pull", body: { pullId: PULL } });
  expect(asked?.kind === "send" && asked.body).not.toHaveProperty("stands");
  expect(timer).toEqual({ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs });
  expect(step({ kind: "hurry", peer: "b" })).toEqual([]);
  expect(kinds(timeOut())).toEqual(["stalled", "pull", "timer"]);
  expect(timeOut()).toEqual([failed("no-answer")]);
  expect(step({ kind: "hurry", peer: "b" })).toEqual([]);
});

test("hurried where a pull is never tried again, it is tried once", () => {
  replica = createReplica({
    writer: OURS,
    store: createMapRowStore(TABLES, { state: true }),
    limits: { ...LIMITS, retriesMax: 0 },
  });
  pull({ stands: true });
  step({ kind: "hurry", peer: "b" });
  expect(replica.pull?.retries).toBe(0);
  expect(timeOut()).toEqual([failed("no-answer")]);
});

test("with the first frame of a pull that stood more is due, and whoever has all is level though nothing was new", () => {
  pull({ stands: true });
  const effects = receive({ frames: 2, rows: [row(1n)] });
  expect(effects).toContainEqual({ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs });
  expect(replica.pull?.isStanding).toBe(false);
  expect(receive({ frames: 2, index: 1, rows: [row(2n)], end: {} }).map(({ kind }) => kind)).not.toContain("timer");

  pull({ pullId: NEXT, stands: true });
  expect(last(receive({ pullId: NEXT, answer: { ...ANSWER, number: 2 }, end: {} }))).toMatchObject({
    outcome: "complete",
    rows: 0,
    isLevel: true,
  });
});

test("a frame is applied, told of, and the next ones in the window are asked for; only with the last is the pull complete", () => {
  pull({});
  const first = receive({ frames: 5, index: 0, rows: [row(1n)] });
  expect(first).toEqual([
    { kind: "applied", table: 0, keys: BigUint64Array.of(1n), t: Float64Array.of(T + 1), origin: "peer" },
    { kind: "frame", pullId: PULL, bytes: expect.any(Number), frames: 5 },
    more([2]),
  ]);
  expect([replica.early.size, replica.knowledge.size]).toEqual([1, 0]);
  // The end may overtake others.
  expect(askedFrames(receive({ frames: 5, index: 4, rows: [row(5n)], end: {} }))).toEqual([[3]]);
  expect(askedFrames(receive({ frames: 5, index: 1, rows: [row(2n)] }))).toEqual([[4]]);
  expect(askedFrames(receive({ frames: 5, index: 3, rows: [row(4n)] }))).toEqual([]);
  const done = receive({ frames: 5, index: 2, rows: [row(3n)] });
  expect(done.slice(1)).toEqual([
    { kind: "frame", pullId: PULL, bytes: expect.any(Number), frames: 5 },
    { kind: "send", to: "b", message: "release", body: { pullId: PULL, answer: ANSWER } },
    { kind: "changed", version: { counter: 3, generator: THEIRS } },
    { kind: "pulled", peer: "b", pullId: PULL, outcome: "complete", rows: 5, isLevel: true },
  ]);
  expect([replica.early.size, replica.knowledge]).toEqual([0, new Map([[THEIRS, T + 9]])]);
  expect(replica.version).toEqual({ counter: 3, generator: THEIRS });
  expect(replica.stamper.greatestSeen).toBe(T + 9);
  expect(replica.pull).toBeUndefined();
});

test("a frame of another pull, peer, answer or count, or one that came, changes nothing and is told of", () => {
  expect(receive({ frames: 3 })).toEqual([stale("of another pull")]);
  pull({});
  receive({ frames: 3, rows: [row(1n)] });
  const held = replica.store.digest();
  expect(receive({ frames: 3, index: 1, pullId: NEXT, rows: [row(2n)] })).toEqual([stale("of another pull")]);
  const body = frameOf({ frames: 3, index: 1, rows: [row(2n)] });
  expect(step({ kind: "message", from: "c", message: "frame", body })).toEqual([stale("of another pull", "c")]);
  for (const answer of [
    { ...ANSWER, number: 2 },
    { ...ANSWER, responder: OTHERS },
  ]) {
    expect(receive({ frames: 3, index: 1, answer, rows: [row(2n)] })).toEqual([stale("of another answer")]);
  }
  expect(receive({ frames: 4, index: 1, rows: [row(2n)] })).toEqual([stale("of another count of frames")]);
  expect(receive({ frames: 3, index: 0, rows: [row(2n)] })).toEqual([stale("repeated")]);
  expect(step({ kind: "message", from: "b", message: "frame", body: [1] })).toEqual([
    { kind: "refused", reason: "undecodable", from: "b", detail: expect.stringContaining("it is not bytes") },
  ]);
  expect(replica.store.digest()).toBe(held);
  expect(replica.pull?.answer?.receivedCount).toBe(1);
});

test("whoever knows or holds more than the answer says has a version of its own, and is not level", () => {
  const grown = { kind: "changed", version: { counter: 3, generator: OURS } };
  write(9n);
  pull({});
  const effects = receive({ rows: [row(1n)], end: {} });
  expect(effects).toContainEqual(grown);
  expect(last(effects)).toMatchObject({ outcome: "complete", rows: 1, isLevel: false });
});

test.each([
  ["it has rows early, which we then lack", { early: true }],
  ["more is settled there", { horizon: { ...NO_HORIZON, expired: new Map([[0, 1]]) } }],
] as const)("the version of an answer is not ours where %s", (_, end) => {
  pull({});
  const effects = receive({ rows: [row(1n)], end });
  const isEqual = "horizon" in end;
  // A horizon that is taken on makes the same of both.
  expect(last(effects)).toMatchObject({ outcome: "complete", isLevel: isEqual });
  expect(replica.version.generator).toBe(isEqual ? THEIRS : OURS);
});

test("an answer with nothing new changes no version, and tells of none", () => {
  pull({});
  receive({ rows: [row(1n)], end: {} });
  pull({ pullId: NEXT });
  const effects = receive({ pullId: NEXT, answer: { ...ANSWER, number: 2 }, end: {} });
  expect(effects.slice(1)).toEqual([
    { kind: "send", to: "b", message: "release", body: { pullId: NEXT, answer: { ...ANSWER, number: 2 } } },
    { kind: "pulled", peer: "b", pullId: NEXT, outcome: "complete", rows: 0, isLevel: false },
  ]);
});

test("knowledge that grows without a row is a change", () => {
  pull({});
  expect(receive({ end: {} }).slice(2)).toEqual([
    { kind: "changed", version: { counter: 3, generator: THEIRS } },
    { kind: "pulled", peer: "b", pullId: PULL, outcome: "complete", rows: 0, isLevel: true },
  ]);
});

test("where nothing comes a pull is repeated a bounded number of times; whose frames come is left alone", () => {
  pull({});
  expect(step({ kind: "timer", name: `pull ${NEXT}` })).toEqual([]);
  for (let turn = 1; turn <= LIMITS.retriesMax; turn += 1) {
    const effects = timeOut();
    expect(effects[0]).toEqual({ kind: "stalled", pullId: PULL });
    expect(kinds(effects)).toEqual(["stalled", "pull", "timer"]);
  }
  expect(timeOut()).toEqual([failed("no-answer")]);
  expect(timeOut()).toEqual([]);
  expect(replica.unfinished.size).toBe(0);

  pull({});
  timeOut();
  receive({ frames: 9, rows: [row(1n)] });
  expect(timeOut()).toEqual([{ kind: "timer", name: `pull ${PULL}`, delayMs: LIMITS.retryMs }]);
  expect(replica.pull).toMatchObject({ progress: false, retries: 0 });
  expect(kinds(timeOut())).toEqual(["stalled", "more", "timer"]);
  expect(replica.pull?.retries).toBe(1);
});

test("frames that do not come are asked for again, a window of them at most, and fewer are then in flight", () => {
  replica = createReplica({
    writer: OURS,
    store: createMapRowStore(TABLES, { state: true }),
    limits: { ...LIMITS, windowFrames: 4 },
  });
  pull({});
  expect(askedFrames(receive({ frames: 20, index: 1, rows: [row(1n)] }))).toEqual([[4]]);
  expect(askedFrames(receive({ frames: 20, index: 4, rows: [row(2n)] }))).toEqual([[5]]);
  timeOut();
  const again = timeOut();
  expect(kinds(again)).toEqual(["stalled", "more", "timer"]);
  expect(askedFrames(again)).toEqual([[0, 2, 3, 5]]);
  expect(replica.pull).toMatchObject({ congested: true, window: 2 });
  timeOut();
  expect(replica.pull?.window).toBe(1);
  timeOut();
  expect(replica.pull?.window).toBe(1);
  // One more in flight with each that comes.
  expect(askedFrames(receive({ frames: 20, index: 0, rows: [row(3n)] }))).toEqual([]);
  expect(replica.pull?.window).toBe(2);
  for (const index of [2, 3, 5]) receive({ frames: 20, index, rows: [row(BigInt(index + 10))] });
  expect(replica.pull?.window).toBe(4);
});

test("frames that no window lets us ask for are waited for longer than those that we asked for", () => {
  pull({ burst: 30 });
  receive({ frames: 3, rows: [row(1n)] });
  timeOut();
  for (let turn = 1; turn <= LIMITS.waitsMax; turn += 1) expect(kinds(timeOut())).toEqual(["timer"]);
  expect(kinds(timeOut())).toEqual(["changed", "pulled"]);
  expect(replica.unfinished.has("b")).toBe(true);
});

test("a pull with a burst asks for what it is granted, a window at a time, never for less than before, and for no more than there is", () => {
  expect(step({ kind: "grant", upTo: 3 })).toEqual([]);
  pull({ burst: 30 });
  expect(step({ kind: "grant", upTo: 1 })).toEqual([]);
  expect(askedFrames(receive({ frames: 8, rows: [row(1n)] }))).toEqual([]);
  expect(askedFrames(step({ kind: "grant", upTo: 6 }))).toEqual([[1, 2], [3, 4], [5]]);
  expect(step({ kind: "grant", upTo: 2 })).toEqual([]);
  expect(replica.pull?.upTo).toBe(6);
  expect(askedFrames(receive({ frames: 8, index: 3, rows: [row(2n)] }))).toEqual([]);
  expect(askedFrames(step({ kind: "grant", upTo: 99 }))).toEqual([[6, 7]]);
});

test("a pull that is given up says so to its peer, and keeps nothing to go on with; what came stays and is told of", () => {
  expect(step({ kind: "give-up", peer: "b" })).toEqual([]);
  pull({});
  expect(step({ kind: "give-up", peer: "c" })).toEqual([]);
  // Nobody is told of a pull that has no answer yet.
  expect(step({ kind: "give-up", peer: "b" })).toEqual([failed("given-up")]);
  pull({});
  receive({ frames: 3, rows: [row(1n)] });
  expect(step({ kind: "give-up", peer: "b" })).toEqual([
    { kind: "send", to: "b", message: "release", body: { pullId: PULL, answer: ANSWER } },
    { kind: "changed", version: { counter: 2, generator: OURS } },
    failed("given-up"),
  ]);
  expect([replica.unfinished.size, replica.early.size]).toEqual([0, 1]);
  pull({ stands: true });
  expect(step({ kind: "give-up", peer: "b" })).toEqual([
    { kind: "send", to: "b", message: "release", body: { pullId: PULL } },
    failed("given-up"),
  ]);
});

test("a refusal of our pull by its peer ends it with its reason, any other changes nothing", () => {
  expect(refuse("full")).toEqual([stale("of another pull")]);
  for (const reason of ["declaration", "serving", "full", "gone"] as const) {
    pull({});
    expect(refuse(reason, { pullId: NEXT })).toEqual([stale("of another pull")]);
    expect(refuse(reason, { from: "c" })).toEqual([stale("of another pull", "c")]);
    expect(refuse(reason)).toEqual([failed(reason)]);
  }
  pull({});
  receive({ frames: 3, rows: [row(1n)] });
  // The peer said itself that the answer is closed.
  expect(refuse("gone")).toEqual([{ kind: "changed", version: replica.version }, failed("gone")]);
  pull({});
  receive({ frames: 3, rows: [row(1n)] });
  expect(kinds(refuse("full"))).toEqual(["release", "pulled"]);
});

test("a pull that ended for want of more is gone on with: the rest is asked for under its id, and all anew when that is there", () => {
  pull({});
  receive({ frames: 5, index: 1, rows: [row(1n)] });
  receive({ frames: 5, index: 2, rows: [row(2n)] });
  giveOut();
  // Of another peer nothing is known.
  expect(kinds(pull({ peer: "c", pullId: NEXT }))).toEqual(["pull", "timer"]);
  step({ kind: "give-up", peer: "c" });

  const [asked, timer] = pull({ pullId: NEXT });
  expect(asked).toEqual(more([0, 3]));
  expect(timer).toEqual({ kind: "timer", name: `pull ${NEXT}`, delayMs: LIMITS.retryMs });
  expect(replica.unfinished.size).toBe(0);
  expect(receive({ frames: 5, index: 2, rows: [row(2n)] })).toEqual([stale("repeated")]);
  const first = receive({ frames: 5, index: 3, rows: [row(3n)] });
  expect(first).toContainEqual({ kind: "frame", pullId: NEXT, bytes: expect.any(Number), frames: 3 });
  expect(askedFrames(first)).toEqual([[4]]);
  receive({ frames: 5, index: 0, rows: [row(4n)] });
  const rest = receive({ frames: 5, index: 4, rows: [row(5n)], end: {} });
  expect(rest.slice(2)).toEqual([
    { kind: "send", to: "b", message: "release", body: { pullId: PULL, answer: ANSWER } },
    { kind: "changed", version: { counter: 3, generator: THEIRS } },
    { kind: "send", to: "b", message: "pull", body: expect.objectContaining({ pullId: NEXT }) },
  ]);
  expect(replica.pull).toMatchObject({ pullId: NEXT, asksAs: NEXT, answer: undefined, staged: [] });
  expect(last(receive({ pullId: NEXT, answer: { ...ANSWER, number: 2 }, end: {} }))).toMatchObject({
    pullId: NEXT,
    outcome: "complete",
    rows: 3,
  });
});

test("what is missing of the rest is asked for again by its own number", () => {
  pull({});
  receive({ frames: 6, index: 0, rows: [row(1n)] });
  receive({ frames: 6, index: 2, rows: [row(2n)] });
  giveOut();
  pull({ pullId: NEXT });
  step({ kind: "timer", name: `pull ${NEXT}` });
  expect(askedFrames(step({ kind: "timer", name: `pull ${NEXT}` }))).toEqual([[1, 3]]);
  receive({ frames: 6, index: 3, rows: [row(3n)] });
  step({ kind: "timer", name: `pull ${NEXT}` });
  expect(askedFrames(step({ kind: "timer", name: `pull ${NEXT}` }))).toEqual([[1, 4]]);
});

test("with a burst only so much of the rest is asked for at once, and no more than is left", () => {
  pull({});
  receive({ frames: 5, rows: [row(1n)] });
  giveOut();
  expect(askedFrames(pull({ pullId: NEXT, burst: 30 }))).toEqual([[1]]);
  step({ kind: "give-up", peer: "b" });
  pull({});
  receive({ frames: 2, answer: { ...ANSWER, number: 2 }, rows: [row(1n)] });
  giveOut();
  const [asked] = pull({ pullId: NEXT });
  expect(asked?.kind === "send" && asked.message === "more" && asked.body.frames).toEqual([1]);
  expect(replica.pull?.answer?.asked).toBe(1);
});

test("where the answer to go on with is closed, all is asked for anew", () => {
  pull({});
  receive({ frames: 5, rows: [row(1n)] });
  giveOut();
  pull({ pullId: NEXT });
  // Of the id that it asks under.
  expect(refuse("gone", { pullId: NEXT })).toEqual([stale("of another pull")]);
  expect(kinds(refuse("gone"))).toEqual(["pull"]);
  expect(replica.pull).toMatchObject({ pullId: NEXT, asksAs: NEXT, answer: undefined });
  // Any other reason ends it.
  step({ kind: "give-up", peer: "b" });
  pull({});
  receive({ frames: 5, answer: { ...ANSWER, number: 2 }, rows: [row(2n)] });
  giveOut();
  pull({ pullId: NEXT });
  expect(last(refuse("full"))).toEqual({ ...failed("full"), pullId: NEXT });
});

/** A horizon that has settled all up to just before now, of writers that we never heard of. */
const SETTLED: Horizon = { ...NO_HORIZON, settled: T, graveyard: new Map([[THEIRS, T]]) };

test("who holds a row that came too late for the answer's horizon is behind, and asks that peer for a copy next", () => {
  merge({ key: 7n, t: T - 5, writer: OTHERS });
  pull({ peer: "c" });
  receive({ frames: 3, rows: [row(8n)] }, "c");
  giveOut("c");
  pull({ pullId: NEXT });
  const effects = receive({ pullId: NEXT, rows: [row(1n)], end: { horizon: SETTLED } });
  expect(kinds(effects)).toEqual(["applied", "frame", "release", "changed", "pulled"]);
  expect(last(effects)).toEqual({ ...failed("behind"), pullId: NEXT });
  // What it was given is early; answers from before are of no use to a copy.
  expect([replica.early.size, replica.knowledge.size, replica.unfinished.size]).toEqual([3, 0, 0]);
  expect([...replica.copyFrom]).toEqual(["b"]);
  expect(pull({})[0]).toMatchObject({ body: { wantsCopy: true, knowledge: [] } });
});

test("a copy is kept back until it is whole, and then takes the place of all that its sender knew", () => {
  merge({ key: 7n, t: T - 5, writer: OTHERS });
  write(9n);
  replica.copyFrom.add("b").add("c");
  pull({});
  const first = receive({ frames: 2, rows: [{ key: 1n, t: T - 9, writer: THEIRS }], replaces: true });
  expect(kinds(first)).toEqual(["frame"]);
  expect(versionOf(1n)).toBeUndefined();
  const knowledge = new Map([[OTHERS, T]]);
  const horizon: Horizon = { ...SETTLED, graveyard: new Map(), settled: T - 3 };
  const done = receive({ frames: 2, index: 1, rows: [row(2n)], replaces: true, end: { knowledge, horizon } });
  expect(kinds(done)).toEqual(["frame", "release", "dropped", "applied", "applied", "changed", "pulled"]);
  expect(done).toContainEqual({ kind: "dropped", table: 0, keys: BigUint64Array.of(7n) });
  // Of a copy, too, it is told who sent it.
  expect(done).toContainEqual(
    expect.objectContaining({ kind: "applied", keys: BigUint64Array.of(1n), origin: "peer" }),
  );
  expect(last(done)).toMatchObject({ outcome: "complete", rows: 2 });
  // What was stamped here lies beyond.
  expect([1n, 2n, 7n, 9n].map((key) => versionOf(key)?.writer)).toEqual([THEIRS, THEIRS, undefined, OURS]);
  expect(replica.horizon.settled).toBe(T - 3);
  expect([...replica.copyFrom]).toEqual([]);
});

test("a copy of what is not settled later than here is of no use", () => {
  pull({});
  const effects = receive({ rows: [row(1n)], replaces: true, end: {} });
  expect(kinds(effects)).toEqual(["frame", "release", "pulled"]);
  expect(last(effects)).toEqual(failed("behind"));
  expect([versionOf(1n), replica.copyFrom.size]).toEqual([undefined, 0]);
});

test("of copies that did not come whole one is kept, the last; of other answers that of each peer", () => {
  for (const [peer, replaces] of [
    ["c", true],
    ["d", false],
    ["b", true],
  ] as const) {
    pull({ peer });
    receive({ frames: 3, rows: [row(1n)], replaces }, peer);
    giveOut(peer);
  }
  expect([...replica.unfinished.keys()]).toEqual(["d", "b"]);
  expect(replica.unfinished.get("b")).toMatchObject({ asksAs: PULL, staged: [{ index: 0 }] });
  pull({ peer: "e" });
  receive({ frames: 3, rows: [row(2n)] }, "e");
  giveOut("e");
  expect([...replica.unfinished.keys()]).toEqual(["d", "b", "e"]);
  // Going on with a copy, what was kept back is not asked for again.
  expect(pull({ pullId: NEXT })[0]).toEqual(more([1, 2]));
  const end = { horizon: { ...NO_HORIZON, settled: T - 9 } };
  receive({ frames: 3, index: 1, rows: [row(4n)], replaces: true });
  receive({ frames: 3, index: 2, rows: [row(5n)], replaces: true, end });
  expect([1n, 4n, 5n].map((key) => versionOf(key) !== undefined)).toEqual([true, true, true]);
});

test("entries that say no more than what is settled are not taken over", () => {
  replica = createReplica({
    writer: OURS,
    store: createMapRowStore(TABLES, { state: true }),
    horizon: { ...NO_HORIZON, settled: T },
    limits: LIMITS,
  });
  pull({});
  const knowledge = new Map([
    [THEIRS, T],
    [OTHERS, T + 1],
  ]);
  receive({ end: { knowledge } });
  expect(replica.knowledge).toEqual(new Map([[OTHERS, T + 1]]));
});

test("the trainers' positions come with a whole answer", () => {
  pull({});
  receive({ end: { applied: new Map([["trainer", 4]]) } });
  expect(replica.applied).toEqual(new Map([["trainer", 4]]));
});

test("with the cursor in its list the peer is told which urgent rows are here; one without news asks for nothing", () => {
  pull({});
  receive({ frames: 9, rows: [row(1n)] });
  const urgent = receive({ index: 0, frames: 0, urgent: 3, rows: [row(50n)] });
  expect(kinds(urgent)).toEqual(["applied", "frame", "changed"]);
  expect(urgent).toContainEqual(expect.objectContaining({ kind: "frame", frames: 0 }));
  expect(askedFrames(receive({ frames: 9, index: 1, rows: [row(2n)] }))).toEqual([[3]]);
  expect(receive({ frames: 9, index: 2, rows: [row(3n)] }).find((effect) => effect.kind === "send")).toMatchObject({
    body: { urgent: { writer: THEIRS, number: 3 } },
  });
});

test("on a congested link urgent rows alone are asked for, and their hold ends when they do or when its time is up", () => {
  pull({});
  receive({ frames: 9, rows: [row(1n)] });
  timeOut();
  timeOut();
  expect(replica.pull?.congested).toBe(true);
  const held = receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  expect(held.slice(-2)).toEqual([
    { kind: "send", to: "b", message: "more", body: expect.objectContaining({ frames: [], answer: ANSWER }) },
    { kind: "timer", name: `hold ${PULL}`, delayMs: LIMITS.urgentHoldMs },
  ]);
  expect(replica.pull?.hold).toBe("on");
  // An ordinary frame that comes now brings no other.
  expect(askedFrames(receive({ frames: 9, index: 1, rows: [row(2n)] }))).toEqual([]);
  // None are left.
  expect(askedFrames(receive({ frames: 0, urgent: 2 })).length).toBeGreaterThan(0);
  expect(replica.pull?.hold).toBe("off");
  expect(kinds(receive({ frames: 0, urgent: 3, rows: [row(51n)] }))).not.toContain("timer");
  expect(step({ kind: "timer", name: `hold ${NEXT}` })).toEqual([]);
  step({ kind: "timer", name: `hold ${PULL}` });
  expect(replica.pull?.hold).toBe("over");
  expect(askedFrames(receive({ frames: 0, urgent: 4, rows: [row(52n)] }))).toEqual([]);
});

test("urgent rows that were to come alone and do not are waited for no longer than a pull is tried again", () => {
  pull({});
  receive({ frames: 9, rows: [row(1n)] });
  timeOut();
  timeOut();
  for (const index of [1, 2]) receive({ frames: 9, index, rows: [row(BigInt(index + 1))] });
  for (let index = 3; replica.pull !== undefined && replica.pull.answer?.asked === index; index += 1) {
    receive({ frames: 9, index, rows: [row(BigInt(index + 1))] });
  }
  receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  for (let index = 3; index < (replica.pull?.answer?.asked ?? 0); index += 1) {
    receive({ frames: 9, index, rows: [row(BigInt(index + 1))] });
  }
  expect(replica.pull?.hold).toBe("on");
  timeOut();
  const ended = timeOut();
  expect(kinds(ended)).toEqual(["stalled", "more", "timer"]);
  expect(replica.pull?.hold).toBe("over");
});

test("an answer that is no copy leaves what other peers are to be asked for, and forgets its own", () => {
  replica.copyFrom.add("b").add("c");
  pull({});
  receive({ end: {} });
  expect([...replica.copyFrom]).toEqual(["c"]);
});

test("whoever takes a copy follows its epoch; whoever goes on into one follows the epoch before", () => {
  const horizon = { ...NO_HORIZON, epoch: 1, settled: T };
  pull({});
  receive({ replaces: true, rows: [row(1n)], end: { horizon, knowledge: new Map() } });
  expect(replica).toMatchObject({ follows: 1, horizon: { epoch: 1 } });
  pull({});
  receive({
    answer: { ...ANSWER, number: 2 },
    end: { horizon: { ...horizon, epoch: 2, before: 0 }, knowledge: new Map() },
  });
  expect(replica).toMatchObject({ follows: 1, horizon: { epoch: 2 } });
});

test("a horizon that moves is a change, and so is a row that nobody's knowledge covers, which stays early", () => {
  pull({});
  receive({ rows: [row(1n)], end: {} });
  pull({});
  const moved = { ...NO_HORIZON, settled: T + 20, graveyard: new Map([[THEIRS, T + 9]]) };
  const version = { counter: 7, generator: THEIRS };
  const second = { ...ANSWER, number: 2 };
  expect(receive({ answer: second, end: { horizon: moved, knowledge: new Map(), version } }).slice(2)).toEqual([
    { kind: "changed", version },
    { kind: "pulled", peer: "b", pullId: PULL, outcome: "complete", rows: 0, isLevel: true },
  ]);
  pull({});
  const third = { answer: { ...ANSWER, number: 3 }, rows: [{ key: 2n, t: T + 30 }] };
  const effects = receive({ ...third, end: { horizon: moved, knowledge: new Map(), version } });
  expect(replica.early.size).toBe(1);
  expect(replica.version.generator).toBe(OURS);
  expect(last(effects)).toMatchObject({ outcome: "complete", rows: 1, isLevel: false });
});

test("of more frames that were granted and do not come a window is asked for again", () => {
  pull({ burst: 30 });
  receive({ frames: 9, rows: [row(1n)] });
  step({ kind: "grant", upTo: 9 });
  timeOut();
  expect(askedFrames(timeOut())).toEqual([[1, 2]]);
});

test("a copy drops the row that is the last its sender knows of a writer, and not the one after", () => {
  merge({ key: 7n, t: T, writer: OTHERS });
  merge({ key: 8n, t: T + 1, writer: OTHERS });
  replica.copyFrom.add("b");
  pull({});
  const end = { knowledge: new Map([[OTHERS, T]]), horizon: { ...NO_HORIZON, settled: T - 1 } };
  receive({ rows: [row(1n)], replaces: true, end });
  expect([7n, 8n].map((key) => versionOf(key) !== undefined)).toEqual([false, true]);
});

test("asked while a pull runs where it stands, it says so when the pull is over, however that ends", () => {
  const survey = { kind: "message", from: "p", message: "survey", body: { asker: OTHERS, round: 1 } } as const;
  pull({});
  expect(step(survey)).toEqual([]);
  const report = { kind: "send", to: "p", message: "report" };
  expect(last(receive({ end: {} }))).toMatchObject(report);
  pull({});
  expect(step(survey)).toEqual([]);
  expect(last(step({ kind: "give-up", peer: "b" }))).toMatchObject(report);
  expect(kinds(step({ kind: "give-up", peer: "b" }))).toEqual([]);
});

test("urgent rows are refused as any others, and without a new one nothing has changed", () => {
  pull({});
  receive({ frames: 9, rows: [row(1n)] });
  const far = { key: 50n, t: T + 2 * LIMITS.jumpMs * 1000 };
  expect(receive({ frames: 0, urgent: 1, rows: [far] })).toEqual([
    { kind: "refused", from: "b", reason: "time", detail: expect.any(String) },
  ]);
  expect(replica.cursors.size).toBe(0);
  receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  timeOut();
  const again = receive({ frames: 0, urgent: 1, rows: [row(50n)] });
  expect(kinds(again)).toEqual(["frame"]);
  // It is a sign of life all the same.
  expect(kinds(timeOut())).toEqual(["timer"]);
});

test("a pull that stood and is given urgent rows first is due from then on", () => {
  pull({ stands: true });
  expect(kinds(receive({ frames: 0, urgent: 1, rows: [row(50n)] }))).toEqual(["applied", "frame", "changed", "timer"]);
});

test("cursors are kept for 256 peers, those that were heard of last", () => {
  for (let peer = 0; peer <= 256; peer += 1) {
    pull({ peer: `p${peer}` });
    if (peer === 256) expect(replica.cursors.size).toBe(256);
    receive({ frames: 0, urgent: peer + 1 }, `p${peer}`);
    step({ kind: "give-up", peer: `p${peer}` });
    if (peer === 200) {
      pull({ peer: "p0" });
      receive({ frames: 0, urgent: 1000 }, "p0");
      step({ kind: "give-up", peer: "p0" });
    }
  }
  expect([...replica.cursors.keys()].slice(0, 2)).toEqual(["p2", "p3"]);
  expect([replica.cursors.size, replica.cursors.get("p0")?.number, replica.cursors.has("p1")]).toEqual([
    256,
    1000,
    false,
  ]);
});

function step(event: Parameters<typeof stepReplica>[1]): ReplicaEffect[] {
  return stepReplica(replica, event, NOW).filter((effect) => effect.kind !== "timer" || effect.name !== "orphans");
}

function pull(options: { peer?: string; pullId?: string; burst?: number; stands?: boolean }): ReplicaEffect[] {
  return step({ kind: "pull", peer: "b", pullId: PULL, ...options });
}

function timeOut(): ReplicaEffect[] {
  return step({ kind: "timer", name: `pull ${PULL}` });
}

/** Nothing comes any more, until our pull ends. */
function giveOut(peer = "b"): void {
  let effects: ReplicaEffect[] = [];
  for (let turn = 0; replica.pull !== undefined && turn < 20; turn += 1) effects = timeOut();
  expect(last(effects)).toEqual({ ...failed("no-answer"), peer });
}

function write(key: bigint): void {
  const writes = [{ table: 0, keys: BigUint64Array.of(key), mutate: () => undefined }];
  step({ kind: "write", writes });
}

function merge({ key, t, writer = THEIRS }: Row): void {
  const { store } = replica;
  const { slots, ...rest } = store.merge(
    batchOf([{ key, t, writer }], [store.writerIndex(writer)]),
    new Float64Array(),
  );
  expect(rest.ignored).toBe(0);
  for (const slot of slots) replica.early.add(slot);
}

function row(key: bigint): Row {
  return { key, t: T + (Number(key) % 10) };
}

function receive(sent: Sent, from = "b"): ReplicaEffect[] {
  return step({ kind: "message", from, message: "frame", body: frameOf(sent) });
}

function frameOf({
  pullId,
  index = 0,
  frames = 1,
  answer = ANSWER,
  rows = [],
  replaces = false,
  urgent,
  end,
}: Sent): Uint8Array {
  const writers = [...new Set(rows.map(({ writer = THEIRS }) => writer))];
  return encodeFrame({
    declaration: replica.declaration,
    pullId: pullId ?? replica.pull?.asksAs ?? PULL,
    answer,
    index,
    frames,
    ...(urgent !== undefined && { urgent }),
    hasState: true,
    replaces,
    tables: TABLES,
    writers,
    batches:
      rows.length === 0
        ? []
        : [
            batchOf(
              rows,
              rows.map(({ writer = THEIRS }) => writers.indexOf(writer)),
            ),
          ],
    end: end && {
      knowledge: new Map([[THEIRS, T + 9]]),
      horizon: NO_HORIZON,
      version: { counter: 3, generator: THEIRS },
      early: false,
      applied: new Map(),
      ...end,
    },
  });
}

function batchOf(rows: readonly Row[], writers: readonly number[]): RowBatch {
  return {
    table: 0,
    keys: BigUint64Array.from(rows, ({ key }) => key),
    t: Float64Array.from(rows, ({ t }) => t),
    writers: Uint16Array.from(writers),
    flags: new Uint8Array(rows.length),
    values: new Uint8Array(4 * rows.length),
    state: new Uint8Array(4 * rows.length),
  };
}

function refuse(reason: string, { pullId = PULL, from = "b" } = {}): ReplicaEffect[] {
  return step({ kind: "message", from, message: "refuse", body: { pullId, reason } });
}

function more(frames: readonly number[]): ReplicaEffect {
  return { kind: "send", to: "b", message: "more", body: { pullId: PULL, answer: ANSWER, frames } };
}

function failed(
  reason: "no-answer" | "given-up" | "behind" | "declaration" | "serving" | "full" | "gone",
): ReplicaEffect {
  return { kind: "pulled", peer: "b", pullId: PULL, outcome: "failed", reason };
}

function stale(why: string, from = "b"): ReplicaEffect {
  return { kind: "refused", reason: "stale", from, detail: `${STALE} ${why}` };
}

function kinds(effects: readonly ReplicaEffect[]): string[] {
  return effects.map((effect) => (effect.kind === "send" ? effect.message : effect.kind));
}

function askedFrames(effects: readonly ReplicaEffect[]): (readonly number[])[] {
  return effects.flatMap((effect) => (effect.kind === "send" && effect.message === "more" ? [effect.body.frames] : []));
}

function last(effects: readonly ReplicaEffect[]): ReplicaEffect | undefined {
  return effects.at(-1);
}

function versionOf(key: bigint): { readonly writer: WriterId } | undefined {
  return replica.store.versionOf(0, key);
}
