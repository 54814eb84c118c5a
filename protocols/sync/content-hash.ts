import { mixUint32 } from "../random.ts";

/**
 * A hash of a set of rows that does not depend on their order: two sums, modulo 2^32, of two hashes of each row, and the
 * count. It finds differences that happen; it is no protection against rows made to collide.
 */
export class ContentHash {
  #first = 0;
  #second = 0;
  #rows = 0;
  // Memory of its own for the words of a row: a digest looks at each row of a shard. Storing takes a number modulo 2^32.
  readonly #head = new Uint32Array(7);
  readonly #key = new BigUint64Array(1);
  readonly #keyWords = new Uint32Array(this.#key.buffer);

  addRow(
    row: {
      readonly table: number;
      readonly key: bigint;
      readonly t: number;
      readonly flags: number;
      readonly values: Uint8Array;
    },
    options: { readonly writerHash: number },
  ): void {
    const head = this.#head;
    this.#key[0] = row.key;
    head[0] = row.table;
    head[1] = this.#keyWords[0] ?? 0;
    head[2] = this.#keyWords[1] ?? 0;
    head[3] = row.t;
    head[4] = row.t / 0x1_0000_0000;
    head[5] = options.writerHash;
    head[6] = row.flags;
    let first = 1;
    let second = 2;
    for (let at = 0; at < head.length; at += 1) {
      const word = head[at] ?? 0;
      first = mixUint32(first, word);
      second = mixUint32(second, word);
    }
    let word = 0;
    let filled = 0;
    for (let at = 0; at < row.values.length; at += 1) {
      const byte = row.values[at] ?? 0;
      word = (word << 8) | byte;
      filled += 1;
      if (filled === 4) {
        first = mixUint32(first, word);
        second = mixUint32(second, word);
        word = 0;
        filled = 0;
      }
    }
    // What a last, short word holds is marked with a bit above it, so that a zero byte more is another row.
    const last = filled === 0 ? 0 : word | (1 << (8 * filled));
    this.#first = (this.#first + mixUint32(first, last)) >>> 0;
    this.#second = (this.#second + mixUint32(second, last)) >>> 0;
    this.#rows += 1;
  }

  /** Sixteen hex digits and the number of rows. */
  text(): string {
    return `${this.#first.toString(16).padStart(8, "0")}${this.#second.toString(16).padStart(8, "0")}-${this.#rows}`;
  }
}

/** A 32-bit hash of a text. */
export function hashText(text: string): number {
  let hash = text.length;
  for (let index = 0; index < text.length; index += 1) hash = mixUint32(hash, text.charCodeAt(index));
  return hash;
}
