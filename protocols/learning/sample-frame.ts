/*
 * A message of the stream of samples in columns. Little-endian; varint as in wire/bytes.ts; "text" is a varint, twice its length in UTF-16 units and 1 more where
 * these do not all fit one byte, and then the units of one byte or two.
 *
 *   3           magic 0x46 0x72 0x4c ("FrL")
 *   1           layout version, 1
 *   varint      keepFrom
 *   varint      P, positions; P times:
 *     text        source
 *     varint      applied
 *     varint      needed
 *     1           flags: bit 0 the newest time is known, bit 1 how late positives came; others 0
 *     8           with bit 0: the newest time, a 64-bit float
 *     varint      with bit 1: K; K times: text kind, strictly rising; varint C; C * 8 counts, 64-bit floats, at least 0
 *   1           0; 1: the stream moved: text region, varint term
 *   varint      N, samples; unless 0, of all of them (protocols/columns/):
 *     texts       ids
 *     texts       sources
 *     numbers     labels, from 0 to 1
 *     numbers     weights, at least 0
 *     numbers     times
 *     numbers     1 for a correction, else 0
 *     1           0; 1: numbers, shares of positives that are late, from 0 to 1; some samples may have none
 *     ...         users, items and features (example-columns.ts)
 *   4           CRC-32C of all bytes before
 *
 * Canonical: one meaning has one encoding, and the decoder refuses any other. Reading allocates little beside the input, with which columns share
 * memory; samples one by one are as large as they are many.
 */
import { examplesOf, type ExampleColumns, readExamples, whole, writeExamples } from "../columns/example-columns.ts";
import { type NumberColumn, numbersOf, readNumbers, valueAt, writeNumbers } from "../columns/number-column.ts";
import { readTexts, type TextColumn, textsOf, writeTexts } from "../columns/text-column.ts";
import { ByteReader, ByteWriter } from "../wire/bytes.ts";
import { crc32c } from "../wire/checksum.ts";
import { type DelayCounts } from "./delay-model.ts";
import { type PublishedSample, type SampleBatch, type SourcePosition } from "./sample-batch.ts";

const MAGIC = [0x46, 0x72, 0x4c, 0x01] as const;
/** Samples of one message: what a message may hold at one bit each is bounded apart from its size. */
const SAMPLES_MAX = 65_536;

/** Samples in columns, at least one. */
export interface SampleColumns extends ExampleColumns {
  readonly ids: TextColumn;
  readonly sources: TextColumn;
  readonly labels: NumberColumn;
  readonly weights: NumberColumn;
  readonly times: NumberColumn;
  readonly corrections: NumberColumn;
  readonly late: NumberColumn | undefined;
}

/** A message whose samples are in columns, or that has none. */
export interface ColumnBatch extends Omit<SampleBatch, "samples"> {
  readonly columns: SampleColumns | undefined;
}

/** Whether bytes begin as such a message, of whatever version. */
export function isSampleFrame(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, at) => at === MAGIC.length - 1 || bytes[at] === byte);
}

export function encodeSampleFrame(batch: SampleBatch): Uint8Array<ArrayBuffer> {
  const { keepFrom, positions, samples, movedTo } = batch;
  const writer = new ByteWriter(256 + 128 * samples.length);
  for (const byte of MAGIC) writer.u8(byte);
  writer.varint(keepFrom);
  writer.varint(positions.length);
  for (const position of positions) writePosition(writer, position);
  writer.u8(movedTo === undefined ? 0 : 1);
  if (movedTo !== undefined) {
    writer.units(movedTo.region);
    writer.varint(movedTo.term);
  }
  if (samples.length > SAMPLES_MAX) {
    throw new RangeError(`Cannot write ${samples.length} samples in one message: at most ${SAMPLES_MAX}`);
  }
  writer.varint(samples.length);
  if (samples.length > 0) writeSamples(writer, samples);
  writer.u32(crc32c(writer.view()));
  return writer.finish();
}

/** Samples add no more than this together to what a message without any takes, however their columns come to be written. */
export function sampleBytesMax({ id, source, user, item, features, dense }: PublishedSample): number {
  let bytes = FIXED_BYTES + 2 * (id.length + source.length + user.length + item.length);
  for (const name of Object.keys(features)) bytes += TEXT_BYTES + 2 * (name.length + (features[name]?.length ?? 0));
  for (const name of Object.keys(dense)) bytes += NUMBER_BYTES + 2 * name.length;
  return bytes;
}

/** A column's form, bits, a name's length, and a value's length or number, with the smallest. */
const TEXT_BYTES = 16;
const NUMBER_BYTES = 28;
/** Columns that every sample has: four of texts and five of numbers, and lengths of names; varints. */
const FIXED_BYTES = 4 * TEXT_BYTES + 5 * NUMBER_BYTES + 16;

function writeSamples(writer: ByteWriter, samples: readonly PublishedSample[]): void {
  writeTexts(
    writer,
    samples.map(({ id }) => id),
  );
  writeTexts(
    writer,
    samples.map(({ source }) => source),
  );
  writeNumbers(
    writer,
    samples.map(({ label }) => label),
  );
  writeNumbers(
    writer,
    samples.map(({ weight }) => weight),
  );
  writeNumbers(
    writer,
    samples.map(({ time }) => time),
  );
  writeNumbers(
    writer,
    samples.map(({ correction }) => (correction ? 1 : 0)),
  );
  const late = samples.map((sample) => sample.late);
  const isLate = late.some((share) => share !== undefined);
  writer.u8(isLate ? 1 : 0);
  if (isLate) writeNumbers(writer, late);
  writeExamples(writer, samples);
}

