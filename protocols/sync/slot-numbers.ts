import { type Slot } from "./row-store.ts";

const PLACES_FIRST = 16;
/** What is cleared keeps its memory up to here: the next round has about as many. */
const PLACES_KEPT = 2 ** 15;

/**
 * A number by slot, as a Map would hold it, in one typed array with open addressing, at most three quarters full: every row that changes goes in
 * and out of several of these, and a Map costs 40 bytes and an allocation for each. Numbers are from 1 to 2^32 - 1; 0 stands for none.
 */
export class SlotNumbers {
  /** Slot + 1, or 0 where it is free, and the number, of each place. */
  #pairs = new Uint32Array(2 * PLACES_FIRST);
  #mask = PLACES_FIRST - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(slot: Slot): boolean {
    return this.get(slot) > 0;
  }

  get(slot: Slot): number {
    return this.numberAt(this.placeOf(slot));
  }

  set(slot: Slot, number: number): void {
    this.setAt(this.placeOf(slot), slot, number);
  }

  /** Where a slot stands or would: for `numberAt` and `setAt`, until another slot comes or goes. */
  placeOf(slot: Slot): number {
    const pairs = this.#pairs;
    const mask = this.#mask;
    for (let place = homeOf(slot) & mask; ; place = (place + 1) & mask) {
      const held = pairs[2 * place] ?? 0;
      if (held === slot + 1 || held === 0) return place;
    }
  }

  numberAt(place: number): number {
    return this.#pairs[2 * place + 1] ?? 0;
  }

  setAt(place: number, slot: Slot, number: number): void {
    const pairs = this.#pairs;
    pairs[2 * place + 1] = number;
    if (pairs[2 * place] === slot + 1) return;
    pairs[2 * place] = slot + 1;
    this.#size += 1;
    if (4 * this.#size > 3 * this.#mask) this.#grow();
  }

  /** Takes a slot out; tells whether it was there. */
  delete(slot: Slot): boolean {
    const place = this.placeOf(slot);
    if (this.#pairs[2 * place] === 0) return false;
    this.deleteAt(place);
    return true;
  }

  /** Takes out what stands at a place of `placeOf`. */
  deleteAt(from: number): void {
    const pairs = this.#pairs;
    const mask = this.#mask;
    let hole = from;
    // What follows moves up wherever the hole lies on the way from its home: no search may end too soon.
    for (let place = (hole + 1) & mask; pairs[2 * place] !== 0; place = (place + 1) & mask) {
      const other = pairs[2 * place] ?? 0;
      const home = homeOf(other - 1) & mask;
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      pairs[2 * hole] = other;
      pairs[2 * hole + 1] = pairs[2 * place + 1] ?? 0;
      hole = place;
    }
    pairs[2 * hole] = 0;
    pairs[2 * hole + 1] = 0;
    this.#size -= 1;
  }

  clear(): void {
    if (this.#size === 0) return;
    this.#size = 0;
    if (this.#mask < PLACES_KEPT) {
      this.#pairs.fill(0);
      return;
    }
    this.#pairs = new Uint32Array(2 * PLACES_FIRST);
    this.#mask = PLACES_FIRST - 1;
  }

  #grow(): void {
    const pairs = this.#pairs;
    this.#pairs = new Uint32Array(2 * pairs.length);
    this.#mask = pairs.length - 1;
    this.#size = 0;
    for (let at = 0; at < pairs.length; at += 2) {
      const held = pairs[at] ?? 0;
      if (held > 0) this.set(held - 1, pairs[at + 1] ?? 0);
    }
  }
}

/** Slots of one table are consecutive or some way apart; the high bits of the product depend on all of them. */
function homeOf(slot: Slot): number {
  const mixed = Math.imul(slot, 0x9e37_79b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
