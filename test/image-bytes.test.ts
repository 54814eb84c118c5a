// What images are made of, byte for byte: those of whoever updates are read by what comes after. (A fixture of whole images: shard-images.test.ts.)
import { expect, test } from "vitest";
import { decodeBlocks, type ImageBlock, writeDropped, writeRows } from "../protocols/sync/image-block.ts";
import { decodeHead, encodeHead, type ImageHead } from "../protocols/sync/image-head.ts";
import { type RowBatch, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { ByteWriter } from "../protocols/wire/bytes.ts";

const TABLES: readonly TableSpec[] = [
  { name: "u", dim: 2, valueBytes: 4, stateBytes: 9, precision: "f16", optimizer: "o" },
  { name: "v", dim: 1, valueBytes: 1, stateBytes: 2, precision: "bytes", optimizer: "" },
];
const [A, B] = [parseWriterId("0.a.n.x"), parseWriterId("1.b.n.x")];
const A_TEXT = [7, ...Buffer.from(A)];
const B_TEXT = [7, ...Buffer.from(B)];

/** No two things in it are alike. */
const HEAD: ImageHead = {
  whole: true,
  hasState: false,
  declared: TABLES,
  rows: [300, 8],
  greatestSeen: 99,
  horizon: { epoch: 0, settled: 20, before: 10, graveyard: new Map([[A, 15]]), expired: new Map([[1, 5]]) },
  knowledge: new Map([
    [A, 30],
    [B, 31],
  ]),
  applied: new Map([["t", 6]]),
  writers: [B],
};

/** `known`: the knowledge. */
function headBytes(parts: Readonly<Record<"marks" | "settled" | "known", readonly number[]>>): Uint8Array {
  const { marks, settled, known } = parts;
  return Uint8Array.from(
    [
      [0x46, 0x72, 0x49, 0x6d, 4, ...marks, 2],
      // The rows that a table had come last.
      [1, 0x75, 2, 4, 9, 3, 0x66, 0x31, 0x36, 1, 0x6f, 0xac, 2],
      [1, 0x76, 1, 1, 2, 5, ...Buffer.from("bytes"), 0, 8],
      [99, ...settled, 10, 1, ...A_TEXT, 15, 1, 1, 5],
      [...known, 1, 1, 0x74, 6, 1, ...B_TEXT],
    ].flat(),
  );
}

test("the head of an image is what it was when nodes first wrote layout 4, and is read as what it was written of", () => {
  const bytes = headBytes({ marks: [1, 0], settled: [20], known: [2, ...A_TEXT, 30, ...B_TEXT, 31] });
  expect(encodeHead(HEAD)).toEqual(bytes);
  expect(decodeHead(bytes)).toEqual(HEAD);
  const later: ImageHead = {
    ...HEAD,
    whole: false,
    hasState: true,
    horizon: { ...HEAD.horizon, epoch: 1 },
    knowledge: new Map([[B, 31]]),
  };
  // An epoch stands before the settled time, as a number beyond all times.
  const epoch = [0x81, 0x80, 0xc0, 0xff, 0xff, 0xff, 0xff, 0x0f];
  const ofEpoch = headBytes({ marks: [0, 1], settled: [...epoch, 20], known: [1, ...B_TEXT, 31] });
  expect(encodeHead(later)).toEqual(ofEpoch);
  expect(decodeHead(ofEpoch)).toEqual(later);
});

test("rows and dropped keys of an image are what they were when nodes first wrote them, and are read as what they were written of", () => {
  const rows: RowBatch = {
    table: 1,
    keys: BigUint64Array.of(2n, 3n),
    t: Float64Array.of(1, 2),
    values: Uint8Array.of(21, 22),
    state: Uint8Array.of(31, 32, 33, 34),
    writers: Uint16Array.of(4, 258),
    flags: Uint8Array.of(0, 1),
  };
  const dropped = { table: 1, keys: BigUint64Array.of(0x0102n) };
  const writer = new ByteWriter();
  writeRows(writer, rows);
  writeDropped(writer, dropped);
  const bytes = [
    [1, 0, 1, 0, 2, 0, 0, 0],
    [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x40],
    [21, 22, 31, 32, 33, 34, 4, 0, 2, 1, 0, 1],
    [2, 0, 1, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0],
  ].flat();
  expect([...writer.view()]).toEqual(bytes);
  const blocks: ImageBlock[] = [
    { kind: "rows", rows },
    { kind: "dropped", dropped },
  ];
  const read = decodeBlocks(Uint8Array.from(bytes), { tables: TABLES, hasState: true, writers: 300 });
  expect([...read]).toEqual(blocks);
});
