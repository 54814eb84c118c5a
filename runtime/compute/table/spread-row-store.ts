/*
 * Tables larger than one memory: rows are spread over several by key. Behind it is a store with a table for each memory, whose slots are
 * this one's; its lists, moments and glances name memories where these name tables.
 */
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
import { checkTables } from "../../../protocols/sync/declaration.ts";
import { type Version, type WriterId } from "../../../protocols/sync/version.ts";
import { joinBatches, joinMerged, joinOutcomes } from "./joined-rows.ts";
import { pickRows, pickSteps, scatterBytes } from "./picked-rows.ts";
import { keysInOrder, memoriesOf, type SpreadKeys, spreadKeys } from "./spread-keys.ts";
import { MEMORY_BYTES_MAX } from "./table-memory.ts";
import { type SharedTable } from "./table-reader.ts";
import { type DigestTurn } from "./table-digest.ts";
import { type ColdCounts } from "./cold-rows.ts";
import { type ColdTables } from "./cold-tables.ts";
import { createTableRowStore, TableRowStore } from "./table-row-store.ts";

interface SpreadOptions {
  readonly state: boolean;
  readonly memories: readonly number[];
  readonly cold?: ColdTables | undefined;
}

/** As `createTableRowStore`, with so many memories for each table, none larger than `memoryBytesMax`. What a table may have in memory is for all of them. */
export function createSpreadRowStore(
  tables: readonly TableSpec[],
  options: SpreadOptions & { readonly memoryBytesMax?: number },
): RowStore {
  const { state, memories, cold, memoryBytesMax = MEMORY_BYTES_MAX } = options;
  if (memories.every((count) => count === 1)) return createTableRowStore(tables, { state, cold });
  checkTables(tables);
  return new SpreadRowStore(tables, { state, memories, cold, memoryBytesMax });
}

/** Rows of tables in one memory or several each. What learns in one step is stamped memory by memory, and so in order where it is of one. */
export class SpreadRowStore implements RowStore {
  readonly tables: readonly TableSpec[];
  readonly declared: readonly TableSpec[];
  readonly hasState: boolean;
  readonly #store: TableRowStore;
  /** The table of each memory, and the first memory of each table. */
  readonly #tableOf: readonly number[];
  readonly #first: readonly number[];
  readonly #memories: readonly number[];
  /** Lists that are open, as the store behind has them. */
  readonly #lists = new Map<SlotList, SlotList>();

  constructor(tables: readonly TableSpec[], options: SpreadOptions & { readonly memoryBytesMax: number }) {
    const { state, memories, memoryBytesMax, cold } = options;
    this.#memories = tables.map((_, table) => memories[table] ?? 1);
    this.#tableOf = this.#memories.flatMap((count, table) => Array.from({ length: count }, () => table));
    this.#first = tables.map((_, table) => this.#tableOf.indexOf(table));
    this.#store = new TableRowStore(
      this.#tableOf.flatMap((table) => tables[table] ?? []),
      { state, memoryBytesMax, cold: cold && { ...cold, bytes: this.#shares(cold.bytes) } },
    );
    this.declared = tables;
    this.tables = this.#first.flatMap((memory) => this.#store.tables[memory] ?? []);
    this.hasState = state;
  }

  /** The memories of each table. */
  get shared(): readonly (readonly SharedTable[])[] {
    const all = this.#store.shared.flat();
    return this.#first.map((first, table) => all.slice(first, first + (this.#memories[table] ?? 1)));
  }

  get epochs(): Int32Array {
    return this.#store.epochs;
  }

  get cold(): readonly (readonly ColdCounts[])[] {
    const all = this.#store.cold;
    return this.#first.map((_, table) => this.#memoriesOf(table).flatMap((memory) => all[memory] ?? []));
  }

  /** What of each table's bytes each of its memories has. */
  #shares(bytes: readonly (number | undefined)[]): (number | undefined)[] {
    return this.#tableOf.map((table) => {
      const all = bytes[table];
      return all === undefined ? undefined : Math.ceil(all / (this.#memories[table] ?? 1));
    });
  }

  get writers(): readonly WriterId[] {
    return this.#store.writers;
  }

  writerIndex(writer: WriterId): number {
    return this.#store.writerIndex(writer);
  }

  get tombstones(): number {
    return this.#store.tombstones;
  }

  rows(table: number): number {
    return this.#memoriesOf(table).reduce((sum, memory) => sum + this.#store.rows(memory), 0);
  }

  read(table: number, keys: BigUint64Array): { found: Uint8Array; values: Uint8Array } {
    const width = this.#spec(table).valueBytes;
    const found = new Uint8Array(keys.length);
    const values = new Uint8Array(keys.length * width);
    for (const { memory, places, keys: mine } of this.#spread(table, keys)) {
      const read = this.#store.read(memory, mine);
      for (const [at, place] of places.entries()) found[place] = read.found[at] ?? 0;
      scatterBytes(read.values, { places, width, to: values });
    }
    return { found, values };
  }