/** Decodes or throws `DecodeError`. */
export function decodeSampleFrame(bytes: Uint8Array): ColumnBatch {
  const end = bytes.length - 4;
  const reader = new ByteReader(bytes, { what: "a batch of samples", end: Math.max(0, end) });
  for (const byte of MAGIC) if (reader.u8() !== byte) throw reader.fail("it does not begin as one of this version");
  if (crc32c(bytes, 0, end) !== new DataView(bytes.buffer, bytes.byteOffset + end, 4).getUint32(0, true)) {
    throw reader.fail("its checksum is wrong");
  }
  const keepFrom = reader.varint();
  const count = reader.varint(reader.remaining);
  const positions: SourcePosition[] = [];
  for (let at = 0; at < count; at += 1) positions.push(readPosition(reader));
  const moved = reader.u8();
  if (moved > 1) throw reader.fail("it says neither that the stream moved nor that it did not");
  const movedTo = moved === 0 ? undefined : { region: reader.units(), term: reader.varint() };
  const size = reader.varint(SAMPLES_MAX);
  const columns = size === 0 ? undefined : readSamples(reader, size);
  reader.finish();
  return { keepFrom, positions, columns, ...(movedTo !== undefined && { movedTo }) };
}

function readSamples(reader: ByteReader, size: number): SampleColumns {
  const ids = whole(reader, readTexts(reader, size));
  const sources = whole(reader, readTexts(reader, size));
  const labels = within(reader, whole(reader, readNumbers(reader, size)), { from: 0, to: 1 });
  const weights = within(reader, whole(reader, readNumbers(reader, size)), { from: 0, to: Infinity });
  const times = whole(reader, readNumbers(reader, size));
  const corrections = within(reader, whole(reader, readNumbers(reader, size)), { from: 0, to: 1 });
  if (corrections.form > 0) throw reader.fail("corrections are neither 0 nor 1");
  const isLate = reader.u8();
  if (isLate > 1) throw reader.fail("it says neither that shares follow nor that none do");
  const late = isLate === 0 ? undefined : within(reader, readNumbers(reader, size), { from: 0, to: 1 });
  const examples = readExamples(reader, size);
  return { ids, sources, labels, weights, times, corrections, late, ...examples };
}

function within(
  reader: ByteReader,
  column: NumberColumn,
  { from, to }: { readonly from: number; readonly to: number },
): NumberColumn {
  for (let value = 0; value < column.values; value += 1) {
    const number = valueAt(column, value);
    if (number < from || number > to) throw reader.fail(`a number is not from ${from} to ${to}`);
  }
  return column;
}

/** The columns of some samples, at least one. */
export function columnsOfSamples(samples: readonly PublishedSample[]): SampleColumns {
  const writer = new ByteWriter(128 * samples.length);
  writeSamples(writer, samples);
  return readSamples(new ByteReader(writer.view(), { what: "samples" }), samples.length);
}

/** The samples, one by one. */
export function samplesOf(columns: SampleColumns): readonly PublishedSample[] {
  const ids = textsOf(columns.ids);
  const sources = textsOf(columns.sources);
  const [labels, weights, times, corrections] = [
    columns.labels,
    columns.weights,
    columns.times,
    columns.corrections,
  ].map((column) => numbersOf(column, 0));
  const shares = columns.late === undefined ? undefined : numbersOf(columns.late, Number.NaN);
  return examplesOf(columns).map((example, at): PublishedSample => {
    const late = shares?.[at] ?? Number.NaN;
    return {
      id: ids[at] ?? "",
      source: sources[at] ?? "",
      label: labels?.[at] ?? 0,
      weight: weights?.[at] ?? 0,
      time: times?.[at] ?? 0,
      correction: corrections?.[at] === 1,
      ...example,
      ...(!Number.isNaN(late) && { late }),
    };
  });
}

function writePosition(writer: ByteWriter, { source, applied, needed, newestTime, delays }: SourcePosition): void {
  writer.units(source);
  writer.varint(applied);
  writer.varint(needed);
  writer.u8((newestTime === undefined ? 0 : 1) | (delays === undefined ? 0 : 2));
  if (newestTime !== undefined) writer.f64(newestTime);
  if (delays === undefined) return;
  const kinds = Object.entries(delays).toSorted(([a], [b]) => (a < b ? -1 : 1));
  writer.varint(kinds.length);
  for (const [kind, counts] of kinds) {
    writer.units(kind);
    writer.varint(counts.length);
    for (const each of counts) writer.f64(each);
  }
}

function readPosition(reader: ByteReader): SourcePosition {
  const source = reader.units();
  const [applied, needed, has] = [reader.varint(), reader.varint(), reader.u8()];
  if (has > 3) throw reader.fail("a position says what it has in an unknown way");
  const newestTime = (has & 1) === 0 ? undefined : finite(reader);
  const delays = (has & 2) === 0 ? undefined : readDelays(reader);
  return { source, applied, needed, ...(newestTime !== undefined && { newestTime }), ...(delays && { delays }) };
}

function readDelays(reader: ByteReader): DelayCounts {
  const kinds = reader.varint(reader.remaining);
  const delays: [string, readonly number[]][] = [];
  for (let at = 0; at < kinds; at += 1) {
    const kind = reader.units();
    if (at > 0 && kind <= (delays[at - 1]?.[0] ?? "")) throw reader.fail("kinds do not rise");
    const counts: number[] = [];
    const count = reader.varint(Math.floor(reader.remaining / 8));
    for (let each = 0; each < count; each += 1) {
      const read = finite(reader);
      if (read < 0) throw reader.fail("a count of delays is below 0");
      counts.push(read);
    }
    delays.push([kind, counts]);
  }
  return Object.fromEntries(delays);
}

function finite(reader: ByteReader): number {
  const number = reader.f64();
  if (!Number.isFinite(number)) throw reader.fail("a number is not finite");
  return number;
}
