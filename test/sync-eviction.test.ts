// What goes for want of room goes everywhere, and holds nothing up.
import { expect, test } from "vitest";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../protocols/sync/replica.ts";
import { rowMemory, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { KernelTable } from "../runtime/compute/table/kernel-table.ts";

const ROW: TableSpec = { name: "r", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" };
const NOW = 1_760_000_000_000;
const LIMITS = { ...SYNC_LIMITS, frameBytes: 100, windowFrames: 1, evictRowsMax: 4 };

test("an evicted key that is seen again starts anew, its state too", () => {
  const primary = start("a");
  write(primary, [1n, 2n, 3n, 4n]);
  write(primary, [1n]);
  evict(primary, 3);
  // 2 and 3 were written longest ago; a twentieth is to be free, so one more than had to go goes.
  expect([1n, 2n, 3n, 4n].map((key) => valueOf(primary, key))).toEqual([2, 0, 0, 1]);
  expect(primary.store.tombstones).toBe(0);
  write(primary, [2n]);
  expect(valueOf(primary, 2n)).toBe(1);
  expect(stateOf(primary, 2n)).toBe(1);
});

test("a step takes no more rows than it may, and a table within its budget loses none", () => {
  const primary = start("a");
  write(
    primary,
    Array.from({ length: 20 }, (_, key) => BigInt(key)),
  );
  const left = [];
  for (let turn = 0; turn < 5; turn += 1) {
    evict(primary, 10);
    left.push(primary.store.rows(0));
  }
  expect(left).toEqual([16, 12, 9, 9, 9]);
});

test("a long pull ends although rows that it was to bring go all the while", () => {
  const primary = start("a");
  const follower = start("b");
  write(
    primary,
    Array.from({ length: 40 }, (_, key) => BigInt(key)),
  );
  const listedAt = primary.version;
  const pullId = "0".repeat(32);
  let next = 100n;
  let outcome: ReplicaEffect | undefined;
  let effects = stepReplica(follower, { kind: "pull", peer: "a", pullId }, NOW);
  let frames = 0;
  while (outcome === undefined && effects.length > 0) {
    outcome = effects.find(({ kind }) => kind === "pulled");
    const asked = effects.flatMap((effect) => (effect.kind === "send" ? [effect] : []));
    effects = asked.flatMap(({ message, body }) => {
      if (message !== "pull" && message !== "more" && message !== "release") return [];
      const answers = stepReplica(primary, { kind: "message", from: "b", message, body }, NOW);
      write(primary, [(next += 1n)]);
      evict(primary, 40);
      return answers.flatMap((answer) => {
        if (answer.kind !== "send") return [];
        expect(answer.message).toBe("frame");
        frames += 1;
        return stepReplica(follower, { kind: "message", from: "a", message: "frame", body: answer.body }, NOW);
      });
    });
  }
  expect(outcome).toMatchObject({ kind: "pulled", outcome: "complete" });
  expect(frames).toBeGreaterThan(8);
  const gone = primary.horizon.expired.get(0) ?? 0;
  expect(gone).toBeGreaterThan(0);
  // It has what it was to bring, without what is gone. Others who have that shard version have not heard of the age yet, so it must have another.
  expect(follower.horizon.expired.get(0)).toBeGreaterThan(0);
  expect(follower.version).not.toEqual(listedAt);
  for (let key = 0n; key < 40n; key += 1n) {
    const held = follower.store.versionOf(0, key);
    const at = primary.store.versionOf(0, key);
    if (at !== undefined) expect(held).toEqual(at);
    else if (held !== undefined) expect(held.t).toBeGreaterThanOrEqual(follower.horizon.expired.get(0) ?? 0);
  }
});

test("a row takes no more memory than a budget counts, even where the index of keys has just grown", () => {
  const sizes = { valueBytes: 64, stateBytes: 4 };
  const table = new KernelTable({ ...ROW, dim: 16, ...sizes });
  const before = table.bytes;
  let most = 0;
  for (let rows = 1; rows <= 800_000; rows += 1) {
    table.add(BigInt(rows));
    // Beside it the last segment, and two chunks that an index has more while it grows.
    if (rows > 200_000 && rows % 1_000 === 0) most = Math.max(most, (table.bytes - before - 2 ** 20) / rows);
  }
  expect(most).toBeLessThanOrEqual(rowMemory(sizes));
  expect(most).toBeGreaterThan(rowMemory(sizes) - 12);
});

function start(node: string): Replica {
  return createReplica({
    writer: parseWriterId(`0.r.${node}.x`),
    store: createMapRowStore([ROW], { state: true }),
    primary: node === "a" ? { kind: "self" } : { kind: "peer", peer: "a" },
    limits: LIMITS,
  });
}

/** Adds one to value and state of each. */
function write(replica: Replica, keys: readonly bigint[]): void {
  function mutate({ floats, state }: { readonly floats: Float32Array; readonly state: Float32Array }): void {
    floats[0] = (floats[0] ?? 0) + 1;
    state[0] = (state[0] ?? 0) + 1;
  }
  stepReplica(replica, { kind: "write", writes: [{ table: 0, keys: BigUint64Array.from(keys), mutate }] }, NOW);
}

function evict(replica: Replica, rowsMax: number): void {
  stepReplica(replica, { kind: "evict", table: 0, rowsMax }, NOW);
}

function valueOf({ store }: Replica, key: bigint): number | undefined {
  return new Float32Array(store.read(0, BigUint64Array.of(key)).values.buffer)[0];
}

function stateOf({ store }: Replica, key: bigint): number | undefined {
  let state: number | undefined;
  function mutate(row: { readonly state: Float32Array }): "skip" {
    [state] = row.state;
    return "skip";
  }
  store.update({ table: 0, keys: BigUint64Array.of(key), writer: 0, firstT: 0, mutate });
  return state;
}
