import { expect, test } from "vitest";
import { columnsOf, type Example, examplesOf, readExamples } from "../protocols/columns/example-columns.ts";
import { keyColumn } from "../protocols/columns/key-column.ts";
import { numbersOf, readNumbers, writeNumbers } from "../protocols/columns/number-column.ts";
import { readTexts, textsOf, writeTexts } from "../protocols/columns/text-column.ts";
import { ByteReader, ByteWriter } from "../protocols/wire/bytes.ts";
import { decodeReason } from "./decode-reason.ts";

const FORM = 0;

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  write(writer);
  return writer.finish();
}

function readerOf(bytes: Iterable<number>): ByteReader {
  return new ByteReader(Uint8Array.from(bytes), { what: "a column" });
}

test.each([
  [[255], 0],
  [[256], 0b010],
  [[0, 65_535, 3], 0b010],
  [[65_536], 0b100],
] as const)("lengths of texts have as few bytes as the longest needs: %j", (lengths, form) => {
  const texts = lengths.map((length) => "a".repeat(length));
  const bytes = written((writer) => writeTexts(writer, texts));
  expect(bytes[FORM]).toBe(form);
  expect(textsOf(readTexts(readerOf(bytes), texts.length))).toEqual(texts);
});

test("texts have one byte a unit up to ÿ and two beyond, however long they are", () => {
  for (const [text, isWide] of [
    ["aÿ", 0],
    ["aĀ", 1],
    ["é".repeat(9000), 0],
    ["東京".repeat(5000), 1],
  ] as const) {
    const bytes = written((writer) => writeTexts(writer, [text, "b"]));
    expect((bytes[FORM] ?? 0) & 1).toBe(isWide);
    expect(textsOf(readTexts(readerOf(bytes), 2))).toEqual([text, "b"]);
  }
});

test.each([
  [[0, 255], 0],
  [[0, 256], 1],
  [[-3, 65_532], 1],
  [[0, 65_536], 2],
  [[7, 7 + 2 ** 32 - 1], 2],
  [[0, 2 ** 32], 3],
  [[1, 2 ** 33 + 1], 4],
  [[0.5, -0], 3],
  [[0.5, 1 / 3], 4],
] as const)("numbers have the smallest form that holds each: %j", (numbers, form) => {
  const bytes = written((writer) => writeNumbers(writer, numbers));
  expect(bytes[FORM]).toBe(form);
  expect([...numbersOf(readNumbers(readerOf(bytes), numbers.length), Number.NaN)]).toEqual([...numbers]);
});

test("a feature that only some samples have is missing in the others, at any number of them", () => {
  for (let size = 1; size <= 20; size += 1) {
    for (let from = 0; from < size; from += 1) {
      // The first `from` have the same one, the next none, and the others one each.
      const texts = Array.from({ length: size }, (_, at) =>
        at === from && from > 0 ? undefined : at < from ? "same" : `${at}`,
      );
      const bytes = written((writer) => writeTexts(writer, texts));
      expect(textsOf(readTexts(readerOf(bytes), size))).toEqual(texts);
      const numbers = texts.map((text) => (text === undefined ? undefined : text === "same" ? -1 : Number(text)));
      const read = readNumbers(readerOf(written((writer) => writeNumbers(writer, numbers))), size);
      expect([...numbersOf(read, Number.NaN)]).toEqual(numbers.map((number) => number ?? Number.NaN));
    }
  }
});

test.each([
  ["an unknown form", [1, 32, 1, 97], "a column has an unknown form"],
  ["lengths of an unknown form", [3, 0b11_111, 0b011, 0b01, 1, 97], "texts have lengths of an unknown form"],
  ["a column that no sample has", [2, 0b01_000, 0], "all samples of a column are alike"],
  ["a column that each sample has, said so", [2, 0b01_000, 0b11, 1, 1, 97, 98], "all samples of a column are alike"],
  ["two bytes for units of one", [1, 0b001, 2, 97, 0, 98, 0], "units have more bytes than they need"],
  ["a wide text again", [2, 0b001, 1, 1, 0, 1, 0, 1], "a text is that of the sample before"],
] as const)("readTexts() refuses %s", (_, [size, ...bytes], reason) => {
  expect(decodeReason(() => readTexts(readerOf(bytes), size))).toBe(reason);
});

test("readNumbers() refuses an unknown form", () => {
  expect(decodeReason(() => readNumbers(readerOf([5, 0, 0, 0, 0, 0, 0, 0, 0]), 1))).toBe(
    "numbers have an unknown form",
  );
});

test("columnsOf() keeps each example's own features, also under the names that objects have", () => {
  const named = { "": "nothing", constructor: "c", ["__proto__"]: "p" };
  const examples: readonly Example[] = [
    { user: "u", item: "i", features: { colour: "red" }, dense: { age: 1.5, "": 2 } },
    { user: "u", item: "j", features: {}, dense: {} },
    { user: "v", item: "j", features: named, dense: { constructor: 0 } },
  ];
  const read = examplesOf(columnsOf(examples));
  expect(read).toStrictEqual(examples);
  expect(Object.keys(read[2]?.features ?? {})).toEqual(["", "__proto__", "constructor"]);
  const [features] = read.slice(2).map((each) => each.features);
  const property = Object.getOwnPropertyDescriptor(features, "__proto__");
  expect(property).toEqual({ value: "p", enumerable: true, configurable: true, writable: true });
});

test("readExamples() refuses names that do not rise, or of which one stands for two", () => {
  function examples(names: (writer: ByteWriter) => void): Uint8Array {
    return written((writer) => {
      for (const text of ["user", "item"]) writeTexts(writer, [text]);
      names(writer);
    });
  }
  const value = ["v"];
  const rising = examples((writer) => {
    writer.varint(2);
    writeTexts(writer, ["a", "b"]);
    for (const column of [value, value]) writeTexts(writer, column);
    writer.varint(0);
  });
  expect([...readExamples(readerOf(rising), 1).features.keys()]).toEqual(["a", "b"]);
  for (const names of [
    ["b", "a"],
    ["a", "a"],
  ]) {
    const bytes = examples((writer) => {
      writer.varint(2);
      writeTexts(writer, names);
      for (const column of [value, value]) writeTexts(writer, column);
      writer.varint(0);
    });
    expect(decodeReason(() => readExamples(readerOf(bytes), 1))).toBe("names do not rise");
  }
});

test("a derived feature may have the name of a feature that it is made of", () => {
  const examples = ["red", "blue"].map((colour) => ({ user: "u", item: "i", features: { colour }, dense: {} }));
  const derived = [{ name: "colour", kind: "crossed", of: ["colour", "user"] }] as const;
  const column = keyColumn(columnsOf(examples), "colour", derived);
  expect(column && textsOf(column)).toEqual(["3:red1:u", "4:blue1:u"]);
});
