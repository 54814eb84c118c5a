/*
 * How a primary settles, report by report, and what a member says of itself: the members' reports are made here.
 */
import { expect, test } from "vitest";
import { SYNC_LIMITS, type SyncLimits } from "../protocols/limits.ts";
import { type Horizon, NO_HORIZON } from "../protocols/sync/horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import {
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaStart,
  stepReplica,
} from "../protocols/sync/replica.ts";
import { type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { type Report } from "../protocols/sync/settling.ts";
import { parseWriterId, type WriterId } from "../protocols/sync/version.ts";
import { buildReport, parseReport } from "../protocols/wire/survey.ts";

const NOW = 1_760_000_000_000;
const T = NOW * 1000;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "adagrad" },
];
const LIMITS: SyncLimits = { ...SYNC_LIMITS, entriesKept: 0 };
const P = parseWriterId("0.p.n.x");
const M = parseWriterId("0.m.n.x");
const L = parseWriterId("0.l.n.x");
const Q = parseWriterId("0.q.n.x");
const PULL = "1".repeat(32);

type Times = Readonly<Record<string, number>>;

/** Times after T by writer. */
function known(times: Times): Map<WriterId, number> {
  return new Map(Object.entries(times).map(([writer, t]) => [parseWriterId(`0.${writer}.n.x`), T + t]));
}

function start(options: Partial<ReplicaStart> = {}): Replica {
  const store = createMapRowStore(TABLES, { state: true });
  return createReplica({ writer: P, store, limits: LIMITS, ...options });
}

function settle(replica: Replica, members: readonly string[] = ["m"], isAloof = false): ReplicaEffect[] {
  return stepReplica(replica, { kind: "settle", members, isAloof, pullId: PULL }, NOW);
}

interface Said {
  readonly from?: string;
  readonly writer?: WriterId;
  readonly round?: number;
  readonly asker?: WriterId;
  readonly knowledge?: ReadonlyMap<WriterId, number>;
  readonly upTo?: number;
  readonly strays?: number;
  readonly horizon?: Horizon;
}

function report(
  replica: Replica,
  { from = "m", writer = M, round, asker = P, knowledge = known({}), upTo = T + 9, strays = 0, horizon }: Said,
): ReplicaEffect[] {
  const body = buildReport(
    { asker, round: round ?? replica.survey?.round ?? 1 },
    { writer, horizon: horizon ?? replica.horizon, knowledge, upTo, strays },
  );
  return stepReplica(replica, { kind: "message", from, message: "report", body }, NOW);
}

/** Two rounds in which the member says the same. */
function settleTwice(replica: Replica, ...said: readonly Said[]): ReplicaEffect[] {
  const members = said.map(({ from = "m" }) => from);
  let effects: ReplicaEffect[] = [];
  for (let round = 0; round < 2; round += 1) {
    settle(replica, members);
    effects = said.flatMap((each) => report(replica, each));
  }
  return effects;
}

test("nobody is asked while there is little to settle; then every member, and again whoever has not answered", () => {
  const replica = start({ limits: { ...LIMITS, entriesKept: 1 }, knowledge: known({ p: 5 }) });
  expect(settle(replica)).toEqual([]);
  replica.knowledge.set(Q, T + 1);
  const body = { asker: P, round: 1 };
  expect(settle(replica, ["m", "l"])).toEqual([
    { kind: "send", to: "m", message: "survey", body },
    { kind: "send", to: "l", message: "survey", body },
  ]);
  report(replica, { knowledge: replica.knowledge });
  expect(settle(replica, ["m", "l"])).toEqual([{ kind: "send", to: "l", message: "survey", body }]);
  report(replica, { from: "l", writer: L, knowledge: replica.knowledge });
  expect(settle(replica, ["m", "l"]).map((effect) => effect.kind === "send" && effect.body)).toEqual([
    { asker: P, round: 2 },
    { asker: P, round: 2 },
  ]);
  replica.knowledge.clear();
  expect(settle(replica)).toEqual([]);
  expect(replica.survey).toBeUndefined();
});

