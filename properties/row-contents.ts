import { type FrozenRows, type RowBatch, type RowStore } from "../protocols/sync/row-store.ts";

/** A row with all that is in it, to be compared. */
interface Row {
  readonly key: bigint;
  readonly about: string;
}

/** All rows of a store, deleted ones included. */
export function allRows(store: RowStore): unknown {
  const list = store.collect(new Float64Array());
  const rows = store.pack(list, { from: 0, to: list.slots.length }).flatMap(rowsOf);
  store.release(list);
  return inOrder(rows);
}

/** All rows of a moment, in small pieces. */
export function contentsOf(moment: FrozenRows): unknown {
  const rows: Row[] = [];
  for (let batch = moment.next(50); batch !== undefined; batch = moment.next(50)) rows.push(...rowsOf(batch));
  return inOrder(rows);
}

function rowsOf({ table, keys, t, flags, values, state }: RowBatch): Row[] {
  return Array.from(keys, (key, at) => {
    const bytes = [values, state ?? new Uint8Array()].map((column) => {
      const width = column.length / keys.length;
      return column.subarray(at * width, (at + 1) * width).join(" ");
    });
    return { key, about: `${table} ${t[at]} ${flags[at]} ${bytes.join("|")}` };
  });
}

function inOrder(rows: readonly Row[]): readonly Row[] {
  return rows.toSorted((a, b) => Number(a.key - b.key));
}
