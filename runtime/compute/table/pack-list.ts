import { emptyBatch } from "../../../protocols/sync/empty-batch.ts";
import { type RowBatch, type SlotList } from "../../../protocols/sync/row-store.ts";
import { type KernelTable } from "./kernel-table.ts";

/** What a part of a list names that has not been dropped since, a batch for each section that has any. A slot is row * tables + table. */
export function packList(
  tables: readonly KernelTable[],
  list: SlotList,
  range: { readonly from: number; readonly to: number; readonly state: boolean },
): RowBatch[] {
  const batches: RowBatch[] = [];
  for (const { table, from, to } of list.sections) {
    const rows = tables[table];
    if (rows === undefined) throw new RangeError(`Cannot pack rows of table ${table}: there are ${tables.length}`);
    const [first, end] = [Math.max(from, range.from), Math.min(to, range.to)];
    const numbers = new Uint32Array(Math.max(0, end - first));
    let held = 0;
    for (let at = first; at < end; at += 1) {
      const row = ((list.slots[at] ?? 0) - table) / tables.length;
      if (rows.generationOf(row) !== list.generations[at]) continue;
      numbers[held] = row;
      held += 1;
    }
    if (held > 0) batches.push(packRows(rows, numbers.subarray(0, held), { table, state: range.state }));
  }
  return batches;
}

/** These rows as one batch with columns of its own. */
function packRows(
  rows: KernelTable,
  numbers: Uint32Array,
  options: { readonly table: number; readonly state: boolean },
): RowBatch {
  const { valueBytes, stateBytes } = rows.spec;
  const batch = emptyBatch(rows.spec, numbers.length, options);
  for (const { from, to } of rows.columns.pieces(numbers.length)) {
    const piece = rows.packHeld(numbers.subarray(from, to), options);
    batch.keys.set(piece.keys, from);
    batch.t.set(piece.t, from);
    batch.writers.set(piece.writers, from);
    batch.flags.set(piece.flags, from);
    batch.values.set(piece.values, from * valueBytes);
    if (piece.state !== undefined) batch.state?.set(piece.state, from * stateBytes);
  }
  return batch;
}