test("a deleted row is cause enough", () => {
  const replica = start({ limits: { ...LIMITS, entriesKept: 9 } });
  const writes = [{ table: 0, keys: BigUint64Array.of(1n), mutate: () => "delete" as const }];
  stepReplica(replica, { kind: "write", writes }, NOW);
  expect(settle(replica).map(({ kind }) => kind)).toEqual(["send"]);
});

test.each([
  ["all know all: up to the last that any of them may still be given", { p: 5 }, { p: 5 }, 9, 5, { p: 5 }],
  ["a member knows less", { p: 5 }, { p: 3 }, 9, 3, { p: 3 }],
  ["the primary knows less", { p: 3, q: 5 }, { p: 3, q: 7 }, 9, 5, { p: 3, q: 5 }],
  ["a member may still stamp or be given what is earlier", { p: 5 }, { p: 5 }, 2, 2, { p: 2 }],
  [
    "a member knows less of one writer than the primary of another",
    { p: 5, q: 4 },
    { p: 5, q: 1 },
    9,
    1,
    { p: 1, q: 1 },
  ],
  ["all know as much of a writer that is gone", { p: 5, q: 1 }, { p: 5, q: 1 }, 9, 5, { p: 5, q: 1 }],
] as const)("what is settled in two rounds where %s", (_, ours, theirs, upTo, settled, graveyard) => {
  const replica = start({ knowledge: known(ours) });
  const effects = settleTwice(replica, { knowledge: known(theirs), upTo: T + upTo });
  expect(replica.horizon).toEqual({
    ...NO_HORIZON,
    settled: T + settled,
    before: 0,
    graveyard: known(graveyard),
  });
  expect(effects).toEqual([{ kind: "save" }, { kind: "changed", version: { counter: 2, generator: P } }]);
});

test("what a round after that settles follows it, and no entry says again what it said", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settleTwice(replica, { knowledge: known({ p: 5 }), upTo: T + 5 });
  expect([...replica.knowledge]).toEqual([]);
  for (const [writer, t] of known({ p: 8, q: 7 })) replica.knowledge.set(writer, t);
  replica.stamper.greatestSeen = T + 8;
  settleTwice(replica, { knowledge: known({ p: 8, q: 7 }), upTo: T + 9 });
  expect(replica.horizon).toEqual({
    ...NO_HORIZON,
    settled: T + 8,
    before: T + 5,
    graveyard: known({ p: 8, q: 7 }),
  });
});

test("nothing is settled of what a member knows nothing, nor below what is settled", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  for (const said of [{ knowledge: known({}) }, { knowledge: known({ p: 5 }), upTo: 0 }]) {
    for (let round = 0; round < 2; round += 1) {
      settle(replica);
      expect(report(replica, said)).toEqual([]);
      expect(replica.survey?.candidate).toBeUndefined();
    }
  }
  expect(replica.horizon).toEqual(NO_HORIZON);
});

test("one round settles nothing, and all members must have answered in each", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  const knowledge = known({ p: 5 });
  settle(replica, ["m", "l"]);
  expect(report(replica, { knowledge })).toEqual([]);
  expect(replica.survey).toMatchObject({ isOpen: true, candidate: undefined });
  expect(report(replica, { from: "l", writer: L, knowledge })).toEqual([]);
  expect(replica.survey).toMatchObject({ isOpen: false, round: 1 });
  expect(replica.survey?.candidate?.horizon.settled).toBe(T + 5);
  expect(replica.survey?.candidate?.writers).toEqual(new Set([P, M, L]));
  settle(replica, ["m", "l"]);
  report(replica, { knowledge });
  // The same again is not the other's.
  expect(report(replica, { knowledge })).toEqual([]);
  expect(replica.horizon.settled).toBe(0);
  expect(report(replica, { from: "l", writer: L, knowledge }).map(({ kind }) => kind)).toEqual(["save", "changed"]);
  expect(replica.horizon.settled).toBe(T + 5);
});

test("alone, a primary settles what it knows", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  expect(settle(replica, [])).toEqual([]);
  expect(settle(replica, []).map(({ kind }) => kind)).toEqual(["save", "changed"]);
  expect(replica.horizon.settled).toBe(T + 5);
});

