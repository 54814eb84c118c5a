import { expect, test } from "vitest";
import { ByteReader, ByteWriter, bytesOf } from "../protocols/wire/bytes.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";

function written(write: (writer: ByteWriter) => void, capacityBytes?: number): number[] {
  const writer = new ByteWriter(capacityBytes);
  write(writer);
  return [...writer.finish()];
}

function readerOf(bytes: readonly number[], end?: number): ByteReader {
  return new ByteReader(Uint8Array.from(bytes), { what: "bytes", ...(end !== undefined && { end }) });
}

/** What a reader says, and at which byte it says so. */
function refusalOf(read: () => unknown): readonly [reason: string, offsetBytes: number] | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return [error.reason, error.offsetBytes];
    throw error;
  }
}

test("numbers of one byte, four and eight come back, least significant first", () => {
  expect(written((writer) => writer.u8(255))).toEqual([255]);
  expect(written((writer) => writer.u32(0xf1e2d3c4))).toEqual([0xc4, 0xd3, 0xe2, 0xf1]);
  expect(written((writer) => writer.f64(1.5))).toEqual([0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
  const reader = readerOf([7, 0xc4, 0xd3, 0xe2, 0xf1, 9, 9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
  expect([reader.u8(), reader.u32(), reader.u8(), reader.u8()]).toEqual([7, 0xf1e2d3c4, 9, 9]);
  expect([reader.f64(), reader.remaining]).toEqual([1.5, 0]);
  reader.finish();
});

test.each([
  [0, [0]],
  [0x7f, [0x7f]],
  [0x80, [0x80, 1]],
  [0x3fff, [0xff, 0x7f]],
  [0x4000, [0x80, 0x80, 1]],
  [2 ** 35 + 1, [0x81, 0x80, 0x80, 0x80, 0x80, 1]],
  [2 ** 53 - 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
] as const)("%d has seven bits in each byte, and no more bytes than it needs", (value, bytes) => {
  expect(written((writer) => writer.varint(value))).toEqual(bytes);
  expect(readerOf(bytes).varint()).toBe(value);
  expect(readerOf(bytes).varint(value)).toBe(value);
  expect(refusalOf(() => readerOf(bytes).varint(value - 1))).toEqual([
    `a number is greater than ${value - 1}`,
    bytes.length,
  ]);
});

test("a number that is longer than it needs, too long or too large is refused, as is one that cannot be written", () => {
  expect(refusalOf(() => readerOf([0x80, 0]).varint())).toEqual(["a number is longer than needed", 2]);
  expect(refusalOf(() => readerOf(Array.from({ length: 9 }, () => 0x80)).varint())).toEqual([
    "a number is too long",
    8,
  ]);
  expect(refusalOf(() => readerOf([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]).varint())?.[0]).toBe(
    `a number is greater than ${Number.MAX_SAFE_INTEGER}`,
  );
  expect(refusalOf(() => readerOf([0x80]).varint())).toEqual(["it ends too early", 1]);
  for (const value of [-1, 0.5, 2 ** 53, Number.NaN]) {
    expect(() => written((writer) => writer.varint(value))).toThrow(
      new RangeError(`Cannot write ${value} as a varint: it is not a whole number from 0 to 2^53-1`),
    );
  }
});

test("texts of printable ASCII come back, and nothing else is written or read as one", () => {
  const bytes = written((writer) => writer.text(" a~"));
  expect(bytes).toEqual([3, 0x20, 0x61, 0x7e]);
  expect(readerOf(bytes).text(3)).toBe(" a~");
  expect(refusalOf(() => readerOf(bytes).text(2))?.[0]).toBe("a number is greater than 2");
  for (const code of [0x1f, 0x7f, 0x80, 0xff]) {
    expect(refusalOf(() => readerOf([1, code]).text(9))?.[0]).toBe("a text is not printable ASCII");
  }
  expect(() => written((writer) => writer.text("\u007f"))).toThrow(
    new RangeError('Cannot write "\u007f": it is not ASCII'),
  );
  expect(refusalOf(() => readerOf([4, 0x61]).text(9))).toEqual(["4 bytes are announced and 1 are left", 1]);
});

test("texts of one hash are not taken for one another, however long they are", () => {
  // Of 31 times the first character and the second.
  for (const [one, other] of [
    ["Aa", "BB"],
    ["AaAa", "BBBB"],
    ["x".repeat(200), "x".repeat(201)],
    ["!#", "!#i"],
  ] as const) {
    for (const text of [one, other, one, other]) {
      expect(readerOf(written((writer) => writer.text(text))).text(300)).toBe(text);
    }
  }
});

test("any text has its units in one byte each where they fit, and in two where one does not", () => {
  for (const [text, bytes] of [
    ["", [0]],
    ["aÿ", [4, 0x61, 0xff]],
    ["aĀ", [5, 0x61, 0, 0, 1]],
    ["\ud800", [3, 0, 0xd8]],
  ] as const) {
    expect(written((writer) => writer.units(text))).toEqual(bytes);
    expect(readerOf(bytes).units()).toBe(text);
  }
  expect(refusalOf(() => readerOf([3, 0xff, 0]).units())?.[0]).toBe("a text has more bytes than it needs");
  expect(refusalOf(() => readerOf([1]).units())?.[0]).toBe("a text has more bytes than it needs");
  // As long as what is left is all that may be announced.
  expect(refusalOf(() => readerOf([6, 0x61]).units())?.[0]).toBe("a number is greater than 5");
  expect(refusalOf(() => readerOf([3, 0x61]).units())?.[0]).toBe("2 bytes are announced and 1 are left");
  expect(written((writer) => writer.rawUnits("aĀ", false))).toEqual([0x61, 0]);
});

test("hex digits are bytes", () => {
  expect(written((writer) => writer.hex("0019afff"))).toEqual([0, 0x19, 0xaf, 0xff]);
  const reader = readerOf([0, 0x19, 0xaf, 0xff, 7]);
  expect([reader.hex(4), reader.remaining]).toEqual(["0019afff", 1]);
});

test("what is read as it is shares memory with the input, a copy does not", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 5);
  const reader = new ByteReader(bytes, { what: "bytes" });
  const view = reader.view(2);
  const copy = reader.copy(2);
  bytes.fill(9);
  expect([...view]).toEqual([9, 9]);
  expect([...new Uint8Array(copy)]).toEqual([3, 4]);
  expect(reader.remaining).toBe(1);
});

test("nothing is read behind the end that was given, and what is left over is refused", () => {
  const reader = readerOf([1, 2, 3, 4, 5, 6, 7, 8, 9], 3);
  expect(reader.remaining).toBe(3);
  expect(refusalOf(() => reader.u32())).toEqual(["4 bytes are announced and 3 are left", 0]);
  expect(refusalOf(() => reader.finish())).toEqual(["3 bytes are left over", 0]);
  expect([...reader.view(3)]).toEqual([1, 2, 3]);
  reader.finish();
  expect(refusalOf(() => reader.u8())).toEqual(["it ends too early", 3]);
  for (const read of [() => reader.f64(), () => reader.view(1), () => reader.copy(1), () => reader.hex(1)]) {
    expect(refusalOf(read)?.[1]).toBe(3);
  }
  expect(() => reader.u8()).toThrow("Cannot decode bytes: it ends too early at byte 3");
});

test("a reader of a part of some memory reads that part", () => {
  const within = Uint8Array.of(9, 9, 9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 9).subarray(3, 11);
  expect(new ByteReader(within, { what: "bytes" }).f64()).toBe(1.5);
});

test("a writer grows as it needs, whatever it began with, and counts what it has", () => {
  for (const capacity of [0, 1, 3, 7]) {
    // It takes the memory that is kept for the next.
    const before = new ByteWriter();
    const writer = new ByteWriter(capacity);
    const wanted: number[] = [];
    for (let at = 0; at < 50; at += 1) {
      writer.u8(at);
      writer.bytes(Uint8Array.of(at, at));
      writer.u32(at);
      writer.text("ab");
      writer.rawUnits("é", true);
      wanted.push(at, at, at, at, 0, 0, 0, 2, 0x61, 0x62, 0xe9, 0);
      expect(writer.length).toBe(wanted.length);
    }
    expect([...writer.view()]).toEqual(wanted);
    expect([...writer.finish()]).toEqual(wanted);
    expect(before.length).toBe(0);
  }
});

test("a writer grows just where it must, by whatever is written", () => {
  for (const [bytes, write] of [
    [1, (writer: ByteWriter) => writer.u8(7)],
    [4, (writer: ByteWriter) => writer.u32(7)],
    [8, (writer: ByteWriter) => writer.f64(7)],
    [3, (writer: ByteWriter) => writer.text("ab")],
    [2, (writer: ByteWriter) => writer.rawUnits("é", true)],
    [1, (writer: ByteWriter) => writer.rawUnits("é", false)],
    [5, (writer: ByteWriter) => writer.bytes(Uint8Array.of(1, 2, 3, 4, 5))],
  ] as const) {
    const wanted = written(write);
    for (const capacity of [0, bytes - 1, bytes, bytes + 1]) {
      const before = new ByteWriter();
      const writer = new ByteWriter(capacity);
      write(writer);
      write(writer);
      expect([...writer.view()]).toEqual([...wanted, ...wanted]);
      expect(before.length).toBe(0);
    }
  }
});

test("what was finished stays, whoever writes after it, and those who write at once do not meet", () => {
  const first = new ByteWriter();
  first.text("first");
  const one = first.finish();
  const [second, third] = [new ByteWriter(), new ByteWriter()];
  second.text("second");
  const before = [...second.view()];
  third.text("third");
  expect(third.finish()).toEqual(Uint8Array.of(5, ...new TextEncoder().encode("third")));
  expect([...second.view()]).toEqual(before);
  // A writer that goes on after it finished has memory of its own.
  first.text("more");
  new ByteWriter().text("others");
  expect([...one]).toEqual([5, ...new TextEncoder().encode("first")]);
  expect([...first.finish()]).toEqual([...one, 4, ...new TextEncoder().encode("more")]);
});

test("long messages are finished as they are where they fill their memory, else in memory of their own", () => {
  for (const length of [65_536, 65_537, 70_000]) {
    for (const capacity of [length, length + 1]) {
      const writer = new ByteWriter(capacity);
      writer.bytes(new Uint8Array(length).fill(7));
      const bytes = writer.finish();
      expect(bytes).toHaveLength(length);
      expect(bytes.buffer.byteLength).toBe(length);
      expect(bytes.every((byte) => byte === 7)).toBe(true);
    }
  }
});

test("the bytes of a column share its memory, of its own part alone", () => {
  const column = Uint16Array.of(1, 0x0203, 4).subarray(1, 2);
  const bytes = bytesOf(column);
  expect([...bytes]).toEqual([3, 2]);
  bytes[0] = 9;
  expect(column[0]).toBe(0x0209);
});
