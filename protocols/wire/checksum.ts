/*
 * CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected to 0x82F63B78, initial and final value all ones), four bytes a step.
 * It finds every burst of up to 32 bits and misses a random change once in 2^32. It is no protection against forgery.
 */

const TABLES: readonly Uint32Array[] = buildTables();

/** The checksum of `bytes[from, to)`, an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  const [t0, t1, t2, t3] = TABLES;
  if (t0 === undefined || t1 === undefined || t2 === undefined || t3 === undefined) {
    throw new RangeError("Cannot checksum: no tables");
  }
  let crc = 0xffff_ffff;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    crc ^= byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24);
    crc = word(t3, crc & 0xff) ^ word(t2, (crc >>> 8) & 0xff) ^ word(t1, (crc >>> 16) & 0xff) ^ word(t0, crc >>> 24);
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ word(t0, (crc ^ byte(bytes, at)) & 0xff);
  return (crc ^ 0xffff_ffff) >>> 0;
}

function buildTables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let step = 1; step < 4; step += 1) {
    const before = tables[step - 1] ?? first;
    tables.push(before.map((crc) => (crc >>> 8) ^ word(first, crc & 0xff)));
  }
  return tables;
}

// Indexes are below the length by construction; the fallback only satisfies the compiler.
function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function word(words: Uint32Array, at: number): number {
  return words[at] ?? 0;
}
