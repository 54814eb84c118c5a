import { SYNC_LIMITS } from "../../../protocols/limits.ts";
import { type RowBatch } from "../../../protocols/sync/row-store.ts";

/** The newest t of each writer among some rows, by index of the writer. */
export class NewestRows {
  readonly #newest = new Float64Array(SYNC_LIMITS.writersMax);

  note({ t, writers }: RowBatch): void {
    const newest = this.#newest;
    // Asked for once: to ask with each row takes as long as all the rest.
    const rows = t.length;
    for (let at = 0; at < rows; at += 1) {
      const writer = writers[at] ?? 0;
      const time = t[at] ?? 0;
      if (time > (newest[writer] ?? 0)) newest[writer] = time;
    }
  }

  /** Whether a knowledge has all of these rows. */
  areKnown(known: Float64Array): boolean {
    return this.#newest.every((t, writer) => t <= (known[writer] ?? 0));
  }
}
