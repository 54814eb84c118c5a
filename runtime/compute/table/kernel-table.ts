import { type FreezableRows } from "../../../protocols/sync/frozen-table.ts";
import { type RowBatch, type TableSpec } from "../../../protocols/sync/row-store.ts";
import { type SharedMemory } from "../load.ts";
import { type ColdOptions, ColdRows, sizesOf } from "./cold-rows.ts";
import { HEAD, openTableCode, type TableCode } from "./table-code.ts";
import { type ContentsPiece, type MergePiece, TableColumns, TableFull } from "./table-columns.ts";
import { NewestRows } from "./newest-rows.ts";
import { tableMemory } from "./table-memory.ts";

/** -1, as an unsigned number. */
export const NO_ROW = 0xffff_ffff;

const NOTHING = new Float64Array();
const TOP_UNIT_BYTES = 64;

/** One table in a memory of its own, which other threads may read: rows by number, found by key. Only the thread that made it writes. */
export class KernelTable implements FreezableRows {
  readonly spec: TableSpec;
  readonly columns: TableColumns;
  /** Where not all contents are in memory. */
  readonly cold: ColdRows | undefined;
  /** Of an image, as they were when they were loaded. */
  readonly loaded = new NewestRows();
  readonly #memory: SharedMemory;
  readonly #code: TableCode;
  readonly #head: Uint32Array;
  readonly #answerT: Float64Array;
  /** How often a row was dropped, for those that were. */
  readonly #generations = new Map<number, number>();