  versionOf(table: number, key: bigint): Version | undefined {
    const [memory = 0] = memoriesOf(BigUint64Array.of(key), this.#memoriesOf(table).length);
    return this.#store.versionOf((this.#first[table] ?? 0) + memory, key);
  }

  slotOf(table: number, key: bigint): Slot | undefined {
    const [memory = 0] = memoriesOf(BigUint64Array.of(key), this.#memoriesOf(table).length);
    return this.#store.slotOf((this.#first[table] ?? 0) + memory, key);
  }

  versionAt(slot: Slot): { readonly t: number; readonly writer: number } {
    return this.#store.versionAt(slot);
  }

  versionsAt(slots: Float64Array): SlotVersions {
    return this.#store.versionsAt(slots);
  }

  update(request: UpdateRequest): UpdateOutcome {
    return this.#write(request, keysInOrder, ({ places, ...mine }) =>
      this.#store.update({
        ...mine,
        mutate: ({ index, key, isNew, bytes, floats, state }) =>
          request.mutate({ index: places[index] ?? 0, key, isNew, bytes, floats, state }),
      }),
    );
  }

  learn(request: LearnRequest): UpdateOutcome {
    const { dim } = this.#spec(request.table);
    return this.#write(request, spreadKeys, ({ places, ...mine }) => {
      const steps = pickSteps(request.steps, places, dim);
      const outcome = this.#store.learn({ ...mine, steps });
      for (const [at, place] of places.entries()) {
        request.steps.norms[place] = steps.norms[at] ?? 0;
        request.steps.created[place] = steps.created[at] ?? 0;
      }
      return outcome;
    });
  }

  merge(batch: RowBatch, known: Float64Array): MergeOutcome {
    const parts = this.#split(batch);
    return joinMerged(parts.map(({ places, rows }) => ({ places, outcome: this.#store.merge(rows, known) })));
  }

  load(batch: RowBatch, { rows: total }: { readonly rows: number }): void {
    const share = Math.ceil(total / this.#memoriesOf(batch.table).length);
    for (const { rows } of this.#split(batch)) this.#store.load(rows, { rows: share });
  }

  collect(known: Float64Array, among?: Float64Array): SlotList {
    const behind = this.#store.collect(known, among);
    const sections: { table: number; from: number; to: number }[] = [];
    for (const { table: memory, from, to } of behind.sections) {
      const table = this.#tableOf[memory] ?? 0;
      const last = sections.at(-1);
      if (last?.table === table) last.to = to;
      else sections.push({ table, from, to });
    }
    const list = { ...behind, sections };
    this.#lists.set(list, behind);
    return list;
  }

  pack(list: SlotList, range: { readonly from: number; readonly to: number }): RowBatch[] {
    const behind = this.#lists.get(list);
    if (behind === undefined) throw new RangeError("Cannot pack rows of a list: it was released");
    return joinBatches(this.#store.pack(behind, range).map((batch) => this.#outOf(batch)));
  }

  release(list: SlotList): void {
    const behind = this.#lists.get(list);
    if (behind !== undefined) this.#store.release(behind);
    this.#lists.delete(list);
  }

  dropWhere(isDoomed: (row: RowGlance) => boolean, among: Among = {}): DroppedRows[] {
    const dropped = this.#store.dropWhere(
      (row) => {
        const { key, t, writer, flags } = row;
        return isDoomed({ table: this.#tableOf[row.table] ?? 0, key, t, writer, flags });
      },
      among,
      among.table === undefined ? [] : this.#memoriesOf(among.table),
    );
    return dropped.map((rows) => this.#outOf(rows));
  }

  oldest(table: number, count: number): number {
    return this.#store.oldest(table, count, this.#memoriesOf(table));
  }

  dropKeys({ table, keys }: TableKeys): void {
    for (const { memory, keys: mine } of this.#spread(table, keys)) {
      this.#store.dropKeys({ table: memory, keys: mine });
    }
  }

  get changes(): number {
    return this.#store.changes;
  }

  freeze(what: "all" | "changed"): FrozenRows {
    const rows = this.#store.freeze(what);
    return {
      whole: rows.whole,
      dropped: rows.dropped.map((dropped) => this.#outOf(dropped)),
      next: (bytesMax) => {
        const batch = rows.next(bytesMax);
        return batch && this.#outOf(batch);
      },
      close: (outcome) => rows.close(outcome),
    };
  }

  digest(): string {
    return this.#store.digest(this.#tableOf);
  }

  digestTurn(rows: number): DigestTurn {
    return this.#store.digestTurn(rows, this.#tableOf);
  }

  /** Has each memory do its parts of a write, one after the other. */
  #write<Request extends Pick<UpdateRequest, "table" | "keys" | "firstT">>(
    request: Request,
    cut: typeof spreadKeys,
    write: (part: Request & { readonly places: Uint32Array }) => UpdateOutcome,
  ): UpdateOutcome {
    const parts: { places: Uint32Array; outcome: UpdateOutcome }[] = [];
    let { firstT } = request;
    for (const { memory, keys, places } of this.#spread(request.table, request.keys, cut)) {
      const outcome = write({ ...request, table: memory, keys, firstT, places });
      firstT += outcome.stamped;
      parts.push({ places, outcome });
    }
    return joinOutcomes(parts);
  }

  #split(batch: RowBatch): { places: Uint32Array; rows: RowBatch }[] {
    const spec = this.#spec(batch.table);
    this.#store.check({ ...batch, table: this.#first[batch.table] ?? 0 });
    return this.#spread(batch.table, batch.keys).map(({ memory, keys, places }) => ({
      places,
      rows: { ...pickRows(batch, places, spec), table: memory, keys },
    }));
  }

  #spread(table: number, keys: BigUint64Array, cut = spreadKeys): SpreadKeys[] {
    const first = this.#first[table] ?? 0;
    return cut(keys, this.#memoriesOf(table).length).map((part) => ({ ...part, memory: first + part.memory }));
  }

  #outOf<Rows extends { readonly table: number }>(rows: Rows): Rows {
    return { ...rows, table: this.#tableOf[rows.table] ?? 0 };
  }

  #memoriesOf(table: number): number[] {
    this.#spec(table);
    return Array.from({ length: this.#memories[table] ?? 1 }, (_, memory) => (this.#first[table] ?? 0) + memory);
  }

  #spec(table: number): TableSpec {
    const spec = this.tables[table];
    if (spec === undefined) throw new RangeError(`Cannot use table ${table}: there are ${this.tables.length}`);
    return spec;
  }
}
