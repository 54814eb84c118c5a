/** Fewer are copied before Node's own code has its views. */
const FEW = 1024;

/**
 * What `to.set(from)` does, for shared memory. There V8 copies word by word, and byte by byte where the two are not aligned alike, as a column of a frame is not: it stands behind others of
 * any length. Node's own copy is faster, and then several times.
 */
export function copyBytes(from: Uint8Array, to: Uint8Array): void {
  // Node's would copy as much as fits, and say nothing.
  if (from.length < FEW || from.length > to.length) to.set(from);
  else bufferOf(from).copy(bufferOf(to));
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
