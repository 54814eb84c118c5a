/*
 * What tests of decoders share: bytes that are sealed as they must be, and why others are refused.
 */
import { ByteWriter } from "../protocols/wire/bytes.ts";
import { crc32c } from "../protocols/wire/checksum.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";

/** Why what is read is refused, undefined where it is not. Any other error is thrown on. */
export function decodeReason(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return error.reason;
    throw error;
  }
}

/** A body and its checksum. */
export function sealed(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const byte of body) writer.u8(byte);
  writer.u32(crc32c(writer.view()));
  return writer.finish();
}
