import { type Slot } from "./row-store.ts";
import { SlotNumbers } from "./slot-numbers.ts";

/** What is cleared keeps its memory up to here. */
const LOG_KEPT = 2 ** 14;

/**
 * Slots in the order in which they came, each once, as a Set holds them. A log of slots, and where in it each stands: what was taken out stays
 * in the log as a hole until half of it are holes.
 */
export class SlotSet implements Iterable<Slot> {
  #log = new Float64Array(16);
  #end = 0;
  /** Place in the log, from 1. */
  readonly #places = new SlotNumbers();

  get size(): number {
    return this.#places.size;
  }

  has(slot: Slot): boolean {
    return this.#places.has(slot);
  }

  add(slot: Slot): void {
    const place = this.#places.placeOf(slot);
    if (this.#places.numberAt(place) > 0) return;
    if (this.#end === this.#log.length) {
      this.#makeRoom();
      this.add(slot);
      return;
    }
    this.#log[this.#end] = slot;
    this.#end += 1;
    this.#places.setAt(place, slot, this.#end);
  }

  delete(slot: Slot): boolean {
    return this.#places.delete(slot);
  }

  clear(): void {
    if (this.#log.length > LOG_KEPT) this.#log = new Float64Array(16);
    this.#end = 0;
    this.#places.clear();
  }

  /** All of them, as a column. */
  column(): Float64Array<ArrayBuffer> {
    const slots = new Float64Array(this.size);
    let count = 0;
    for (let at = 0; at < this.#end; at += 1) {
      const slot = this.#log[at] ?? 0;
      if (this.#places.get(slot) !== at + 1) continue;
      slots[count] = slot;
      count += 1;
    }
    return slots;
  }

  *[Symbol.iterator](): Generator<Slot> {
    for (let at = 0; at < this.#end; at += 1) {
      const slot = this.#log[at] ?? 0;
      if (this.#places.get(slot) === at + 1) yield slot;
    }
  }

  #makeRoom(): void {
    const slots = this.column();
    const log = new Float64Array(Math.max(16, 2 * slots.length));
    log.set(slots);
    this.#log = log;
    this.#end = slots.length;
    for (let at = 0; at < slots.length; at += 1) this.#places.set(slots[at] ?? 0, at + 1);
  }
}
