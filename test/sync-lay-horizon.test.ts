/*
 * What goes when a horizon is laid, and when it may not be; and how a primary moves the age of a table.
 */
import { expect, test } from "vitest";
import { SYNC_LIMITS, type SyncLimits } from "../protocols/limits.ts";
import { type Horizon, NO_HORIZON } from "../protocols/sync/horizon.ts";
import { holdsLate, layHorizon, refusedTimes } from "../protocols/sync/lay-horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type Replica, type ReplicaEffect, stepReplica } from "../protocols/sync/replica.ts";
import { type TableSpec, TOMBSTONE } from "../protocols/sync/row-store.ts";
import { mergeRow, NOW, pullBody, replicaOf, ROWS, T, writeRows } from "./replica-steps.ts";
import { A, B, horizonOf, LAST, NEXT } from "./horizons.ts";

const TWO_TABLES: readonly TableSpec[] = [ROWS, { ...ROWS, name: "others" }];
const LIMITS: SyncLimits = { ...SYNC_LIMITS, evictRowsMax: 2, evictShare: 1 / 4, evictSlack: 0.1 };
test("who holds a row that a later horizon calls late may not take it on as it is", () => {
  const replica = start();
  mergeRow(replica.store, { key: 1n, t: T + 5, writer: B });
  for (const [settled, graveyard, isHeld] of [
    [T + 4, [], false],
    [T + 5, [], true],
    [T + 5, [[B, T + 5]], false],
    [T + 9, [[B, T + 4]], true],
    [T + 9, [[A, T + 9]], true],
  ] as const) {
    expect(holdsLate(replica, horizonOf({ settled, graveyard: new Map(graveyard) }))).toBe(isHeld);
  }
  replica.horizon = horizonOf({ settled: T + 5 });
  expect(holdsLate(replica, horizonOf({ settled: T + 9 }))).toBe(false);
  // One that is no later asks for nothing.
  expect(holdsLate(replica, horizonOf({ settled: T + 5, before: 1 }))).toBe(false);
});

test("into another epoch no row may be held that is not in its graveyard, of whatever time, and none lacked that expired here alone", () => {
  const replica = start({ settled: T, expired: new Map([[1, T - 5]]) });
  mergeRow(replica.store, { key: 1n, t: T + 99, writer: B });
  const next = horizonOf({ epoch: 1, settled: T + 5, before: T, expired: new Map([[1, T - 5]]) });
  expect(holdsLate(replica, { ...next, graveyard: new Map([[B, T + 99]]) })).toBe(false);
  expect(holdsLate(replica, { ...next, graveyard: new Map([[B, T + 98]]) })).toBe(true);
  for (const [expired, isHeld] of [
    [[[1, T - 6]], true],
    [[], true],
    [[[1, T - 4]], false],
  ] as const) {
    const graveyard = new Map([[B, T + 99]]);
    expect(holdsLate(replica, { ...next, graveyard, expired: new Map(expired) })).toBe(isHeld);
  }
});

test("with a horizon of the same epoch deletions that are settled go, and entries; nothing else does", () => {
  const replica = start();
  mergeRow(replica.store, { key: 1n, t: T + 1, writer: B, flags: TOMBSTONE });
  mergeRow(replica.store, { key: 2n, t: T + 2, writer: B });
  mergeRow(replica.store, { key: 3n, t: T + 6, writer: B, flags: TOMBSTONE });
  replica.knowledge.set(B, T + 6).set(A, T + 4);
  const next = horizonOf({ settled: T + 5, graveyard: new Map([[B, T + 5]]) });
  expect(layHorizon(replica, next)).toEqual([{ kind: "dropped", table: 0, keys: BigUint64Array.of(1n) }]);
  expect(held(replica, 0)).toEqual([2n, 3n]);
  expect([...replica.knowledge]).toEqual([[B, T + 6]]);
  expect(replica.horizon).toEqual(next);
  // What is stamped from here on lies beyond.
  expect(replica.stamper.greatestSeen).toBe(T + 5);
  expect(layHorizon(replica, next)).toEqual([]);
  expect(layHorizon(replica, horizonOf({ settled: T + 4 }))).toEqual([]);
  expect(replica.follows).toBe(0);
});

