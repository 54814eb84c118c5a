/*
 * One file of an image: a segment. All rows of a shard, or what changed since the segment before. Little-endian; varint as in frame.ts.
 *
 *   ...         the blocks, one after the other, as they are stored (what is in them: sync/image-block.ts)
 *   varint      H; H bytes: the head, which says of which moment the rows are (sync/image-head.ts)
 *   varint      B, blocks; B times:
 *     varint      bytes as stored
 *     varint      bytes of the block itself
 *     1           0 stored as it is, 1 compressed with Zstandard
 *     4           CRC-32 (that of gzip) of the bytes as stored
 *   4           CRC-32C of all bytes since the blocks
 *   4           bytes of all that, from H on, this checksum included
 *   4           magic and version 0x46 0x72 0x53 0x01 ("FrS", 1)
 *
 * What a segment says of itself comes last, as it is written in one go from front to back; its checksum names the segment in a manifest.
 */
import { IMAGE_LIMITS } from "../limits.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { crc32c } from "./checksum.ts";

const MAGIC = [0x46, 0x72, 0x53, 0x01] as const;
/** The last bytes of a segment, which say where its end begins. */
export const SEGMENT_TAIL_BYTES = 12;

/** Where a block lies, and how. */
export interface StoredBlock {
  readonly storedBytes: number;
  readonly bytes: number;
  readonly method: "stored" | "zstd";
  readonly checksum: number;
}

/** What a segment says of itself. */
export interface SegmentEnd {
  readonly head: Uint8Array;
  readonly blocks: readonly StoredBlock[];
}

/** The end of a segment, to be written behind its blocks, and the checksum that names it. */
export function encodeSegmentEnd({ head, blocks }: SegmentEnd): { bytes: Uint8Array<ArrayBuffer>; checksum: number } {
  const writer = new ByteWriter();
  writer.varint(head.length);
  writer.bytes(head);
  writer.varint(blocks.length);
  for (const { storedBytes, bytes, method, checksum } of blocks) {
    writer.varint(storedBytes);
    writer.varint(bytes);
    writer.u8(method === "zstd" ? 1 : 0);
    writer.u32(checksum);
  }
  const checksum = crc32c(writer.view());
  writer.u32(checksum);
  writer.u32(writer.length);
  for (const byte of MAGIC) writer.u8(byte);
  return { bytes: writer.finish(), checksum };
}

/** How many bytes the end of a segment takes, tail and all, by its tail; throws `DecodeError` where they do not fit the file. */
export function segmentEndBytes(tail: Uint8Array, fileBytes: number): number {
  const reader = new ByteReader(tail, { what: "segment" });
  reader.view(4);
  const bytes = reader.u32();
  for (const byte of MAGIC) if (reader.u8() !== byte) throw reader.fail("it does not end as a segment of this version");
  reader.finish();
  if (bytes > IMAGE_LIMITS.endBytesMax) throw reader.fail(`its end has ${bytes} bytes`);
  if (bytes + 8 > fileBytes) throw reader.fail(`its end has ${bytes} bytes and the file ${fileBytes}`);
  return bytes + 8;
}

/** Reads the end of a file of so many bytes, tail and all; throws `DecodeError` on anything that `encodeSegmentEnd` would not have written. */
export function decodeSegmentEnd(end: Uint8Array, fileBytes: number): SegmentEnd & { readonly checksum: number } {
  const sealed = end.length - SEGMENT_TAIL_BYTES;
  const reader = new ByteReader(end, { what: "segment", end: Math.max(0, sealed) });
  if (sealed < 0 || segmentEndBytes(end.subarray(sealed), fileBytes) !== end.length) {
    throw reader.fail("its end is not as long as it says");
  }
  const checksum = crc32c(end, 0, sealed);
  if (new DataView(end.buffer, end.byteOffset + sealed, 4).getUint32(0, true) !== checksum) {
    throw reader.fail("the checksum of its end is wrong");
  }
  const head = reader.view(reader.varint(sealed)).slice();
  const count = reader.varint(IMAGE_LIMITS.blocksMax);
  if (count > reader.remaining / 7) throw reader.fail(`${count} blocks are announced and do not fit`);
  const blocks: StoredBlock[] = [];
  let stored = 0;
  for (let block = 0; block < count; block += 1) {
    const read = readBlock(reader);
    stored += read.storedBytes;
    blocks.push(read);
  }
  reader.finish();
  if (stored !== fileBytes - end.length) throw reader.fail(`its blocks have ${stored} bytes, not those of the file`);
  return { head, blocks, checksum };
}

function readBlock(reader: ByteReader): StoredBlock {
  const storedBytes = reader.varint(IMAGE_LIMITS.blockBytesMax);
  const bytes = reader.varint(IMAGE_LIMITS.blockBytesMax);
  const method = reader.u8();
  if (method > 1) throw reader.fail("a block is stored in an unknown way");
  if (bytes === 0 || storedBytes === 0) throw reader.fail("a block is empty");
  if (method === 0 ? storedBytes !== bytes : storedBytes >= bytes) {
    throw reader.fail("a block is stored in too much room");
  }
  return { storedBytes, bytes, method: method === 0 ? "stored" : "zstd", checksum: reader.u32() };
}
