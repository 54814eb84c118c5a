/*
 * Distinct keys, numbered in the order in which they were met. A key is two 32-bit words, the low one first: 64-bit integers of JavaScript are objects,
 * and a batch has tens of thousands of keys.
 */

const SLOTS_MIN = 16;

export class KeySet {
  #words: Uint32Array<ArrayBuffer>;
  #size = 0;
  /** A key's number + 1, 0 for none. At least half are 0, and there is room for one key more. */
  #slots: Uint32Array;
  #shift: number;

  /** With room for so many keys; it grows where there are more. */
  constructor(keysExpected = 0) {
    const bits = 33 - Math.clz32(Math.max(SLOTS_MIN / 2, keysExpected));
    this.#words = new Uint32Array(1 << bits);
    this.#slots = new Uint32Array(1 << bits);
    this.#shift = 32 - bits;
  }

  /** Forgets all keys. */
  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  get size(): number {
    return this.#size;
  }

  /** The words of the keys in order, until a key is added. */
  words(): Uint32Array {
    return this.#words.subarray(0, 2 * this.#size);
  }

  /** The keys in order. */
  keys(): BigUint64Array<ArrayBuffer> {
    return new BigUint64Array(this.#words.slice(0, 2 * this.#size).buffer);
  }

  /** The number of a key, which it gets now where it has none. */
  numberOf(low: number, high: number): number {
    const slot = this.#find(low, high);
    const held = this.#slots[slot] ?? 0;
    if (held !== 0) return held - 1;
    const number = this.#size;
    this.#slots[slot] = number + 1;
    this.#words[2 * number] = low;
    this.#words[2 * number + 1] = high;
    this.#size = number + 1;
    if (2 * this.#size === this.#slots.length) this.#grow();
    return number;
  }

  /** Where a key is, or would be. */
  #find(low: number, high: number): number {
    const slots = this.#slots;
    const words = this.#words;
    const last = slots.length - 1;
    let slot = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> this.#shift;
    for (;;) {
      const held = slots[slot] ?? 0;
      if (held === 0 || (words[2 * held - 2] === low && words[2 * held - 1] === high)) return slot;
      slot = (slot + 1) & last;
    }
  }

  #grow(): void {
    const words = new Uint32Array(2 * this.#words.length);
    words.set(this.#words);
    this.#words = words;
    this.#slots = new Uint32Array(2 * this.#slots.length);
    this.#shift -= 1;
    for (let number = 0; number < this.#size; number += 1) {
      this.#slots[this.#find(words[2 * number] ?? 0, words[2 * number + 1] ?? 0)] = number + 1;
    }
  }
}
