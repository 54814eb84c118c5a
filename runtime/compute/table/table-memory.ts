import { createMemory, type SharedMemory } from "../load.ts";

/** Enough for a small table, its columns and its first rows: to grow a memory takes longer than to make one. */
const MEMORY_BYTES_FIRST = 2 ** 20;
/** Where 32-bit addresses end. */
export const MEMORY_BYTES_MAX = 2 ** 32;

/** An empty memory for a table. */
export function tableMemory(bytesMax = MEMORY_BYTES_MAX): SharedMemory {
  return createMemory({ bytes: MEMORY_BYTES_FIRST, bytesMax });
}
