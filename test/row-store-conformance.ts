/*
 * What every row store must do. A store passes when this suite, run on its factory, does.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { digestTurn } from "../runtime/compute/table/beyond-row-store.ts";
import { batchOf, contentOf, deletedAt, modelRow, newest, NOTHING, TABLES, WRITERS } from "./row-store-model.ts";

export type CreateStore = (tables: readonly TableSpec[], options: { readonly state: boolean }) => RowStore;

/** Registers the suite's tests under a name. */
export function testRowStore(name: string, create: CreateStore): void {
  function full(): RowStore {
    return create(TABLES, { state: true });
  }

  test(`${name}: merging keeps the newest of each row, in any order and however often`, () => {
    fc.assert(
      fc.property(fc.array(modelRow, { maxLength: 40 }), fc.infiniteStream(fc.nat()), (rows, picks) => {
        const store = full();
        for (const row of rows) store.merge(batchOf(store, row), NOTHING);
        const shuffled = full();
        const rest = [...rows, ...rows];
        for (const pick of picks) {
          if (rest.length === 0) break;
          const [row] = rest.splice(pick % rest.length, 1);
          if (row !== undefined) shuffled.merge(batchOf(shuffled, row), NOTHING);
        }
        const winners = newest(rows);
        for (const row of winners.values()) {
          expect(store.versionOf(row.table, row.key)).toEqual(row.version);
          const slot = store.slotOf(row.table, row.key);
          expect(slot !== undefined && store.versionAt(slot).t).toBe(row.version.t);
          const { found, values } = store.read(row.table, BigUint64Array.of(row.key));
          expect(found[0]).toBe(deletedAt(row) ? 0 : 1);
          expect(values).toEqual(deletedAt(row) ? new Uint8Array(values.length) : contentOf(row));
        }
        for (const table of [0, 1, 2, 3]) {
          expect(store.rows(table)).toBe(
            [...winners.values()].filter((row) => row.table === table && !deletedAt(row)).length,
          );
        }
        expect(shuffled.digest()).toBe(store.digest());
      }),
    );
  });

  test(`${name}: a digest in turns is that of the rows as they are when it ends, and ends when they stay`, () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("turn" as const), rows: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constantFrom("merge" as const, "load" as const, "drop" as const), row: modelRow }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const store = full();
        let hasChanged = true;
        for (const each of steps) {
          if (each.kind === "turn") {
            const turn = digestTurn(store, each.rows);
            if (turn.kind === "done") expect(turn.digest).toBe(store.digest());
            else if (hasChanged) expect(turn.isNew).toBe(true);
            hasChanged = false;
            continue;
          }
          const before = store.digest();
          if (each.kind === "drop") store.dropKeys({ table: each.row.table, keys: BigUint64Array.of(each.row.key) });
          else if (each.kind === "load") store.load(batchOf(store, each.row), { rows: 1 });
          else store.merge(batchOf(store, each.row), NOTHING);
          // A change that changes nothing may count, or not.
          hasChanged ||= store.digest() !== before;
        }
        const turns = Array.from({ length: steps.length + 1 }, () => digestTurn(store, 16));
        expect(turns.at(-1)).toEqual({ kind: "done", digest: store.digest() });
      }),
    );
  });

  test(`${name}: rows of an image are as merged, whatever was said of how many there are, and do not count as changed`, () => {
    fc.assert(
      fc.property(fc.array(modelRow, { maxLength: 40 }), fc.nat(100), fc.nat(40), (rows, total, before) => {
        const [merged, loaded] = [full(), full()];
        for (const row of rows) merged.merge(batchOf(merged, row), NOTHING);
        for (const row of rows.slice(0, before)) loaded.merge(batchOf(loaded, row), NOTHING);
        const { changes } = loaded;
        for (const row of rows.slice(before)) loaded.load(batchOf(loaded, row), { rows: total });
        expect([loaded.digest(), loaded.changes]).toEqual([merged.digest(), changes]);
        expect([0, 1, 2].map((table) => loaded.rows(table))).toEqual([0, 1, 2].map((table) => merged.rows(table)));
        expect(loaded.tombstones).toBe(merged.tombstones);
      }),
    );
    const store = full();
    const row = { table: 0, key: 1n, version: { t: 5, writer: WRITERS[1] ?? parseWriterId("0.a.n.x") } };
    const frozen = store.freeze("all");
    expect(() => store.load(batchOf(store, row), { rows: 1 })).toThrow(RangeError);
    frozen.close("kept");
    expect(() => store.load({ ...batchOf(store, row), writers: Uint16Array.of(99) }, { rows: 1 })).toThrow(RangeError);
  });

  test(`${name}: digests differ when any version, value or row does`, () => {
    fc.assert(
      fc.property(fc.array(modelRow, { maxLength: 20 }), modelRow, (rows, extra) => {
        const [one, other] = [full(), full()];
        for (const row of rows) for (const store of [one, other]) store.merge(batchOf(store, row), NOTHING);
        const { applied } = other.merge(batchOf(other, extra), NOTHING);
        expect(one.digest() === other.digest()).toBe(applied.length === 0);
      }),
    );
  });

  test(`${name}: a row whose version is known stays away`, () => {
    const store = full();
    const row = { table: 0, key: 1n, version: { t: 5, writer: WRITERS[1] ?? parseWriterId("0.a.n.x") } };
    const batch = batchOf(store, row);
    const known = new Float64Array(store.writers.length).fill(5);
    expect(store.merge(batch, known)).toMatchObject({ applied: Uint32Array.of(), ignored: 1 });
    expect(store.rows(0)).toBe(0);
    expect(store.merge(batch, known.fill(4)).applied).toEqual(Uint32Array.of(0));
  });

  test(`${name}: collecting gives exactly the rows ahead of a knowledge, and packing them rebuilds their like`, () => {
    fc.assert(
      fc.property(
        fc.array(modelRow, { maxLength: 40 }),
        fc.array(fc.nat(7), { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 7 }),
        (rows, times, step) => {
          const store = full();
          for (const writer of WRITERS) store.writerIndex(writer);
          for (const row of rows) store.merge(batchOf(store, row), NOTHING);
          const known = Float64Array.from(times);
          const list = store.collect(known);
          const copy = full();
          for (const writer of WRITERS) copy.writerIndex(writer);
          let packed = 0;
          for (let from = 0; from < list.slots.length; from += step) {
            for (const batch of store.pack(list, { from, to: Math.min(from + step, list.slots.length) })) {
              packed += batch.keys.length;
              copy.merge(batch, NOTHING);
            }
          }
          store.release(list);
          const wanted = [...newest(rows).values()].filter(
            ({ version }) => version.t > (known[store.writerIndex(version.writer)] ?? 0),
          );
          expect(packed).toBe(wanted.length);
          for (const { table, key, version } of wanted) expect(copy.versionOf(table, key)).toEqual(version);
          if (times.every((t) => t === 0)) expect(copy.digest()).toBe(store.digest());
        },
      ),
    );
  });

  test(`${name}: collecting among slots gives those of them that are ahead of a knowledge, by table`, () => {
    fc.assert(
      fc.property(fc.array(modelRow, { maxLength: 40 }), fc.nat(7), fc.nat(3), (rows, t, modulus) => {
        const store = full();
        for (const row of rows) store.merge(batchOf(store, row), NOTHING);
        const before = store.collect(NOTHING);
        store.dropWhere(({ table, key }) => table === 0 && key === 1n);
        const known = new Float64Array(store.writers.length).fill(t);
        const among = before.slots.toReversed().filter((_, index) => index % 4 !== modulus);
        const [all, some] = [store.collect(known), store.collect(known, among)];
        expect(some.slots.toSorted()).toEqual(all.slots.filter((slot) => among.includes(slot)).toSorted());
        for (const { table, from, to } of some.sections) {
          const packed = store.pack(some, { from, to });
          expect(packed.map((batch) => [batch.table, batch.keys.length])).toEqual([[table, to - from]]);
        }
        expect(some.sections.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(some.slots.length);
      }),
    );
  });

  test(`${name}: an open list sends rows at their current version, leaves dropped ones out and never another row in their place`, () => {
    const store = full();
    const writer = store.writerIndex(WRITERS[0] ?? parseWriterId("0.b.n.x"));
    let t = 0;
    function write(key: bigint, value: number): void {
      store.update({
        table: 0,
        keys: BigUint64Array.of(key),
        writer,
        firstT: (t += 1),
        mutate: ({ floats }) => void floats.fill(value),
      });
    }
    write(1n, 1);
    write(2n, 2);
    const list = store.collect(NOTHING);
    write(1n, 3);
    const second = store.dropWhere((row) => row.table === 0 && row.key === 2n && row.t === 2 && row.flags === 0);
    const version = { t: Float64Array.of(2), writers: Uint16Array.of(writer) };
    expect(second).toEqual([{ table: 0, keys: BigUint64Array.of(2n), slots: list.slots.slice(1), ...version }]);
    write(4n, 4);
    const [batch] = store.pack(list, { from: 0, to: 2 });
    expect([batch?.keys, batch?.t]).toEqual([BigUint64Array.of(1n), Float64Array.of(3)]);
    expect(store.rows(0)).toBe(2);
    store.release(list);
    expect(() => store.pack(list, { from: 0, to: 2 })).toThrow(RangeError);
  });

  test(`${name}: a local write sees the row, keeps state, and is undone when it is not finite`, () => {
    const store = full();
    const writer = store.writerIndex(WRITERS[0] ?? parseWriterId("0.b.n.x"));
    let t = 0;
    const news: boolean[] = [];
    function write(value: number): number {
      return store.update({
        table: 0,
        keys: BigUint64Array.of(7n),
        writer,
        firstT: (t += 1),
        mutate: ({ floats, state, isNew }) => {
          news.push(isNew);
          floats.set([(floats[0] ?? 0) + value, value]);
          state.set([(state[0] ?? 0) + 1]);
        },
      }).refused;
    }
    expect([write(1), write(2), write(Number.NaN), write(Infinity)]).toEqual([0, 0, 1, 1]);
    expect(news).toEqual([true, false, false, false]);
    const { values } = store.read(0, BigUint64Array.of(7n));
    expect(new Float32Array(values.slice().buffer)).toEqual(Float32Array.of(3, 2));
    const list = store.collect(NOTHING);
    const [batch] = store.pack(list, { from: 0, to: 1 });
    expect(new Float32Array((batch?.state ?? new Uint8Array()).slice().buffer)).toEqual(Float32Array.of(2));
    expect(store.versionOf(0, 7n)?.t).toBe(2);
  });

  test(`${name}: an f16 row is rounded when it is stored and learns from its exact numbers, which are not in the digest`, () => {
    const [store, other] = [full(), full()];
    let t = 0;
    function write(into: RowStore, number: number): { readonly refused: number } {
      const writer = into.writerIndex(WRITERS[0] ?? parseWriterId("0.b.n.x"));
      return into.update({
        table: 2,
        keys: BigUint64Array.of(7n),
        writer,
        firstT: (t += 1),
        mutate: ({ floats, bytes, state }) => {
          floats.set([(floats[0] ?? 0) + number, -1]);
          state.set([(state[0] ?? 0) + 1]);
          expect([bytes.buffer, state.length]).toEqual([floats.buffer, 1]);
        },
      });
    }
    function held(from: RowStore): number[] {
      return [...new Float16Array(from.read(2, BigUint64Array.of(7n)).values.buffer)];
    }
    // A quarter of the distance between two halves near 1, four times.
    for (let step = 0; step < 5; step += 1) write(store, step === 0 ? 1 : 2 ** -12);
    expect(held(store)).toEqual([1 + 2 ** -10, -1]);
    expect([write(store, 65_519), write(store, Number.NaN)].map(({ refused }) => refused)).toEqual([1, 1]);
    const list = store.collect(NOTHING);
    const [batch] = store.pack(list, { from: 0, to: 1 });
    const state = new Float32Array((batch?.state ?? new Uint8Array()).slice().buffer);
    expect([...state]).toEqual([1 + 2 ** -10, -1, 5]);
    // The state of the row goes with it; what reads values sees none of it.
    for (const id of store.writers) other.writerIndex(id);
    if (batch !== undefined) other.merge({ ...batch, state: new Uint8Array(12) }, NOTHING);
    expect([held(other), other.digest()]).toEqual([held(store), store.digest()]);
  });

  test(`${name}: skipping takes no version, deleting hides the row and writing again brings it back new`, () => {
    const store = full();
    const writer = store.writerIndex(WRITERS[0] ?? parseWriterId("0.b.n.x"));
    const request = { table: 1, keys: BigUint64Array.of(1n), writer, firstT: 1 };
    const { keys } = request;
    expect(store.update({ ...request, mutate: () => "skip" })).toMatchObject({ keys: BigUint64Array.of(), stamped: 0 });
    store.update({ ...request, mutate: ({ bytes }) => void bytes.fill(9) });
    store.update({ ...request, firstT: 2, mutate: () => "delete" });
    expect([store.rows(1), [...store.read(1, keys).found], store.versionOf(1, 1n)?.t]).toEqual([0, [0], 2]);
    store.update({ ...request, firstT: 3, mutate: ({ bytes, isNew }) => void bytes.fill(isNew ? 5 : 6) });
    expect([store.rows(1), [...store.read(1, keys).values]]).toEqual([1, [5, 5, 5]]);
  });

  test(`${name}: a local write never replaces a row of a newer epoch`, () => {
    const store = full();
    store.merge(batchOf(store, { table: 0, key: 1n, version: { t: 1, writer: parseWriterId("1.a.n.x") } }), NOTHING);
    const writer = store.writerIndex(parseWriterId("0.b.n.x"));
    const { refused } = store.update({
      table: 0,
      keys: BigUint64Array.of(1n),
      writer,
      firstT: 100,
      mutate: () => undefined,
    });
    expect([refused, store.versionOf(0, 1n)?.t]).toEqual([1, 1]);
  });

  test(`${name}: without state it holds values only, and its digest is that of a full store`, () => {
    const serving = create(TABLES, { state: false });
    const store = full();
    const row = { table: 0, key: 3n, version: { t: 2, writer: WRITERS[0] ?? parseWriterId("0.b.n.x") } };
    store.merge(batchOf(store, row), NOTHING);
    serving.merge({ ...batchOf(serving, row), state: undefined }, NOTHING);
    expect(serving.digest()).toBe(store.digest());
    expect([serving.hasState, serving.tables[0]?.stateBytes, serving.declared[0]?.stateBytes]).toEqual([false, 0, 4]);
  });

  test(`${name}: tables and columns that do not fit are the caller's error`, () => {
    const store = full();
    const row = { table: 0, key: 1n, version: { t: 1, writer: WRITERS[0] ?? parseWriterId("0.b.n.x") } };
    const batch = batchOf(store, row);
    expect(() => store.merge({ ...batch, table: 3 }, NOTHING)).toThrow(RangeError);
    expect(() => store.merge({ ...batch, values: new Uint8Array(7) }, NOTHING)).toThrow(RangeError);
    expect(() => store.merge({ ...batch, state: undefined }, NOTHING)).toThrow(RangeError);
    expect(() => store.merge({ ...batch, writers: Uint16Array.of(99) }, NOTHING)).toThrow(RangeError);
    expect(store.rows(0)).toBe(0);
  });
}
