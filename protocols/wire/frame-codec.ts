import { SYNC_LIMITS } from "../limits.ts";
import { type RowBatch, type TableSpec } from "../sync/row-store.ts";
import { type WriterId } from "../sync/version.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { crc32c } from "./checksum.ts";
import { readApplied, writeApplied } from "./applied-section.ts";
import { DecodeError } from "./decode-error.ts";
import {
  type AnswerEnd,
  type Frame,
  FLAG_LAST,
  FLAG_POSITIONS,
  FLAG_REPLACES,
  FLAG_STATE,
  FLAG_URGENT,
  FRAME_MAGIC,
  FRAME_VERSION,
  type FrameSection,
} from "./frame.ts";
import { readHorizon, writeHorizon } from "./horizon-section.ts";
import { readDictionary, readKnowledge, readWriterId, writeKnowledge } from "./knowledge-section.ts";
import { readSection, reindexWriters, writeSection } from "./row-section.ts";

/** What the encoder needs; `batches` have writers as indexes of `writers`, of which only the used ones travel. */
export interface FrameInput extends Omit<Frame, "sections" | "writers" | "urgent"> {
  readonly urgent?: number | undefined;
  readonly tables: readonly TableSpec[];
  readonly writers: readonly WriterId[];
  readonly batches: readonly RowBatch[];
}

const FLAGS_MAX = FLAG_STATE | FLAG_LAST | FLAG_URGENT | FLAG_REPLACES | FLAG_POSITIONS;

/** The one encoding of a frame. */
export function encodeFrame(frame: FrameInput): Uint8Array<ArrayBuffer> {
  const dictionary = new Map<number, number>();
  const sections = frame.batches.map((batch): FrameSection => {
    const spec = frame.tables[batch.table];
    if (spec === undefined) {
      throw new RangeError(`Cannot encode rows of table ${batch.table}: there are ${frame.tables.length}`);
    }
    return {
      ...batch,
      valueBytes: spec.valueBytes,
      stateBytes: frame.hasState ? spec.stateBytes : 0,
      writers: reindexWriters(batch.writers, dictionary),
    };
  });
  const writer = new ByteWriter(
    512 +
      sections.reduce((sum, { keys, valueBytes, stateBytes }) => sum + keys.length * (valueBytes + stateBytes + 16), 0),
  );
  for (const byte of FRAME_MAGIC) writer.u8(byte);
  writer.u8(FRAME_VERSION);
  const { urgent, end, replaces } = frame;
  writer.u8(
    (frame.hasState ? FLAG_STATE : 0) |
      (end === undefined ? 0 : FLAG_LAST) |
      (urgent === undefined ? 0 : FLAG_URGENT) |
      (replaces ? FLAG_REPLACES : 0) |
      (end === undefined || end.applied.size === 0 ? 0 : FLAG_POSITIONS),
  );
  writer.hex(frame.declaration);
  writer.hex(frame.pullId);
  writer.text(frame.answer.responder);
  writer.varint(frame.answer.number);
  if (urgent === undefined) {
    writer.varint(frame.index);
    writer.varint(frame.frames);
  } else writer.varint(urgent);
  writer.varint(dictionary.size);
  for (const index of dictionary.keys()) {
    const id = frame.writers[index];
    if (id === undefined) throw new RangeError(`Cannot encode writer ${index}: there are ${frame.writers.length}`);
    writer.text(id);
  }
  writer.varint(sections.length);
  for (const section of sections) writeSection(writer, section, dictionary.size);
  if (end !== undefined) writeEnd(writer, end);
  writer.u32(crc32c(writer.view()));
  return writer.finish();
}

