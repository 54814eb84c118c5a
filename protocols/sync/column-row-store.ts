/*
 * The row store that region nodes run on: columns in typed arrays, no object and no BigInt a row. It does what map-row-store.ts does, which
 * is there to be read.
 */
import { SYNC_LIMITS } from "../limits.ts";
import { ContentHash, hashText } from "./content-hash.ts";
import { checkTables } from "./declaration.ts";
import { wordsOf } from "./key-index.ts";
import { RowScratch } from "./row-scratch.ts";
import {
  type DroppedRows,
  type MergeOutcome,
  type RowBatch,
  type RowGlance,
  type RowStore,
  type Slot,
  type SlotList,
  StoreFull,
  type TableSpec,
  TOMBSTONE,
  type UpdateOutcome,
  type UpdateRequest,
} from "./row-store.ts";
import { ColumnGlance, TableRows } from "./table-rows.ts";
import { epochOf, type Version, type WriterId } from "./version.ts";

/** An empty store for these tables. `state: false` makes a serving replica's store, which keeps values only. */
export function createColumnRowStore(tables: readonly TableSpec[], options: { readonly state: boolean }): RowStore {
  checkTables(tables);
  return new ColumnRowStore(tables, options.state);
}

/** A slot is row * tables + table. */
class ColumnRowStore implements RowStore {
  readonly tables: readonly TableSpec[];
  readonly declared: readonly TableSpec[];
  readonly hasState: boolean;
  readonly writers: WriterId[] = [];
  readonly #writerIndexes = new Map<WriterId, number>();
  readonly #epochs: number[] = [];
  readonly #tables: readonly TableRows[];
  readonly #scratches: readonly RowScratch[];
  readonly #open = new Set<SlotList>();

  constructor(tables: readonly TableSpec[], state: boolean) {
    this.declared = tables;
    this.tables = state ? tables : tables.map((table) => ({ ...table, stateBytes: 0 }));
    this.hasState = state;
    this.#tables = this.tables.map((spec) => new TableRows(spec));
    this.#scratches = this.#tables.map((rows) => new RowScratch(rows));
  }

  writerIndex(id: WriterId): number {
    const known = this.#writerIndexes.get(id);
    if (known !== undefined) return known;
    const index = this.writers.length;
    if (index >= SYNC_LIMITS.writersMax) throw new StoreFull("writers", SYNC_LIMITS.writersMax);
    this.#writerIndexes.set(id, index);
    this.#epochs.push(epochOf(id));
    this.writers.push(id);
    return index;
  }

  get tombstones(): number {
    return this.#tables.reduce((sum, { held, live }) => sum + held - live, 0);
  }

  rows(table: number): number {
    return this.#rows(table).live;
  }

  read(table: number, keys: BigUint64Array): { found: Uint8Array; values: Uint8Array } {
    const rows = this.#rows(table);
    const { valueBytes } = rows.spec;
    const words = wordsOf(keys);
    const found = new Uint8Array(keys.length);
    const values = new Uint8Array(keys.length * valueBytes);
    for (let at = 0; at < keys.length; at += 1) {
      const row = rows.index.find(words[2 * at] ?? 0, words[2 * at + 1] ?? 0);
      if (row < 0 || rows.isDeleted(row)) continue;
      found[at] = 1;
      values.set(rows.values.subarray(row * valueBytes, (row + 1) * valueBytes), at * valueBytes);
    }
    return { found, values };
  }

  versionOf(table: number, key: bigint): Version | undefined {
    const rows = this.#rows(table);
    const row = rows.index.find(Number(key & 0xffff_ffffn), Number(key >> 32n));
    const writer = row < 0 ? undefined : this.writers[rows.writers[row] ?? 0];
    return writer && { t: rows.t[row] ?? 0, writer };
  }

  versionAt(slot: Slot): { t: number; writer: number } {
    const rows = this.#rows(slot % this.tables.length);
    const row = Math.floor(slot / this.tables.length);
    if (rows.isEmpty(row)) throw new RangeError(`Cannot read the version in slot ${slot}: it is empty`);
    return { t: rows.t[row] ?? 0, writer: rows.writers[row] ?? 0 };
  }

