/*
 * The row store that region nodes run on: each table in WebAssembly memory of its own, which other threads of the process read while this one
 * writes. It does what protocols/sync/map-row-store.ts does, which is there to be read.
 */
import { checkBatch } from "../../../protocols/sync/check-batch.ts";
import { checkTables } from "../../../protocols/sync/declaration.ts";
import { FrozenTables } from "../../../protocols/sync/frozen-tables.ts";
import { mutateBySteps } from "../../../protocols/sync/gradient-steps.ts";
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
  type UpdateOutcome,
  type UpdateRequest,
} from "../../../protocols/sync/row-store.ts";
import { type Version, type WriterId } from "../../../protocols/sync/version.ts";
import { EditedRow } from "./edited-row.ts";
import { KernelTable } from "./kernel-table.ts";
import { learnRows, numbersOf } from "./learn-rows.ts";
import { mergeRows } from "./merge-rows.ts";
import { packList } from "./pack-list.ts";
import { aheadAmong, rowsAhead } from "./rows-ahead.ts";
import { versionAt, versionsAt } from "./row-versions.ts";
import { rowsByTable, slotListOf } from "./slot-list.ts";
import { rowsWhere } from "./rows-where.ts";
import { oldestOf } from "./oldest-rows.ts";
import { type ColdCounts } from "./cold-rows.ts";
import { coldOptions, type ColdTables } from "./cold-tables.ts";
import { tableMemory } from "./table-memory.ts";
import { updateRows } from "./update-rows.ts";
import { SharedWriters } from "./writer-epochs.ts";
import { type SharedTable } from "./table-reader.ts";
import { type DigestTurn, TableDigests } from "./table-digest.ts";

interface TableStoreOptions {
  readonly state: boolean;
  readonly cold?: ColdTables | undefined;
}

/** An empty store for these tables, each in one memory. `state: false` makes a serving replica's store, which keeps values only. */
export function createTableRowStore(tables: readonly TableSpec[], options: TableStoreOptions): RowStore {
  checkTables(tables);
  return new TableRowStore(tables, options);
}

const NO_ROWS = new Uint32Array();

/** A slot is row * tables + table. */
export class TableRowStore implements RowStore {
  readonly tables: readonly TableSpec[];
  readonly declared: readonly TableSpec[];
  readonly hasState: boolean;
  readonly #writers = new SharedWriters(() => this.#tables.forEach((table) => table.setRanks(this.#writers.ranks())));
  readonly #tables: readonly KernelTable[];
  readonly #edits: readonly EditedRow[];
  readonly #frozen: FrozenTables;
  readonly #open = new Set<SlotList>();
  readonly #digests: TableDigests;

