/*
 * Lossless compression of binary bodies by link. Who pulls over a slow link asks for it in each message it sends over that link; who answers
 * over it, compresses. Nobody is sent what it did not ask for, and everybody reads both.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type Address, type Metrics } from "../actor.ts";
import { type MsgHdrs } from "@nats-io/transport-node";

/** How the bytes of a body are packed: `zstd`. Without it they are as they are. */
const ENCODING_HEADER = "Freshet-Encoding";
/** How the sender's region takes the bytes it is answered with. */
const ACCEPT_HEADER = "Freshet-Accept";
const ZSTD = "zstd";

/** Below it headers cost what is saved. */
const PACK_BYTES_MIN = 1024;
/** No packed body is more: it is what NATS carries unpacked. */
export const UNPACKED_BYTES_MAX = 1024 * 1024;
/** Regions whose wishes are remembered: as many as may connect. */
const REGIONS_MAX = 64;

/** What of compression a transport remembers. */
export interface Compression {
  /** Marks what leaves: asks for compressed answers where the link is to be spared, and packs the bytes of a body for a region that asked. */
  outgoing(to: Address, message: { readonly payload: Uint8Array; readonly headers: MsgHdrs }): Uint8Array;
  /** Learns from a message what its region takes. The last one counts. */
  incoming(from: Address, headers: MsgHdrs | undefined): void;
}

/** `sparing` are the regions whose links are to be spared. `isBytes` says whether a payload is a body of bytes. */
export function createCompression(options: {
  readonly sparing: ReadonlySet<string>;
  readonly metrics: Metrics;
  readonly isBytes: (headers: MsgHdrs) => boolean;
}): Compression {
  const { sparing, metrics, isBytes } = options;
  const asked = new Set<string>();
  return {
    outgoing(to, { payload, headers }) {
      if (to.via !== "own" && sparing.has(to.region)) headers.set(ACCEPT_HEADER, ZSTD);
      if (!asked.has(to.region) || payload.length < PACK_BYTES_MIN || !isBytes(headers)) return payload;
      const packed = packBytes(payload);
      metrics.count("freshet_link_packed_bytes_total", payload.length, { peer: to.region, form: "before" });
      metrics.count("freshet_link_packed_bytes_total", Math.min(packed.length, payload.length), {
        peer: to.region,
        form: "after",
      });
      if (packed.length >= payload.length) return payload;
      headers.set(ENCODING_HEADER, ZSTD);
      return packed;
    },
    incoming(from, headers) {
      if (headers?.get(ACCEPT_HEADER) !== ZSTD) asked.delete(from.region);
      else if (asked.size < REGIONS_MAX) asked.add(from.region);
    },
  };
}

/** The bytes of a body in memory of their own, unpacked as its headers say; undefined for what is not packed so, or is more than any body. */
export function bodyBytes(data: Uint8Array, headers: MsgHdrs): Uint8Array<ArrayBuffer> | undefined {
  const encoding = headers.get(ENCODING_HEADER);
  if (encoding === "") return new Uint8Array(data);
  return encoding === ZSTD ? unpackBytes(data) : undefined;
}

/** Compressed as a link carries it. */
export function packBytes(bytes: Uint8Array): Uint8Array {
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
}

/** Undone; undefined for anything that `packBytes` did not make, or that would be more than `UNPACKED_BYTES_MAX`, of which no more is made. */
export function unpackBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  try {
    // The window is what a hostile head could make large before the first byte is out: 2^20.
    const params = { [constants.ZSTD_d_windowLogMax]: 20 };
    return new Uint8Array(zstdDecompressSync(bytes, { params, maxOutputLength: UNPACKED_BYTES_MAX }));
  } catch {
    return undefined; // not zstd, cut short, or too much
  }
}

/** Whether bytes begin as zstd does. Neither JSON nor a frame does so. */
export function isPacked(bytes: Uint8Array): boolean {
  return bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd;
}
