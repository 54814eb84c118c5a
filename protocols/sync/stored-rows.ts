import { type Slot, type StoredVersions, type UpdateOutcome } from "./row-store.ts";

/** A row as it was stored, and the version that was there before: a t of 0 for none. */
export interface StoredRow {
  readonly index: number;
  readonly slot: Slot;
  readonly t: number;
  readonly writer: number;
  readonly beforeT: number;
  readonly beforeWriter: number;
}

/** Columns of a table's memory. */
interface StoredColumns {
  readonly places: { readonly view: Uint32Array };
  readonly rows: { readonly view: Uint32Array };
  readonly t: { readonly view: Float64Array };
  readonly beforeT: { readonly view: Float64Array };
  readonly beforeWriters: { readonly view: Uint16Array };
}

/** Rows of one change as they are stored, in columns that are as long as the change at most. */
export class StoredRows {
  readonly #indexes: Uint32Array<ArrayBuffer>;
  readonly #slots: Float64Array<ArrayBuffer>;
  readonly #t: Float64Array<ArrayBuffer>;
  readonly #writers: Uint16Array<ArrayBuffer>;
  readonly #beforeT: Float64Array<ArrayBuffer>;
  readonly #beforeWriters: Uint16Array<ArrayBuffer>;
  #count = 0;

  constructor(rowsMax: number) {
    // In one piece: writes come in many parts, and memory of its own for each column would be dearer than to fill it.
    const bytes = new ArrayBuffer(32 * rowsMax);
    this.#slots = new Float64Array(bytes, 0, rowsMax);
    this.#t = new Float64Array(bytes, 8 * rowsMax, rowsMax);
    this.#beforeT = new Float64Array(bytes, 16 * rowsMax, rowsMax);
    this.#indexes = new Uint32Array(bytes, 24 * rowsMax, rowsMax);
    this.#writers = new Uint16Array(bytes, 28 * rowsMax, rowsMax);
    this.#beforeWriters = new Uint16Array(bytes, 30 * rowsMax, rowsMax);
  }

  /** `index` is the row's place in the change. */
  add(row: StoredRow): void {
    this.#indexes[this.#count] = row.index;
    this.#slots[this.#count] = row.slot;
    this.#t[this.#count] = row.t;
    this.#writers[this.#count] = row.writer;
    this.#beforeT[this.#count] = row.beforeT;
    this.#beforeWriters[this.#count] = row.beforeWriter;
    this.#count += 1;
  }

  /** Adds so many rows that a table has just stored: of each its place from `from` on and, by that, the row, whose slot is row * tables + table. */
  addColumns(
    { places, rows, t, beforeT, beforeWriters }: StoredColumns,
    {
      from,
      count,
      writer,
      tables,
      table,
    }: {
      readonly from: number;
      readonly count: number;
      readonly writer: number;
      readonly tables: number;
      readonly table: number;
    },
  ): void {
    const first = this.#count;
    const [slots, indexes] = [this.#slots, this.#indexes];
    for (let at = 0; at < count; at += 1) {
      const place = places.view[at] ?? 0;
      indexes[first + at] = from + place;
      slots[first + at] = (rows.view[place] ?? 0) * tables + table;
    }
    const [times, timesBefore, writersBefore] = [this.#t, this.#beforeT, this.#beforeWriters];
    for (let at = 0; at < count; at += 1) {
      times[first + at] = t.view[at] ?? 0;
      timesBefore[first + at] = beforeT.view[at] ?? 0;
      writersBefore[first + at] = beforeWriters.view[at] ?? 0;
    }
    this.#writers.fill(writer, first, first + count);
    this.#count += count;
  }

  get indexes(): Uint32Array {
    return this.#isFull ? this.#indexes : this.#indexes.subarray(0, this.#count);
  }

  get versions(): StoredVersions {
    if (this.#isFull) {
      const before = { t: this.#beforeT, writers: this.#beforeWriters };
      return { slots: this.#slots, t: this.#t, writers: this.#writers, before };
    }
    return {
      slots: this.#slots.subarray(0, this.#count),
      t: this.#t.subarray(0, this.#count),
      writers: this.#writers.subarray(0, this.#count),
      before: { t: this.#beforeT.subarray(0, this.#count), writers: this.#beforeWriters.subarray(0, this.#count) },
    };
  }

  get #isFull(): boolean {
    return this.#count === this.#slots.length;
  }

  /** What a local write of these keys came to. */
  outcome(keys: BigUint64Array, counts: { readonly refused: number; readonly stamped: number }): UpdateOutcome {
    const { indexes } = this;
    const isAll = this.#count === keys.length;
    const written = isAll ? keys : BigUint64Array.from(indexes, (index) => keys[index] ?? 0n);
    return { keys: written, indexes, ...this.versions, ...counts };
  }
}
