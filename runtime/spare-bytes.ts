/*
 * Memory of a thread that is used again. New memory costs its pages, which are several times what writing them costs, and then the collector.
 */

/** Pieces that are kept, and the largest of them. */
const KEPT_MAX = 8;
const BYTES_MAX = 4 * 1024 * 1024;

const spare: Uint8Array<ArrayBuffer>[] = [];

/** Memory of at least so many bytes, with anything in it. */
export function takeBytes(bytes: number): Uint8Array<ArrayBuffer> {
  const at = spare.findLastIndex(({ length }) => length >= bytes);
  const [found] = at < 0 ? [] : spare.splice(at, 1);
  return found ?? new Uint8Array(bytes);
}

/** Whoever took it has done with it, and so has everybody else. */
export function giveBytes(memory: Uint8Array<ArrayBuffer>): void {
  if (spare.length < KEPT_MAX && memory.length <= BYTES_MAX) spare.push(memory);
}
