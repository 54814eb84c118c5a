import fc from "fast-check";
import { expect, test } from "vitest";
import { IMAGE_LIMITS } from "../protocols/limits.ts";
import {
  decodeManifest,
  encodeManifest,
  kindOf,
  MANIFEST_BYTES_MAX,
  type NamedSegment,
} from "../protocols/wire/manifest.ts";
import { decodeReason, sealed } from "./decode-reason.ts";

const SEGMENT: NamedSegment = { id: "0123456789abcdef", bytes: 300, checksum: 0x01020304 };
const MAGIC = [0x46, 0x72, 0x4d, 0x61];
const BODY = [1, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xac, 2, 4, 3, 2, 1];

test("a manifest's bytes are what they were when the first one was written", () => {
  const bytes = encodeManifest([SEGMENT]);
  expect([...bytes.subarray(0, -4)]).toEqual([...MAGIC, 1, ...BODY]);
  expect(bytes).toEqual(sealed([...MAGIC, 1, ...BODY]));
});

test("decodeManifest() gives back the segments in their order, and refuses every byte that is changed, cut or added", () => {
  const segment = fc.record({
    id: fc.stringMatching(/^[0-9a-f]{16}$/),
    bytes: fc.maxSafeNat(),
    checksum: fc.nat(0xffff_ffff),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(segment, { minLength: 1, maxLength: 6, selector: ({ id }) => id }),
      fc.nat(),
      fc.nat(7),
      (segments, place, bit) => {
        const bytes = encodeManifest(segments);
        expect(decodeManifest(bytes)).toEqual(segments);
        expect(kindOf(bytes)).toBe("manifest");
        const within = new Uint8Array(bytes.length + 2).fill(1);
        within.set(bytes, 1);
        expect(decodeManifest(within.subarray(1, -1))).toEqual(segments);
        const other = bytes.slice();
        other[place % bytes.length] = (other[place % bytes.length] ?? 0) ^ (1 << bit);
        expect(reasonOf(other)).toBeDefined();
        expect(reasonOf(bytes.subarray(0, place % bytes.length))).toBeDefined();
        expect(reasonOf(Uint8Array.of(...bytes, 0))).toBe("its checksum is wrong");
      },
    ),
  );
});

test("decodeManifest() takes as many segments as an image may have, which fit the bytes that it may have, and no more", () => {
  function segments(count: number): NamedSegment[] {
    return Array.from({ length: count }, (_, at) => ({
      id: at.toString(16).padStart(16, "0"),
      bytes: Number.MAX_SAFE_INTEGER,
      checksum: at,
    }));
  }
  const most = encodeManifest(segments(IMAGE_LIMITS.segmentsMax));
  expect(most.length).toBeLessThanOrEqual(MANIFEST_BYTES_MAX);
  expect(decodeManifest(most)).toEqual(segments(IMAGE_LIMITS.segmentsMax));
  const short = segments(IMAGE_LIMITS.segmentsMax + 1).map((each) => ({ ...each, bytes: 1 }));
  expect(reasonOf(encodeManifest(short))).toBe(`a number is greater than ${IMAGE_LIMITS.segmentsMax}`);
  // Of the most bytes that are looked at, and of one more.
  const filled = [...MAGIC, 1, ...Array.from({ length: MANIFEST_BYTES_MAX - 9 }, () => 0)];
  expect(reasonOf(sealed(filled))).toBe("it names no segment");
  expect(reasonOf(sealed([...filled, 0]))).toBe(`${MANIFEST_BYTES_MAX + 1} bytes are too many`);
});

test.each([
  ["no segment", [...MAGIC, 1, 0], "it names no segment"],
  ["a segment twice", [...MAGIC, 1, 2, ...BODY.slice(1), ...BODY.slice(1)], "it names a segment twice"],
  ["a segment more than it has", [...MAGIC, 1, 2, ...BODY.slice(1)], "8 bytes are announced and 0 are left"],
  ["a byte behind the last", [...MAGIC, 1, ...BODY, 0], "1 bytes are left over"],
  ["another version", [...MAGIC, 2, ...BODY], "its layout version is 2, not 1"],
  ["another beginning", [...MAGIC.slice(0, 3), 0x62, 1, ...BODY], "it does not begin as a manifest"],
  ["no version", MAGIC, "it ends too early"],
])("decodeManifest() refuses %s", (_, body, reason) => {
  expect(reasonOf(sealed(body))).toBe(reason);
});

test("decodeManifest() refuses fewer bytes than a checksum has, and says that it is a manifest", () => {
  expect(() => decodeManifest(new Uint8Array())).toThrow("Cannot decode manifest: it ends too early at byte 0");
  for (const length of [0, 1, 4]) expect(reasonOf(new Uint8Array(length))).toBe("it ends too early");
});

test("kindOf() tells a manifest of any version, an image in one piece, and what is neither", () => {
  expect(kindOf(Uint8Array.of(...MAGIC, 9))).toBe("manifest");
  expect(kindOf(Uint8Array.of(0x46, 0x72, 0x49, 0x6d, 9))).toBe("piece");
  for (const other of [[], [0x46], MAGIC.slice(0, 3), [0x46, 0x72, 0x49], [0, ...MAGIC], [...MAGIC.slice(0, 3), 0]]) {
    expect(kindOf(Uint8Array.from(other))).toBe("unknown");
  }
});

function reasonOf(bytes: Uint8Array): string | undefined {
  return decodeReason(() => decodeManifest(bytes));
}
