import fc from "fast-check";
import { expect, test } from "vitest";
import { IMAGE_LIMITS } from "../protocols/limits.ts";
import { ByteWriter } from "../protocols/wire/bytes.ts";
import { crc32c } from "../protocols/wire/checksum.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import {
  decodeSegmentEnd,
  encodeSegmentEnd,
  SEGMENT_TAIL_BYTES,
  segmentEndBytes,
  type StoredBlock,
} from "../protocols/wire/segment.ts";
import { decodeReason } from "./decode-reason.ts";

const PLAIN: StoredBlock = { storedBytes: 5, bytes: 5, method: "stored", checksum: 0x01020304 };
const PACKED: StoredBlock = { storedBytes: 4, bytes: 300, method: "zstd", checksum: 0xffff_ffff };
const HEAD = Uint8Array.of(9, 8, 7);

test("a segment's end is what it was when the first segments were written", () => {
  const { bytes, checksum } = encodeSegmentEnd({ head: HEAD, blocks: [PLAIN, PACKED] });
  const before = [3, 9, 8, 7, 2, 5, 5, 0, 4, 3, 2, 1, 4, 0xac, 2, 1, 255, 255, 255, 255];
  expect(checksum).toBe(crc32c(Uint8Array.from(before)));
  const sum = [0, 8, 16, 24].map((shift) => (checksum >>> shift) & 0xff);
  // From the head on, the checksum included.
  expect([...bytes]).toEqual([...before, ...sum, 24, 0, 0, 0, 0x46, 0x72, 0x53, 0x01]);
});

test("decodeSegmentEnd() gives back what was written, and its checksum, which names the segment", () => {
  const block: fc.Arbitrary<StoredBlock> = fc
    .record({
      storedBytes: fc.integer({ min: 1, max: IMAGE_LIMITS.blockBytesMax - 1 }),
      saved: fc.integer({ min: 0, max: 1000 }),
      checksum: fc.nat(0xffff_ffff),
    })
    .map(({ storedBytes, saved, checksum }) => {
      const bytes = Math.min(IMAGE_LIMITS.blockBytesMax, storedBytes + saved);
      return { storedBytes, bytes, method: bytes > storedBytes ? "zstd" : "stored", checksum };
    });
  fc.assert(
    fc.property(fc.uint8Array(), fc.array(block, { maxLength: 5 }), (head, blocks) => {
      const { bytes, checksum } = encodeSegmentEnd({ head, blocks });
      const fileBytes = bytes.length + blocks.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
      expect(segmentEndBytes(bytes.subarray(-SEGMENT_TAIL_BYTES), fileBytes)).toBe(bytes.length);
      const end = decodeSegmentEnd(bytes, fileBytes);
      expect(end).toEqual({ head, blocks, checksum });
      // The head outlives the file's bytes, which may be written over.
      bytes.fill(0);
      expect(end.head).toEqual(head);
      for (const other of [fileBytes - 1, fileBytes + 1]) {
        expect(() => decodeSegmentEnd(encodeSegmentEnd({ head, blocks }).bytes, other)).toThrow(DecodeError);
      }
    }),
    { numRuns: 50 },
  );
});

test("a segment's end reads the same from within a larger buffer", () => {
  const { bytes, checksum } = encodeSegmentEnd({ head: HEAD, blocks: [PLAIN] });
  const within = new Uint8Array(bytes.length + 6).fill(1);
  within.set(bytes, 3);
  expect(decodeSegmentEnd(within.subarray(3, -3), bytes.length + 5)).toEqual({ head: HEAD, blocks: [PLAIN], checksum });
});

test("segmentEndBytes() refuses a tail of other bytes, and an end that is too long or does not fit the file", () => {
  const tail = encodeSegmentEnd({ head: HEAD, blocks: [] }).bytes.subarray(-SEGMENT_TAIL_BYTES);
  expect(segmentEndBytes(tail, 17)).toBe(17);
  expect(decodeReason(() => segmentEndBytes(tail, 16))).toBe("its end has 9 bytes and the file 16");
  for (const at of [8, 9, 10, 11]) {
    const other = tail.slice();
    other[at] = (other[at] ?? 0) ^ 1;
    expect(decodeReason(() => segmentEndBytes(other, 100))).toBe("it does not end as a segment of this version");
  }
  expect(decodeReason(() => segmentEndBytes(tail.subarray(1), 100))).toBeDefined();
  expect(decodeReason(() => segmentEndBytes(Uint8Array.of(...tail, 0), 100))).toBe("1 bytes are left over");
  const max = IMAGE_LIMITS.endBytesMax;
  expect(segmentEndBytes(tailOf(max), max + 8)).toBe(max + 8);
  expect(decodeReason(() => segmentEndBytes(tailOf(max + 1), max + 100))).toBe(`its end has ${max + 1} bytes`);
});

