/*
 * How a primary settles, report by report.
 */
import { expect, test } from "vitest";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { stepReplica } from "../protocols/sync/replica.ts";
import { hold, known, L, LIMITS, M, P, Q, report, settle, settleTwice, start } from "./settling-steps.ts";
import { NOW, T } from "./replica-steps.ts";

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
  [
    "all know all: up to the last that any of them may still be given",
    { ours: { p: 5 }, theirs: { p: 5 }, upTo: 9 },
    { settled: 5, graveyard: { p: 5 } },
  ],
  ["a member knows less", { ours: { p: 5 }, theirs: { p: 3 }, upTo: 9 }, { settled: 3, graveyard: { p: 3 } }],
  [
    "the primary knows less",
    { ours: { p: 3, q: 5 }, theirs: { p: 3, q: 7 }, upTo: 9 },
    { settled: 5, graveyard: { p: 3, q: 5 } },
  ],
  [
    "a member may still stamp or be given what is earlier",
    { ours: { p: 5 }, theirs: { p: 5 }, upTo: 2 },
    { settled: 2, graveyard: { p: 2 } },
  ],
  [
    "a member knows less of one writer than the primary of another",
    { ours: { p: 5, q: 4 }, theirs: { p: 5, q: 1 }, upTo: 9 },
    { settled: 1, graveyard: { p: 1, q: 1 } },
  ],
  [
    "all know as much of a writer that is gone",
    { ours: { p: 5, q: 1 }, theirs: { p: 5, q: 1 }, upTo: 9 },
    { settled: 5, graveyard: { p: 5, q: 1 } },
  ],
] as const)("what is settled in two rounds where %s", (_, { ours, theirs, upTo }, { settled, graveyard }) => {
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
  expect(report(replica, { from: "stranger" })).toEqual([
    { kind: "refused", reason: "stale", from: "stranger", detail: "a report of who is no member" },
  ]);
  expect(replica.survey?.reports.size).toBe(0);
  report(replica, {});
  expect(report(replica, {})).toEqual(late);
  // Whoever is the primary again goes on counting.
  replica.survey = undefined;
  settle(replica);
  expect(replica.survey).toMatchObject({ round: 2 });
});

test("a report of a later epoch is not taken, and its member is asked for a copy", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settle(replica);
  expect(report(replica, { horizon: { ...NO_HORIZON, epoch: 2, settled: T } })).toEqual([
    { kind: "refused", reason: "epoch", from: "m", detail: "epoch 2 has begun" },
  ]);
  expect([...(replica.survey?.ahead.keys() ?? [])]).toEqual(["m"]);
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
  expect([...(replica.survey?.ahead.keys() ?? [])]).toEqual(["m"]);
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
