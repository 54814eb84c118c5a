/*
 * The row store that region nodes run on: columns in typed arrays, no object and no BigInt a row. It does what map-row-store.ts does, which
 * is there to be read.
 */
import { checkBatch } from "./check-batch.ts";
import { ContentHash, hashText } from "./content-hash.ts";
import { checkTables } from "./declaration.ts";
import { FrozenTables } from "./frozen-tables.ts";
import { wordsOf } from "./key-index.ts";
import { RowScratch } from "./row-scratch.ts";
import {
  type DroppedRows,
  type FrozenRows,
  type MergeOutcome,
  type RowBatch,
  type RowGlance,
  type RowStore,
  type Slot,
  type SlotList,
  type SlotVersions,
  type TableKeys,
  type TableSpec,
  TOMBSTONE,
  type UpdateOutcome,
  type UpdateRequest,
} from "./row-store.ts";
import { StoredRows, versionsAt } from "./stored-rows.ts";
import { ColumnGlance, TableRows } from "./table-rows.ts";
import { type Version, type WriterId } from "./version.ts";
import { WriterDictionary } from "./writer-dictionary.ts";

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
  readonly #writers = new WriterDictionary();
  readonly #tables: readonly TableRows[];
  readonly #scratches: readonly RowScratch[];
  readonly #frozen: FrozenTables;
  readonly #open = new Set<SlotList>();

  constructor(tables: readonly TableSpec[], state: boolean) {
    this.declared = tables;
    this.tables = state ? tables : tables.map((table) => ({ ...table, stateBytes: 0 }));
    this.hasState = state;
    this.#tables = this.tables.map((spec) => new TableRows(spec));
    this.#scratches = this.#tables.map((rows) => new RowScratch(rows));
    this.#frozen = new FrozenTables(this.#tables, { state });
  }

  get writers(): readonly WriterId[] {
    return this.#writers.ids;
  }

  writerIndex(id: WriterId): number {
    return this.#writers.indexOf(id);
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

  versionsAt(slots: Float64Array): SlotVersions {
    return versionsAt(slots, (slot) => this.versionAt(slot));
  }

  update({ table, keys, writer, firstT, mutate }: UpdateRequest): UpdateOutcome {
    const rows = this.#rows(table);
    const frozen = this.#frozen.table(table);
    this.#writers.check(writer);
    const scratch = this.#scratches[table] ?? new RowScratch(rows);
    const owned = new BigUint64Array(keys);
    const words = wordsOf(owned);
    const stored = new StoredRows(keys.length);
    let refused = 0;
    let stamped = 0;
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
      const t = firstT + stamped;
      stamped += 1;
      // A stamp is later than all that was seen, but a row of a newer epoch still wins.
      if (row >= 0 && !this.#writers.isNewer({ t, writer }, { t: rows.t[row] ?? 0, writer: rows.writers[row] ?? 0 })) {
        refused += 1;
        continue;
      }
      if (row < 0) {
        row = rows.add(low, high);
        frozen?.added(row);
      } else frozen?.touch(row);
      scratch.store(row);
      rows.t[row] = t;
      rows.writers[row] = writer;
      rows.setFlags(row, verdict === "delete" ? TOMBSTONE : 0);
      stored.add({ index, slot: row * this.tables.length + table, t, writer });
    }
    return { keys: stored.keysOf(owned), indexes: stored.indexes, ...stored.versions, refused, stamped };
  }

  merge(batch: RowBatch, known: Float64Array): MergeOutcome {
    const rows = this.#rows(batch.table);
    const frozen = this.#frozen.table(batch.table);
    const count = checkBatch(batch, { spec: rows.spec, state: this.hasState });
    for (const writer of batch.writers) this.#writers.check(writer);
    const { valueBytes, stateBytes } = rows.spec;
    const { t, writers, flags, values } = batch;
    const state = this.hasState ? batch.state : undefined;
    const words = wordsOf(batch.keys);
    const stored = new StoredRows(count);
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
      if (row < 0) {
        row = rows.add(low, high);
        frozen?.added(row);
      } else {
        const held = { t: rows.t[row] ?? 0, writer: rows.writers[row] ?? 0 };
        if (!this.#writers.isNewer(version, held)) continue;
        frozen?.touch(row);
      }
      rows.t[row] = version.t;
      rows.writers[row] = version.writer;
      rows.setFlags(row, flags[index] ?? 0);
      rows.values.set(values.subarray(index * valueBytes, (index + 1) * valueBytes), row * valueBytes);
      if (state !== undefined) {
        rows.state.set(state.subarray(index * stateBytes, (index + 1) * stateBytes), row * stateBytes);
      }
      stored.add({ index, slot: row * this.tables.length + batch.table, ...version });
    }
    return { applied: stored.indexes, ...stored.versions, ignored };
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
        this.#frozen.table(table)?.touch(row);
        rows.drop(row);
      }
      if (keys.length === 0) return [];
      const dropped = BigUint64Array.from(keys);
      this.#frozen.table(table)?.dropped(dropped);
      return [{ table, keys: dropped, slots: Float64Array.from(slots) }];
    });
  }

  dropKeys({ table, keys }: TableKeys): void {
    const rows = this.#rows(table);
    const words = wordsOf(keys);
    for (let at = 0; at < keys.length; at += 1) {
      const row = rows.index.find(words[2 * at] ?? 0, words[2 * at + 1] ?? 0);
      if (row < 0) continue;
      this.#frozen.table(table)?.touch(row);
      rows.drop(row);
    }
    this.#frozen.table(table)?.dropped(keys.slice());
  }

  get changes(): number {
    return this.#frozen.changes;
  }

  freeze(what: "all" | "changed"): FrozenRows {
    return this.#frozen.freeze(what);
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

  #rows(table: number): TableRows {
    const rows = this.#tables[table];
    if (rows === undefined) throw new RangeError(`Cannot use table ${table}: there are ${this.tables.length}`);
    return rows;
  }
}