  update({ table, keys, writer, stamp, mutate }: UpdateRequest): UpdateOutcome {
    const rows = this.#rows(table);
    this.#checkWriter(writer);
    const scratch = this.#scratches[table] ?? new RowScratch(rows);
    const owned = new BigUint64Array(keys);
    const words = wordsOf(owned);
    const written = {
      at: new Uint32Array(keys.length),
      t: new Float64Array(keys.length),
      slots: new Float64Array(keys.length),
    };
    let count = 0;
    let refused = 0;
    for (let index = 0; index < keys.length; index += 1) {
      const low = words[2 * index] ?? 0;
      const high = words[2 * index + 1] ?? 0;
      let row = rows.index.find(low, high);
      scratch.load(row, { keys: owned, index });
      const verdict = mutate(scratch);
      if (verdict === "skip") continue;
      if (verdict === "delete") scratch.clear();
      else if (!scratch.isFinite()) {
        refused += 1;
        continue;
      }
      const t = stamp();
      // A stamp is later than all that was seen, but a row of a newer epoch still wins.
      if (row >= 0 && !this.#isNewer({ t, writer }, { t: rows.t[row] ?? 0, writer: rows.writers[row] ?? 0 })) {
        refused += 1;
        continue;
      }
      if (row < 0) row = rows.add(low, high);
      scratch.store(row);
      rows.t[row] = t;
      rows.writers[row] = writer;
      rows.setFlags(row, verdict === "delete" ? TOMBSTONE : 0);
      written.at[count] = index;
      written.t[count] = t;
      written.slots[count] = row * this.tables.length + table;
      count += 1;
    }
    return {
      keys: count === keys.length ? owned : owned.filter(among(written.at, count)),
      t: written.t.slice(0, count),
      slots: written.slots.slice(0, count),
      refused,
    };
  }

  merge(batch: RowBatch, known: Float64Array): MergeOutcome {
    const rows = this.#rows(batch.table);
    const count = this.#checkBatch(batch, rows.spec);
    const { valueBytes, stateBytes } = rows.spec;
    const { t, writers, flags, values } = batch;
    const state = this.hasState ? batch.state : undefined;
    const words = wordsOf(batch.keys);
    const applied = new Uint32Array(count);
    const slots = new Float64Array(count);
    let newer = 0;
    let ignored = 0;
    for (let index = 0; index < count; index += 1) {
      const low = words[2 * index] ?? 0;
      const high = words[2 * index + 1] ?? 0;
      const version = { t: t[index] ?? 0, writer: writers[index] ?? 0 };
      let row = rows.index.find(low, high);
      if (version.t <= (known[version.writer] ?? 0)) {
        ignored += 1;
        continue;
      }
      if (row < 0) row = rows.add(low, high);
      else if (!this.#isNewer(version, { t: rows.t[row] ?? 0, writer: rows.writers[row] ?? 0 })) continue;
      rows.t[row] = version.t;
      rows.writers[row] = version.writer;
      rows.setFlags(row, flags[index] ?? 0);
      rows.values.set(values.subarray(index * valueBytes, (index + 1) * valueBytes), row * valueBytes);
      if (state !== undefined) {
        rows.state.set(state.subarray(index * stateBytes, (index + 1) * stateBytes), row * stateBytes);
      }
      applied[newer] = index;
      slots[newer] = row * this.tables.length + batch.table;
      newer += 1;
    }
    return { applied: applied.slice(0, newer), slots: slots.slice(0, newer), ignored };
  }

  collect(known: Float64Array, slots?: Float64Array): SlotList {
    const byTable: Slot[][] = this.tables.map(() => []);
    const tables = this.tables.length;
    if (slots === undefined) {
      for (const [table, rows] of this.#tables.entries()) {
        for (let row = 0; row < rows.end; row += 1) {
          if (rows.isAhead(row, known)) byTable[table]?.push(row * tables + table);
        }
      }
    } else {
      for (let at = 0; at < slots.length; at += 1) {
        const slot: Slot = slots[at] ?? 0;
        const table = slot % tables;
        if (this.#tables[table]?.isAhead((slot - table) / tables, known) === true) byTable[table]?.push(slot);
      }
    }
    return this.#openList(byTable);
  }

  pack(list: SlotList, range: { readonly from: number; readonly to: number }): RowBatch[] {
    if (!this.#open.has(list)) throw new RangeError("Cannot pack rows of a list: it was released");
    const batches: RowBatch[] = [];
    for (const { table, from, to } of list.sections) {
      const rows = this.#rows(table);
      const held: number[] = [];
      for (let at = Math.max(from, range.from); at < Math.min(to, range.to); at += 1) {
        const row = Math.floor((list.slots[at] ?? 0) / this.tables.length);
        if (!rows.isEmpty(row) && rows.generations[row] === list.generations[at]) held.push(row);
      }
      if (held.length > 0) batches.push(rows.pack(held, { table, state: this.hasState }));
    }
    return batches;
  }

  release(list: SlotList): void {
    this.#open.delete(list);
  }

  dropWhere(isDoomed: (row: RowGlance) => boolean): DroppedRows[] {
    return this.#tables.flatMap((rows, table) => {
      const glance = new ColumnGlance(rows, table);
      const keys: bigint[] = [];
      const slots: Slot[] = [];
      for (let row = 0; row < rows.end; row += 1) {
        glance.row = row;
        if (rows.isEmpty(row) || !isDoomed(glance)) continue;
        keys.push(glance.key);
        slots.push(row * this.tables.length + table);
        rows.drop(row);
      }
      if (keys.length === 0) return [];
      return [{ table, keys: BigUint64Array.from(keys), slots: Float64Array.from(slots) }];
    });
  }

  digest(): string {
    const hash = new ContentHash();
    const writerHashes = this.writers.map(hashText);
    for (const [table, rows] of this.#tables.entries()) {
      const { valueBytes } = rows.spec;
      for (let row = 0; row < rows.end; row += 1) {
        if (rows.isEmpty(row)) continue;
        const key = rows.index.keys[row] ?? 0n;
        const values = rows.values.subarray(row * valueBytes, (row + 1) * valueBytes);
        hash.addRow(
          { table, key, t: rows.t[row] ?? 0, flags: rows.flags[row] ?? 0, values },
          { writerHash: writerHashes[rows.writers[row] ?? 0] ?? 0 },
        );
      }
    }
    return hash.text();
  }

  #openList(byTable: readonly (readonly Slot[])[]): SlotList {
    const slots = new Float64Array(byTable.reduce((sum, { length }) => sum + length, 0));
    const generations = new Uint32Array(slots.length);
    const sections: { table: number; from: number; to: number }[] = [];
    let end = 0;
    for (const [table, lacking] of byTable.entries()) {
      if (lacking.length === 0) continue;
      const rows = this.#rows(table);
      sections.push({ table, from: end, to: end + lacking.length });
      for (const slot of lacking) {
        slots[end] = slot;
        generations[end] = rows.generations[Math.floor(slot / this.tables.length)] ?? 0;
        end += 1;
      }
    }
    const list = { slots, generations, sections };
    this.#open.add(list);
    return list;
  }

