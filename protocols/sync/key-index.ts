import { mixUint32 } from "../random.ts";

const ROWS_FIRST = 16;

/**
 * Where a table's keys lie: 64-bit keys in a column of their own, by row, and a hash table of rows with open addressing. A key is read as two
 * 32-bit words, low one first, because a BigInt for each look costs more than the look.
 */
export class KeyIndex {
  /** By row; grows with the rows. */
  keys: BigUint64Array<ArrayBuffer> = new BigUint64Array(ROWS_FIRST);
  #words = new Uint32Array(this.keys.buffer);
  /** Row + 1 of each place, 0 for none; at most half full. */
  #places = new Uint32Array(2 * ROWS_FIRST);

  /** The row of a key, or -1. */
  find(low: number, high: number): number {
    const mask = this.#places.length - 1;
    for (let place = mixUint32(low, high) & mask; ; place = (place + 1) & mask) {
      const row = (this.#places[place] ?? 0) - 1;
      if (row < 0 || (this.#words[2 * row] === low && this.#words[2 * row + 1] === high)) return row;
    }
  }

  /** Files a key that is not there, under a row that `grow` has made room for. */
  add(row: number, low: number, high: number): void {
    this.#words[2 * row] = low;
    this.#words[2 * row + 1] = high;
    this.#file(row);
  }

  /** Takes a row's key out. */
  remove(row: number): void {
    const mask = this.#places.length - 1;
    let hole = this.#homeOf(row);
    while (this.#places[hole] !== row + 1) hole = (hole + 1) & mask;
    // What follows moves up wherever the hole lies on the way from its home: no search may end too early.
    for (let place = (hole + 1) & mask; this.#places[place] !== 0; place = (place + 1) & mask) {
      const other = (this.#places[place] ?? 0) - 1;
      const home = this.#homeOf(other);
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      this.#places[hole] = other + 1;
      hole = place;
    }
    this.#places[hole] = 0;
  }

  /** Makes room for so many rows, all of which but the new ones are filed. */
  grow(rows: number, isFiled: (row: number) => boolean): void {
    const keys = new BigUint64Array(rows);
    keys.set(this.keys);
    const before = this.keys.length;
    this.keys = keys;
    this.#words = new Uint32Array(keys.buffer);
    this.#places = new Uint32Array(2 * rows);
    for (let row = 0; row < before; row += 1) if (isFiled(row)) this.#file(row);
  }

  #file(row: number): void {
    const mask = this.#places.length - 1;
    let place = this.#homeOf(row);
    while (this.#places[place] !== 0) place = (place + 1) & mask;
    this.#places[place] = row + 1;
  }

  #homeOf(row: number): number {
    return mixUint32(this.#words[2 * row] ?? 0, this.#words[2 * row + 1] ?? 0) & (this.#places.length - 1);
  }
}

/** Keys as words of 32 bits, the low one first. */
export function wordsOf(keys: BigUint64Array): Uint32Array {
  return new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
}
