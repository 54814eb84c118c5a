/*
 * A primary that pulls from nobody: what members tell it of rows that it lacks, and how it begins a copy when it lacks what is settled.
 */
import { expect, test } from "vitest";
import { NO_HORIZON, type Horizon } from "../protocols/sync/horizon.ts";
import { type Replica, type ReplicaEffect, type ReplicaStart, stepReplica } from "../protocols/sync/replica.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { parseOrphans } from "../protocols/wire/orphans.ts";
import { buildReport } from "../protocols/wire/survey.ts";
import { NOW, PULL, replicaOf, T, writeRows } from "./replica-steps.ts";

const P = parseWriterId("0.p.n.x");
const M = parseWriterId("0.m.n.x");

function memberOf(options: Partial<ReplicaStart> = {}): Replica {
  return replicaOf({ writer: M, primary: { kind: "peer", peer: "p" }, ...options });
}

/** What of a member's rows is told to the primary when it asks and says that it knows this of the member. */
function toldOf(member: Replica, t: number, { from = "p", settled = 0 } = {}): unknown {
  const knowledge = t === 0 ? [] : [[M, t]];
  const body = { asker: P, round: 1, settled, knowledge };
  const effects = stepReplica(member, { kind: "message", from, message: "survey", body }, NOW);
  const told = effects.filter((effect) => effect.kind === "send" && effect.message === "orphans");
  expect(told.length).toBeLessThanOrEqual(1);
  return told.map((effect) => {
    expect(effect).toMatchObject({ to: "p", body: { declaration: member.declaration } });
    return effect.kind === "send" && parseOrphans(effect.body).orphans;
  })[0];
}

test("a row that the primary does not know at two surveys is told of, at the second", () => {
  const member = memberOf();
  writeRows(member, [1n, 2n, 3n]);
  // It knows the first of them.
  expect(toldOf(member, T)).toBeUndefined();
  expect(toldOf(member, T)).toEqual([
    { table: 0, key: 2n, t: T + 1, writer: M },
    { table: 0, key: 3n, t: T + 2, writer: M },
  ]);
  expect(toldOf(member, T + 1)).toEqual([{ table: 0, key: 3n, t: T + 2, writer: M }]);
  expect(toldOf(member, T + 2)).toBeUndefined();
  expect(toldOf(member, T + 1)).toBeUndefined();
});

test("a row that was written again meanwhile is another", () => {
  const member = memberOf();
  writeRows(member, [1n, 2n]);
  expect(toldOf(member, 0)).toBeUndefined();
  writeRows(member, [1n], { nowMs: NOW + 1 });
  expect(toldOf(member, 0)).toEqual([{ table: 0, key: 2n, t: T + 1, writer: M }]);
  expect(toldOf(member, 0)).toHaveLength(2);
});

test("nobody is told but the primary, of whom a member knows, and no more at once than a report may hold", () => {
  for (const [primary, from] of [
    [undefined, "p"],
    [{ kind: "self" }, "p"],
    [{ kind: "peer", peer: "q" }, "p"],
  ] as const) {
    const member = memberOf({ primary });
    writeRows(member, [1n]);
    toldOf(member, 0, { from });
    expect(toldOf(member, 0, { from })).toBeUndefined();
  }
  const member = memberOf();
  writeRows(
    member,
    Array.from({ length: member.limits.orphansMax + 5 }, (_, at) => BigInt(at)),
  );
  toldOf(member, 0);
  expect(toldOf(member, 0)).toHaveLength(member.limits.orphansMax);
});

test("a primary that lacks what is settled is told of nothing: it must take a copy", () => {
  const horizon: Horizon = { ...NO_HORIZON, settled: T, before: T - 5, graveyard: new Map([[M, T]]) };
  const member = memberOf({ horizon });
  writeRows(member, [1n], { nowMs: NOW + 1 });
  for (let turn = 0; turn < 2; turn += 1) expect(toldOf(member, 0)).toBeUndefined();
  expect(member.strays.size).toBe(0);
  // It stands where the horizon before this one stood, and knows what was settled since.
  for (let turn = 0; turn < 2; turn += 1) toldOf(member, T, { settled: T - 5 });
  expect(member.strays.size).toBe(1);
});

/** What a primary does that hears of a member with a horizon out of its reach. */
function hearOfLater(primary: Replica): ReplicaEffect[] {
  const horizon = { ...NO_HORIZON, settled: T, before: T - 5, graveyard: new Map([[M, T]]) };
  const said = { writer: M, horizon, knowledge: new Map(), upTo: T, strays: 0 };
  const body = buildReport({ asker: P, round: primary.survey?.round ?? 0 }, said);
  return stepReplica(primary, { kind: "message", from: "m", message: "report", body }, NOW);
}

function settle(primary: Replica, isAloof = true): ReplicaEffect[] {
  return stepReplica(primary, { kind: "settle", members: ["m"], isAloof, pullId: PULL }, NOW);
}

test("a primary that pulls from nobody begins a copy of a member that is ahead, at once, and where no pull runs", () => {
  const primary = replicaOf({ writer: P });
  settle(primary);
  expect(pullsIn(hearOfLater(primary))).toMatchObject([
    { to: "m", body: { pullId: PULL, wantsCopy: true, knowledge: [] } },
  ]);
  expect(primary.survey?.ahead.size).toBe(0);
  stepReplica(primary, { kind: "give-up", pullId: PULL }, NOW);
  expect(pullsIn(settle(primary))).toEqual([]);

  const busy = replicaOf({ writer: P });
  settle(busy);
  stepReplica(busy, { kind: "pull", peer: "c", pullId: PULL }, NOW);
  expect(pullsIn(hearOfLater(busy))).toEqual([]);
  expect([busy.survey?.ahead.size, busy.copyFrom.size]).toEqual([1, 0]);
  // Its turn comes when that is over.
  stepReplica(busy, { kind: "give-up", pullId: PULL }, NOW);
  expect(pullsIn(settle(busy))).toMatchObject([{ to: "m" }]);
});

test("a primary that pulls as others do hears of a later horizon by its pulls", () => {
  const primary = replicaOf({ writer: P });
  settle(primary, false);
  expect(pullsIn([...hearOfLater(primary), ...settle(primary, false)])).toEqual([]);
  expect(primary.copyFrom.size).toBe(0);
});

function pullsIn(effects: readonly ReplicaEffect[]): readonly ReplicaEffect[] {
  return effects.filter((effect) => effect.kind === "send" && effect.message === "pull");
}
