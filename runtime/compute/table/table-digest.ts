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
    const { code, columns } = table;
    columns.writerHashes.view.set(this.#writerHashes);
    this.#rows += code.digestRows(index, columns.writerHashes.at);
    this.#first = (this.#first + table.answer) >>> 0;
    this.#second = (this.#second + table.answerToo) >>> 0;
  }

  /** Sixteen hex digits and the number of rows. */
  text(): string {
    return `${this.#first.toString(16).padStart(8, "0")}${this.#second.toString(16).padStart(8, "0")}-${this.#rows}`;
  }
}