test("rows of a table that expired go, of that table, and up to just before that time", () => {
  const replica = start();
  for (const [key, t, table] of [
    [1n, T + 1, 0],
    [2n, T + 2, 0],
    [3n, T + 3, 0],
    [4n, T + 1, 1],
  ] as const) {
    mergeRow(replica.store, { key, t, table, writer: B });
  }
  mergeRow(replica.store, { key: 5n, t: T + 1, writer: NEXT });
  expect(layHorizon(replica, horizonOf({ expired: new Map([[0, T + 3]]) }))).toEqual([
    { kind: "dropped", table: 0, keys: BigUint64Array.of(1n, 2n) },
  ]);
  // Of a later epoch's writers this horizon says nothing.
  expect([held(replica, 0), held(replica, 1)]).toEqual([[3n, 5n], [4n]]);
  // An age that moves nothing is no news.
  expect(layHorizon(replica, horizonOf({ expired: new Map([[0, T + 2]]) }))).toEqual([]);
});

test("with an epoch deletions of all before it go, of its own up to its settled time, and what expired of both", () => {
  const replica = start({ expired: new Map([[1, 1]]) });
  for (const [key, t, writer, flags] of [
    [1n, T + 99, A, TOMBSTONE],
    [2n, T + 99, A, 0],
    [3n, T + 5, NEXT, TOMBSTONE],
    [4n, T + 6, NEXT, TOMBSTONE],
    [5n, T + 2, NEXT, 0],
    [6n, T + 3, NEXT, 0],
    [7n, T + 1, LAST, 0],
  ] as const) {
    mergeRow(replica.store, { key, t, writer, flags });
  }
  const next = horizonOf({
    epoch: 1,
    settled: T + 5,
    graveyard: new Map([[A, T + 99]]),
    expired: new Map([[0, T + 3]]),
  });
  const [dropped, ...rest] = layHorizon(replica, next);
  expect(rest).toEqual([]);
  expect(dropped?.kind === "dropped" && dropped.keys.toSorted()).toEqual(BigUint64Array.of(1n, 3n, 5n));
  expect(held(replica, 0)).toEqual([2n, 4n, 6n, 7n]);
  expect(replica.follows).toBe(0);
  layHorizon(replica, { ...next, settled: T + 8, before: T + 5 });
  expect(replica.follows).toBe(1);
});

test("an epoch closes the answers of the one before", () => {
  const replica = start();
  mergeRow(replica.store, { key: 1n, t: T + 1, writer: B });
  ask(replica);
  expect(replica.answers.size).toBe(1);
  layHorizon(replica, horizonOf({ settled: T + 5, graveyard: new Map([[B, T + 5]]) }));
  expect(replica.answers.size).toBe(1);
  layHorizon(replica, horizonOf({ epoch: 1, settled: T + 9, before: T + 5 }));
  expect(replica.answers.size).toBe(0);
});

test("an answer on its way whose end was not sent tells of an age that came since, and that rows are missing", () => {
  const replica = start({}, { ...LIMITS, frameBytes: 30, windowFrames: 1 });
  writeRows(replica, [1n, 2n, 3n]);
  ask(replica);
  layHorizon(replica, horizonOf({ expired: new Map([[0, T + 1]]) }));
  const [answer] = replica.answers.values();
  expect(answer?.isEnded).toBe(false);
  expect(answer?.end).toMatchObject({ early: true, horizon: { settled: 0, expired: new Map([[0, T + 1]]) } });
  // One that has all of it was true when it was sent.
  const other = start();
  writeRows(other, [1n]);
  ask(other);
  const [ended] = other.answers.values();
  expect(ended?.isEnded).toBe(true);
  layHorizon(other, horizonOf({ expired: new Map([[0, T]]) }));
  expect(ended?.end).toMatchObject({ early: false, horizon: NO_HORIZON });
});

