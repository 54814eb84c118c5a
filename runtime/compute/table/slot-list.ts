import { type SlotList, type SlotVersions } from "../../../protocols/sync/row-store.ts";
import { type KernelTable } from "./kernel-table.ts";

/** Rows of each table as a list. A slot is row * tables + table. */
export function slotListOf(
  tables: readonly KernelTable[],
  rowsOf: readonly (readonly number[] | Uint32Array)[],
): SlotList {
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

/** The versions of the rows in these slots, none of which is empty, read table by table. */
export function versionsAt(tables: readonly KernelTable[], slots: Float64Array): SlotVersions {
  const places = tables.map((): number[] => []);
  for (let at = 0; at < slots.length; at += 1) places[(slots[at] ?? 0) % tables.length]?.push(at);
  const versions = { slots, t: new Float64Array(slots.length), writers: new Uint16Array(slots.length) };
  for (const [table, rows] of tables.entries()) {
    const mine = places[table] ?? [];
    if (mine.length === 0) continue;
    const numbers = mine.map((at) => ((slots[at] ?? 0) - table) / tables.length);
    rows.readVersions(numbers, { places: mine, ...versions });
  }
  return versions;
}
