/* What every row store must do with local writes, beside what test/row-store-conformance.ts says. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type MergeOutcome, type RowBatch, type StoredVersions } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { type CreateStore } from "./row-store-conformance.ts";
import { batchOf, modelRow, NOTHING, TABLES } from "./row-store-model.ts";

/** Registers the suite's tests under a name. */
export function testRowWrites(name: string, create: CreateStore): void {
  test(`${name}: rows of one write are stamped one after the other, also where a key stands twice, and what is left out takes no time`, () => {
    const store = create(TABLES, { state: true });
    const writer = store.writerIndex(parseWriterId("0.b.n.x"));
    const outcome = store.update({
      table: 0,
      keys: BigUint64Array.of(5n, 6n, 7n, 5n),
      writer,
      firstT: 10,
      mutate: ({ key, floats }) => (key === 6n ? "skip" : void floats.fill((floats[0] ?? 0) + 1)),
    });
    const [first, second] = outcome.slots;
    expect(outcome).toEqual({
      keys: BigUint64Array.of(5n, 7n, 5n),
      indexes: Uint32Array.of(0, 2, 3),
      t: Float64Array.of(10, 11, 12),
      writers: new Uint16Array(3).fill(writer),
      slots: Float64Array.of(first ?? -1, second ?? -1, first ?? -1),
      before: { t: Float64Array.of(0, 0, 10), writers: Uint16Array.of(0, 0, writer) },
      refused: 0,
      stamped: 3,
    });
    expect(store.versionsAt(outcome.slots)).toEqual({ ...at(outcome.slots), t: Float64Array.of(12, 11, 12) });
    expect([...new Float32Array(store.read(0, BigUint64Array.of(5n)).values.slice().buffer)]).toEqual([2, 2]);
    function at(slots: Float64Array): { slots: Float64Array; writers: Uint16Array } {
      return { slots, writers: outcome.writers };
    }
  });

  test(`${name}: versions are those of the slots in the order in which they are asked for, whatever their tables`, () => {
    const store = create(TABLES, { state: true });
    const writer = store.writerIndex(parseWriterId("0.b.n.x"));
    const keys = BigUint64Array.of(5n, 6n, 7n);
    const [first, second] = [0, 1].map((table) => {
      return store.update({ table, keys, writer, firstT: 10 + 10 * table, mutate: () => undefined }).slots;
    });
    const slots = Float64Array.from([1, 0, 2].flatMap((at) => [second?.[at] ?? -1, first?.[at] ?? -1]));
    expect(store.versionsAt(slots)).toEqual({
      slots,
      t: Float64Array.of(21, 11, 20, 10, 22, 12),
      writers: new Uint16Array(6).fill(writer),
    });
    const [dropped] = store.dropWhere(({ table, key }) => table === 1 && key === 6n);
    expect(dropped).toMatchObject({ t: Float64Array.of(21), writers: Uint16Array.of(writer) });
    expect([...store.versionsAt(slots).t]).toEqual([0, 11, 20, 10, 22, 12]);
  });

  test(`${name}: of each row that is stored the version before is told, of a deleted one as well, and 0 where there was none`, () => {
    const change = fc.record({
      kind: fc.constantFrom("merge" as const, "update" as const, "delete" as const, "drop" as const),
      table: fc.nat(3),
      rows: fc.array(modelRow, { minLength: 1, maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        const store = create(TABLES, { state: true });
        const held = new Map<string, { readonly t: number; readonly writer: number }>();
        const writer = store.writerIndex(parseWriterId("0.a.n.z"));
        for (const [at, { kind, table, rows }] of changes.entries()) {
          const keys = BigUint64Array.from(rows, ({ key }) => key);
          if (kind === "drop") {
            for (const key of keys) {
              store.dropKeys({ table, keys: BigUint64Array.of(key) });
              held.delete(`${table} ${key}`);
            }
            continue;
          }
          const verdict = kind === "delete" ? "delete" : undefined;
          const { indexes, t, writers, before } =
            kind === "merge"
              ? indexed(store.merge(joined(rows.map((row) => batchOf(store, { ...row, table }))), NOTHING))
              : store.update({ table, keys, writer, firstT: 7 + 10 * at, mutate: () => verdict });
          for (const [place, index] of indexes.entries()) {
            const row = `${table} ${keys[index]}`;
            const { t: heldT = 0, writer: heldWriter = 0 } = held.get(row) ?? {};
            expect([before.t[place], before.writers[place]]).toEqual([heldT, heldWriter]);
            held.set(row, { t: t[place] ?? 0, writer: writers[place] ?? 0 });
          }
        }
      }),
      { numRuns: 40 },
    );
  });
}

function indexed({ applied, ...rest }: MergeOutcome): StoredVersions & { readonly indexes: Uint32Array } {
  return { ...rest, indexes: applied };
}

/** Batches of one table as one. */
function joined(batches: readonly RowBatch[]): RowBatch {
  function bytes(of: (batch: RowBatch) => Uint8Array): Uint8Array {
    return Uint8Array.from(batches.flatMap((batch) => [...of(batch)]));
  }
  return {
    table: batches[0]?.table ?? 0,
    keys: BigUint64Array.from(batches.flatMap(({ keys }) => [...keys])),
    t: Float64Array.from(batches.flatMap(({ t }) => [...t])),
    writers: Uint16Array.from(batches.flatMap(({ writers }) => [...writers])),
    flags: bytes(({ flags }) => flags),
    values: bytes(({ values }) => values),
    state: bytes(({ state }) => state ?? new Uint8Array()),
  };
}
