/** A set of row numbers, one bit each. */
export class RowBits {
  #words = new Uint32Array(1);
  #size = 0;

  /** How many rows are in it. */
  get size(): number {
    return this.#size;
  }

  has(row: number): boolean {
    return ((this.#words[row >>> 5] ?? 0) & (1 << (row & 31))) !== 0;
  }

  add(row: number): void {
    const at = row >>> 5;
    if (at >= this.#words.length) this.#grow(at + 1);
    const word = this.#words[at] ?? 0;
    const bit = 1 << (row & 31);
    if ((word & bit) !== 0) return;
    this.#words[at] = word | bit;
    this.#size += 1;
  }

  delete(row: number): boolean {
    const at = row >>> 5;
    const word = this.#words[at] ?? 0;
    const bit = 1 << (row & 31);
    if ((word & bit) === 0) return false;
    this.#words[at] = word & ~bit;
    this.#size -= 1;
    return true;
  }

  /** All rows below `end`. */
  fill(end: number): void {
    this.#words = new Uint32Array((end >>> 5) + 1).fill(0xffff_ffff, 0, end >>> 5);
    this.#words[end >>> 5] = 2 ** (end & 31) - 1;
    this.#size = end;
  }

  addAll(other: RowBits): void {
    if (other.#words.length > this.#words.length) this.#grow(other.#words.length);
    for (let at = 0; at < other.#words.length; at += 1) {
      const word = this.#words[at] ?? 0;
      const more = (other.#words[at] ?? 0) & ~word;
      if (more === 0) continue;
      this.#words[at] = word | more;
      this.#size += bitsOf(more);
    }
  }

  copy(): RowBits {
    const copy = new RowBits();
    copy.#words = this.#words.slice();
    copy.#size = this.#size;
    return copy;
  }

  /** Takes the first rows from `from` on out of it, in order, as many as there is room for; gives how many. */
  take(from: number, rows: Uint32Array): number {
    const words = this.#words;
    let taken = 0;
    let mask = -1 << (from & 31);
    for (let at = from >>> 5; at < words.length && taken < rows.length; at += 1) {
      const all = words[at] ?? 0;
      let left = all & mask;
      for (; left !== 0 && taken < rows.length; left &= left - 1) {
        rows[taken] = at * 32 + (31 - Math.clz32(left & -left));
        taken += 1;
      }
      // Below `from` what there is stays.
      words[at] = (all & ~mask) | left;
      mask = -1;
    }
    this.#size -= taken;
    return taken;
  }

  #grow(length: number): void {
    const words = new Uint32Array(Math.max(length, 2 * this.#words.length));
    words.set(this.#words);
    this.#words = words;
  }
}

/** How many bits are set. */
function bitsOf(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
