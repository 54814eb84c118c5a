/*
 * Of each writer of a store its epoch, in memory that other threads see: who reads a row with the index of its writer then knows of which epoch the row is. A
 * writer is noted before the store takes a row of it.
 */
import { SYNC_LIMITS } from "../../../protocols/limits.ts";
import { epochOf, type WriterId } from "../../../protocols/sync/version.ts";
import { WriterDictionary } from "../../../protocols/sync/writer-dictionary.ts";

/** What 32 bits hold: a later epoch, which nobody begins, counts as that. */
const EPOCH_SHOWN_MAX = 2 ** 31 - 1;

/** The dictionary of writers of a store. */
export class SharedWriters extends WriterDictionary {
  /** The latest epoch of any writer, and then that of each. */
  readonly epochs = createWriterEpochs();
  readonly #onNew: () => void;

  constructor(onNew: () => void) {
    super();
    this.#onNew = onNew;
  }

  override indexOf(id: WriterId): number {
    const before = this.ids.length;
    const index = super.indexOf(id);
    if (index < before) return index;
    const epoch = Math.min(epochOf(id), EPOCH_SHOWN_MAX);
    Atomics.store(this.epochs, 1 + index, epoch);
    if (epoch > latestEpoch(this.epochs)) Atomics.store(this.epochs, 0, epoch);
    this.#onNew();
    return index;
  }
}

/** Of no writer yet. */
export function createWriterEpochs(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * (1 + SYNC_LIMITS.writersMax)));
}

/** No row of the store is of a later epoch. */
export function latestEpoch(epochs: Int32Array): number {
  return Atomics.load(epochs, 0);
}

export function writerEpoch(epochs: Int32Array, writer: number): number {
  return Atomics.load(epochs, 1 + writer);
}
