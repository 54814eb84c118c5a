/*
 * A frame's bytes, field by field (I1, I2): with one field wrong, everything else right and the checksum too, a frame is refused for just that;
 * at each bound it is taken.
 */
import { expect, test } from "vitest";
import { SYNC_LIMITS, T_MAX } from "../protocols/limits.ts";
import { ByteWriter } from "../protocols/wire/bytes.ts";
import { crc32c } from "../protocols/wire/checksum.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { describeFrame } from "../protocols/wire/describe-frame.ts";
import { decodeFrame } from "../protocols/wire/frame-codec.ts";

type Write = (writer: ByteWriter) => void;

const [A, B, C] = ["0.oregon.a.x", "0.oregon.b.x", "0.oregon.c.x"];

/** The last frame of an answer: two writers, two rows of one table with state, one of another. In the order of the bytes. */
const GOOD = {
  magic: numbers(0x46, 0x72),
  version: numbers(2),
  flags: numbers(1 | 2),
  declaration: hex("00ff10a5b6c7d8e9"),
  pullId: hex("0123456789abcdef0123456789abcdef"),
  responder: text(A),
  number: varint(7),
  index: varint(2),
  frames: varint(3),
  writers: all(varint(2), text(A), text(B)),
  sections: varint(2),
  table0: varint(0),
  rows0: varint(2),
  valueBytes0: varint(2),
  stateBytes0: varint(1),
  keys0: numbers(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128),
  first0: varint(100),
  times0: all(varint(0), varint(5)),
  indexes0: numbers(0, 1),
  flags0: numbers(1, 0, 1),
  values0: numbers(10, 11, 0, 0),
  state0: numbers(20, 21),
  section1: section({ table: 3, value: [7], index: [1] }),
  settled: varint(50),
  before: varint(30),
  graveyard: all(varint(1), text(C), varint(40)),
  expired: all(varint(2), varint(0), varint(9), varint(63), varint(8)),
  knowledge: all(varint(2), text(A), varint(51), text(B), varint(T_MAX)),
  counter: varint(9),
  generator: text(B),
  early: numbers(1),
  after: all(),
};

type Part = keyof typeof GOOD;

const WRONG: readonly (readonly [part: Part, write: Write, reason: string])[] = [
  ["magic", numbers(0x46, 0x73), "does not begin as a frame"],
  ["magic", numbers(0x47, 0x72), "does not begin as a frame"],
  ["version", numbers(1), "layout version is 1"],
  ["version", numbers(3), "layout version is 3"],
  ["flags", numbers(32 | 1 | 2), "unknown flag"],
  ["flags", numbers(16 | 1 | 2), "ends too early"],
  ["settled", all(varint(T_MAX + 1), varint(0)), "nothing settled"],
  ["settled", all(varint(T_MAX + 1), varint(50)), "up to which all is settled"],
  ["flags", numbers(1), "disagree"],
  ["flags", numbers(2), "announces state"],
  ["responder", text("0.oregon.a"), "writer id is malformed"],
  ["index", varint(3), "beyond its count"],
  ["index", varint(1), "disagree"],
  ["writers", all(varint(2), text(A), text(A)), "twice in the dictionary"],
  ["writers", all(varint(0)), "rows and no writers"],
  ["writers", all(varint(3), text(A), text(B), text(C)), "that no row has"],
  ["rows0", varint(0), "a section is empty"],
  ["rows0", varint(40), "do not fit"],
  ["rows0", varint(2 ** 50), "do not fit"],
  ["valueBytes0", varint(0), "a section is empty"],
  ["first0", varint(0), "smallest t"],
  ["times0", all(varint(1), varint(5)), "smallest t"],
  ["indexes0", numbers(1, 0), "order of first use"],
  ["indexes0", numbers(0, 2), "not in the dictionary"],
  ["flags0", numbers(2, 0, 1), "neither 0 nor 1"],
  ["flags0", numbers(1, 0, 0), "all zero"],
  ["flags0", numbers(1, 0, 2), "unknown flag"],
  ["section1", section({ table: 0, value: [7], index: [1] }), "tables are not in rising order"],
  ["before", varint(50), ""],
  ["graveyard", all(varint(1), text(C), varint(30)), "up to which all is settled"],
  ["graveyard", all(varint(1), text(C), varint(51)), "beyond its settled time"],
  ["expired", all(varint(2), varint(5), varint(9), varint(5), varint(8)), "not in rising order"],
  ["expired", all(varint(2), varint(6), varint(9), varint(5), varint(8)), "not in rising order"],
  ["expired", all(varint(1), varint(0), varint(0)), "expires at zero"],
  ["expired", all(varint(1), varint(64), varint(1)), ""],
  ["knowledge", all(varint(2), text(B), varint(51), text(A), varint(51)), "not in rising order"],
  ["knowledge", all(varint(2), text(A), varint(51), text(A), varint(51)), "not in rising order"],
  ["knowledge", all(varint(1), text(A), varint(50)), "up to which all is settled"],
  ["counter", varint(0), "counter is zero"],
  ["generator", text("b"), "writer id is malformed"],
  ["early", numbers(2), "neither 0 nor 1"],
  ["after", numbers(0), ""],
];

