/*
 * How a block is stored: compressed where that pays, checked always. Node compresses on threads of its own, so a worker that may start
 * none can have it done aside.
 */
import { promisify } from "node:util";
import { constants, crc32, zstdCompress, zstdCompressSync, zstdDecompress } from "node:zlib";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type StoredBlock } from "../protocols/wire/segment.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Node hands results over in pieces of so many bytes more than there are, so in one: its 16 KiB would be put together from many. */
const ROOM_BYTES = 1024;
/** A block is compressed where pieces of it shrink to this share. Numbers that were learned save a tenth, which costs more than the disk. */
const SHARE_MAX = 0.8;
const PIECES = 16;
const PIECE_BYTES = 1024;

/** Pieces of a block, while they are tried. */
const sample = new Uint8Array(PIECES * PIECE_BYTES);

/** A block as it goes into its file, which is these very bytes where they are not compressed: nobody changes them until it is there. */
export async function packBlock(
  bytes: Uint8Array,
): Promise<{ readonly stored: Uint8Array; readonly block: StoredBlock }> {
  const packed = isWorthIt(bytes) ? await compress(bytes, { ...LEVEL, chunkSize: bytes.length + ROOM_BYTES }) : bytes;
  const stored = packed.length < bytes.length ? packed : bytes;
  const method = stored === bytes ? "stored" : "zstd";
  return { stored, block: { storedBytes: stored.length, bytes: bytes.length, method, checksum: crc32(stored) } };
}

/** The block again; rejects with `DecodeError` where it is not what was stored. */
export async function unpackBlock(stored: Uint8Array, block: StoredBlock): Promise<Uint8Array> {
  if (stored.length !== block.storedBytes || crc32(stored) !== block.checksum) {
    throw new DecodeError("segment", "the checksum of a block is wrong");
  }
  if (block.method === "stored") return stored;
  let bytes: Uint8Array;
  try {
    bytes = await decompress(stored, { maxOutputLength: block.bytes, chunkSize: block.bytes + ROOM_BYTES });
  } catch (error) {
    throw new DecodeError("segment", `a block cannot be decompressed (${error instanceof Error ? error.message : ""})`);
  }
  if (bytes.length !== block.bytes) throw new DecodeError("segment", "a block is not as long as it should be");
  return bytes;
}

function isWorthIt(bytes: Uint8Array): boolean {
  if (bytes.length <= PIECES * PIECE_BYTES) return true;
  // From the middle of each sixteenth: a block is columns, which differ, some times over.
  for (let piece = 0; piece < PIECES; piece += 1) {
    const from = Math.floor(((piece + 0.5) * (bytes.length - PIECE_BYTES)) / PIECES);
    sample.set(bytes.subarray(from, from + PIECE_BYTES), piece * PIECE_BYTES);
  }
  // Here and now: to have it done on another thread takes longer.
  const options = { ...LEVEL, chunkSize: sample.length + ROOM_BYTES, pledgedSrcSize: sample.length };
  return zstdCompressSync(sample, options).length <= SHARE_MAX * sample.length;
}
