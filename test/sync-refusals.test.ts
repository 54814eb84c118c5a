import { beforeEach, expect, test } from "vitest";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { encodeImage, loadImage } from "../protocols/sync/image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { type Replica, type ReplicaEffect, stepReplica } from "../protocols/sync/replica.ts";
import { type RowBatch } from "../protocols/sync/row-store.ts";
import { parseWriterId, type WriterId } from "../protocols/sync/version.ts";
import { type AnswerEnd } from "../protocols/wire/frame.ts";
import { encodeFrame, type FrameInput } from "../protocols/wire/frame-codec.ts";
import { columnsOf, NOW, PULL, pullBody, replicaOf, T, TABLES } from "./replica-steps.ts";

const OURS = parseWriterId("0.a.n.x");
const THEIRS = parseWriterId("0.b.n.x");

let replica: Replica;

beforeEach(() => {
  replica = replicaOf({ writer: OURS });
  stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW);
});

test("the frame that all the bad ones are made from is taken", () => {
  expect(receive({})).toContainEqual(expect.objectContaining({ kind: "pulled", outcome: "complete", rows: 1 }));
  expect(replica.knowledge).toEqual(new Map([[THEIRS, T]]));
});

test("bytes that are no frame, and a body that is no bytes", () => {
  expect(message(new Uint8Array(40))).toMatchObject([{ kind: "refused", reason: "undecodable" }]);
  expect(message({ not: "bytes" })).toMatchObject([{ kind: "refused", reason: "undecodable" }]);
  expect(message(new Uint8Array(SYNC_LIMITS.frameBytesMax + 1))).toMatchObject([
    { kind: "refused", reason: "undecodable" },
  ]);
  expectUntouched();
});

test("another declaration, another shape of rows, missing state", () => {
  expectRefused("declaration", { declaration: "0000000000000000" });
  expectRefused("declaration", {
    tables: [{ name: "rows", dim: 2, valueBytes: 8, stateBytes: 4, precision: "f32", optimizer: "" }],
    batches: [batch({ values: new Uint8Array(8) })],
  });
  expectRefused("declaration", { tables: [...TABLES, ...TABLES], batches: [{ ...batch({}), table: 1 }] });
  expectRefused("state", { hasState: false });
});

test("values or state that are not finite", () => {
  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    expectRefused("not-finite", { batches: [batch({ values: new Uint8Array(Float32Array.of(bad).buffer) })] });
    expectRefused("not-finite", { batches: [batch({ state: new Uint8Array(Float32Array.of(bad).buffer) })] });
  }
});

test("times that would drag our clock along, in rows and in knowledge", () => {
  const far = T + SYNC_LIMITS.jumpMs * 1000 + 1;
  expectRefused("time", { batches: [batch({ t: far })] });
  expectRefused("time", { end: end(new Map([[THEIRS, far]])) });
  expect(replica.stamper.greatestSeen).toBe(0);
});

test("how far ahead is too far is each replica's own limit", () => {
  const limits = { ...SYNC_LIMITS, jumpMs: 1_000 };
  const far = T + limits.jumpMs * 1000 + 1;
  const ahead = { batches: [batch({ t: far })], end: end(new Map([[THEIRS, far]])) };
  expect(receive(ahead)).toContainEqual(expect.objectContaining({ kind: "pulled", outcome: "complete" }));
  replica = replicaOf({ writer: OURS, limits });
  stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW);
  expectRefused("time", ahead);
});

test("versions in our name that we never wrote, in rows and in knowledge", () => {
  expectRefused("minted", { writers: [OURS] });
  expectRefused("minted", { end: end(new Map([[OURS, 1]])) });
});

test("more writers than there is room for", () => {
  const many = Array.from({ length: SYNC_LIMITS.writersMax }, (_, index) => parseWriterId(`0.b.n.w${index}`));
  expectRefused("full", {
    end: end(new Map([...many, THEIRS].slice(0, SYNC_LIMITS.writersMax).map((writer) => [writer, T]))),
    batches: [manyWriters(SYNC_LIMITS.writersMax)],
    writers: many,
  });
});

test("positions of more trainers than an image may have, together with those that are held", () => {
  function positions(from: number, to: number): Partial<FrameInput> {
    const applied = Array.from({ length: to - from }, (_, index) => [`t${from + index}`, 1] as const);
    return { end: end(new Map([[THEIRS, T]]), new Map(applied)) };
  }
  const max = SYNC_LIMITS.trainersMax;
  receive(positions(0, max - 1));
  expect(replica.applied.size).toBe(max - 1);
  for (const [from, to] of [
    [max - 1, max + 1],
    [1, max + 1],
  ] as const) {
    stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW);
    expect(receive(positions(from, to))).toMatchObject([{ kind: "refused", reason: "full", from: "b" }]);
    stepReplica(replica, { kind: "give-up", pullId: PULL }, NOW);
  }
  stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW);
  receive(positions(1, max));
  expect(loadImage(encodeImage(replica), createMapRowStore(TABLES, { state: true })).applied.size).toBe(max);
});

