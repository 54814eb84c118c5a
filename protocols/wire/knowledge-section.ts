/*
 * Knowledge and dictionaries of writers, as frames and images hold them; frame.ts documents the bytes.
 */
import { SYNC_LIMITS, T_MAX } from "../limits.ts";
import { type Settled, settledOf } from "../sync/horizon.ts";
import { type Knowledge, type ReadonlyKnowledge, writersOf } from "../sync/knowledge.ts";
import { isWriterId, type WriterId, WRITER_CHARS_MAX } from "../sync/version.ts";
import { type ByteReader, type ByteWriter } from "./bytes.ts";

export function writeKnowledge(writer: ByteWriter, knowledge: ReadonlyKnowledge): void {
  writer.varint(knowledge.size);
  for (const id of writersOf(knowledge)) {
    writer.text(id);
    writer.varint(knowledge.get(id) ?? 0);
  }
}

/** Reads what `writeKnowledge` wrote: writers strictly rising, every t beyond what is settled, and so none of 0. */
export function readKnowledge(reader: ByteReader, settled: Settled | number = 0): Knowledge {
  const count = reader.varint(SYNC_LIMITS.writersMax);
  const knowledge: Knowledge = new Map();
  let before = "";
  for (let entry = 0; entry < count; entry += 1) {
    const id = readWriterId(reader);
    if (id <= before) throw reader.fail("the knowledge is not in rising order");
    const t = reader.varint(T_MAX);
    if (t <= (typeof settled === "number" ? settled : settledOf(settled, id))) {
      throw reader.fail(`the knowledge holds a t of ${t}, up to which all is settled`);
    }
    knowledge.set(id, t);
    before = id;
  }
  return knowledge;
}

/** Reads a count and that many different writer ids. */
export function readDictionary(reader: ByteReader): WriterId[] {
  const count = reader.varint(SYNC_LIMITS.writersMax);
  const writers = new Set<WriterId>();
  for (let entry = 0; entry < count; entry += 1) writers.add(readWriterId(reader));
  if (writers.size !== count) throw reader.fail("a writer stands twice in the dictionary");
  return [...writers];
}

export function readWriterId(reader: ByteReader): WriterId {
  const text = reader.text(WRITER_CHARS_MAX);
  if (!isWriterId(text)) throw reader.fail("a writer id is malformed");
  return text;
}