  #checkBatch(batch: RowBatch, { valueBytes, stateBytes }: TableSpec): number {
    const { table, keys, t, writers, flags, values, state } = batch;
    const count = keys.length;
    if (
      t.length !== count ||
      writers.length !== count ||
      flags.length !== count ||
      values.length !== count * valueBytes
    ) {
      throw new RangeError(`Cannot merge ${count} rows of table ${table}: the columns do not fit`);
    }
    if (this.hasState && state?.length !== count * stateBytes) {
      throw new RangeError(`Cannot merge ${count} rows of table ${table}: their state does not fit`);
    }
    for (const writer of writers) this.#checkWriter(writer);
    return count;
  }

  #isNewer(
    a: { readonly t: number; readonly writer: number },
    b: { readonly t: number; readonly writer: number },
  ): boolean {
    if (a.writer === b.writer) return a.t > b.t;
    const [epochA, epochB] = [this.#epochs[a.writer] ?? 0, this.#epochs[b.writer] ?? 0];
    if (epochA !== epochB) return epochA > epochB;
    if (a.t !== b.t) return a.t > b.t;
    return (this.writers[a.writer] ?? "") > (this.writers[b.writer] ?? "");
  }

  #rows(table: number): TableRows {
    const rows = this.#tables[table];
    if (rows === undefined) throw new RangeError(`Cannot use table ${table}: there are ${this.tables.length}`);
    return rows;
  }

  #checkWriter(index: number): void {
    if (index >= this.writers.length) {
      throw new RangeError(`Cannot use writer ${index}: there are ${this.writers.length}`);
    }
  }
}

/** Whether an index is one of the first `count` of a rising list. */
function among(rising: Uint32Array, count: number): (value: bigint, index: number) => boolean {
  let next = 0;
  return (_, index) => {
    if (next >= count || rising[next] !== index) return false;
    next += 1;
    return true;
  };
}
