/*
 * What every row store must do when its rows are frozen: whatever is written, dropped and read in whatever order, the moments that were
 * kept, put together, are the rows of the last one.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FrozenRows, type RowBatch, type RowStore, type TableKeys } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { type CreateStore } from "./row-store-conformance.ts";
import { TABLES } from "./row-store-model.ts";

type Op =
  | { readonly kind: "write"; readonly table: number; readonly key: bigint; readonly value: number }
  | { readonly kind: "delete" | "drop" | "drop-key"; readonly table: number; readonly key: bigint }
  | { readonly kind: "drop-all" }
  | { readonly kind: "freeze"; readonly what: "all" | "changed" }
  | { readonly kind: "read"; readonly bytes: number }
  | { readonly kind: "close"; readonly outcome: "kept" | "lost" };

/** A moment as it was read: what was dropped before it, and its rows. */
interface Moment {
  readonly rows: FrozenRows;
  readonly expected: readonly string[];
  readonly read: RowBatch[];
}

const WRITER = parseWriterId("0.a.n.x");
const row = { table: fc.nat(3), key: fc.bigInt(0n, 40n) };
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("write" as const), ...row, value: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("delete", "drop", "drop-key"), ...row }) },
  { weight: 1, arbitrary: fc.constant({ kind: "drop-all" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("freeze" as const), what: fc.constantFrom("all", "changed") }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const), bytes: fc.integer({ min: 1, max: 99 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("close" as const), outcome: fc.constantFrom("kept", "kept", "lost") }),
  },
);

