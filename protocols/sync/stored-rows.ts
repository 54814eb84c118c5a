import { type Slot, type SlotVersions, type UpdateOutcome } from "./row-store.ts";

/** Rows of one change as they are stored, in columns that are as long as the change at most. */
export class StoredRows {
  readonly #indexes: Uint32Array<ArrayBuffer>;
  readonly #slots: Float64Array<ArrayBuffer>;
  readonly #t: Float64Array<ArrayBuffer>;
  readonly #writers: Uint16Array<ArrayBuffer>;
  #count = 0;

  constructor(rowsMax: number) {
    // In one piece: writes come in many parts, and memory of its own for each column would be dearer than to fill it.
    const bytes = new ArrayBuffer(22 * rowsMax);
    this.#slots = new Float64Array(bytes, 0, rowsMax);
    this.#t = new Float64Array(bytes, 8 * rowsMax, rowsMax);
    this.#indexes = new Uint32Array(bytes, 16 * rowsMax, rowsMax);
    this.#writers = new Uint16Array(bytes, 20 * rowsMax, rowsMax);
  }

  /** `index` is the row's place in the change. */
  add(row: { readonly index: number; readonly slot: Slot; readonly t: number; readonly writer: number }): void {
    this.#indexes[this.#count] = row.index;
    this.#slots[this.#count] = row.slot;
    this.#t[this.#count] = row.t;
    this.#writers[this.#count] = row.writer;
    this.#count += 1;
  }

  get indexes(): Uint32Array {
    return this.#isFull ? this.#indexes : this.#indexes.subarray(0, this.#count);
  }

  get versions(): SlotVersions {
    if (this.#isFull) return { slots: this.#slots, t: this.#t, writers: this.#writers };
    return {
      slots: this.#slots.subarray(0, this.#count),
      t: this.#t.subarray(0, this.#count),
      writers: this.#writers.subarray(0, this.#count),
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
