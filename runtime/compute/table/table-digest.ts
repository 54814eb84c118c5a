import { type KernelTable } from "./kernel-table.ts";

/** The digest that protocols/sync/content-hash.ts makes row by row, table by table. */
export class TableDigest {
  readonly #writerHashes: readonly number[];
  #first = 0;
  #second = 0;
  #rows = 0;

  constructor(writerHashes: readonly number[]) {
    this.#writerHashes = writerHashes;
  }

  /** `index` is the table's. */
  add(table: KernelTable, index: number): void {
    const { code, columns, end } = table;
    columns.writerHashes.view.set(this.#writerHashes);
    // Where some are on disk, as many at a time as there is room for.
    const step = table.cold === undefined ? end : columns.rowsMax;
    for (let from = 0; from < end; from += step) {
      const size = Math.min(step, end - from);
      table.copyCold(from, size);
      this.#rows += code.digestRows(from, size, index, columns.writerHashes.at, columns.values.at);
      this.#first = (this.#first + table.answer) >>> 0;
      this.#second = (this.#second + table.answerToo) >>> 0;
    }
  }

  /** Sixteen hex digits and the number of rows. */
  text(): string {
    return `${this.#first.toString(16).padStart(8, "0")}${this.#second.toString(16).padStart(8, "0")}-${this.#rows}`;
  }
}
