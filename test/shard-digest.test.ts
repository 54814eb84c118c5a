import { expect, test } from "vitest";
import { createShardDigest } from "../actors/shard-digest.ts";
import { type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";

const WRITER = parseWriterId("0.oregon.a.divsbrumh8300u11ro9t");
const TABLE: TableSpec = { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "test" };

function put(store: RowStore, keys: readonly number[], t: number): void {
  const known = Float64Array.of(0);
  store.merge(
    {
      table: 0,
      keys: BigUint64Array.from(keys, BigInt),
      t: new Float64Array(keys.length).fill(t),
      writers: new Uint16Array(keys.length).fill(store.writerIndex(WRITER)),
      flags: new Uint8Array(keys.length),
      values: new Uint8Array(new Float32Array(keys.length).fill(t).buffer),
      state: undefined,
    },
    known,
  );
}

function storeOf(rows: number): RowStore {
  const store = createSpreadRowStore([TABLE], { state: false, memories: [1] });
  put(
    store,
    Array.from({ length: rows }, (_, key) => key),
    1,
  );
  return store;
}

test("a small shard has its digest at once; a large one some turns later, and at once from then on", () => {
  for (const [rows, turnsMin] of [
    [0, 0],
    [1_000, 0],
    [50_000, 2],
  ] as const) {
    const store = storeOf(rows);
    let wanted = 0;
    const digest = createShardDigest(store, () => (wanted += 1));
    let turns = 0;
    const first = digest.now();
    expect(first).toEqual(turnsMin === 0 ? { rows, digest: store.digest() } : { rows });
    // Asked once more in between, as by a second person: nothing is begun twice.
    if (turnsMin > 0) digest.now();
    for (; turns < wanted; turns += 1) digest.turn();
    expect(turns).toBeGreaterThanOrEqual(turnsMin);
    expect(turns).toBeLessThan(5);
    expect(digest.now()).toEqual({ rows, digest: store.digest() });
    expect(wanted).toBe(turns);
  }
});

test("rows that change meanwhile end it, and the next to ask has it begun anew", () => {
  const store = storeOf(50_000);
  let wanted = 0;
  const digest = createShardDigest(store, () => (wanted += 1));
  expect(digest.now()).toEqual({ rows: 50_000 });
  put(store, [7], 2);
  digest.turn();
  expect(wanted).toBe(1);
  expect(digest.now()).toEqual({ rows: 50_000 });
  for (let turns = 1; turns < wanted; turns += 1) digest.turn();
  expect(digest.now()).toEqual({ rows: 50_000, digest: store.digest() });
  put(store, [7], 3);
  expect(digest.now()).toEqual({ rows: 50_000 });
});
