/*
 * The reference row store: plain Maps, one buffer a row. Slow and obvious; faster stores are checked against it.
 */
import { checkBatch } from "./check-batch.ts";
import { checkTables } from "./declaration.ts";
import { ContentHash, hashText } from "./content-hash.ts";
import {
  type Among,
  type DroppedRows,
  type FrozenRows,
  type LearnRequest,
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
import { mutateBySteps } from "./gradient-steps.ts";
import { editRow, isAmong, packRows, type Row, takeRows, versionBefore, versionsOf } from "./map-row.ts";
import { StoredRows } from "./stored-rows.ts";
import { type Version, type WriterId } from "./version.ts";
import { WriterDictionary } from "./writer-dictionary.ts";

/** An empty store for these tables. `state: false` makes a serving replica's store, which keeps values only. */
export function createMapRowStore(tables: readonly TableSpec[], options: { readonly state: boolean }): RowStore {
  checkTables(tables);
  return new MapRowStore(tables, options.state);
}

class MapRowStore implements RowStore {
  readonly tables: readonly TableSpec[];
  readonly declared: readonly TableSpec[];
  readonly hasState: boolean;
  readonly #writers = new WriterDictionary();
  readonly #slots: readonly Map<bigint, Slot>[];
  readonly #live: number[];
  readonly #rows: (Row | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #open = new Set<SlotList>();
  readonly #free: Slot[] = [];
  #changed = new Set<Slot>();
  #gone: TableKeys[] = [];
  #isFrozen = false;

  constructor(tables: readonly TableSpec[], state: boolean) {
    this.declared = tables;
    this.tables = state ? tables : tables.map((table) => ({ ...table, stateBytes: 0 }));
    this.hasState = state;
    this.#slots = tables.map(() => new Map());
    this.#live = tables.map(() => 0);
  }

  get writers(): readonly WriterId[] {
    return this.#writers.ids;
  }

  writerIndex(id: WriterId): number {
    return this.#writers.indexOf(id);
  }

  rows(table: number): number {
    this.#spec(table);
    return this.#live[table] ?? 0;
  }

  get tombstones(): number {
    return this.#slots.reduce((sum, slots, table) => sum + slots.size - (this.#live[table] ?? 0), 0);
  }

  read(table: number, keys: BigUint64Array): { found: Uint8Array; values: Uint8Array } {
    const { valueBytes } = this.#spec(table);
    const found = new Uint8Array(keys.length);
    const values = new Uint8Array(keys.length * valueBytes);
    keys.forEach((key, index) => {
      const row = this.#find(table, key);
      if (row === undefined || row.flags & TOMBSTONE) return;
      found[index] = 1;
      values.set(row.values, index * valueBytes);
    });
    return { found, values };
  }

  versionOf(table: number, key: bigint): Version | undefined {
    const row = this.#find(table, key);
    const writer = row && this.writers[row.writer];
    return row && writer && { t: row.t, writer };
  }

  slotOf(table: number, key: bigint): Slot | undefined {
    this.#spec(table);
    return this.#slots[table]?.get(key);
  }

  versionAt(slot: Slot): { t: number; writer: number } {
    const row = this.#rows[slot];
    if (row === undefined) throw new RangeError(`Cannot read the version in slot ${slot}: it is empty`);
    return { t: row.t, writer: row.writer };
  }

  versionsAt(slots: Float64Array): SlotVersions {
    const rows = Array.from(slots, (slot) => this.#rows[slot]);
    return versionsOf(rows, [...slots]);
  }

  update({ table, keys, writer, firstT, mutate }: UpdateRequest): UpdateOutcome {
    const spec = this.#spec(table);
    this.#writers.check(writer);
    const stored = new StoredRows(keys.length);
    let refused = 0;
    let stamped = 0;
    keys.forEach((key, index) => {
      const old = this.#find(table, key);
      const edited = editRow(spec, { old, key, index, mutate });
      if (edited === "refused") refused += 1;
      if (edited === "skip" || edited === "refused") return;
      const row: Row = { ...edited, table, key, t: firstT + stamped, writer };
      stamped += 1;
      // A stamp is later than all that was seen, but a row of a newer epoch still wins.
      if (old !== undefined && !this.#writers.isNewer(row, old)) {
        refused += 1;
        return;
      }
      stored.add({ index, slot: this.#put(row), t: row.t, writer, ...versionBefore(old) });
    });
    return stored.outcome(new BigUint64Array(keys), { refused, stamped });
  }

  learn({ steps, ...request }: LearnRequest): UpdateOutcome {
    return this.update({ ...request, mutate: mutateBySteps(steps) });
  }

  merge(batch: RowBatch, known: Float64Array): MergeOutcome {
    const stored = new StoredRows(batch.keys.length);
    const ignored = this.#mergeRows(batch, known, (row) => stored.add(row));
    return { applied: stored.indexes, ...stored.versions, ignored };
  }

  load(batch: RowBatch): void {
    this.#checkNoneFrozen();
    const changed = new Set(this.#changed);
    this.#mergeRows(batch, new Float64Array(), () => undefined);
    this.#changed = changed;
  }

  /** Tells of each row that is newer than what was held; gives how many are known. */
  #mergeRows(batch: RowBatch, known: Float64Array, onStored: StoredRows["add"]): number {
    const spec = this.#spec(batch.table);
    const rows = checkBatch(batch, { spec, state: this.hasState });
    const { valueBytes, stateBytes } = spec;
    let ignored = 0;
    for (let index = 0; index < rows; index += 1) {
      const key = batch.keys[index] ?? 0n;
      const t = batch.t[index] ?? 0;
      const writer = batch.writers[index] ?? 0;
      this.#writers.check(writer);
      if (t <= (known[writer] ?? 0)) {
        ignored += 1;
        continue;
      }
      const old = this.#find(batch.table, key);
      if (old !== undefined && !this.#writers.isNewer({ t, writer }, old)) continue;
      const values = batch.values.slice(index * valueBytes, (index + 1) * valueBytes);
      const state =
        this.hasState && batch.state
          ? batch.state.slice(index * stateBytes, (index + 1) * stateBytes)
          : new Uint8Array();
      const slot = this.#put({
        table: batch.table,
        key,
        t,
        writer,
        flags: batch.flags[index] ?? 0,
        values: new Uint8Array(values),
        state: new Uint8Array(state),
      });
      onStored({ index, slot, t, writer, ...versionBefore(old) });
    }
    return ignored;
  }

  collect(known: Float64Array, among?: Float64Array): SlotList {
    const byTable: Slot[][] = this.tables.map(() => []);
    for (const slot of among ?? this.#rows.keys()) {
      const row = this.#rows[slot];
      if (row !== undefined && row.t > (known[row.writer] ?? 0)) byTable[row.table]?.push(slot);
    }
    const slots: Slot[] = [];
    const sections: { table: number; from: number; to: number }[] = [];
    byTable.forEach((lacking, table) => {
      if (lacking.length === 0) return;
      sections.push({ table, from: slots.length, to: slots.length + lacking.length });
      for (const slot of lacking) slots.push(slot);
    });
    const generations = new Uint32Array(slots.length);
    for (let at = 0; at < slots.length; at += 1) generations[at] = this.#generations[slots[at] ?? 0] ?? 0;
    const list = { slots: Float64Array.from(slots), generations, sections };
    this.#open.add(list);
    return list;
  }

  pack(list: SlotList, range: { readonly from: number; readonly to: number }): RowBatch[] {
    if (!this.#open.has(list)) throw new RangeError("Cannot pack rows of a list: it was released");
    const batches: RowBatch[] = [];
    for (const { table, from, to } of list.sections) {
      const rows: Row[] = [];
      for (let position = Math.max(from, range.from); position < Math.min(to, range.to); position += 1) {
        const slot = list.slots[position] ?? 0;
        const row = this.#rows[slot];
        if (row !== undefined && this.#generations[slot] === list.generations[position]) rows.push(row);
      }
      if (rows.length > 0) batches.push(packRows(this.#spec(table), rows, { table, state: this.hasState }));
    }
    return batches;
  }

  release(list: SlotList): void {
    this.#open.delete(list);
  }

  dropWhere(isDoomed: (row: RowGlance) => boolean, among: Among = {}): DroppedRows[] {
    return this.#slots.flatMap((slots, table) => {
      const doomed = [...slots.values()].filter((slot) => {
        const row = this.#rows[slot];
        return row !== undefined && isAmong(row, among) && isDoomed(row);
      });
      return doomed.length === 0 ? [] : [this.#dropSlots(table, doomed)];
    });
  }

  oldest(table: number, count: number): number {
    this.#spec(table);
    const times = this.#rows.flatMap((row) => (row?.table === table && !(row.flags & TOMBSTONE) ? [row.t] : []));
    return times.toSorted((a, b) => a - b)[Math.max(1, count) - 1] ?? 0;
  }

  dropKeys({ table, keys }: TableKeys): void {
    this.#spec(table);
    const held = [...keys].flatMap((key) => this.#slots[table]?.get(key) ?? []);
    if (held.length > 0) this.#dropSlots(table, held);
  }

  get changes(): number {
    return this.#changed.size + this.#gone.reduce((sum, { keys }) => sum + keys.length, 0);
  }

  freeze(what: "all" | "changed"): FrozenRows {
    this.#checkNoneFrozen();
    this.#isFrozen = true;
    const [changed, gone] = [this.#changed, this.#gone];
    this.#changed = new Set();
    this.#gone = [];
    // Rows are replaced whole, never changed: to hold on to them is to have them as they are.
    const rest = what === "all" ? [...this.#rows] : Array.from(changed, (slot) => this.#rows[slot]);
    let isOpen = true;
    return {
      whole: what === "all",
      dropped: what === "all" ? [] : gone,
      next: (bytesMax) => {
        const rows = takeRows(rest, bytesMax);
        const [first] = rows;
        if (first === undefined) return undefined;
        return packRows(this.#spec(first.table), rows, { table: first.table, state: this.hasState });
      },
      close: (outcome) => {
        if (!isOpen) return;
        isOpen = false;
        this.#isFrozen = false;
        rest.length = 0;
        if (outcome === "kept") return;
        this.#changed = changed.union(this.#changed);
        this.#gone = [...gone, ...this.#gone];
      },
    };
  }

  digest(): string {
    const hash = new ContentHash();
    const writerHashes = this.writers.map(hashText);
    for (const row of this.#rows) {
      if (row !== undefined) hash.addRow(row, { writerHash: writerHashes[row.writer] ?? 0 });
    }
    return hash.text();
  }

  #checkNoneFrozen(): void {
    if (this.#isFrozen) throw new RangeError("Cannot freeze or load rows: others are frozen");
  }

  #dropSlots(table: number, slots: readonly Slot[]): DroppedRows {
    const rows = slots.flatMap((slot) => this.#rows[slot] ?? []);
    for (const [at, row] of rows.entries()) this.#drop(row, slots[at] ?? 0);
    const keys = BigUint64Array.from(rows, ({ key }) => key);
    this.#gone.push({ table, keys });
    return { table, keys, ...versionsOf(rows, slots) };
  }

  #drop({ table, key, flags }: Row, slot: Slot): void {
    this.#slots[table]?.delete(key);
    this.#rows[slot] = undefined;
    this.#generations[slot] = (this.#generations[slot] ?? 0) + 1;
    if (!(flags & TOMBSTONE)) this.#countLive(table, -1);
    this.#free.push(slot);
    this.#changed.delete(slot);
  }

  #put(row: Row): Slot {
    const held = this.#slots[row.table]?.get(row.key);
    const slot = held ?? this.#free.pop() ?? this.#rows.length;
    const old = held === undefined ? undefined : this.#rows[held];
    const liveBefore = old !== undefined && !(old.flags & TOMBSTONE) ? 1 : 0;
    this.#countLive(row.table, (row.flags & TOMBSTONE ? 0 : 1) - liveBefore);
    this.#rows[slot] = row;
    this.#changed.add(slot);
    this.#generations[slot] ??= 0;
    if (held === undefined) this.#slots[row.table]?.set(row.key, slot);
    return slot;
  }

  #find(table: number, key: bigint): Row | undefined {
    return this.#rows[this.slotOf(table, key) ?? -1];
  }

  #spec(table: number): TableSpec {
    const spec = this.tables[table];
    if (spec === undefined) throw new RangeError(`Cannot use table ${table}: there are ${this.tables.length}`);
    return spec;
  }

  #countLive(table: number, by: number): void {
    this.#live[table] = (this.#live[table] ?? 0) + by;
  }
}
