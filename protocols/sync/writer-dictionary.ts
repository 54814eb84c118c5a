import { SYNC_LIMITS } from "../limits.ts";
import { StoreFull } from "./row-store.ts";
import { epochOf, type WriterId } from "./version.ts";

interface IndexedVersion {
  readonly t: number;
  readonly writer: number;
}

/** A store's writers by index; only grows. */
export class WriterDictionary {
  readonly ids: WriterId[] = [];
  readonly #indexes = new Map<WriterId, number>();
  readonly #epochs: number[] = [];

  /** The index of a writer, interned if new. */
  indexOf(id: WriterId): number {
    const known = this.#indexes.get(id);
    if (known !== undefined) return known;
    const index = this.ids.length;
    if (index >= SYNC_LIMITS.writersMax) throw new StoreFull("writers", SYNC_LIMITS.writersMax);
    this.#indexes.set(id, index);
    this.#epochs.push(epochOf(id));
    this.ids.push(id);
    return index;
  }

  /** By index: the place of its epoch among all, and in the high 16 bits that of its text. Two versions of one t compare as these do. */
  ranks(): Uint32Array {
    const epochs = [...new Set(this.#epochs)].sort((a, b) => a - b);
    const texts = new Map(this.ids.toSorted().map((id, place) => [id, place]));
    return Uint32Array.from(this.ids, (id, index) => {
      const epoch = epochs.indexOf(this.#epochs[index] ?? 0);
      return (((texts.get(id) ?? 0) << 16) | epoch) >>> 0;
    });
  }

  check(index: number): void {
    if (index >= this.ids.length) {
      throw new RangeError(`Cannot use writer ${index}: there are ${this.ids.length}`);
    }
  }

  checkAll(indexes: Uint16Array): void {
    let greatest = -1;
    for (let at = 0; at < indexes.length; at += 1) greatest = Math.max(greatest, indexes[at] ?? 0);
    if (greatest >= 0) this.check(greatest);
  }

  isNewer(a: IndexedVersion, b: IndexedVersion): boolean {
    if (a.writer === b.writer) return a.t > b.t;
    const [epochA, epochB] = [this.#epochs[a.writer] ?? 0, this.#epochs[b.writer] ?? 0];
    if (epochA !== epochB) return epochA > epochB;
    if (a.t !== b.t) return a.t > b.t;
    return (this.ids[a.writer] ?? "") > (this.ids[b.writer] ?? "");
  }
}
