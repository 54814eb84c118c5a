/* Reading rows in the memory of a shard that another thread writes: all that takes no message. */
import { wordsSeed } from "../protocols/keys.ts";
import { type ModelLayout, writeUnknown } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { bytesOf } from "../protocols/wire/bytes.ts";
import { type SpreadReader } from "../runtime/compute/table/spread-reader.ts";
import { FOUND, GAVE_UP, ON_DISK } from "../runtime/compute/table/table-reader.ts";
import { writerEpoch } from "../runtime/compute/table/writer-epochs.ts";
import { type ReadList } from "./gather-rows.ts";
import { type EpochLook, joinLooks, lookAt, NO_EPOCH, type SharedEpochs } from "./shard-epochs.ts";
import { type KeyList } from "./shard-protocol.ts";

/** Where the rows of one life of a shard stand, by table. */
export interface SharedMemory {
  readonly epochs: SharedEpochs;
  readonly readers: readonly (Pick<SpreadReader, "gather"> | undefined)[];
}

/** Rows of a list, and of each the epoch of who wrote it where that was asked for. */
export interface EpochList extends ReadList {
  readonly epochs: Int32Array | undefined;
}

/** A list as it was read, and the places of the keys whose rows were not to be had; of those, how many were on disk. */
export interface PartlyRead extends EpochList {
  readonly missing: readonly number[];
  readonly onDisk: number;
}

/** Beside the rows: where their values are put, one array a list; whether the epoch of who wrote each is wanted. */
export interface ReadOptions {
  readonly into?: readonly Float32Array[] | undefined;
  readonly epochs?: true | undefined;
}

/** Lists from memory, undefined where a table's is not known; and what all of them were read under. */
export function readLists(
  layout: ModelLayout,
  memory: SharedMemory,
  { lists, into, epochs }: ReadOptions & { readonly lists: readonly KeyList[] },
): { readonly read: readonly (PartlyRead | undefined)[]; readonly look: EpochLook } {
  const before = lookAt(memory.epochs);
  const read = lists.map((list, at) => readList(layout, memory, { list, into: into?.[at], isTold: epochs === true }));
  const after = lookAt(memory.epochs);
  return { read, look: joinLooks(before, after) };
}

function readList(
  layout: ModelLayout,
  memory: SharedMemory,
  { list, into, isTold }: { readonly list: KeyList; readonly into: Float32Array | undefined; readonly isTold: boolean },
): PartlyRead | undefined {
  const { table, keys } = list;
  const declared = layout.tables[table];
  const reader = memory.readers[table];
  if (declared?.learning === undefined || reader === undefined) return undefined;
  const { dim, precision, valueBytes } = declared;
  const floats = into ?? new Float32Array(keys.length * dim);
  const isExact = precision === "f32";
  const values = isExact ? bytesOf(floats) : new Uint8Array(keys.length * valueBytes);
  const writers = isTold ? new Uint16Array(keys.length) : undefined;
  const statuses = reader.gather(keys, values, writers);
  if (!isExact) floats.set(floatsOf(declared, values));
  const missing: number[] = [];
  // Two words instead of a key: 64-bit integers are objects.
  const words = new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
  let onDisk = 0;
  for (let at = 0; at < keys.length; at += 1) {
    const status = statuses[at];
    if (status === FOUND) continue;
    if (status === ON_DISK) onDisk += 1;
    if (status === GAVE_UP || status === ON_DISK) missing.push(at);
    else {
      const seed = wordsSeed(words[2 * at] ?? 0, words[2 * at + 1] ?? 0);
      writeUnknown(layout, { table, seed }, { into: floats, at: at * dim });
    }
  }
  const epochs = writers && Int32Array.from(writers, (writer, at) => epochOfRow(memory, statuses[at], writer));
  return { values: floats, found: statuses, epochs, missing, onDisk };
}

function epochOfRow({ epochs }: SharedMemory, status: number | undefined, writer: number): number {
  return status === FOUND ? writerEpoch(epochs.writers, writer) : NO_EPOCH;
}
