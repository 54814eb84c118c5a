/*
 * What a model needs of samples, in columns: all users, all items, all values of a feature together. Messages of samples hold them so
 * (protocols/learning/sample-frame.ts), and whoever has samples one by one makes them so first.
 *
 *   texts    user
 *   texts    item
 *   varint   T; unless 0 the T names of the texts' features, as texts, strictly rising; T times: texts
 *   varint   N; unless 0 the N names of the numbers' features, as texts, strictly rising; N times: numbers
 */
import { ByteReader, ByteWriter } from "../wire/bytes.ts";
import { type NumberColumn, numbersOf, readNumbers, writeNumbers } from "./number-column.ts";
import { readTexts, type TextColumn, textsOf, valuesOf, writeTexts } from "./text-column.ts";

/** What a model needs of a sample, or of a candidate to be ranked. */
export interface Example {
  readonly user: string;
  readonly item: string;
  readonly features: Readonly<Record<string, string>>;
  readonly dense: Readonly<Record<string, number>>;
}

/** The same of some samples, at least one. */
export interface ExampleColumns {
  readonly size: number;
  readonly user: TextColumn;
  readonly item: TextColumn;
  readonly features: ReadonlyMap<string, TextColumn>;
  readonly dense: ReadonlyMap<string, NumberColumn>;
}

/** The columns of some examples, at least one. */
export function columnsOf(examples: readonly Example[]): ExampleColumns {
  const writer = new ByteWriter(64 * examples.length);
  writeExamples(writer, examples);
  return readExamples(new ByteReader(writer.view(), { what: "examples" }), examples.length);
}

export function writeExamples(writer: ByteWriter, examples: readonly Example[]): void {
  writeTexts(
    writer,
    examples.map(({ user }) => user),
  );
  writeTexts(
    writer,
    examples.map(({ item }) => item),
  );
  const features = examples.map((example) => example.features);
  const names = namesIn(features);
  writeNames(writer, names);
  for (const name of names) {
    writeTexts(
      writer,
      features.map((each) => textIn(each, name)),
    );
  }
  const dense = examples.map((example) => example.dense);
  const numbers = namesIn(dense);
  writeNames(writer, numbers);
  for (const name of numbers) {
    writeNumbers(
      writer,
      dense.map((each) => numberIn(each, name)),
    );
  }
}

/** Reads the columns of so many samples, at least one. Throws `DecodeError`. */
export function readExamples(reader: ByteReader, size: number): ExampleColumns {
  const user = whole(reader, readTexts(reader, size));
  const item = whole(reader, readTexts(reader, size));
  const features = new Map<string, TextColumn>();
  for (const name of readNames(reader)) features.set(name, readTexts(reader, size));
  const dense = new Map<string, NumberColumn>();
  for (const name of readNames(reader)) dense.set(name, readNumbers(reader, size));
  return { size, user, item, features, dense };
}

/** A column that no sample may be without. */
export function whole<T extends { readonly gaps: Uint8Array | undefined }>(reader: ByteReader, column: T): T {
  if (column.gaps !== undefined) throw reader.fail("a sample lacks what each must have");
  return column;
}

/** The examples, one by one. */
export function examplesOf(columns: ExampleColumns): readonly Example[] {
  const { size, features, dense } = columns;
  const users = textsOf(columns.user);
  const items = textsOf(columns.item);
  const texts = [...features].map(([name, column]) => [name, textsOf(column)] as const);
  const numbers = [...dense].map(([name, column]) => [name, numbersOf(column, Number.NaN)] as const);
  return Array.from({ length: size }, (_, at) => ({
    user: users[at] ?? "",
    item: items[at] ?? "",
    features: recordOf(texts, at, (text) => text !== undefined),
    dense: recordOf(numbers, at, (number) => !Number.isNaN(number)),
  }));
}

function recordOf<T>(
  columns: readonly (readonly [string, { readonly [at: number]: T }])[],
  at: number,
  isThere: (value: T) => boolean,
): Record<string, NonNullable<T>> {
  const record: Record<string, NonNullable<T>> = {};
  for (const [name, values] of columns) {
    const value = values[at];
    if (value === undefined || value === null || !isThere(value)) continue;
    // The one name that an assignment would take for something else.
    if (name === "__proto__") {
      Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
    } else record[name] = value;
  }
  return record;
}

/** The names in all of the records, in order. */
function namesIn(records: readonly Readonly<Record<string, unknown>>[]): readonly string[] {
  const names = new Set<string>();
  let before: unknown;
  for (const record of records) {
    // The candidates of a request share what the request says.
    if (record !== before) for (const name of Object.keys(record)) names.add(name);
    before = record;
  }
  // By UTF-16 units, as the reader compares them.
  return [...names].toSorted((a, b) => (a < b ? -1 : 1));
}

// What every object has under some names (a constructor, a prototype) is neither a text nor a number.
function textIn(record: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = record[name];
  return typeof value === "string" ? value : undefined;
}

function numberIn(record: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = record[name];
  return typeof value === "number" ? value : undefined;
}

function writeNames(writer: ByteWriter, names: readonly string[]): void {
  writer.varint(names.length);
  if (names.length > 0) writeTexts(writer, names);
}

function readNames(reader: ByteReader): readonly string[] {
  // A name has a byte for its length at least.
  const count = reader.varint(reader.remaining);
  if (count === 0) return [];
  const names = valuesOf(whole(reader, readTexts(reader, count)));
  if (names.length !== count || names.some((name, at) => at > 0 && name <= (names[at - 1] ?? ""))) {
    throw reader.fail("names do not rise");
  }
  return names;
}
