import { nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { type Knobs } from "./knobs.ts";

const HISTORY = 3;

/** An image on a disk. */
export interface SavedImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly damaged: boolean;
}

/** The disk of one node: the latest images of its shards, and a few older ones, as from a backup. */
export class Disk {
  readonly #images = new Map<number, SavedImage[]>();

  save(shard: number, bytes: Uint8Array<ArrayBuffer>): void {
    const images = this.#images.get(shard) ?? [];
    this.#images.set(shard, [{ bytes, damaged: false }, ...images].slice(0, HISTORY));
  }

  /** What the next start reads. */
  read(shard: number): SavedImage | undefined {
    return this.#images.get(shard)?.[0];
  }

  /** What a crash does to it, as often as the knobs say; gives what happened. */
  crash({ amnesiaRate, olderRate, damageRate }: Knobs, random: Random): string {
    if (nextFloat(random) < amnesiaRate) {
      this.#images.clear();
      return "disk lost";
    }
    if (nextFloat(random) < olderRate) {
      for (const images of this.#images.values()) if (images.length > 1) images.shift();
      return "restart from an older image";
    }
    if (nextFloat(random) < damageRate) {
      for (const images of this.#images.values()) {
        const [image] = images;
        if (image === undefined) continue;
        const bytes = image.bytes.slice();
        const at = nextBelow(random, bytes.length);
        const bit = 1 << nextBelow(random, 8);
        // The same bit a second time would mend it.
        if (image.damaged) continue;
        bytes[at] = (bytes[at] ?? 0) ^ bit;
        images[0] = { bytes, damaged: true };
      }
      return "disk damaged";
    }
    return "crash with the disk";
  }
}