test("positions that the answer's take the place of count for nothing: later ones, and a copy's", () => {
  const max = SYNC_LIMITS.trainersMax;
  const madeUp = new Map(Array.from({ length: max }, (_, index) => [`t${index}`, 1] as const));
  const honest = new Map([["clicks", 2]]);
  for (const [changes, expected] of [
    [{ end: end(new Map([[THEIRS, T + 1]]), honest) }, honest],
    [{ replaces: true, end: { ...end(new Map(), honest), horizon: { ...NO_HORIZON, settled: T } } }, honest],
    [{ end: end(new Map([[THEIRS, T - 1]]), honest), batches: [batch({ t: T - 1 })] }, madeUp],
  ] as const) {
    replica = replicaOf({ writer: OURS });
    for (const given of [{ end: end(new Map([[THEIRS, T]]), madeUp) }, changes]) {
      stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW);
      expect(receive(given)).toContainEqual(expect.objectContaining({ kind: "pulled", outcome: "complete" }));
    }
    expect(replica.applied).toEqual(expected);
  }
});

test("frames of another pull or peer are late, not bad, and change nothing", () => {
  expectRefused("stale", { pullId: "00000000000000000000000000000002" });
  expect(
    stepReplica(replica, { kind: "message", from: "c", message: "frame", body: encodeFrame(frame({})) }, NOW),
  ).toMatchObject([{ kind: "refused", reason: "stale" }]);
  expectUntouched();
});

test("a pull that nobody answers fails after its tries, and another may start", () => {
  const effects: ReplicaEffect[] = [];
  for (let tick = 0; tick <= SYNC_LIMITS.retriesMax; tick += 1) {
    effects.push(...stepReplica(replica, { kind: "timer", name: `pull ${PULL}` }, NOW));
  }
  // After one, two and four time-outs.
  expect(effects.filter((effect) => effect.kind === "send" && effect.message === "pull").length).toBe(3);
  expect(effects.at(-1)).toMatchObject({ kind: "pulled", outcome: "failed", reason: "no-answer" });
  expect(stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW)).toMatchObject([
    { kind: "send" },
    { kind: "timer" },
  ]);
  expect(stepReplica(replica, { kind: "pull", peer: "c", pullId: PULL }, NOW)).toMatchObject([
    { kind: "pulled", outcome: "failed", reason: "busy" },
  ]);
});

test("answers are bounded: the least recently used is closed, its asker told, and none outlives two idle sweeps", () => {
  function idOf(id: number): string {
    return id.toString(16).padStart(32, "0");
  }
  function ask(id: number): void {
    const body = pullBody(replica, { pullId: idOf(id) });
    stepReplica(replica, { kind: "message", from: "b", message: "pull", body }, NOW);
  }
  for (let id = 1; id <= SYNC_LIMITS.answersMax + 1; id += 1) ask(id);
  expect(replica.answers.size).toBe(SYNC_LIMITS.answersMax);
  const more = { pullId: idOf(1), answer: { responder: OURS, number: 1 }, frames: [0] };
  expect(stepReplica(replica, { kind: "message", from: "b", message: "more", body: more }, NOW)).toMatchObject([
    { kind: "send", message: "refuse", body: { reason: "gone" } },
  ]);
  stepReplica(replica, { kind: "timer", name: "answers" }, NOW);
  expect(replica.answers.size).toBe(SYNC_LIMITS.answersMax);
  expect(stepReplica(replica, { kind: "timer", name: "answers" }, NOW)).toEqual([]);
  expect(replica.answers.size).toBe(0);
});

test("a clock that leaves no time to stamp stops writes, and says so", () => {
  const writes = [{ table: 0, keys: BigUint64Array.of(1n), mutate: () => undefined }];
  expect(stepReplica(replica, { kind: "write", writes }, 2 ** 53)).toMatchObject([{ kind: "refused", reason: "time" }]);
  expectUntouched();
});

function expectRefused(reason: string, changes: Partial<FrameInput>): void {
  expect(receive(changes)).toMatchObject([{ kind: "refused", reason, from: "b" }]);
  expectUntouched();
}

function expectUntouched(): void {
  expect([replica.store.rows(0), replica.knowledge.size, replica.early.size]).toEqual([0, 0, 0]);
}

function receive(changes: Partial<FrameInput>): ReplicaEffect[] {
  return message(encodeFrame(frame(changes)));
}

function message(body: unknown): ReplicaEffect[] {
  return stepReplica(replica, { kind: "message", from: "b", message: "frame", body }, NOW);
}

function frame(changes: Partial<FrameInput>): FrameInput {
  return {
    declaration: replica.declaration,
    pullId: PULL,
    answer: { responder: THEIRS, number: 1 },
    index: 0,
    frames: 1,
    hasState: true,
    replaces: false,
    tables: TABLES,
    writers: [THEIRS],
    batches: [batch({})],
    end: end(new Map([[THEIRS, T]])),
    ...changes,
  };
}

function end(knowledge: ReadonlyMap<WriterId, number>, applied: ReadonlyMap<string, number> = new Map()): AnswerEnd {
  return {
    knowledge,
    horizon: NO_HORIZON,
    version: { counter: 1, generator: THEIRS },
    early: false,
    applied,
  };
}

function batch({
  t = T,
  values = new Uint8Array(4),
  state = new Uint8Array(4),
}: {
  t?: number;
  values?: Uint8Array;
  state?: Uint8Array;
}): RowBatch {
  return { ...columnsOf([{ key: 1n, t }], [0]), values, state };
}

function manyWriters(rows: number): RowBatch {
  const numbers = Array.from({ length: rows }, (_, index) => index);
  return columnsOf(
    numbers.map((index) => ({ key: BigInt(index), t: T })),
    numbers,
  );
}