test.each([
  ["a member may be given what is earlier than was said", { knowledge: { p: 5 }, upTo: 4 }, false],
  ["a member does not know what all knew", { knowledge: { p: 4 } }, false],
  ["a writer is heard of that did not answer", { knowledge: { p: 5, q: 1 } }, false],
  ["a member knows more of one that answered", { knowledge: { p: 5, m: 7 } }, true],
  ["a member knows more of one all of which is settled", { knowledge: { p: 6 } }, true],
  ["a member may be given what is just later", { knowledge: { p: 5 }, upTo: 5 }, true],
] as const)(
  "what was found in the first round is settled in the second unless it no longer holds: %s",
  (_, second, isSettled) => {
    const replica = start({ knowledge: known({ p: 5 }) });
    settle(replica);
    report(replica, { knowledge: known({ p: 5 }) });
    expect(replica.survey?.candidate?.horizon.settled).toBe(T + 5);
    settle(replica);
    const { knowledge, upTo = 9 } = { upTo: undefined, ...second };
    report(replica, { knowledge: known(knowledge), upTo: T + upTo });
    expect(replica.horizon.settled > 0).toBe(isSettled);
  },
);

test("of a writer that is gone no more may be heard than is settled, unless that is all there may be", () => {
  for (const [q, isSettled] of [
    [1, true],
    [2, false],
  ] as const) {
    const replica = start({ knowledge: known({ p: 5, q: 1 }) });
    settle(replica);
    report(replica, { knowledge: known({ p: 5, q: 1 }) });
    settle(replica);
    report(replica, { knowledge: known({ p: 5, q }) });
    expect(replica.horizon.settled > 0).toBe(isSettled);
  }
  // Of q all up to the settled time is settled.
  const replica = start({ knowledge: known({ q: 5 }) });
  settle(replica);
  report(replica, { knowledge: known({ q: 5 }) });
  settle(replica);
  report(replica, { knowledge: known({ q: 7 }) });
  expect(replica.horizon.settled).toBe(T + 5);
});

test("a report of another round or to another asker is late, one of a time that cannot be refused, and neither is filed", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  const late = [{ kind: "refused", reason: "stale", from: "m", detail: "a report of another round" }];
  expect(report(replica, {})).toEqual(late);
  settle(replica);
  expect(report(replica, { round: 2 })).toEqual(late);
  expect(report(replica, { asker: M })).toEqual(late);
  const far = T + LIMITS.jumpMs * 1000 + 1;
  for (const said of [
    { knowledge: new Map([[Q, far]]) },
    { horizon: { ...NO_HORIZON, settled: far } },
    { horizon: { ...NO_HORIZON, expired: new Map([[0, far]]) } },
  ]) {
    expect(report(replica, said)).toEqual([
      { kind: "refused", reason: "time", from: "m", detail: `a report of t ${far}` },
    ]);
  }
  expect(replica.survey?.reports.size).toBe(0);
  report(replica, {});
  expect(report(replica, {})).toEqual(late);
});

test("a report of a later epoch is not taken, and its member is asked for a copy", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settle(replica);
  expect(report(replica, { horizon: { ...NO_HORIZON, epoch: 2, settled: T } })).toEqual([
    { kind: "refused", reason: "epoch", from: "m", detail: "epoch 2 has begun" },
  ]);
  expect([...(replica.survey?.ahead ?? [])]).toEqual(["m"]);
  expect(replica.survey?.reports.size).toBe(0);
});

test("a later horizon that a member tells of is taken on where it is within reach, else its member is noted", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settle(replica);
  const theirs = { ...NO_HORIZON, settled: T + 3, graveyard: known({ p: 3 }) };
  expect(report(replica, { horizon: theirs, knowledge: known({ p: 5 }) })).toEqual([
    { kind: "save" },
    { kind: "changed", version: { counter: 2, generator: P } },
  ]);
  expect(replica.horizon).toEqual(theirs);
  expect(replica.survey?.ahead.size).toBe(0);
  // A round in which members stand elsewhere finds nothing.
  settle(replica, ["m", "l"]);
  const beyond = { ...NO_HORIZON, settled: T + 8, before: T + 4, graveyard: known({ p: 8 }) };
  expect(report(replica, { horizon: beyond, knowledge: known({ p: 9 }) })).toEqual([]);
  expect(replica.horizon).toEqual(theirs);
  expect([...(replica.survey?.ahead ?? [])]).toEqual(["m"]);
  report(replica, { from: "l", writer: L, knowledge: known({ p: 5 }) });
  expect(replica.survey).toMatchObject({ isOpen: false, candidate: undefined });
  // It came to us: it stands where we stand.
  settle(replica);
  report(replica, { knowledge: known({ p: 5 }) });
  expect(replica.survey?.ahead.size).toBe(0);
});