test("decodeSegmentEnd() refuses an end that is cut, has one more byte, or a changed one", () => {
  const { bytes } = encodeSegmentEnd({ head: HEAD, blocks: [PLAIN, PACKED] });
  const fileBytes = bytes.length + 9;
  expect(decodeSegmentEnd(bytes, fileBytes).blocks).toHaveLength(2);
  for (let cut = 1; cut <= bytes.length; cut += 1) {
    expect(decodeReason(() => decodeSegmentEnd(bytes.subarray(cut), fileBytes))).toBe(
      "its end is not as long as it says",
    );
  }
  expect(decodeReason(() => decodeSegmentEnd(Uint8Array.of(0, ...bytes), fileBytes + 1))).toBe(
    "its end is not as long as it says",
  );
  for (let at = 0; at < bytes.length - SEGMENT_TAIL_BYTES + 4; at += 1) {
    const other = bytes.slice();
    other[at] = (other[at] ?? 0) ^ 0x80;
    expect(decodeReason(() => decodeSegmentEnd(other, fileBytes))).toBe("the checksum of its end is wrong");
  }
});

test("a refusal says that it is a segment that is damaged, and where", () => {
  expect(() => decodeSegmentEnd(new Uint8Array(), 0)).toThrow(
    "Cannot decode segment: its end is not as long as it says at byte 0",
  );
  expect(() => segmentEndBytes(tailOf(100), 50)).toThrow(
    "Cannot decode segment: its end has 100 bytes and the file 50",
  );
});

const NONE = [0, 0, 0, 0];
const max = IMAGE_LIMITS.blockBytesMax;

/** Ends that are sealed as they must be, and say what no encoder writes. */
test.each([
  ["nothing", [], 0, "it ends too early"],
  ["more blocks than bytes", [0, 2, 5, 5, 0, ...NONE], 5, "2 blocks are announced and do not fit"],
  ["a block less than bytes", [0, 1, 5, 5, 0, ...NONE, 1], 5, "1 bytes are left over"],
  ["a block in an unknown way", [0, 1, 5, 5, 2, ...NONE], 5, "a block is stored in an unknown way"],
  ["an empty block", [0, 1, 0, 0, 0, ...NONE], 0, "a block is empty"],
  ["a block of nothing", [0, 1, 1, 0, 1, ...NONE], 1, "a block is empty"],
  ["a block stored as nothing", [0, 1, 0, 1, 1, ...NONE], 0, "a block is empty"],
  ["a plain block that is longer", [0, 1, 6, 5, 0, ...NONE], 6, "a block is stored in too much room"],
  ["a plain block that is shorter", [0, 1, 4, 5, 0, ...NONE], 4, "a block is stored in too much room"],
  ["a packed block that saves nothing", [0, 1, 5, 5, 1, ...NONE], 5, "a block is stored in too much room"],
  ["fewer stored bytes than the file", [0, 1, 5, 5, 0, ...NONE], 6, "its blocks have 5 bytes, not those of the file"],
  ["a head that is not there", [9, 0], 0, "a number is greater than 2"],
  ["a head that runs into what follows", [2, 0], 0, "2 bytes are announced and 1 are left"],
  ["too large a block", [0, 1, ...varint(max + 1), 1, 1, ...NONE], max + 1, `a number is greater than ${max}`],
  ["a block too large unpacked", [0, 1, 1, ...varint(max + 1), 1, ...NONE], 1, `a number is greater than ${max}`],
  [
    "too many blocks",
    [0, ...varint(IMAGE_LIMITS.blocksMax + 1)],
    0,
    `a number is greater than ${IMAGE_LIMITS.blocksMax}`,
  ],
])("decodeSegmentEnd() refuses %s", (_, body, stored, reason) => {
  const end = sealed(body);
  expect(decodeReason(() => decodeSegmentEnd(end, end.length + stored))).toBe(reason);
});

test("decodeSegmentEnd() takes the largest block, and as many blocks as fit", () => {
  const largest = sealed([0, 1, ...varint(max - 1), ...varint(max), 1, ...NONE]);
  expect(decodeSegmentEnd(largest, largest.length + max - 1).blocks[0]).toEqual({
    storedBytes: max - 1,
    bytes: max,
    method: "zstd",
    checksum: 0,
  });
  const two = sealed([0, 2, 1, 1, 0, ...NONE, 1, 1, 0, ...NONE]);
  expect(decodeSegmentEnd(two, two.length + 2).blocks).toHaveLength(2);
});

/** An end of this body with checksum, length and magic. */
function sealed(body: readonly number[]): Uint8Array {
  const writer = new ByteWriter();
  for (const byte of body) writer.u8(byte);
  writer.u32(crc32c(writer.view()));
  writer.u32(writer.length);
  for (const byte of [0x46, 0x72, 0x53, 0x01]) writer.u8(byte);
  return writer.finish();
}

function tailOf(endBytes: number): Uint8Array {
  const writer = new ByteWriter();
  for (const number of [0, endBytes]) writer.u32(number);
  for (const byte of [0x46, 0x72, 0x53, 0x01]) writer.u8(byte);
  return writer.finish();
}

function varint(value: number): readonly number[] {
  const writer = new ByteWriter();
  writer.varint(value);
  return [...writer.finish()];
}