const RIGHT: readonly (readonly [part: Part, write: Write])[] = [
  ["flags", numbers(1 | 2 | 8)],
  ["number", varint(2 ** 53 - 1)],
  ["first0", varint(T_MAX - 5)],
  ["graveyard", all(varint(2), text(A), varint(31), text(C), varint(50))],
  ["before", varint(0)],
  ["settled", varint(50)],
  ["expired", varint(0)],
  ["knowledge", varint(0)],
  ["early", numbers(0)],
];

test("a frame with each field right is taken, and describeFrame() says what is in it", () => {
  expect(JSON.parse(describeFrame(bytesOf({}), { rowsMax: 2 }))).toEqual({
    frame: "3 of 3",
    pullId: "0123456789abcdef0123456789abcdef",
    responder: A,
    answer: 7,
    declaration: "00ff10a5b6c7d8e9",
    optimizerState: true,
    bytes: bytesOf({}).length,
    tables: [
      {
        table: 0,
        rows: 2,
        valueBytes: 2,
        stateBytes: 1,
        first: [
          { key: "1", tMicroseconds: 100, writer: A, valueHex: "0a0b" },
          { key: String(2n ** 63n), tMicroseconds: 105, writer: B, deleted: true },
        ],
      },
      {
        table: 3,
        rows: 1,
        valueBytes: 1,
        stateBytes: 0,
        first: [{ key: "0", tMicroseconds: 1, writer: B, valueHex: "07" }],
      },
    ],
    settledMicroseconds: 50,
    graveyard: { [C]: 40 },
    expiredMicroseconds: { 0: 9, 63: 8 },
    knowledge: { [A]: 51, [B]: T_MAX },
    shardVersion: `9 of ${B}`,
    earlyRows: true,
  });
});

test("describeFrame() shows as many rows as are asked for, of long ones the beginning, and says what an answer replaces", () => {
  const sixteen = Array.from({ length: 16 }, (_, at) => at);
  const shown = [sixteen, [...sixteen, 16]].map((value): unknown => {
    const bytes = bytesOf({ flags: numbers(1 | 2 | 8), section1: section({ table: 3, value, index: [1] }) });
    return JSON.parse(describeFrame(bytes, { rowsMax: 1 }));
  });
  const hexText = "000102030405060708090a0b0c0d0e0f";
  expect(shown).toMatchObject([
    { replaces: "all that its asker holds", tables: [{ rows: 2 }, { first: [{ valueHex: hexText }] }] },
    { replaces: "all that its asker holds", tables: [{ rows: 2 }, { first: [{ valueHex: `${hexText}...` }] }] },
  ]);
  expect(describeFrame(bytesOf({}))).not.toContain("replaces");
  expect(describeFrame(bytesOf({}), { rowsMax: 1 })).not.toContain(String(2n ** 63n));
});

test.each(WRONG)("with another %s a frame is refused: %s %s", (part, write, reason) => {
  const bytes = bytesOf({ [part]: write });
  expect(() => decodeFrame(bytes)).toThrow(DecodeError);
  expect(() => decodeFrame(bytes)).toThrow(reason);
});

test.each(RIGHT)("at a bound of its %s a frame is taken", (part, write) => {
  expect(() => decodeFrame(bytesOf({ [part]: write }))).not.toThrow();
});

test("a frame whose checksum is wrong, or that is cut off anywhere, is refused", () => {
  const bytes = bytesOf({});
  const last = bytes.length - 1;
  expect(() => decodeFrame(bytes.with(last, (bytes[last] ?? 0) ^ 1))).toThrow("its checksum is wrong");
  for (let length = 0; length < bytes.length; length += 1) {
    expect(() => decodeFrame(bytes.slice(0, length))).toThrow(DecodeError);
  }
});

test("a frame as large as may be is taken, one byte more is not", () => {
  function sized(length: number): Uint8Array {
    const value = Array.from({ length }, () => 1);
    return bytesOf({ section1: section({ table: 3, value, index: [1] }) });
  }
  const length = 500_000 + SYNC_LIMITS.frameBytesMax - sized(500_000).length;
  expect(sized(length)).toHaveLength(SYNC_LIMITS.frameBytesMax);
  expect(() => decodeFrame(sized(length))).not.toThrow();
  expect(() => decodeFrame(sized(length + 1))).toThrow("more than");
});

function bytesOf(changed: Partial<Record<Part, Write>>): Uint8Array {
  const writer = new ByteWriter(64);
  for (const write of Object.values({ ...GOOD, ...changed })) write(writer);
  writer.u32(crc32c(writer.view()));
  return writer.finish();
}

/** One row without state, of t 1. */
function section(of: {
  readonly table: number;
  readonly value: readonly number[];
  readonly index: readonly number[];
}): Write {
  return all(
    varint(of.table),
    varint(1),
    varint(of.value.length),
    varint(0),
    numbers(0, 0, 0, 0, 0, 0, 0, 0),
    varint(1),
    varint(0),
    numbers(...of.index),
    numbers(0),
    (writer) => writer.bytes(Uint8Array.from(of.value)),
  );
}

function all(...writes: readonly Write[]): Write {
  return (writer) => {
    for (const write of writes) write(writer);
  };
}

function numbers(...bytes: readonly number[]): Write {
  return (writer) => {
    for (const byte of bytes) writer.u8(byte);
  };
}

function varint(value: number): Write {
  return (writer) => writer.varint(value);
}

function text(value: string): Write {
  return (writer) => writer.text(value);
}

function hex(digits: string): Write {
  return (writer) => writer.hex(digits);
}
