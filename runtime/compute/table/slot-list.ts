import { type SlotList } from "../../../protocols/sync/row-store.ts";
import { type KernelTable } from "./kernel-table.ts";

/** Rows of each table as a list. A slot is row * tables + table. */
export function slotListOf(tables: readonly KernelTable[], rowsOf: readonly Uint32Array[]): SlotList {
  const slots = new Float64Array(rowsOf.reduce((sum, { length }) => sum + length, 0));
  const generations = new Uint32Array(slots.length);
  const sections: { table: number; from: number; to: number }[] = [];
  let end = 0;
  for (const [table, listed] of rowsOf.entries()) {
    const rows = tables[table];
    if (listed.length === 0 || rows === undefined) continue;
    sections.push({ table, from: end, to: end + listed.length });
    for (let at = 0; at < listed.length; at += 1) {
      const row = listed[at] ?? 0;
      slots[end] = row * tables.length + table;
      generations[end] = rows.generationOf(row);
      end += 1;
    }
  }
  return { slots, generations, sections };
}

/** Rows of one table that stand in a column of slots, in its order, and where each stands there. */
export interface RowsOfTable {
  readonly rows: Uint32Array;
  readonly places: Uint32Array;
}

/** What slots are, table by table. */
export function rowsByTable(slots: Float64Array, tables: number): RowsOfTable[] {
  const counts = new Uint32Array(tables);
  for (let at = 0; at < slots.length; at += 1) {
    const table = tableOf(slots[at] ?? 0, tables);
    counts[table] = (counts[table] ?? 0) + 1;
  }
  const parts = Array.from(counts, (count) => ({ rows: new Uint32Array(count), places: new Uint32Array(count) }));
  const ends = new Uint32Array(tables);
  for (let at = 0; at < slots.length; at += 1) {
    const slot = slots[at] ?? 0;
    const table = tableOf(slot, tables);
    const part = parts[table];
    if (part === undefined) continue;
    const end = ends[table] ?? 0;
    part.rows[end] = (slot - table) / tables;
    part.places[end] = at;
    ends[table] = end + 1;
  }
  return parts;
}

/** A slot's remainder by the tables: of numbers beyond 32 bits the operator `%` takes as long as all else that is done to a row. */
function tableOf(slot: number, tables: number): number {
  return slot - Math.floor(slot / tables) * tables;
}
