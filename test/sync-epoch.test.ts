/*
 * How a replica goes on as the primary of an epoch.
 */
import { expect, test } from "vitest";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type Replica, type ReplicaEffect, type ReplicaStart, stepReplica } from "../protocols/sync/replica.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { mergeRow, NOW, PULL, replicaOf, T, TABLES } from "./replica-steps.ts";

const FIRST = parseWriterId("0.a.n.x");
const SECOND = parseWriterId("1.a.n.y");
const LOST = parseWriterId("0.b.n.x");

function start(options: Partial<ReplicaStart> = {}): Replica {
  return replicaOf({ writer: FIRST, ...options });
}

function lead(replica: Replica, epoch: number, writer = SECOND): ReplicaEffect[] {
  return stepReplica(replica, { kind: "lead", epoch, writer }, NOW);
}

test("a new epoch begins with what is known and held, later than all that was seen, and is saved before it is told", () => {
  const expired = new Map([[0, 5]]);
  const horizon = { ...NO_HORIZON, settled: T - 9, before: T - 20, graveyard: new Map([[LOST, T - 9]]), expired };
  const replica = start({ horizon, knowledge: new Map([[LOST, T - 3]]), greatestSeen: T + 7 });
  stepReplica(replica, { kind: "settle", members: ["m"], isAloof: true, pullId: PULL }, NOW);
  expect(replica.survey).toBeDefined();
  expect(lead(replica, 1)).toEqual([{ kind: "save" }, { kind: "changed", version: { counter: 2, generator: SECOND } }]);
  expect(replica.horizon).toEqual({
    epoch: 1,
    settled: T + 7,
    before: T - 9,
    graveyard: new Map([[LOST, T - 3]]),
    expired,
  });
  expect(replica).toMatchObject({ writer: SECOND, survey: undefined, follows: 0 });
  expect(replica.store.writers[replica.self]).toBe(SECOND);
  expect(replica.knowledge.size).toBe(0);
});

test("without anything seen an epoch begins just after what was settled, and at 1 at least", () => {
  const empty = start();
  lead(empty, 1);
  expect(empty.horizon).toMatchObject({ epoch: 1, settled: 1, before: 0 });
  const settled = start({ horizon: { ...NO_HORIZON, settled: T } });
  lead(settled, 1);
  expect(settled.horizon.settled).toBe(T + 1);
});

test("rows ahead of what is known are written anew, all of them, by the new writer", () => {
  const store = createMapRowStore(TABLES, { state: true });
  const keys = Array.from({ length: 300 }, (_, at) => BigInt(at));
  for (const [at, key] of keys.entries()) mergeRow(store, { key, t: T + at, writer: LOST });
  const replica = start({ store });
  expect(replica.early.size).toBe(300);
  const effects = lead(replica, 1);
  expect(effects[0]).toEqual({ kind: "save" });
  // More than a report of such rows may have.
  expect(effects.filter((effect) => effect.kind === "applied" && effect.origin === "orphan")).toHaveLength(300);
  expect(effects.at(-1)).toEqual({ kind: "changed", version: replica.version });
  expect(replica.early.size).toBe(0);
  expect(keys.every((key) => replica.store.versionOf(0, key)?.writer === SECOND)).toBe(true);
});

test("who leads on in the same epoch changes nothing but its rounds, and keeps the writer that it has", () => {
  const replica = start({ horizon: { ...NO_HORIZON, epoch: 1, settled: T }, writer: SECOND });
  stepReplica(replica, { kind: "settle", members: ["m"], isAloof: true, pullId: PULL }, NOW);
  const { horizon } = replica;
  expect(lead(replica, 1, parseWriterId("1.a.n.z"))).toEqual([]);
  expect(replica.horizon).toBe(horizon);
  expect(replica).toMatchObject({ writer: SECOND, survey: undefined });
  // One that held the epoch and not its writer takes it.
  const follower = start({ horizon: { ...NO_HORIZON, epoch: 1, settled: T } });
  expect(lead(follower, 1)).toEqual([]);
  expect(follower.writer).toBe(SECOND);
  expect(follower.store.writers[follower.self]).toBe(SECOND);
});

test("an epoch that is over is refused, and a writer of another epoch is a bug of the caller", () => {
  const replica = start({ horizon: { ...NO_HORIZON, epoch: 2, settled: T } });
  expect(lead(replica, 1)).toEqual([
    { kind: "refused", reason: "epoch", from: undefined, detail: "epoch 2 has begun" },
  ]);
  expect(replica.writer).toBe(FIRST);
  expect(() => lead(replica, 3)).toThrow(new RangeError("Cannot lead in epoch 3 as 1.a.n.y, who is of another"));
});
