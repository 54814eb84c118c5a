/*
 * Which of several memories a key's row is in. By a hash of its own: the one that a table's index goes by would leave each memory keys that crowd
 * in a part of its index.
 */
import { mixUint32 } from "../../../protocols/random.ts";

/** Some keys of a request, which are in one memory: their places in it, in order. */
export interface SpreadKeys {
  readonly memory: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
  readonly places: Uint32Array<ArrayBuffer>;
}

/** The memory of each key, of so many. */
export function memoriesOf(keys: BigUint64Array, memories: number): Uint8Array {
  const words = new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
  const found = new Uint8Array(keys.length);
  for (let at = 0; at < found.length; at += 1) {
    found[at] = mixUint32(words[2 * at] ?? 0, words[2 * at + 1] ?? 0) % memories;
  }
  return found;
}

/** The keys of each memory that has any. */
export function spreadKeys(keys: BigUint64Array, memories: number): SpreadKeys[] {
  const memoryOf = memoriesOf(keys, memories);
  const counts = new Uint32Array(memories);
  for (const memory of memoryOf) counts[memory] = (counts[memory] ?? 0) + 1;
  const all = Array.from(counts, (count, memory) => ({
    memory,
    keys: new BigUint64Array(count),
    places: new Uint32Array(count),
  }));
  const filled = new Uint32Array(memories);
  for (const [place, memory] of memoryOf.entries()) {
    const part = all[memory];
    const at = filled[memory] ?? 0;
    if (part === undefined) continue;
    part.keys[at] = keys[place] ?? 0n;
    part.places[at] = place;
    filled[memory] = at + 1;
  }
  return all.filter((part) => part.keys.length > 0);
}

/** Neighbours that are in one memory, one after the other. */
export function keysInOrder(keys: BigUint64Array, memories: number): SpreadKeys[] {
  const memoryOf = memoriesOf(keys, memories);
  const runs: SpreadKeys[] = [];
  for (let from = 0, to = 0; from < keys.length; from = to) {
    const memory = memoryOf[from] ?? 0;
    while (to < keys.length && memoryOf[to] === memory) to += 1;
    const places = Uint32Array.from({ length: to - from }, (_, at) => from + at);
    runs.push({ memory, keys: new BigUint64Array(keys.subarray(from, to)), places });
  }
  return runs;
}
