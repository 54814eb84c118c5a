import { type Slot, type SlotVersions, type UpdateOutcome } from "./row-store.ts";

/** Rows of one change as they are stored, in columns that are as long as the change at most. */
export class StoredRows {
  readonly #indexes: Uint32Array<ArrayBuffer>;
  readonly #slots: Float64Array<ArrayBuffer>;
  readonly #t: Float64Array<ArrayBuffer>;
  readonly #writers: Uint16Array<ArrayBuffer>;
  #count = 0;

  constructor(rowsMax: number) {
    this.#indexes = new Uint32Array(rowsMax);
    this.#slots = new Float64Array(rowsMax);
    this.#t = new Float64Array(rowsMax);
    this.#writers = new Uint16Array(rowsMax);
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
    return this.#indexes.subarray(0, this.#count);
  }

  get versions(): SlotVersions {
    return {
      slots: this.#slots.subarray(0, this.#count),
      t: this.#t.subarray(0, this.#count),
      writers: this.#writers.subarray(0, this.#count),
    };
  }

  /** What a local write of these keys came to. */
  outcome(
    keys: BigUint64Array<ArrayBuffer>,
    counts: { readonly refused: number; readonly stamped: number },
  ): UpdateOutcome {
    const { indexes } = this;
    const isAll = this.#count === keys.length;
    const written = isAll ? keys : BigUint64Array.from(indexes, (index) => keys[index] ?? 0n);
    return { keys: written, indexes, ...this.versions, ...counts };
  }
}

/** The versions in these slots, one by one. */
export function versionsAt(
  slots: Float64Array,
  versionAt: (slot: Slot) => { readonly t: number; readonly writer: number },
): SlotVersions {
  const stored = new StoredRows(slots.length);
  for (const [index, slot] of slots.entries()) stored.add({ index, slot, ...versionAt(slot) });
  return stored.versions;
}
