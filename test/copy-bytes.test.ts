import fc from "fast-check";
import { expect, test } from "vitest";
import { copyBytes } from "../runtime/compute/table/copy-bytes.ts";
import { createMemory } from "../runtime/compute/load.ts";

test("copyBytes() does what set() does, into shared memory and out of it, from any byte to any other", () => {
  const offset = fc.integer({ min: 0, max: 17 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3_000 }), offset, offset, fc.boolean(), (length, fromAt, toAt, isOut) => {
      const { buffer } = createMemory({ bytes: 4_096, bytesMax: 4_096 });
      const shared = new Uint8Array(buffer, toAt, length + 5);
      const own = Uint8Array.from({ length: length + 30 }, (_, at) => 1 + (at % 251)).subarray(fromAt, fromAt + length);
      const to = isOut ? new Uint8Array(length + 40).subarray(toAt, toAt + length + 5) : shared;
      if (isOut) shared.set(own);
      copyBytes(isOut ? shared.subarray(0, length) : own, to);
      expect([...to]).toEqual([...own, 0, 0, 0, 0, 0]);
      expect(new Uint8Array(to.buffer, 0, toAt).every((byte) => byte === 0)).toBe(true);
    }),
  );
});

test("copyBytes() refuses what does not fit, however much it is", () => {
  const { buffer } = createMemory({ bytes: 4_096, bytesMax: 4_096 });
  for (const length of [2, 2_000]) {
    expect(() => copyBytes(new Uint8Array(length), new Uint8Array(buffer, 0, length - 1))).toThrow(RangeError);
  }
});
