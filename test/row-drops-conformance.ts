/* What every row store must do when rows go, beside what test/row-store-conformance.ts says. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { type CreateStore } from "./row-store-conformance.ts";
import { batchOf, deletedAt, modelRow, newest, NOTHING, TABLES, WRITERS } from "./row-store-model.ts";

/** Registers the suite's tests under a name. */
export function testRowDrops(name: string, create: CreateStore): void {
  function full(): RowStore {
    return create(TABLES, { state: true });
  }

  test(`${name}: dropping shows the rows asked for and no others`, () => {
    const among = fc.record(
      { table: fc.nat(3), after: fc.nat(6), upTo: fc.nat(6), deleted: fc.boolean() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(modelRow, { maxLength: 30 }), among, (rows, only) => {
        const store = full();
        for (const row of rows) store.merge(batchOf(store, row), NOTHING);
        const { table: wanted, after = 0, upTo = 6, deleted = false } = only;
        const expected = [...newest(rows).values()].filter(
          (row) =>
            (wanted === undefined || row.table === wanted) &&
            row.version.t > after &&
            row.version.t <= upTo &&
            (!deleted || deletedAt(row)),
        );
        const shown: string[] = [];
        const dropped = store.dropWhere(({ table, key, t }) => {
          shown.push(`${table} ${key} ${t}`);
          return true;
        }, only);
        expect(shown.toSorted()).toEqual(
          expected.map(({ table, key, version: { t } }) => `${table} ${key} ${t}`).toSorted(),
        );
        expect(dropped.reduce((sum, { keys }) => sum + keys.length, 0)).toBe(expected.length);
        for (const { table, key } of expected) expect(store.versionOf(table, key)).toBeUndefined();
      }),
    );
  });

  test(`${name}: the oldest live rows of a table end at a t that is exact, and by a sample where there are many`, () => {
    fc.assert(
      fc.property(fc.array(modelRow, { maxLength: 30 }), fc.integer({ min: 1, max: 8 }), (rows, count) => {
        const store = full();
        for (const row of rows) store.merge(batchOf(store, row), NOTHING);
        const times = [...newest(rows).values()]
          .filter((row) => row.table === 0 && !deletedAt(row))
          .map(({ version }) => version.t)
          .toSorted((a, b) => a - b);
        if (count <= times.length) expect(store.oldest(0, count)).toBe(times[count - 1]);
        if (times.length === 0) expect(store.oldest(0, count)).toBe(0);
      }),
    );
    const store = full();
    const writer = store.writerIndex(WRITERS[0] ?? parseWriterId("0.b.n.x"));
    const keys = BigUint64Array.from({ length: 50_000 }, (_, at) => BigInt(at));
    const mutate = nothing;
    store.update({ table: 0, keys, writer, firstT: 1, mutate });
    // Every third is written again, so that places are not in order of age.
    store.update({ table: 0, keys: keys.filter((key) => key % 3n === 0n), writer, firstT: 100_001, mutate });
    for (const [count, within] of [
      [500, 0.33],
      [5_000, 0.1],
      [25_000, 0.05],
    ] as const) {
      const t = store.oldest(0, count);
      const older = Math.ceil((t * 2) / 3);
      expect(Math.abs(older - count) / count).toBeLessThan(within);
    }
  });
}

function nothing(): void {
  // The row is as it was, but for its version.
}