test("a horizon is not taken on while a row is held that came too late for it", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  hold(replica, { key: 1n, t: T + 2, writer: Q });
  settle(replica);
  const theirs = { ...NO_HORIZON, settled: T + 3, graveyard: known({ p: 3 }) };
  expect(report(replica, { horizon: theirs, knowledge: known({ p: 5 }) })).toEqual([]);
  expect(replica.horizon).toEqual(NO_HORIZON);
});

test("a member says at once where it stands: what it knows, and the time before anything that it may still be given", () => {
  const member = start({ writer: M, knowledge: known({ p: 5, q: 2 }), greatestSeen: T + 8 });
  expect(survey(member)).toEqual({
    asker: P,
    round: 3,
    writer: M,
    horizon: NO_HORIZON,
    knowledge: known({ p: 5, q: 2 }),
    upTo: T + 8,
    strays: 0,
  });
  // Rows that are early may have others of their writer before them.
  hold(member, { key: 1n, t: T + 7, writer: Q });
  hold(member, { key: 2n, t: T + 6, writer: Q });
  expect(survey(member)?.upTo).toBe(T + 5);
  const { knowledge } = start({ writer: M });
  expect(knowledge.size).toBe(0);
  expect(survey(start({ writer: M }))?.upTo).toBe(0);
});

test("to a primary that pulls from nobody a member tells of no more than both know, and counts what that lacks", () => {
  const store = createMapRowStore(TABLES, { state: true });
  for (const [key, t] of [
    [1n, T + 3],
    [2n, T + 4],
  ] as const) {
    merge(store, { key, t, writer: Q });
  }
  const member = start({ writer: M, store, knowledge: known({ p: 5, q: 4, l: 1 }), greatestSeen: T + 8 });
  const said = survey(member, {
    settled: 0,
    knowledge: [
      [P, T + 7],
      [Q, T + 2],
    ],
  });
  expect(said).toMatchObject({ knowledge: known({ p: 5, q: 2 }), upTo: T + 2, strays: 2 });
  expect(survey(member, { settled: 0, knowledge: [[Q, T + 4]] })).toMatchObject({ upTo: T + 8, strays: 0 });
  // What is settled there it knows of everybody.
  expect(survey(member, { settled: T + 3, knowledge: [[Q, T + 4]] })).toMatchObject({
    knowledge: known({ p: 3, q: 4, l: 1 }),
    strays: 0,
  });
});

test("what is settled here is no entry of what both know", () => {
  const horizon = { ...NO_HORIZON, settled: T + 4, graveyard: known({ p: 4 }) };
  const member = start({ writer: M, knowledge: known({ p: 9 }), horizon });
  expect(survey(member, { settled: T + 4, knowledge: [] })?.knowledge).toEqual(new Map());
  expect(survey(member, { settled: T + 4, knowledge: [[P, T + 5]] })?.knowledge).toEqual(known({ p: 5 }));
});

test("while a pull runs a member waits, one that stands it hurries; once it has answered it goes on with no answer of before", () => {
  const member = start({ writer: M });
  member.unfinished.set("b", {
    asksAs: PULL,
    answer: {
      id: { responder: Q, number: 1 },
      received: new Uint8Array(2),
      left: undefined,
      receivedCount: 0,
      asked: 0,
      end: undefined,
    },
    staged: [],
  });
  stepReplica(member, { kind: "pull", peer: "c", pullId: PULL, stands: true }, NOW);
  const body = { asker: P, round: 3 };
  const hurried = stepReplica(member, { kind: "message", from: "p", message: "survey", body }, NOW);
  expect(hurried.map((effect) => (effect.kind === "send" ? effect.message : effect.kind))).toEqual(["pull", "timer"]);
  expect(stepReplica(member, { kind: "message", from: "p", message: "survey", body }, NOW)).toEqual([]);
  expect(member.unfinished.size).toBe(1);
  const ended = stepReplica(member, { kind: "give-up", peer: "c" }, NOW);
  expect(ended.map((effect) => (effect.kind === "send" ? effect.message : effect.kind))).toEqual(["pulled", "report"]);
  expect([member.unfinished.size, member.asked]).toEqual([0, undefined]);
});

