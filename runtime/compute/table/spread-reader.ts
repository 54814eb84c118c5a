import { scatterBytes } from "./picked-rows.ts";
import { spreadKeys } from "./spread-keys.ts";
import { type SharedTable, TableReader } from "./table-reader.ts";

/** Reads a table in one memory or several, as `TableReader` does. */
export class SpreadReader {
  readonly #readers: readonly TableReader[];
  readonly #valueBytes: number;

  constructor(memories: readonly SharedTable[]) {
    this.#readers = memories.map((memory) => new TableReader(memory));
    this.#valueBytes = memories[0]?.spec.valueBytes ?? 0;
  }

  /** As `TableReader.gather`. */
  gather(keys: BigUint64Array, values: Uint8Array, writers?: Uint16Array): Uint8Array<ArrayBuffer> {
    const [only] = this.#readers;
    if (only !== undefined && this.#readers.length === 1) return only.gather(keys, values, writers);
    const statuses = new Uint8Array(keys.length);
    const width = this.#valueBytes;
    for (const { memory, keys: mine, places } of spreadKeys(keys, this.#readers.length)) {
      const read = new Uint8Array(mine.length * width);
      const by = writers && new Uint16Array(mine.length);
      const found = this.#readers[memory]?.gather(mine, read, by) ?? new Uint8Array();
      for (const [at, place] of places.entries()) {
        statuses[place] = found[at] ?? 0;
        if (writers !== undefined) writers[place] = by?.[at] ?? 0;
      }
      scatterBytes(read, { places, width, to: values });
    }
    return statuses;
  }
}