/** Registers the suite's tests under a name. */
export function testFrozenRows(
  name: string,
  create: CreateStore,
  { runs = 300 }: { readonly runs?: number } = {},
): void {
  test(`${name}: moments that were kept, read piece by piece while rows change, are the rows of the last one`, () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 120, size: "max" }), fc.boolean(), (ops, state) => {
        const store = create(TABLES, { state });
        const writer = store.writerIndex(WRITER);
        let t = 0;
        let open: Moment | undefined;
        let kept: { readonly dropped: readonly TableKeys[]; readonly rows: readonly RowBatch[] }[] = [];
        function close(outcome: "kept" | "lost"): void {
          if (open === undefined) return;
          const { rows, read, expected } = open;
          if (outcome === "kept") {
            for (let batch = rows.next(50); batch !== undefined; batch = rows.next(50)) read.push(copyOf(batch));
            kept = [...(rows.whole ? [] : kept), { dropped: rows.dropped, rows: read }];
            const copy = create(TABLES, { state });
            copy.writerIndex(WRITER);
            for (const moment of kept) {
              for (const dropped of moment.dropped) copy.dropKeys(dropped);
              for (const batch of moment.rows) copy.merge(batch, new Float64Array());
            }
            expect(contentsOf(copy)).toEqual(expected);
          }
          rows.close(outcome);
          rows.close(outcome);
          open = undefined;
        }
        for (const step of ops) {
          switch (step.kind) {
            case "write":
            case "delete":
              store.update({
                table: step.table,
                keys: BigUint64Array.of(step.key),
                writer,
                firstT: (t += 1),
                mutate: ({ bytes, state: numbers }) => {
                  bytes.fill(step.kind === "write" ? step.value % 100 : 0);
                  numbers.fill(t);
                  return step.kind === "delete" ? "delete" : undefined;
                },
              });
              break;
            case "drop":
              store.dropWhere((glance) => glance.table === step.table && glance.key === step.key);
              break;
            case "drop-key":
              store.dropKeys({ table: step.table, keys: BigUint64Array.of(step.key, 99n) });
              break;
            case "drop-all":
              store.dropWhere(() => true);
              break;
            case "freeze":
              close("kept");
              open = { expected: contentsOf(store), rows: store.freeze(step.what), read: [] };
              if (step.what === "all") expect([open.rows.whole, open.rows.dropped]).toEqual([true, []]);
              expect(() => store.freeze("changed")).toThrow(RangeError);
              break;
            case "read": {
              const batch = open?.rows.next(step.bytes);
              if (batch === undefined) break;
              const bytes = batch.values.length + (batch.state?.length ?? 0);
              expect(batch.keys.length === 1 || bytes <= step.bytes).toBe(true);
              open?.read.push(copyOf(batch));
              break;
            }
            case "close":
              close(step.outcome);
          }
        }
        close("kept");
      }),
      { numRuns: runs },
    );
  });

  test(`${name}: a moment is read in as few pieces as without writes, however many rows are written between two`, () => {
    const store = create(TABLES, { state: true });
    const writer = store.writerIndex(parseWriterId("0.b.n.x"));
    const keys = BigUint64Array.from({ length: 200 }, (_, at) => BigInt(at));
    function write(written: BigUint64Array, value: number): void {
      store.update({
        table: 0,
        keys: written,
        writer,
        firstT: value * 1_000,
        mutate: ({ floats }) => void floats.fill(value),
      });
    }
    function piecesOf(changing: number): number {
      const rows = store.freeze("all");
      let [read, pieces] = [0, 0];
      // Of 20 rows each, where there is room for as many, and some rows that were not read yet, if any, change before the next.
      for (let batch = rows.next(20 * 12); batch !== undefined; batch = rows.next(20 * 12)) {
        pieces += 1;
        read += batch.keys.length;
        expect([...new Float32Array(batch.values.slice().buffer)].every((float) => float === 1)).toBe(true);
        if (changing > 0) write(keys.subarray(200 - changing * pieces), 1 + pieces);
      }
      rows.close("kept");
      expect(read).toBe(200);
      return pieces;
    }
    write(keys, 1);
    const undisturbed = piecesOf(0);
    expect(piecesOf(3)).toBeLessThanOrEqual(undisturbed + 2);
  });

  test(`${name}: what changed is what was written since the last moment that was kept, and nothing else`, () => {
    const store = create(TABLES, { state: true });
    const writer = store.writerIndex(WRITER);
    let t = 0;
    function write(...keys: bigint[]): void {
      store.update({
        table: 1,
        keys: BigUint64Array.from(keys),
        writer,
        firstT: t + 1,
        mutate: ({ bytes }) => void bytes.fill(1),
      });
      t += keys.length;
    }
    function changed(outcome: "kept" | "lost"): bigint[] {
      const rows = store.freeze("changed");
      const keys = Array.from({ length: 9 }, () => [...(rows.next(1)?.keys ?? [])]).flat();
      rows.close(outcome);
      return keys.sort((a, b) => Number(a - b));
    }
    write(1n, 2n, 3n);
    expect([store.changes, changed("kept"), store.changes, changed("kept")]).toEqual([3, [1n, 2n, 3n], 0, []]);
    write(2n, 4n);
    expect(changed("lost")).toEqual([2n, 4n]);
    write(3n);
    expect([changed("lost"), changed("kept"), changed("kept")]).toEqual([[2n, 3n, 4n], [2n, 3n, 4n], []]);
  });

  test(`${name}: keys that were dropped are named, or all rows are given in their place, however many they are`, () => {
    const store = create(TABLES, { state: true });
    const writer = store.writerIndex(WRITER);
    let t = 0;
    for (let round = 0; round < 6; round += 1) {
      const keys = BigUint64Array.from({ length: 1000 }, (_, at) => BigInt(round * 1000 + at));
      store.update({ table: 1, keys, writer, firstT: t + 1, mutate: () => undefined });
      t += keys.length;
      store.dropWhere(({ key }) => key % 1000n !== 7n);
    }
    const rows = store.freeze("changed");
    const named = rows.dropped.reduce((sum, { keys }) => sum + keys.length, 0);
    let given = 0;
    for (let batch = rows.next(300); batch !== undefined; batch = rows.next(300)) given += batch.keys.length;
    expect([named, given]).toEqual([rows.whole ? 0 : 6 * 999, 6]);
    rows.close("lost");
    expect(store.freeze("changed").whole).toBe(rows.whole);
  });
}

/** A batch in memory of its own. */
function copyOf({ table, keys, t, writers, flags, values, state }: RowBatch): RowBatch {
  return {
    table,
    keys: keys.slice(),
    t: t.slice(),
    writers: writers.slice(),
    flags: flags.slice(),
    values: values.slice(),
    state: state?.slice(),
  };
}

/** All that a store holds, in an order of its own. */
function contentsOf(store: RowStore): string[] {
  const list = store.collect(new Float64Array());
  const batches = store.pack(list, { from: 0, to: list.slots.length });
  store.release(list);
  return batches
    .flatMap(({ table, keys, t, flags, values, state }) =>
      Array.from(keys, (key, at) => {
        const bytes = [values, state ?? new Uint8Array()].map((column) =>
          column.subarray((at * column.length) / keys.length, ((at + 1) * column.length) / keys.length).join(),
        );
        return [table, key, t[at], flags[at], ...bytes].join(" ");
      }),
    )
    .sort();
}
