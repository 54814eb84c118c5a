/*
 * Frames as bytes from anywhere (S13, I1, I2): what was written comes back, one meaning has one
 * encoding, and everything else ends in a DecodeError, quickly and without large allocations.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadImage } from "../protocols/sync/image.ts";
import { type Horizon, NO_HORIZON, settledOf } from "../protocols/sync/horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type RowBatch, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { crc32c } from "../protocols/wire/checksum.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { describeFrame } from "../protocols/wire/describe-frame.ts";
import { decodeFrame, encodeFrame, type FrameInput } from "../protocols/wire/frame-codec.ts";
import { type Frame } from "../protocols/wire/frame.ts";

const TABLES: readonly TableSpec[] = [
  { name: "floats", dim: 2, valueBytes: 8, stateBytes: 4, precision: "f32", optimizer: "adagrad" },
  { name: "bytes", dim: 3, valueBytes: 3, stateBytes: 0, precision: "bytes", optimizer: "" },
];
const WRITERS = Array.from({ length: 300 }, (_, index) => parseWriterId(`0.r${index}.n.x`));
const time = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1.7e15, max: 1.8e15 }),
  fc.constant(2 ** 53 - 2 ** 20),
);

const frameInput: fc.Arbitrary<FrameInput> = fc
  .record({
    hasState: fc.boolean(),
    // Last of its answer, before the last, or of urgent rows.
    place: fc.constantFrom("last", "middle", "urgent"),
    isEarly: fc.boolean(),
    replaces: fc.boolean(),
    horizon: horizonOf(),
    many: fc.boolean(),
    rows: fc.tuple(rowsOf(12), rowsOf(400)),
    knowledge: fc.array(fc.tuple(fc.constantFrom(...WRITERS), time), { maxLength: 6 }),
  })
  .map(({ hasState, place, isEarly, replaces, horizon, many, rows, knowledge }) => ({
    declaration: "00ff10a5b6c7d8e9",
    pullId: "0123456789abcdef0123456789abcdef",
    answer: { responder: parseWriterId("2.fra.n1.q"), number: 7 },
    index: place === "urgent" ? 0 : place === "last" ? 2 : 1,
    frames: place === "urgent" ? 0 : 3,
    urgent: place === "urgent" ? 300 : undefined,
    hasState,
    replaces: replaces && place !== "urgent",
    tables: TABLES,
    writers: WRITERS,
    batches: rows.flatMap((drawn, table) =>
      drawn.length === 0 ? [] : [batchOf(table, { rows: drawn, many, hasState })],
    ),
    end:
      place === "last"
        ? {
            knowledge: new Map(knowledge.filter(([writer, t]) => t > settledOf(horizon, writer))),
            horizon,
            version: { counter: 9, generator: parseWriterId("0.b.n.x") },
            early: isEarly,
            applied: new Map(isEarly ? [["t-1of2", 7] as const, ["t-2of2", 0] as const] : []),
          }
        : undefined,
  }));

test("a frame's decoding is what was encoded, and its re-encoding the same bytes", () => {
  fc.assert(
    fc.property(frameInput, (input) => {
      const bytes = encodeFrame(input);
      const frame = decodeFrame(bytes);
      expect(frame.replaces).toBe(input.replaces);
      expect([frame.declaration, frame.pullId, frame.answer, frame.index, frame.frames, frame.hasState]).toEqual([
        input.declaration,
        input.pullId,
        input.answer,
        input.index,
        input.frames,
        input.hasState,
      ]);
      expect(frame.urgent).toBe(input.urgent);
      expect(frame.end).toEqual(input.end);
      expect(frame.sections.length).toBe(input.batches.length);
      frame.sections.forEach((section, at) => {
        const batch = input.batches[at];
        expect([section.table, section.keys, section.t, section.flags, section.values]).toEqual([
          batch?.table,
          batch?.keys,
          batch?.t,
          batch?.flags,
          batch?.values,
        ]);
        expect([...section.writers].map((index) => frame.writers[index])).toEqual(
          [...(batch?.writers ?? [])].map((index) => WRITERS[index]),
        );
        expect(section.state).toEqual(batch?.state);
      });
      expect(encodeFrame(encodable(frame))).toEqual(bytes);
      expect(JSON.parse(describeFrame(bytes))).toMatchObject({
        frame: input.urgent === undefined ? `${input.index + 1} of 3` : "urgent rows up to 300",
        responder: "2.fra.n1.q",
      });
    }),
  );
});

test("a frame of urgent rows that says that it replaces what its asker holds is refused", () => {
  fc.assert(
    fc.property(frameInput, (input) => {
      const bytes = encodeFrame({ ...input, replaces: true });
      if (input.urgent === undefined) expect(decodeFrame(bytes).replaces).toBe(true);
      else expect(() => decodeFrame(bytes)).toThrow(DecodeError);
    }),
    { numRuns: 30 },
  );
});

test("a frame decodes the same from an unaligned view of a larger buffer", () => {
  fc.assert(
    fc.property(frameInput, fc.integer({ min: 1, max: 9 }), (input, offset) => {
      const bytes = encodeFrame(input);
      const pool = new Uint8Array(bytes.length + 20);
      pool.set(bytes, offset);
      expect(encodeFrame(encodable(decodeFrame(pool.subarray(offset, offset + bytes.length))))).toEqual(bytes);
    }),
    { numRuns: 30 },
  );
});

test("a damaged frame is refused by its checksum, wherever the damage is", () => {
  fc.assert(
    fc.property(frameInput, fc.nat(), fc.integer({ min: 1, max: 255 }), (input, at, difference) => {
      const bytes = encodeFrame(input);
      bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ difference;
      expect(() => decodeFrame(bytes)).toThrow(DecodeError);
      expect(() => decodeFrame(bytes.subarray(0, at % bytes.length))).toThrow(DecodeError);
    }),
  );
});

test("hostile frames with a right checksum decode to themselves or to a DecodeError", () => {
  const edit = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom("set", "insert", "remove"),
    value: fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff),
  });
  let decoded = 0;
  fc.assert(
    fc.property(frameInput, fc.array(edit, { minLength: 1, maxLength: 4 }), (input, edits) => {
      const body = [...encodeFrame(input).subarray(0, -4)];
      for (const { at, kind, value } of edits) {
        const place = at % body.length;
        if (kind === "insert") body.splice(place, 0, value);
        else body.splice(place, 1, ...(kind === "set" ? [value] : []));
      }
      const bytes = sealed(Uint8Array.from(body));
      const frame = decoding(() => decodeFrame(bytes));
      if (frame === undefined) return;
      decoded += 1;
      // Canonical: what it takes is what it would have written.
      expect(encodeFrame(encodable(frame))).toEqual(bytes);
    }),
    { numRuns: 2_000 },
  );
  expect(decoded).toBeGreaterThan(100);
});

test("a smallest t that no row has is refused: the same times would have two encodings", () => {
  const row = { key: 0x1111_1111_1111_1111n, t: 7, writer: 0, flag: 0 };
  const bytes = encodeFrame({
    ...emptyFrame(),
    writers: WRITERS,
    batches: [batchOf(0, { rows: [row], many: false, hasState: true })],
  });
  const body = bytes.slice(0, -4);
  const at = body.findLastIndex((byte) => byte === 0x11) + 1;
  expect([...body.subarray(at, at + 2)]).toEqual([7, 0]);
  expect(decodeFrame(sealed(body)).sections[0]?.t).toEqual(Float64Array.of(7));
  body.set([5, 2], at);
  expect(() => decodeFrame(sealed(body))).toThrow(DecodeError);
});

test("random bytes are never a frame, an image or a crash", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(decoding(() => decodeFrame(bytes))).toBeUndefined();
      expect(decoding(() => decodeFrame(sealed(Uint8Array.of(0x46, 0x72, 1, ...bytes))))).toBeUndefined();
      expect(decoding(() => loadImage(bytes, createMapRowStore(TABLES, { state: true })))).toBeUndefined();
    }),
  );
});

test("a frame that announces more than it has is refused before anything is allocated for it", () => {
  const head = encodeFrame({ ...emptyFrame(), index: 0 });
  // Up to and including the empty dictionary, a dictionary of one, one table, and then 2^45 rows in 30 bytes.
  const body = [
    ...head.subarray(0, head.length - 6),
    1,
    7,
    ...new TextEncoder().encode("0.a.n.x"),
    1,
    0,
    0x80,
    0x80,
    0x80,
    0x80,
    0x80,
    0x80,
    8,
    8,
    4,
    ...new Uint8Array(30),
  ];
  expect(() => decodeFrame(sealed(Uint8Array.from(body)))).toThrow(/35184372088832 rows are announced/);
});

test("crc32c() is CRC-32C", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe306_9283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
  expect(crc32c(new Uint8Array())).toBe(0);
});

interface DrawnRow {
  readonly key: bigint;
  readonly t: number;
  readonly writer: number;
  readonly flag: number;
}

function rowsOf(maxLength: number): fc.Arbitrary<DrawnRow[]> {
  return fc.array(
    fc.record({
      key: fc.bigInt(0n, 2n ** 64n - 1n),
      t: time,
      writer: fc.nat(WRITERS.length - 1),
      flag: fc.constantFrom(0, 0, 0, 1),
    }),
    { maxLength, size: "max" },
  );
}

function batchOf(
  table: number,
  { rows, many, hasState }: { rows: readonly DrawnRow[]; many: boolean; hasState: boolean },
): RowBatch {
  const valueBytes = TABLES[table]?.valueBytes ?? 0;
  const stateBytes = TABLES[table]?.stateBytes ?? 0;
  return {
    table,
    keys: BigUint64Array.from(rows, ({ key }) => key),
    t: Float64Array.from(rows, ({ t }) => t),
    writers: Uint16Array.from(rows, ({ writer }) => (many ? writer : writer % 2)),
    flags: Uint8Array.from(rows, ({ flag }) => flag),
    values: Uint8Array.from({ length: rows.length * valueBytes }, (_, at) => at & 0x3f),
    state: hasState ? Uint8Array.from({ length: rows.length * stateBytes }, (_, at) => at & 0x3f) : undefined,
  };
}

/** Any horizon whose times are in order. */
function horizonOf(): fc.Arbitrary<Horizon> {
  return fc
    .record({
      times: fc.tuple(time, time, fc.array(fc.tuple(fc.constantFrom(...WRITERS), time), { maxLength: 4 })),
      expired: fc.array(fc.tuple(fc.nat(63), time), { maxLength: 3 }),
      isFirst: fc.boolean(),
      epoch: fc.nat(9),
    })
    .map(({ times: [one, other, entries], expired, isFirst, epoch }) => {
      const [before, settled] = [Math.min(one, other), Math.max(one, other)];
      const gone = new Map(expired.toSorted(([a], [b]) => a - b));
      if (isFirst || before === settled) return { ...NO_HORIZON, expired: gone };
      return {
        epoch,
        settled,
        before,
        graveyard: new Map(entries.filter(([, t]) => t > before && t <= settled)),
        expired: gone,
      };
    });
}

function emptyFrame(): FrameInput {
  return {
    declaration: "0".repeat(16),
    pullId: "0".repeat(32),
    answer: { responder: parseWriterId("0.a.n.x"), number: 1 },
    index: 0,
    frames: 2,
    hasState: true,
    replaces: false,
    tables: TABLES,
    writers: [],
    batches: [],
    end: undefined,
  };
}

/** A decoded frame as the encoder takes it: the declaration's shapes are those that the frame itself names. */
function encodable(frame: Frame): FrameInput {
  const tables = Array.from({ length: 64 }, (_, table): TableSpec => {
    const section = frame.sections.find((one) => one.table === table);
    return {
      name: `${table}`,
      dim: 1,
      valueBytes: section?.valueBytes ?? 1,
      stateBytes: section?.stateBytes ?? 0,
      precision: "bytes",
      optimizer: "",
    };
  });
  return { ...frame, tables, batches: frame.sections };
}

function sealed(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 4);
  bytes.set(body);
  new DataView(bytes.buffer).setUint32(body.length, crc32c(body), true);
  return bytes;
}

function decoding<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