  /** An empty table, or the one in a memory whose owner is no more. With `cold`, an empty one whose contents stand apart. */
  constructor(spec: TableSpec, memory = tableMemory(), cold?: ColdOptions) {
    this.spec = spec;
    this.#memory = memory;
    this.#code = openTableCode(memory);
    const sizes = sizesOf(spec, cold);
    if (this.#code.createTable(spec.valueBytes, spec.stateBytes, ...sizes) < 0) throw new TableFull();
    this.columns = new TableColumns(memory, this.#code, {
      ...spec,
      dim: spec.precision === "bytes" ? 0 : spec.dim,
      ...(cold !== undefined && { rowsMax: sizes[0] }),
    });
    this.cold = cold && new ColdRows({ code: this.#code, memory, spec }, { ...cold, rowsMax: this.columns.rowsMax });
    this.#answerT = new Float64Array(memory.buffer, HEAD.answerT, 1);
    this.#head = new Uint32Array(memory.buffer, 0, HEAD.ranks / 4);
  }

  get memory(): SharedMemory {
    this.#fileLoaded();
    return this.#memory;
  }

  get code(): TableCode {
    this.#fileLoaded();
    return this.#code;
  }

  /** Rows were loaded that are not filed, so that nobody finds them, and some may be of one key. */
  get #isLoading(): boolean {
    return this.#head[HEAD.loading / 4] !== 0;
  }

  #fileLoaded(): void {
    if (this.#isLoading) this.#code.fileLoaded();
  }

  get rowsMax(): number {
    return this.columns.rowsMax;
  }

  /** Rows from here on were never used. */
  get end(): number {
    return this.#head[HEAD.end / 4] ?? 0;
  }

  /** Rows that are neither empty nor deleted. */
  get live(): number {
    this.#fileLoaded();
    return this.#head[HEAD.live / 4] ?? 0;
  }

  /** Rows that are not empty. */
  get held(): number {
    this.#fileLoaded();
    return this.#head[HEAD.held / 4] ?? 0;
  }

  /** What the last call gave besides its result. */
  get answer(): number {
    return this.#head[HEAD.answer / 4] ?? 0;
  }

  get answerToo(): number {
    return this.#head[HEAD.answerToo / 4] ?? 0;
  }

  get answerT(): number {
    return this.#answerT[0] ?? 0;
  }

  /** Bytes of memory in use, room for pieces on their way included. */
  get bytes(): number {
    return (this.#head[HEAD.top / 4] ?? 0) * TOP_UNIT_BYTES;
  }

  /** Takes over what an owner left that may have died in the middle of a write: gives the keys of rows that were torn, which are gone. */
  repair(): BigUint64Array {
    if (this.cold !== undefined) throw new RangeError("Cannot take over a table with rows on disk");
    const { keys, rowsMax } = this.columns;
    const torn = this.#code.repairRows(keys.at, rowsMax);
    if (torn < 0) throw new TableFull();
    return keys.view.slice(0, torn);
  }

  /** By index of a writer: the place of its epoch and, in the high half, that of its text. */
  setRanks(ranks: Uint32Array): void {
    new Uint32Array(this.#memory.buffer, HEAD.ranks, ranks.length).set(ranks);
  }

  generationOf(row: number): number {
    return this.#generations.size === 0 ? 0 : (this.#generations.get(row) ?? 0);
  }

  /** The row of one key, or -1. */
  find(key: bigint): number {
    const { keys, rows } = this.columns;
    keys.view[0] = key;
    this.code.findRows(keys.at, 1, rows.at);
    return (rows.view[0] ?? 0) | 0;
  }

  add(key: bigint): number {
    const row = this.code.addRow(key);
    if (row < 0) throw new TableFull();
    return row;
  }

  drop(row: number): void {
    this.code.dropRow(row);
    this.#generations.set(row, this.generationOf(row) + 1);
  }

  /** The rows that merging a piece would change, where they are now, with their contents in memory: who asks for them looks at these. */
  rowsToMerge(batch: RowBatch, piece: MergePiece): Uint32Array {
    this.columns.place(batch, piece);
    const found = this.#rowsToMerge(piece);
    this.cold?.bring(this.columns.rows, found, { more: 0 });
    return this.columns.rows.view.slice(0, found);
  }

  #rowsToMerge({ known, count }: Pick<MergePiece, "known" | "count">): number {
    const { columns, code } = this;
    return code.rowsToMerge(
      ...([count, columns.keys.at, columns.t.at, columns.writers.at] as const),
      ...([columns.known.at, known.length, columns.rows.at] as const),
    );
  }

  /** Frames for what merging the piece that was placed will write. None of it need be read: whole rows take the place of whole rows. */
  #makeRoom(piece: Pick<MergePiece, "known" | "count">): void {
    if (this.cold === undefined) return;
    const changed = this.#rowsToMerge(piece);
    this.cold.makeRoom(this.columns.rows, changed, { more: this.answer });
  }

  /** Stores the rows of a piece that are newer and not known: their places in it, where they lie, and whether each was added (1), until the next call; as long `columns` have the versions before. */
  mergePiece(
    batch: RowBatch,
    piece: MergePiece & ContentsPiece,
  ): { places: Uint32Array; rows: Uint32Array; added: Uint8Array; ignored: number } {
    const { columns, code } = this;
    const { known, count } = piece;
    columns.place(batch, piece);
    this.#makeRoom(piece);
    const state = columns.placeContents(batch, piece);
    const stored = code.mergeRows(
      ...([count, columns.keys.at, columns.t.at, columns.writers.at, columns.flags.at] as const),
      ...([columns.values.at, state, columns.known.at, known.length] as const),
      ...([columns.places.at, columns.rows.at, columns.added.at] as const),
      ...([columns.beforeT.at, columns.beforeWriters.at] as const),
    );
    if (stored < 0) throw new TableFull();
    return {
      places: columns.places.view.subarray(0, stored),
      rows: columns.rows.view.subarray(0, stored),
      added: columns.added.view.subarray(0, stored),
      ignored: this.answer,
    };
  }

  /**
   * Stores the rows of a batch that are newer, in an index for at least so many. As long as no more than these have come to a table that never had any, they are
   * taken one after the other, and filed together before anything else is done.
   */
  load(batch: RowBatch, { rows, state }: { readonly rows: number; readonly state: boolean }): void {
    if (!this.#isLoading) {
      const isFirst = this.end === 0 && rows > 0 && this.cold === undefined;
      const isReady = isFirst ? this.#code.beginLoading(rows) : this.#code.reserveRows(rows);
      if (isReady === 0) throw new TableFull();
    }
    for (const { from, count } of this.columns.pieces(batch.keys.length)) {
      const piece = { known: NOTHING, from, count, state };
      // What was taken of a piece and is merged again stays as it is.
      if (!this.#isLoading || !this.#loadPiece(batch, piece)) this.mergePiece(batch, piece);
    }
    this.loaded.note(batch);
  }

  /** Gives whether all of a piece was taken. */
  #loadPiece(batch: RowBatch, piece: MergePiece & ContentsPiece): boolean {
    const { keys, t, writers, flags, values } = this.columns;
    this.columns.place(batch, piece);
    const state = this.columns.placeContents(batch, piece);
    return this.#code.loadRows(piece.count, keys.at, t.at, writers.at, flags.at, values.at, state) !== 0;
  }

  /**
   * The rows of a piece's keys, -1 where there is none, on their way into the cache; in memory until others are brought, with room for the rows that there are not. The piece is as
   * long as `columns` has them.
   */
  fetch(keys: BigUint64Array): Int32Array {
    const { columns, code } = this;
    columns.keys.view.set(keys);
    code.fetchRows(columns.keys.at, keys.length, columns.rows.at);
    const fetched = new Int32Array(columns.rows.view.subarray(0, keys.length));
    this.cold?.bring(columns.rows, keys.length, { more: fetched.filter((row) => row < 0).length });
    return fetched;
  }

  /** The rows of keys, as far as there are any. */
  rowsOf(keys: BigUint64Array): number[] {
    const { columns, code } = this;
    const live: number[] = [];
    for (const { from, to, count } of columns.pieces(keys.length)) {
      columns.keys.view.set(keys.subarray(from, to));
      code.findRows(columns.keys.at, count, columns.rows.at);
      for (let at = 0; at < count; at += 1) {
        const row = columns.rows.view[at] ?? NO_ROW;
        if (row !== NO_ROW) live.push(row);
      }
    }
    return live;
  }

  /** Rows as a batch, whose columns are good until the next call (`FreezableRows`). */
  packHeld(rows: Uint32Array, { table, state }: { readonly table: number; readonly state: boolean }): RowBatch {
    const { columns } = this;
    const { valueBytes, stateBytes } = this.spec;
    columns.rows.view.set(rows);
    const count = this.#packPiece(rows.length, state);
    return {
      table,
      keys: columns.keys.view.subarray(0, count),
      t: columns.t.view.subarray(0, count),
      writers: columns.writers.view.subarray(0, count),
      flags: columns.flags.view.subarray(0, count),
      values: columns.values.view.subarray(0, count * valueBytes),
      state: state ? columns.state.view.subarray(0, count * stateBytes) : undefined,
    };
  }

  /** One row into a place of a batch. */
  packRow(row: number, { batch, at }: { readonly batch: RowBatch; readonly at: number }): void {
    const { valueBytes, stateBytes } = this.spec;
    const { columns } = this;
    columns.rows.view[0] = row;
    this.#packPiece(1, batch.state !== undefined);
    batch.keys[at] = columns.keys.view[0] ?? 0n;
    batch.t[at] = columns.t.view[0] ?? 0;
    batch.writers[at] = columns.writers.view[0] ?? 0;
    batch.flags[at] = columns.flags.view[0] ?? 0;
    batch.values.set(columns.values.view.subarray(0, valueBytes), at * valueBytes);
    batch.state?.set(columns.state.view.subarray(0, stateBytes), at * stateBytes);
  }

  /** The rows that were placed, as far as they are not empty, into the columns; gives how many. */
  #packPiece(count: number, state: boolean): number {
    const { columns, spec } = this;
    const packed = this.code.packRows(
      ...([columns.rows.at, count, columns.keys.at, columns.t.at, columns.writers.at, columns.flags.at] as const),
      ...([columns.values.at, state ? columns.state.at : 0] as const),
    );
    const { valueBytes, stateBytes } = spec;
    const to = { values: columns.values.at, valueBytes, state: state ? columns.state.at : 0, stateBytes };
    this.cold?.copy(columns.rows, packed, to);
    return packed;
  }
}
