import { areFinite, exactBytesOf, exactNumbers, roundToF16 } from "./precision.ts";
import { type RowEdit } from "./row-store.ts";
import { type TableRows } from "./table-rows.ts";

/** One row of a table outside its columns, while a local write changes it: the same object for every row. */
export class RowScratch implements RowEdit {
  index = 0;
  isNew = false;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly floats: Float32Array<ArrayBuffer>;
  readonly state: Float32Array<ArrayBuffer>;
  readonly #rows: TableRows;
  readonly #wholeState: Uint8Array<ArrayBuffer>;
  #keys = new BigUint64Array();

  constructor(rows: TableRows) {
    const { precision, dim, valueBytes, stateBytes } = rows.spec;
    this.#rows = rows;
    this.floats = new Float32Array(precision === "bytes" ? 0 : dim);
    this.bytes = precision === "bytes" ? new Uint8Array(valueBytes) : new Uint8Array(this.floats.buffer);
    this.#wholeState = new Uint8Array(stateBytes);
    const exactBytes = Math.min(exactBytesOf(precision, dim), stateBytes);
    this.state = new Float32Array(this.#wholeState.buffer, exactBytes);
  }

  get key(): bigint {
    return this.#keys[this.index] ?? 0n;
  }

  /** Takes up the row of `keys[index]`, or one without any, which is all zero. */
  load(row: number, { keys, index }: { readonly keys: BigUint64Array<ArrayBuffer>; readonly index: number }): void {
    const { spec, values, state } = this.#rows;
    const { valueBytes, stateBytes, precision } = spec;
    this.#keys = keys;
    this.index = index;
    this.isNew = row < 0 || this.#rows.isDeleted(row);
    if (this.isNew) {
      this.bytes.fill(0);
      this.#wholeState.fill(0);
      return;
    }
    if (stateBytes > 0) this.#wholeState.set(state.subarray(row * stateBytes, (row + 1) * stateBytes));
    const held = values.subarray(row * valueBytes, (row + 1) * valueBytes);
    if (precision === "f16") this.floats.set(exactNumbers(held, new Float32Array(this.#wholeState.buffer)));
    else this.bytes.set(held);
  }

  /** Puts what is here into a row's columns, once `round` has had its say. */
  store(row: number): void {
    const { spec, values, state } = this.#rows;
    const { valueBytes, stateBytes, precision } = spec;
    values.set(precision === "f16" ? roundToF16(this.floats) : this.bytes, row * valueBytes);
    if (stateBytes === 0) return;
    if (precision === "f16") this.#wholeState.set(this.bytes);
    state.set(this.#wholeState, row * stateBytes);
  }

  /** Whether all numbers are finite, as they will be held. */
  isFinite(): boolean {
    const { precision } = this.#rows.spec;
    const held = precision === "f16" ? areFinite("f16", roundToF16(this.floats)) : areFinite(precision, this.bytes);
    return held && areFinite("f32", this.#wholeState);
  }

  clear(): void {
    this.bytes.fill(0);
    this.#wholeState.fill(0);
  }
}
