// Goal: a catalogue row says what was seen of its item, and bytes that are none say nothing. Method: drawn rows and sightings; each bound.
import fc from "fast-check";
import { expect, test } from "vitest";
import { isItemId } from "../protocols/feedback.ts";
import {
  CATALOGUE_DECAY,
  CATALOGUE_ROW_BYTES,
  noteSighting,
  readCatalogueRow,
  writeCatalogueRow,
} from "../protocols/learning/catalogue-row.ts";
import { addPopularity, NO_POPULARITY } from "../protocols/learning/popularity.ts";

// Whatever isItemId() takes, among it what no keyboard writes.
const items = fc
  .oneof(
    fc.string({ minLength: 1, unit: "grapheme" }),
    fc.string({ minLength: 1, unit: "binary" }),
    fc.string({ minLength: 1, unit: fc.constantFrom("\ufeff", "\u200d", "a", "é") }),
  )
  .filter(isItemId);
const rows = fc.record({
  item: items,
  popularity: fc.double({ noNaN: true }),
  firstSeenMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
});
const NOW = 1_795_000_000_000;

test("a row reads as it was written, over whatever was there, and its bytes beyond the id are 0", () => {
  fc.assert(
    fc.property(
      rows,
      fc.uint8Array({ minLength: CATALOGUE_ROW_BYTES, maxLength: CATALOGUE_ROW_BYTES }),
      (row, bytes) => {
        writeCatalogueRow(bytes, row);
        expect(readCatalogueRow(bytes)).toEqual(row);
        const idBytes = new TextEncoder().encode(row.item).length;
        expect([...bytes.subarray(17 + idBytes)]).toEqual(Array.from({ length: 47 - idBytes }, () => 0));
      },
    ),
  );
});

test("a row is little endian: popularity, first seen, length, id", () => {
  const bytes = new Uint8Array(CATALOGUE_ROW_BYTES);
  writeCatalogueRow(bytes, { item: "é1", popularity: -2.5, firstSeenMs: NOW });
  const view = new DataView(bytes.buffer);
  expect([view.getFloat64(0, true), view.getFloat64(8, true), bytes[16]]).toEqual([-2.5, NOW, 3]);
  expect([...bytes.subarray(17, 21)]).toEqual([0xc3, 0xa9, 0x31, 0]);
});

test("ids of 1 to 46 bytes fit, others do not, nor does a row into other bytes", () => {
  const row = { popularity: 0, firstSeenMs: 0 };
  const bytes = new Uint8Array(CATALOGUE_ROW_BYTES);
  // U+FEFF at the start of a text is what decoders take for a byte order mark.
  for (const item of ["a", "a".repeat(46), "\ufeffa", "\ufeff"]) {
    writeCatalogueRow(bytes, { ...row, item });
    expect(readCatalogueRow(bytes)?.item).toBe(item);
  }
  for (const item of ["", "a".repeat(47), "é".repeat(24)]) {
    expect(() => writeCatalogueRow(bytes, { ...row, item })).toThrow(RangeError);
  }
  expect(() => writeCatalogueRow(new Uint8Array(63), { ...row, item: "a" })).toThrow(RangeError);
});

test("bytes that are no row read as none: no id, one too long or not UTF-8, numbers that are none", () => {
  const good = new Uint8Array(CATALOGUE_ROW_BYTES);
  writeCatalogueRow(good, { item: "abc", popularity: 1, firstSeenMs: NOW });
  function read(change: (bytes: Uint8Array, view: DataView) => void): unknown {
    const bytes = good.slice();
    change(bytes, new DataView(bytes.buffer));
    return readCatalogueRow(bytes);
  }
  expect(read(() => undefined)).toBeDefined();
  expect(read((bytes) => (bytes[16] = 46))).toBeDefined();
  expect(read((_, view) => view.setFloat64(0, -Infinity, true))).toBeDefined();
  expect(read((bytes) => (bytes[16] = 0))).toBeUndefined();
  expect(read((bytes) => (bytes[16] = 47))).toBeUndefined();
  expect(read((bytes) => (bytes[18] = 0xff))).toBeUndefined();
  expect(read((_, view) => view.setFloat64(0, Number.NaN, true))).toBeUndefined();
  expect(read((_, view) => view.setFloat64(8, Infinity, true))).toBeUndefined();
  for (const length of [0, 16, 63, 65]) expect(readCatalogueRow(new Uint8Array(length).fill(1))).toBeUndefined();
});

test("noteSighting() adds clicks to what a row had, makes one for a new item, and leaves a row as it is without clicks", () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 1e9 }), (row, clicks, afterMs) => {
      const timeMs = NOW + afterMs;
      const bytes = new Uint8Array(CATALOGUE_ROW_BYTES);
      writeCatalogueRow(bytes, row);
      const before = bytes.slice();
      expect(noteSighting(bytes, { isNew: false, item: row.item, clicks: 0, timeMs })).toBe(false);
      expect(bytes).toEqual(before);
      expect(noteSighting(bytes, { isNew: false, item: row.item, clicks, timeMs })).toBe(true);
      const popularity = addPopularity(row.popularity, { timeMs, weight: clicks }, CATALOGUE_DECAY);
      expect(readCatalogueRow(bytes)).toEqual({ ...row, popularity });
      expect(noteSighting(bytes, { isNew: true, item: "new", clicks: 0, timeMs })).toBe(true);
      expect(readCatalogueRow(bytes)).toEqual({ item: "new", popularity: NO_POPULARITY, firstSeenMs: timeMs });
    }),
  );
});
