/*
 * What a member says of itself, and when; and how a primary that pulls from nobody asks.
 */
import { expect, test } from "vitest";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { stepReplica } from "../protocols/sync/replica.ts";
import { hold, known, M, P, Q, report, settle, start, survey } from "./settling-steps.ts";
import { NOW, PULL, T, TABLES, mergeRow } from "./replica-steps.ts";

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
    mergeRow(store, { key, t, writer: Q });
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

test("while a pull runs a member waits, one that stands it hurries; what it keeps of an answer it tells of once, and gives up in the next round", () => {
  const member = start({ writer: M });
  member.unfinished.set("b", {
    asksAs: PULL,
    answer: {
      id: { responder: Q, number: 1 },
      received: new Uint8Array(2),
      left: undefined,
      receivedCount: 0,
      asked: 0,
      toldIn: undefined,
      end: undefined,
    },
    staged: [],
    stagedBytes: 0,
  });
  stepReplica(member, { kind: "pull", peer: "c", pullId: PULL, stands: true }, NOW);
  const body = { asker: P, round: 3 };
  const hurried = stepReplica(member, { kind: "message", from: "p", message: "survey", body }, NOW);
  expect(hurried.map((effect) => (effect.kind === "send" ? effect.message : effect.kind))).toEqual(["pull", "timer"]);
  expect(stepReplica(member, { kind: "message", from: "p", message: "survey", body }, NOW)).toEqual([]);
  expect(member.unfinished.size).toBe(1);
  const ended = stepReplica(member, { kind: "give-up", pullId: PULL }, NOW);
  expect(ended.map((effect) => (effect.kind === "send" ? effect.message : effect.kind))).toEqual([
    "release",
    "pulled",
    "report",
  ]);
  expect(member.unfinished.size).toBe(1);
  const next = { ...body, round: 4 };
  const [released] = stepReplica(member, { kind: "message", from: "p", message: "survey", body: next }, NOW);
  expect(released).toMatchObject({ to: "b", message: "release", body: { pullId: PULL, answer: { number: 1 } } });
  expect([member.unfinished.size, member.asked]).toEqual([0, undefined]);
});

test("a primary whose own pull runs ends the round when that is over, and hurries one that stands", () => {
  const replica = start({ knowledge: known({ p: 5 }) });
  settle(replica);
  stepReplica(replica, { kind: "pull", peer: "c", pullId: PULL, stands: true }, NOW);
  const effects = report(replica, { knowledge: known({ p: 5 }) });
  expect(effects.map((effect) => (effect.kind === "send" ? effect.message : effect.kind))).toEqual(["pull", "timer"]);
  expect(replica.survey?.isOpen).toBe(true);
  stepReplica(replica, { kind: "give-up", pullId: PULL }, NOW);
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