test("a primary whose own pull runs ends the round when that is over, and hurries one that stands", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settle(replica);
  stepReplica(replica, { kind: "pull", peer: "c", pullId: PULL, stands: true }, NOW);
  const effects = report(replica, { knowledge: known({ p: 5 }) });
  expect(effects.map((effect) => (effect.kind === "send" ? effect.message : effect.kind))).toEqual(["pull", "timer"]);
  expect(replica.survey?.isOpen).toBe(true);
  stepReplica(replica, { kind: "give-up", peer: "c" }, NOW);
  expect(replica.survey).toMatchObject({ isOpen: false });
  expect(replica.survey?.candidate?.horizon.settled).toBe(T + 5);
});

test("a round that still waits for reports hurries no pull", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settle(replica, ["m", "l"]);
  stepReplica(replica, { kind: "pull", peer: "c", pullId: PULL, stands: true }, NOW);
  expect(report(replica, { knowledge: known({ p: 5 }) })).toEqual([]);
  expect(replica.pull?.isStanding).toBe(true);
});

test("a primary that pulls from nobody says what it knows, asks until nobody has strays, and anew when members change", () => {
  const replica = start();
  const [asked] = settle(replica, ["m"], true);
  expect(asked).toMatchObject({ body: { asker: P, round: 1, settled: 0, knowledge: [] } });
  report(replica, { strays: 1 });
  expect(replica.survey?.isClean).toBe(false);
  expect(settle(replica, ["m"], true)).toHaveLength(1);
  report(replica, {});
  expect(replica.survey?.isClean).toBe(true);
  // All is told, and nothing is to be settled; what it was told it remembers.
  expect(settle(replica, ["m"], true)).toEqual([]);
  expect(replica.survey?.isClean).toBe(true);
  expect(settle(replica, ["m", "l"], true)).toHaveLength(2);
  for (const from of ["m", "l"]) report(replica, { from });
  expect(settle(replica, ["m", "l"], true)).toEqual([]);
  // With an entry there is something to settle.
  replica.knowledge.set(P, T + 5);
  expect(settle(replica, ["m", "l"], true)).toHaveLength(2);
});

test("a primary of an epoch that is over asks nobody, and settles nothing", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settle(replica);
  report(replica, { knowledge: known({ p: 5 }) });
  settle(replica);
  replica.horizon = { ...NO_HORIZON, epoch: 1, settled: T };
  expect(report(replica, { knowledge: known({ p: 5 }), horizon: replica.horizon })).toEqual([]);
  expect(replica.horizon.settled).toBe(T);
  expect(settle(replica)).toEqual([]);
});

interface Held {
  readonly key: bigint;
  readonly t: number;
  readonly writer: WriterId;
}

/** A row that is early. */
function hold({ store, early, stamper }: Replica, row: Held): void {
  for (const slot of merge(store, row)) early.add(slot);
  stamper.greatestSeen = Math.max(stamper.greatestSeen, row.t);
}

function merge(store: RowStore, { key, t, writer }: Held): Iterable<number> {
  const row = {
    table: 0,
    keys: BigUint64Array.of(key),
    t: Float64Array.of(t),
    writers: Uint16Array.of(store.writerIndex(writer)),
    flags: Uint8Array.of(0),
    values: new Uint8Array(4),
    state: new Uint8Array(4),
  };
  return store.merge(row, new Float64Array()).slots;
}

/** What a member reports to the primary. */
function survey(
  member: Replica,
  primary: object = {},
): (Report & { readonly asker: WriterId; readonly round: number }) | undefined {
  const body = { asker: P, round: 3, ...primary };
  const effects = stepReplica(member, { kind: "message", from: "p", message: "survey", body }, NOW);
  const said = effects.find((effect) => effect.kind === "send" && effect.message === "report");
  expect(said).toMatchObject({ to: "p" });
  return said?.kind === "send" ? parseReport(said.body) : undefined;
}