  constructor(
    tables: readonly TableSpec[],
    { state, memoryBytesMax, cold }: TableStoreOptions & { readonly memoryBytesMax?: number },
  ) {
    this.declared = tables;
    this.tables = state ? tables : tables.map((table) => ({ ...table, stateBytes: 0 }));
    this.hasState = state;
    this.#tables = this.tables.map(
      (spec, table) => new KernelTable(spec, tableMemory(memoryBytesMax), coldOptions(cold, table)),
    );
    this.#edits = this.#tables.map((table) => new EditedRow(table));
    this.#digests = new TableDigests(this.#tables);
    this.#frozen = new FrozenTables(this.#tables, { state });
  }

  get writers(): readonly WriterId[] {
    return this.#writers.ids;
  }

  writerIndex(id: WriterId): number {
    return this.#writers.indexOf(id);
  }

  /** Of its writers, for other threads (writer-epochs.ts). */
  get epochs(): Int32Array {
    return this.#writers.epochs;
  }

  /** The memories of each table. */
  get shared(): readonly (readonly SharedTable[])[] {
    return this.#tables.map(({ memory, spec }) => [{ memory, spec }]);
  }

  /** Of each table, where not all of it is in memory. */
  get cold(): readonly (ColdCounts | undefined)[] {
    return this.#tables.map(({ cold, held }) => cold?.counts(held));
  }

  get tombstones(): number {
    return this.#tables.reduce((sum, { held, live }) => sum + held - live, 0);
  }

  rows(table: number): number {
    return this.#table(table).live;
  }

  read(table: number, keys: BigUint64Array): { found: Uint8Array; values: Uint8Array } {
    const rows = this.#table(table);
    const { code, columns, spec } = rows;
    const found = new Uint8Array(keys.length);
    const values = new Uint8Array(keys.length * spec.valueBytes);
    for (const { from, to, count } of columns.pieces(keys.length)) {
      columns.keys.view.set(keys.subarray(from, to));
      if (rows.cold !== undefined) {
        code.findLiveRows(columns.keys.at, count, columns.rows.at);
        rows.cold.bring(columns.rows, count, { more: 0 });
      }
      code.readRows(columns.keys.at, count, columns.flags.at, columns.values.at, columns.rows.at);
      found.set(columns.flags.view.subarray(0, count), from);
      values.set(columns.values.view.subarray(0, count * spec.valueBytes), from * spec.valueBytes);
    }
    return { found, values };
  }

  versionOf(table: number, key: bigint): Version | undefined {
    const rows = this.#table(table);
    const version = versionAt(rows, rows.find(key) >>> 0);
    const writer = version && this.writers[version.writer];
    return writer && version && { t: version.t, writer };
  }

  slotOf(table: number, key: bigint): Slot | undefined {
    const row = this.#table(table).find(key);
    return row < 0 ? undefined : row * this.tables.length + table;
  }

  versionAt(slot: Slot): { t: number; writer: number } {
    const version = versionAt(this.#table(slot % this.tables.length), Math.floor(slot / this.tables.length));
    if (version === undefined) throw new RangeError(`Cannot read the version in slot ${slot}: it is empty`);
    return version;
  }

  versionsAt(slots: Float64Array): SlotVersions {
    return versionsAt(this.#tables, slots);
  }

  update(request: UpdateRequest): UpdateOutcome {
    const { table } = request;
    const rows = this.#table(table);
    this.#writers.check(request.writer);
    return updateRows(request, {
      rows,
      edit: this.#edits[table] ?? new EditedRow(rows),
      frozen: this.#frozen.table(table),
      writers: this.#writers,
      tables: this.tables.length,
    });
  }

  learn(request: LearnRequest): UpdateOutcome {
    const table = this.#table(request.table);
    const optimizer = numbersOf(table, request.steps);
    if (optimizer === undefined) return this.update({ ...request, mutate: mutateBySteps(request.steps) });
    this.#writers.check(request.writer);
    const frozen = this.#frozen.table(request.table);
    return learnRows(request, { table, frozen, optimizer, tables: this.tables.length });
  }

  merge(batch: RowBatch, known: Float64Array): MergeOutcome {
    const table = this.#table(batch.table);
    this.check(batch);
    const frozen = this.#frozen.table(batch.table);
    return mergeRows(batch, known, { table, frozen, state: this.hasState, tables: this.tables.length });
  }

  load(batch: RowBatch, options: { readonly rows: number }): void {
    this.check(batch);
    this.#frozen.checkNone();
    this.#digests.forget();
    this.#table(batch.table).load(batch, { ...options, state: this.hasState });
  }

  collect(known: Float64Array, slots?: Float64Array): SlotList {
    const among = slots === undefined ? undefined : rowsByTable(slots, this.tables.length);
    const rowsOf = this.#tables.map((table, index) => {
      const rows = among?.[index]?.rows;
      if (rows !== undefined) return aheadAmong(table, { rows, known });
      // Of a table that is as it was loaded nothing need be looked at, as a rule.
      const isAsLoaded = this.#frozen.table(index)?.touches === 0;
      return isAsLoaded && table.loaded.areKnown(known) ? NO_ROWS : rowsAhead(table, known);
    });
    const list = slotListOf(this.#tables, rowsOf);
    this.#open.add(list);
    return list;
  }

  pack(list: SlotList, range: { readonly from: number; readonly to: number }): RowBatch[] {
    if (!this.#open.has(list)) throw new RangeError("Cannot pack rows of a list: it was released");
    return packList(this.#tables, list, { ...range, state: this.hasState });
  }

  release(list: SlotList): void {
    this.#open.delete(list);
  }

  /** Where a table is named, `only` are those that stand for it. */
  dropWhere(isDoomed: (row: RowGlance) => boolean, among: Among = {}, only = [among.table]): DroppedRows[] {
    return this.#tables.flatMap((rows, table) => {
      if (among.table !== undefined && !only.includes(table)) return [];
      const doomed = rowsWhere(rows, isDoomed, { ...among, table });
      if (doomed.rows.length === 0) return [];
      const keys = BigUint64Array.from(doomed.keys);
      this.#drop(table, doomed.rows, keys);
      const slots = Float64Array.from(doomed.rows, (row) => row * this.tables.length + table);
      return [{ table, keys, slots, t: Float64Array.from(doomed.t), writers: Uint16Array.from(doomed.writers) }];
    });
  }

  /** `all`: the tables that stand for it. */
  oldest(table: number, count: number, all = [table]): number {
    const held = all.map((each) => this.#table(each));
    return oldestOf(held, count);
  }

  dropKeys({ table, keys }: TableKeys): void {
    this.#drop(table, this.#table(table).rowsOf(keys), keys.slice());
  }

  get changes(): number {
    return this.#frozen.changes;
  }

  freeze(what: "all" | "changed"): FrozenRows {
    return this.#frozen.freeze(what);
  }

  /** `names`: the numbers under which the tables are in the digest, where these are not their own. */
  digest(names?: readonly number[]): string {
    return this.#digests.whole({ writers: this.writers, names });
  }

  digestTurn(rows: number, names?: readonly number[]): DigestTurn {
    return this.#digests.turn(rows, { touches: this.#frozen.touches, writers: this.writers, names });
  }

  /** Throws `RangeError` unless a batch can be stored. */
  check(batch: RowBatch): void {
    checkBatch(batch, { spec: this.#table(batch.table).spec, state: this.hasState });
    this.#writers.checkAll(batch.writers);
  }

  #drop(table: number, rows: readonly number[], keys: BigUint64Array<ArrayBuffer>): void {
    const frozen = this.#frozen.table(table);
    for (const row of rows) {
      frozen?.touch(row);
      this.#table(table).drop(row);
    }
    frozen?.dropped(keys);
  }

  #table(table: number): KernelTable {
    const rows = this.#tables[table];
    if (rows === undefined) throw new RangeError(`Cannot use table ${table}: there are ${this.tables.length}`);
    return rows;
  }
}
