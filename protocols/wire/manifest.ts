/*
 * Which segments an image is made of. What names a set of segments makes it valid, all at once.
 *
 *   4           magic 0x46 0x72 0x4d 0x61 ("FrMa")
 *   1           layout version, 1
 *   varint      S, segments, from 1: first the whole one, then its increments; S times:
 *     8           id, which is part of the file's name
 *     varint      bytes of the file
 *     4           checksum of its end (segment.ts)
 *   4           CRC-32C of all bytes before
 */
import { IMAGE_LIMITS } from "../limits.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { crc32c } from "./checksum.ts";

const MAGIC = [0x46, 0x72, 0x4d, 0x61] as const;
const VERSION = 1;
/** Of an image in one piece, as older versions wrote it (sync/image.ts). */
const PIECE_MAGIC = [0x46, 0x72, 0x49, 0x6d] as const;
/** No manifest is longer. */
export const MANIFEST_BYTES_MAX = 16 + IMAGE_LIMITS.segmentsMax * 20;

/** A segment as a manifest names it. */
export interface NamedSegment {
  /** Sixteen hex digits. */
  readonly id: string;
  readonly bytes: number;
  readonly checksum: number;
}

export function encodeManifest(segments: readonly NamedSegment[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const byte of MAGIC) writer.u8(byte);
  writer.u8(VERSION);
  writer.varint(segments.length);
  for (const { id, bytes, checksum } of segments) {
    writer.hex(id);
    writer.varint(bytes);
    writer.u32(checksum);
  }
  writer.u32(crc32c(writer.view()));
  return writer.finish();
}

/** What bytes begin as: a manifest of whatever version, an image in one piece, or neither. */
export function kindOf(bytes: Uint8Array): "manifest" | "piece" | "unknown" {
  if (MAGIC.every((byte, at) => bytes[at] === byte)) return "manifest";
  return PIECE_MAGIC.every((byte, at) => bytes[at] === byte) ? "piece" : "unknown";
}

/** Reads a manifest; throws `DecodeError` on anything that `encodeManifest` would not have written. */
export function decodeManifest(bytes: Uint8Array): NamedSegment[] {
  const end = bytes.length - 4;
  const reader = new ByteReader(bytes, { what: "manifest", end: Math.max(0, end) });
  for (const byte of MAGIC) if (reader.u8() !== byte) throw reader.fail("it does not begin as a manifest");
  const version = reader.u8();
  if (version !== VERSION) throw reader.fail(`its layout version is ${version}, not ${VERSION}`);
  if (bytes.length > MANIFEST_BYTES_MAX) throw reader.fail(`${bytes.length} bytes are too many`);
  if (new DataView(bytes.buffer, bytes.byteOffset + end, 4).getUint32(0, true) !== crc32c(bytes, 0, end)) {
    throw reader.fail("its checksum is wrong");
  }
  const count = reader.varint(IMAGE_LIMITS.segmentsMax);
  if (count === 0) throw reader.fail("it names no segment");
  const segments: NamedSegment[] = [];
  for (let segment = 0; segment < count; segment += 1) {
    segments.push({ id: reader.hex(8), bytes: reader.varint(), checksum: reader.u32() });
  }
  if (new Set(segments.map(({ id }) => id)).size !== count) throw reader.fail("it names a segment twice");
  reader.finish();
  return segments;
}
