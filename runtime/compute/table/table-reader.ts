import { type TableSpec } from "../../../protocols/sync/row-store.ts";
import { type SharedMemory } from "../load.ts";
import { openTableCode, type TableCode } from "./table-code.ts";
import { TableColumns } from "./table-columns.ts";

/** What another thread of the process needs to read a table. It can be posted. */
export interface SharedTable {
  readonly memory: SharedMemory;
  readonly spec: TableSpec;
}

/** Of each key that was asked for: not there, given, or changed under every try, or on disk, so that its owner is to be asked. */
export const MISSING = 0;
export const FOUND = 1;
export const GAVE_UP = 2;
export const ON_DISK = 3;

/** Tries for a row before its reader gives up. A write takes well under a microsecond, so more than a few are for a writer that is stopped. */
const TRIES = 64;

/** Reads a table that another thread writes, without waiting for it: each row whole, as it was at some moment during the call. */
export class TableReader {
  /** Rows that were tried again, rows that were given up, and rows that are on disk. */
  readonly counts = { retries: 0, gaveUp: 0, onDisk: 0 };
  readonly #spec: TableSpec;
  readonly #code: TableCode;
  readonly #columns: TableColumns;
  readonly #tries: number;

  constructor({ memory, spec }: SharedTable, { tries = TRIES }: { readonly tries?: number } = {}) {
    this.#spec = spec;
    this.#tries = tries;
    this.#code = openTableCode(memory);
    this.#columns = new TableColumns(memory, this.#code, { dim: 0, valueBytes: spec.valueBytes, stateBytes: 0 });
  }

  /**
   * Values of keys, zero where there are none, into `values`; gives for each key MISSING, FOUND, GAVE_UP or ON_DISK. Where `writers` is given, the index of
   * each found row's writer comes with its values, as both were at one moment.
   */
  gather(keys: BigUint64Array, values: Uint8Array, writers?: Uint16Array): Uint8Array<ArrayBuffer> {
    const statuses = new Uint8Array(keys.length);
    const { valueBytes } = this.#spec;
    const columns = this.#columns;
    for (const { from, to, count } of columns.pieces(keys.length)) {
      columns.keys.view.set(keys.subarray(from, to));
      this.counts.retries += this.#code.gatherKeys(
        columns.keys.at,
        count,
        columns.flags.at,
        columns.values.at,
        this.#tries,
        columns.scratch.at,
        columns.rows.at,
        writers === undefined ? 0 : columns.writers.at,
      );
      statuses.set(columns.flags.view.subarray(0, count), from);
      values.set(columns.values.view.subarray(0, count * valueBytes), from * valueBytes);
      writers?.set(columns.writers.view.subarray(0, count), from);
    }
    for (let at = 0; at < keys.length; at += 1) {
      if (statuses[at] === FOUND) continue;
      // A loop, as in many places here: to call `fill` for so few bytes takes three times as long.
      for (let byte = at * valueBytes; byte < (at + 1) * valueBytes; byte += 1) values[byte] = 0;
      if (statuses[at] === GAVE_UP) this.counts.gaveUp += 1;
      if (statuses[at] === ON_DISK) this.counts.onDisk += 1;
    }
    return statuses;
  }

  /** Where numbers of rows are put for `gatherPlaced`, at most as many as this is long. */
  get places(): Uint32Array {
    return this.#columns.rows.view;
  }

  /**
   * The rows whose numbers were placed, without a look at their keys; gives how many were given. What is `uneven` has words that are not all equal:
   * rows that were written with one word throughout, and are not, were read torn.
   */
  gatherPlaced(
    count: number,
    { uneven = false }: { readonly uneven?: boolean } = {},
  ): { found: number; uneven: number } {
    const { rows, flags, values, scratch } = this.#columns;
    this.counts.retries += this.#code.gatherRows(
      ...([rows.at, 0, count, flags.at, values.at] as const),
      ...([this.#tries, scratch.at, 0] as const),
    );
    let found = 0;
    for (let at = 0; at < count; at += 1) {
      found += flags.view[at] === FOUND ? 1 : 0;
      this.counts.onDisk += flags.view[at] === ON_DISK ? 1 : 0;
    }
    return { found, uneven: uneven ? this.#code.unevenRows(count, flags.at, values.at) : 0 };
  }
}