/** Reads a frame; throws `DecodeError` on anything that `encodeFrame` would not have written. Columns of values share memory with `bytes`. */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > SYNC_LIMITS.frameBytesMax) {
    throw new DecodeError("frame", `${bytes.length} bytes are more than ${SYNC_LIMITS.frameBytesMax}`);
  }
  const end = bytes.length - 4;
  const reader = new ByteReader(bytes, { what: "frame", end: Math.max(0, end) });
  for (const byte of FRAME_MAGIC) if (reader.u8() !== byte) throw reader.fail("it does not begin as a frame");
  const version = reader.u8();
  if (version !== FRAME_VERSION) throw reader.fail(`its layout version is ${version}, not ${FRAME_VERSION}`);
  const checksum = new DataView(bytes.buffer, bytes.byteOffset + end, 4).getUint32(0, true);
  if (crc32c(bytes, 0, end) !== checksum) throw reader.fail("its checksum is wrong");
  const flags = reader.u8();
  if (flags > FLAGS_MAX) throw reader.fail("it has an unknown flag");
  const hasState = (flags & FLAG_STATE) !== 0;
  const replaces = (flags & FLAG_REPLACES) !== 0;
  const declaration = reader.hex(8);
  const pullId = reader.hex(16);
  const answer = { responder: readWriterId(reader), number: reader.varint() };
  const urgent = (flags & FLAG_URGENT) === 0 ? undefined : reader.varint();
  const { index, frames } = urgent === undefined ? readPlace(reader) : { index: 0, frames: 0 };
  if (urgent !== undefined && replaces) throw reader.fail("urgent rows replace nothing");
  const isLast = urgent === undefined && index + 1 === frames;
  if (isLast !== ((flags & FLAG_LAST) !== 0)) throw reader.fail("its index, count and last flag disagree");
  const writers = readDictionary(reader);
  const sections = readSections(reader, { dictionary: writers.length, hasState });
  checkDictionaryOrder(reader, sections, writers.length);
  const hasPositions = (flags & FLAG_POSITIONS) !== 0;
  if (hasPositions && !isLast) throw reader.fail("only the last frame has positions");
  const answerEnd = isLast ? readEnd(reader, hasPositions) : undefined;
  reader.finish();
  return { declaration, pullId, answer, index, frames, urgent, hasState, replaces, writers, sections, end: answerEnd };
}

function readPlace(reader: ByteReader): { readonly index: number; readonly frames: number } {
  const index = reader.varint(SYNC_LIMITS.framesMax);
  const frames = reader.varint(SYNC_LIMITS.framesMax);
  if (index >= frames) throw reader.fail("its index is beyond its count");
  return { index, frames };
}

function writeEnd(writer: ByteWriter, end: AnswerEnd): void {
  writeHorizon(writer, end.horizon);
  writeKnowledge(writer, end.knowledge);
  writer.varint(end.version.counter);
  writer.text(end.version.generator);
  writer.u8(end.early ? 1 : 0);
  if (end.applied.size > 0) writeApplied(writer, end.applied);
}

function readEnd(reader: ByteReader, hasPositions: boolean): AnswerEnd {
  const horizon = readHorizon(reader);
  const knowledge = readKnowledge(reader, horizon);
  const counter = reader.varint();
  if (counter === 0) throw reader.fail("the shard version's counter is zero");
  const generator = readWriterId(reader);
  const early = reader.u8();
  if (early > 1) throw reader.fail("the mark for early rows is neither 0 nor 1");
  const applied = hasPositions ? readApplied(reader) : new Map<string, number>();
  if (hasPositions && applied.size === 0) throw reader.fail("it has no positions");
  return { knowledge, horizon, version: { counter, generator }, early: early === 1, applied };
}

function readSections(reader: ByteReader, options: { dictionary: number; hasState: boolean }): FrameSection[] {
  const count = reader.varint(SYNC_LIMITS.tablesMax);
  const sections: FrameSection[] = [];
  let tableMin = 0;
  for (let section = 0; section < count; section += 1) {
    const read = readSection(reader, { ...options, tableMin, tablesMax: SYNC_LIMITS.tablesMax });
    tableMin = read.table + 1;
    sections.push(read);
  }
  return sections;
}

function checkDictionaryOrder(reader: ByteReader, sections: readonly FrameSection[], dictionary: number): void {
  let used = 0;
  for (const { writers } of sections) {
    for (let row = 0; row < writers.length; row += 1) {
      const index = writers[row] ?? 0;
      if (index > used) throw reader.fail("the dictionary is not in order of first use");
      if (index === used) used += 1;
    }
  }
  if (used !== dictionary) throw reader.fail("the dictionary names a writer that no row has");
}