test("rows are refused up to what is known, and up to their age where the horizon speaks of their writer", () => {
  const replica = start({ epoch: 1, settled: 1, expired: new Map([[0, T + 3]]) });
  const writers = [A, NEXT, LAST].map((writer) => replica.store.writerIndex(writer));
  function refused(table: number, known: number): unknown {
    const times = refusedTimes(new Float64Array(replica.store.writers.length).fill(known), replica, table);
    return writers.map((writer) => times[writer]);
  }
  expect(refused(0, T)).toEqual([T + 2, T + 2, T]);
  expect(refused(0, T + 9)).toEqual([T + 9, T + 9, T + 9]);
  expect(refused(1, T)).toEqual([T, T, T]);
  // An age of the first microsecond refuses nothing that is stamped.
  replica.horizon = horizonOf({ expired: new Map([[0, 1]]) });
  expect(refused(0, 0)).toEqual([0, 0, 0]);
});

test("expiry moves a table's age where a row is as old, here at once, and tells of it", () => {
  const replica = start();
  mergeRow(replica.store, { key: 1n, t: T + 1, writer: B });
  mergeRow(replica.store, { key: 2n, t: T + 2, writer: B });
  mergeRow(replica.store, { key: 3n, t: T + 1, table: 1, writer: B });
  const before = replica.version;
  for (const event of [
    { table: 0, before: T + 1 },
    { table: 0, before: T },
  ]) {
    expect(stepReplica(replica, { kind: "expire", ...event }, NOW)).toEqual([]);
  }
  expect(replica.version).toBe(before);
  expect(stepReplica(replica, { kind: "expire", table: 0, before: T + 2 }, NOW)).toEqual([
    { kind: "dropped", table: 0, keys: BigUint64Array.of(1n) },
    { kind: "changed", version: { counter: before.counter + 1, generator: A } },
  ]);
  expect([held(replica, 0), held(replica, 1)]).toEqual([[2n], [3n]]);
  expect(replica.horizon.expired).toEqual(new Map([[0, T + 2]]));
});

test("a primary of an epoch that is over lets nothing expire or go", () => {
  const replica = start({ epoch: 1, settled: 1 });
  mergeRow(replica.store, { key: 1n, t: T + 1, writer: B });
  expect(stepReplica(replica, { kind: "expire", table: 0, before: T + 9 }, NOW)).toEqual([]);
  expect(stepReplica(replica, { kind: "evict", table: 0, rowsMax: 0 }, NOW)).toEqual([]);
  expect(held(replica, 0)).toEqual([1n]);
});

test("rows over a budget go, the oldest first, with a tenth more; at once so many, or so large a share", () => {
  function evicted(rows: number, rowsMax: number): number {
    const replica = start();
    for (let row = 0; row < rows; row += 1) mergeRow(replica.store, { key: BigInt(row), t: T + row, writer: B });
    const effects = stepReplica(replica, { kind: "evict", table: 0, rowsMax }, NOW);
    const left = held(replica, 0);
    expect(left.at(0)).toBe(BigInt(rows - left.length));
    expect(effects.length > 0).toBe(left.length < rows);
    return rows - left.length;
  }
  expect(evicted(10, 10)).toBe(0);
  expect(evicted(11, 10)).toBe(2);
  expect(evicted(21, 20)).toBe(3);
  // Two, or a quarter.
  expect(evicted(7, 1)).toBe(2);
  expect(evicted(12, 1)).toBe(3);
});

function start(horizon: Partial<Horizon> = {}, limits: SyncLimits = LIMITS): Replica {
  const store = createMapRowStore(TWO_TABLES, { state: true });
  return replicaOf({ writer: A, store, horizon: horizonOf(horizon), limits });
}

/** The keys that are held of a table, deleted ones too. */
function held({ store }: Replica, table: number): bigint[] {
  const keys: bigint[] = [];
  store.dropWhere(
    ({ key }) => {
      keys.push(key);
      return false;
    },
    { table },
  );
  return keys.toSorted((a, b) => Number(a - b));
}

function ask(replica: Replica): ReplicaEffect[] {
  return stepReplica(replica, { kind: "message", from: "c", message: "pull", body: pullBody(replica) }, NOW);
}
