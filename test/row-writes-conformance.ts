/* What every row store must do with local writes, beside what test/row-store-conformance.ts says. */
import { expect, test } from "vitest";
import { parseWriterId } from "../protocols/sync/version.ts";
import { type CreateStore } from "./row-store-conformance.ts";
import { TABLES } from "./row-store-model.ts";

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
  });
}
