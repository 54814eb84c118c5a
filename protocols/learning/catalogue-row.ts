/*
 * The catalogue is a table that every model carries: one row of 64 bytes per item, under the item's key, so that any region can name
 * the items it holds rows of, and list the popular and the new ones, without asking anyone. Layout, little endian:
 *   0  float64  popularity: a forward-decayed click count as a log-sum (popularity.ts)
 *   8  float64  first seen, milliseconds since the epoch
 *   16 uint8    bytes of the id, 1 to 46
 *   17 bytes    the id in UTF-8; the rest is 0
 */

import { addPopularity, type Decay, NO_POPULARITY } from "./popularity.ts";

export const CATALOGUE_ROW_BYTES = 64;

/** How clicks fade in every catalogue. The landmark is 2026-01-01: any time would do, one near the present keeps most digits. */
export const CATALOGUE_DECAY: Decay = { halfLifeMs: 3_600_000, landmarkMs: 1_767_225_600_000 };
const ID_AT = 17;
const ID_BYTES_MAX = 46;

export interface CatalogueRow {
  readonly item: string;
  readonly popularity: number;
  readonly firstSeenMs: number;
}

/** Writes a row in place. The id must be at most 46 bytes of UTF-8 (`isItemId`). */
export function writeCatalogueRow(bytes: Uint8Array, row: CatalogueRow): void {
  const id = encodeUtf8(row.item);
  if (bytes.length !== CATALOGUE_ROW_BYTES || id.length === 0 || id.length > ID_BYTES_MAX) {
    throw new RangeError(`Cannot write a catalogue row of ${bytes.length} bytes for an item id of ${id.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setFloat64(0, row.popularity, true);
  view.setFloat64(8, row.firstSeenMs, true);
  bytes.fill(0, ID_AT);
  bytes[16] = id.length;
  bytes.set(id, ID_AT);
}

/** Reads a row, or undefined when the bytes are none. */
export function readCatalogueRow(bytes: Uint8Array): CatalogueRow | undefined {
  const length = bytes[16];
  if (bytes.length !== CATALOGUE_ROW_BYTES || length === undefined || length === 0 || length > ID_BYTES_MAX) {
    return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const popularity = view.getFloat64(0, true);
  const firstSeenMs = view.getFloat64(8, true);
  const item = decodeUtf8(bytes.subarray(ID_AT, ID_AT + length));
  if (item === undefined || Number.isNaN(popularity) || !Number.isFinite(firstSeenMs)) return undefined;
  return { item, popularity, firstSeenMs };
}

/**
 * Notes that an item was seen: makes its row, or adds its clicks. Without clicks an existing row stays as it is, and the answer is false.
 */
export function noteSighting(
  bytes: Uint8Array,
  seen: { readonly isNew: boolean; readonly item: string; readonly clicks: number; readonly timeMs: number },
): boolean {
  if (!seen.isNew && seen.clicks <= 0) return false;
  const held = seen.isNew ? undefined : readCatalogueRow(bytes);
  const before = held ?? { item: seen.item, popularity: NO_POPULARITY, firstSeenMs: seen.timeMs };
  const popularity = addPopularity(before.popularity, { timeMs: seen.timeMs, weight: seen.clicks }, CATALOGUE_DECAY);
  writeCatalogueRow(bytes, { ...before, popularity });
  return true;
}

const encoder = new TextEncoder();
// An id may begin with U+FEFF: without ignoreBOM a decoder drops it, and the row would name another item.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
