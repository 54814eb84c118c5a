import { expect, test } from "vitest";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../protocols/sync/replica.ts";
import { type RowEdit, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";

const NOW = 1_760_000_000_000;
const TABLES: readonly TableSpec[] = [
  { name: "items", dim: 4, valueBytes: 16, stateBytes: 16, precision: "f32", optimizer: "adagrad" },
  { name: "names", dim: 10, valueBytes: 10, stateBytes: 0, precision: "bytes", optimizer: "" },
];

test("a pull brings a replica to equal content, knowledge and shard version, state included", () => {
  const net = createPair();
  write(net.b, { table: 0, keys: [1n, 2n, 0xffff_ffff_ffff_ffffn], value: 0.5 });
  write(net.b, { table: 1, keys: [7n], value: 65 });

  expect(run(net, "a", pullEvent(1))).toContainEqual(
    expect.objectContaining({ kind: "pulled", outcome: "complete", rows: 4 }),
  );
  expect(net.a.store.digest()).toBe(net.b.store.digest());
  expect(net.a.knowledge).toEqual(net.b.knowledge);
  expect(net.a.version).toEqual(net.b.version);
  expect(net.a.early.size).toBe(0);
  expect(statesOf(net.a)).toEqual(statesOf(net.b));
});

test("an answer of many frames is sent within the window and completes", () => {
  const net = createPair();
  const keys = Array.from({ length: 60_000 }, (_, index) => BigInt(index));
  write(net.b, { table: 0, keys, value: 0.25 });

  const effects = run(net, "a", pullEvent(2));
  expect(effects).toContainEqual(expect.objectContaining({ kind: "pulled", outcome: "complete", rows: 60_000 }));
  expect(effects.filter((effect) => effect.kind === "send" && effect.message === "more").length).toBeGreaterThan(2);
  expect(net.a.store.digest()).toBe(net.b.store.digest());
  expect(net.b.answers.size).toBe(0);
});

test("a serving replica pulls values without state, and cannot be pulled from by a full one", () => {
  const net = createPair({ aHasState: false });
  write(net.b, { table: 0, keys: [1n], value: 0.5 });

  expect(run(net, "a", pullEvent(3))).toContainEqual(expect.objectContaining({ kind: "pulled", outcome: "complete" }));
  expect(net.a.store.digest()).toBe(net.b.store.digest());
  expect(run(net, "b", { kind: "pull", peer: "a", pullId: hexId(4) })).toContainEqual(
    expect.objectContaining({ kind: "pulled", outcome: "failed", reason: "serving" }),
  );
});

test("a batch that was applied before is left out whole", () => {
  const { b } = createPair();
  const batch = { trainer: "trainer-1", id: 5 };
  const writes = [{ table: 0, keys: BigUint64Array.of(1n), mutate: () => undefined }];
  expect(stepReplica(b, { kind: "write", writes, batch }, NOW)).toContainEqual({
    kind: "written",
    rows: 1,
    refused: 0,
    urgent: 0,
    duplicate: false,
  });
  const digest = b.store.digest();
  expect(stepReplica(b, { kind: "write", writes, batch }, NOW)).toEqual([
    { kind: "written", rows: 0, refused: 0, urgent: 0, duplicate: true },
  ]);
  expect(b.store.digest()).toBe(digest);
});

type Name = "a" | "b";

function createPair(options: { aHasState: boolean } = { aHasState: true }): Record<Name, Replica> {
  return {
    a: createReplica({
      writer: parseWriterId("0.fra.n1.a1"),
      store: createMapRowStore(TABLES, { state: options.aHasState }),
    }),
    b: createReplica({ writer: parseWriterId("0.iad.n1.b1"), store: createMapRowStore(TABLES, { state: true }) }),
  };
}

function hexId(id: number): string {
  return id.toString(16).padStart(32, "0");
}

function pullEvent(id: number): { kind: "pull"; peer: string; pullId: string } {
  return { kind: "pull", peer: "b", pullId: hexId(id) };
}

function write(
  replica: Replica,
  { table, keys, value }: { table: number; keys: readonly bigint[]; value: number },
): void {
  function mutate({ floats, state, bytes }: RowEdit): void {
    if (floats.length === 0) bytes.fill(value);
    floats.fill(value);
    state.fill(value * 2);
  }
  stepReplica(replica, { kind: "write", writes: [{ table, keys: BigUint64Array.from(keys), mutate }] }, NOW);
}

/** Delivers everything at once and in order, until nothing is under way. */
function run(net: Record<Name, Replica>, at: Name, event: Parameters<typeof stepReplica>[1]): ReplicaEffect[] {
  const effects = stepReplica(net[at], event, NOW);
  const other = at === "a" ? "b" : "a";
  return effects.flatMap((effect) => {
    if (effect.kind !== "send") return [effect];
    return [effect, ...run(net, other, { kind: "message", from: at, message: effect.message, body: effect.body })];
  });
}

function statesOf({ store }: Replica): string[] {
  const list = store.collect(new Float64Array());
  const batches = store.pack(list, { from: 0, to: list.slots.length });
  store.release(list);
  return batches.map(({ state }) => Buffer.from(state ?? []).toString("hex"));
}
