/* The update cache by example: its floor is where it must be (X1), it is bounded (S20), and a pull costs what changed and not what there is. */
import { expect, test } from "vitest";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { type Knowledge, knowledgeToJson } from "../protocols/sync/knowledge.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../protocols/sync/replica.ts";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { SlotSet } from "../protocols/sync/slot-set.ts";
import { boundCache, cachedCount, createUpdateCache, fileRows, lackingSlots } from "../protocols/sync/update-cache.ts";
import { checkFloor } from "./world/directed-cache.ts";

const NOW = 1_760_000_000_000;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "test" },
];

test("a pull of 1,000 changed rows visits as many of a small shard as of a large one", () => {
  const visited = [2_000, 40_000].map((rows) => {
    const replica = startReplica();
    write(replica, { from: 0, rows, nowMs: NOW });
    const known = new Map(replica.knowledge);
    pass(replica, { fromMs: NOW, ms: 100_000 });
    write(replica, { from: 500, rows: 1_000, nowMs: NOW + 100_000 });
    expect(pull(replica, known, NOW + 100_000)).toBe(1_000);
    expect([replica.cache.counts.hits, replica.cache.counts.scans]).toEqual([1, 0]);
    return replica.cache.counts.visited;
  });
  expect(visited).toEqual([1_000, 1_000]);
});

test("who knows all that we know is answered without a visit", () => {
  const replica = startReplica();
  write(replica, { from: 0, rows: 500, nowMs: NOW });
  expect(pull(replica, replica.knowledge, NOW)).toBe(0);
  expect(replica.cache.counts).toMatchObject({ hits: 1, visited: 0 });
});

test("a row's age counts from when it was known: after a lag longer than the age, pulls are still answered from the cache", () => {
  const replica = startReplica();
  const writer = replica.store.writerIndex(parseWriterId("0.b.n.x"));
  const before = new Map(replica.knowledge);
  replica.store.merge(
    {
      table: 0,
      keys: BigUint64Array.of(1n),
      t: Float64Array.of(NOW * 1000),
      writers: Uint16Array.of(writer),
      flags: Uint8Array.of(0),
      values: new Uint8Array(4),
      state: new Uint8Array(0),
    },
    new Float64Array(),
  );
  // A start finds the row ahead of knowledge.
  const late = createReplica({ writer: parseWriterId("0.a.n.z"), store: replica.store });
  pass(late, { fromMs: NOW, ms: 600_000 });
  expect([late.early.size, pull(late, before, NOW + 600_000)]).toEqual([1, 1]);
  expect(late.cache.counts).toMatchObject({ hits: 1, scans: 0 });
  expect(checkFloor(late)).toBeUndefined();
});

test("a row that was early while entries that mean nothing were taken out is given once afterwards", () => {
  const store = createMapRowStore(TABLES, { state: false });
  const writer = store.writerIndex(parseWriterId("0.b.n.x"));
  const cache = createUpdateCache(Float64Array.of(0), { ...SYNC_LIMITS, cacheRowsMax: 1 });
  const early = new SlotSet();
  // The one row comes, and is covered; and again. Each time it enters the open slice once more.
  for (let t = 1; t <= 6; t += 1) {
    const row = {
      table: 0,
      keys: BigUint64Array.of(1n),
      t: Float64Array.of(t),
      writers: Uint16Array.of(writer),
      flags: Uint8Array.of(0),
      values: new Uint8Array(4),
      state: undefined,
    };
    const merged = store.merge(row, new Float64Array());
    fileRows(cache, merged, { known: Float64Array.of(t - 1), early });
    boundCache(cache, { store, early }, Float64Array.of(t - 1));
    fileRows(cache, { ...merged, before: merged }, { known: Float64Array.of(t), early });
  }
  expect(cache.open.end).toBeLessThan(6);
  const known = { known: Float64Array.of(0), ours: Float64Array.of(6) };
  expect(lackingSlots(cache, known)).toEqual(Float64Array.of(store.slotOf(0, 1n) ?? -1));
});

test("a clock that jumps by hours, back and forth, makes no row leave before its turns have passed", () => {
  const replica = startReplica();
  const before = new Map(replica.knowledge);
  write(replica, { from: 0, rows: 10, nowMs: NOW });
  for (const hours of [3, -5, 8]) stepReplica(replica, { kind: "timer", name: "none" }, NOW + hours * 3_600_000);
  expect(pull(replica, before, NOW)).toBe(10);
  expect(replica.cache.counts).toMatchObject({ hits: 1, scans: 0 });
  pass(replica, { fromMs: NOW, ms: 3 * SYNC_LIMITS.cacheAgeMs });
  expect(cachedCount(replica.cache)).toBe(0);
});

test("the age grows when pulls come too late, shrinks when they do not, and stays within its bounds", () => {
  const replica = startReplica();
  write(replica, { from: 0, rows: 10, nowMs: NOW });
  const old = new Map([[replica.writer, 1]]);
  pass(replica, { fromMs: NOW, ms: 200_000 });
  const ages = [replica.cache.ageMs];
  for (let round = 0; round < 30; round += 1) pull(replica, old, NOW + 200_000);
  ages.push(replica.cache.ageMs);
  for (let round = 0; round < 10_000; round += 1) pull(replica, replica.knowledge, NOW + 200_000);
  ages.push(replica.cache.ageMs);
  expect(ages).toEqual([SYNC_LIMITS.cacheAgeMs, SYNC_LIMITS.cacheAgeMsMax, SYNC_LIMITS.cacheAgeMsMin]);
});

function startReplica(): Replica {
  return createReplica({ writer: parseWriterId("0.a.n.x"), store: createMapRowStore(TABLES, { state: true }) });
}

function write(replica: Replica, { from, rows, nowMs }: { from: number; rows: number; nowMs: number }): void {
  const keys = BigUint64Array.from({ length: rows }, (_, index) => BigInt(from + index));
  stepReplica(replica, { kind: "write", writes: [{ table: 0, keys, mutate: () => undefined }] }, nowMs);
}

/** Time goes by with events that do nothing else. */
function pass(replica: Replica, { fromMs, ms }: { fromMs: number; ms: number }): void {
  for (let at = 0; at <= ms; at += 1_000) stepReplica(replica, { kind: "timer", name: "none" }, fromMs + at);
}

/** Rows in the answer to a pull. */
function pull(replica: Replica, knowledge: Knowledge, nowMs: number): number {
  const body = {
    // An id that was released is not answered again.
    pullId: String(replica.answersOpened).padStart(32, "0"),
    declaration: replica.declaration,
    wantsState: true,
    settled: 0,
    knowledge: knowledgeToJson(knowledge),
  };
  stepReplica(replica, { kind: "message", from: "c", message: "pull", body }, nowMs);
  const answer = [...replica.answers.values()].at(-1);
  if (answer === undefined) throw new Error("Cannot count rows: the pull was not answered");
  const release = { pullId: body.pullId, answer: answer.id };
  stepReplica(replica, { kind: "message", from: "c", message: "release", body: release }, nowMs);
  return answer.list.slots.length;
}
