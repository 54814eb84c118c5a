import { setFlagsFromString } from "node:v8";

/**
 * The V8 option that `collectLessOften` sets. A test asks Node whether it still knows it: setting one that is unknown says nothing.
 */
export const COLLECTING_OPTION = "--external-memory-accounted-in-global-limit";

/**
 * Has V8 count memory outside of the heap (frames, sockets' buffers, tables) apart from what is in it, for all threads of this process. By default a thread collects its whole
 * heap after each 8 MB or so of either, and ours have small heaps and pass megabytes of frames: a follower of live updates spent a third of its CPU on that.
 */
export function collectLessOften(): void {
  setFlagsFromString(COLLECTING_OPTION);
}
