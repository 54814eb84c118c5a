import { areFinite, exactBytesOf, exactNumbers, isRounded, rounded } from "../../../protocols/sync/precision.ts";
import { type RowEdit, TOMBSTONE } from "../../../protocols/sync/row-store.ts";
import { type KernelTable } from "./kernel-table.ts";

/** One row of a table outside it, in memory of its own, while a local write changes it: the same object for every row. */
export class EditedRow implements RowEdit {
  index = 0;
  isNew = false;
  key = 0n;
  /** Of the row that was opened, where there was one. */
  readonly version = { t: 0, writer: 0 };
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly floats: Float32Array<ArrayBuffer>;
  readonly state: Float32Array<ArrayBuffer>;
  readonly #table: KernelTable;
  readonly #wholeState: Float32Array<ArrayBuffer>;
  /** As the table holds them; the code copies a row to and from here. */
  readonly #heldBytes: Uint8Array;
  readonly #heldState: Float32Array;

  constructor(table: KernelTable) {
    const { precision, dim, valueBytes, stateBytes } = table.spec;
    this.#table = table;
    this.floats = new Float32Array(precision === "bytes" ? 0 : dim);
    this.bytes = precision === "bytes" ? new Uint8Array(valueBytes) : new Uint8Array(this.floats.buffer);
    this.#wholeState = new Float32Array(stateBytes / 4);
    const exactBytes = Math.min(exactBytesOf(precision, dim), stateBytes);
    this.state = new Float32Array(this.#wholeState.buffer, exactBytes);
    const { values, state } = table.columns;
    this.#heldBytes = values.view.subarray(0, valueBytes);
    this.#heldState = new Float32Array(table.memory.buffer, state.at, stateBytes / 4);
  }

  /** Takes up the row of a key, which is all zero where there is none (-1). */
  open(key: bigint, row: number): void {
    const { code, columns, spec } = this.#table;
    this.key = key;
    this.isNew = row < 0;
    if (row >= 0) {
      code.openRow(row, columns.values.at, columns.state.at);
      this.isNew = (this.#table.answer & TOMBSTONE) !== 0;
      this.version.t = this.#table.answerT;
      this.version.writer = this.#table.answerToo;
    }
    if (this.isNew) {
      this.clear();
      return;
    }
    this.#wholeState.set(this.#heldState);
    const { precision, dim } = spec;
    if (!isRounded(precision)) this.bytes.set(this.#heldBytes);
    else this.floats.set(exactNumbers({ precision, dim }, this.#heldBytes, this.#wholeState));
  }

  /** Makes a row what is here. */
  store(
    row: number,
    { t, writer, flags }: { readonly t: number; readonly writer: number; readonly flags: number },
  ): void {
    const { code, columns, spec } = this.#table;
    if (isRounded(spec.precision)) {
      this.#heldBytes.set(rounded(spec.precision, this.floats));
      if (spec.stateBytes > 0) this.#wholeState.set(this.floats);
    } else this.#heldBytes.set(this.bytes);
    this.#heldState.set(this.#wholeState);
    code.storeRow(row, t, writer, flags, columns.values.at, columns.state.at);
  }

  /** Whether all numbers are finite, as they will be held. */
  isFinite(): boolean {
    const { spec } = this.#table;
    if (isRounded(spec.precision)) {
      return areAllFinite(this.state) && areFinite(spec, rounded(spec.precision, this.floats));
    }
    return areAllFinite(this.floats) && areAllFinite(this.state);
  }

  clear(): void {
    this.bytes.fill(0);
    this.#wholeState.fill(0);
  }
}

function areAllFinite(numbers: Float32Array): boolean {
  for (let at = 0; at < numbers.length; at += 1) if (!Number.isFinite(numbers[at])) return false;
  return true;
}
