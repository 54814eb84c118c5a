/*
 * A shard replica as one piece of bytes, all of one moment: rows, knowledge, the greatest t seen and the highest batch per trainer. Traces
 * begin with it; until version 2 it was also what lay on disk, and such files are still loaded. What lies there now: image-head.ts.
 * Little-endian; varint, text, horizon, knowledge and table sections as in wire/frame.ts.
 *
 *   4           magic 0x46 0x72 0x49 0x6d ("FrIm")
 *   1           layout version, 2
 *   1           1 when rows carry optimizer state, else 0
 *   8           digest of the declaration of the tables
 *   varint      greatest t stamped or seen, 0 for none
 *   horizon     settled time, graveyard and expiry
 *   knowledge   entries of writer and t
 *   varint      A, trainers; A times: text trainer, strictly rising; varint highest batch applied
 *   varint      W, writers in the dictionary, each with a row here; W texts
 *   varint      T, table sections; T times a section
 *   4           CRC-32C of all bytes before
 *
 * What is left out on purpose: the writer id and the shard version, which are new at each start, and which rows are early, which
 * is every row ahead of the knowledge. An image is taken between two events, so the rows are never older than the knowledge.
 */
import { SYNC_LIMITS, T_MAX } from "../limits.ts";
import { ByteReader, ByteWriter } from "../wire/bytes.ts";
import { crc32c } from "../wire/checksum.ts";
import { readHorizon, writeHorizon } from "../wire/horizon-section.ts";
import { readDictionary, readKnowledge, writeKnowledge } from "../wire/knowledge-section.ts";
import { readSection, reindexWriters, writeSection } from "../wire/row-section.ts";
import { declarationDigest } from "./declaration.ts";
import { type Horizon } from "./horizon.ts";
import { readApplied, writeApplied } from "../wire/applied-section.ts";
import { type Knowledge } from "./knowledge.ts";
import { type Replica } from "./replica-state.ts";
import { type RowStore } from "./row-store.ts";

const MAGIC = [0x46, 0x72, 0x49, 0x6d] as const;
const VERSION = 2;

/** What an image holds besides rows: give it to `createReplica` with a writer id never used before. */
export interface LoadedImage {
  readonly store: RowStore;
  readonly knowledge: Knowledge;
  readonly horizon: Horizon;
  readonly greatestSeen: number;
  readonly applied: ReadonlyMap<string, number>;
}

/** The replica as it is now. The bytes share nothing with it. */
export function encodeImage(replica: Replica): Uint8Array<ArrayBuffer> {
  const { store, knowledge, stamper, applied } = replica;
  const list = store.collect(new Float64Array());
  const batches = store.pack(list, { from: 0, to: list.slots.length });
  store.release(list);

  const writer = new ByteWriter(
    4096 +
      batches.reduce(
        (sum, { keys, values, state }) => sum + keys.length * 16 + values.length + (state?.length ?? 0),
        0,
      ),
  );
  for (const byte of MAGIC) writer.u8(byte);
  writer.u8(VERSION);
  writer.u8(store.hasState ? 1 : 0);
  writer.hex(replica.declaration);
  writer.varint(Math.max(stamper.last, stamper.greatestSeen));
  writeHorizon(writer, replica.horizon);
  writeKnowledge(writer, knowledge);
  writeApplied(writer, applied);
  const dictionary = new Map<number, number>();
  const sections = batches.map((batch) => ({ ...batch, writers: reindexWriters(batch.writers, dictionary) }));
  writer.varint(dictionary.size);
  for (const index of dictionary.keys()) writer.text(store.writers[index] ?? "");
  writer.varint(sections.length);
  for (const section of sections) {
    const spec = store.tables[section.table];
    if (spec === undefined) {
      throw new RangeError(`Cannot encode rows of table ${section.table}: there are ${store.tables.length}`);
    }
    writeSection(writer, { ...section, valueBytes: spec.valueBytes, stateBytes: spec.stateBytes }, dictionary.size);
  }
  writer.u32(crc32c(writer.view()));
  return writer.finish();
}

/** Loads an image into an empty store; throws `DecodeError` on anything else than a whole image of these tables, and the store is then of no use. */
export function loadImage(bytes: Uint8Array, store: RowStore): LoadedImage {
  const end = bytes.length - 4;
  const reader = new ByteReader(bytes, { what: "image", end: Math.max(0, end) });
  for (const byte of MAGIC) if (reader.u8() !== byte) throw reader.fail("it does not begin as an image");
  const version = reader.u8();
  if (version !== VERSION) throw reader.fail(`its layout version is ${version}, not ${VERSION}`);
  const checksum = new DataView(bytes.buffer, bytes.byteOffset + end, 4).getUint32(0, true);
  if (crc32c(bytes, 0, end) !== checksum) throw reader.fail("its checksum is wrong");
  const hasState = reader.u8();
  if (hasState !== (store.hasState ? 1 : 0)) {
    throw reader.fail(
      hasState === 1
        ? "it is a full replica's and this one is serving"
        : "it is a serving replica's and this one is full",
    );
  }
  if (reader.hex(8) !== declarationDigest(store.declared)) {
    throw reader.fail("its tables are declared otherwise than these");
  }

  const greatestSeen = reader.varint(T_MAX);
  const horizon = readHorizon(reader);
  const knowledge = readKnowledge(reader, horizon);
  const applied = readApplied(reader);
  const indexes = readDictionary(reader).map((id) => store.writerIndex(id));
  const sections = reader.varint(SYNC_LIMITS.tablesMax);
  let tableMin = 0;
  for (let count = 0; count < sections; count += 1) {
    const section = readSection(reader, {
      dictionary: indexes.length,
      hasState: store.hasState,
      tableMin,
      tablesMax: store.tables.length,
    });
    const spec = store.tables[section.table];
    if (section.valueBytes !== spec?.valueBytes || section.stateBytes !== spec.stateBytes) {
      throw reader.fail("a table's rows have another shape");
    }
    tableMin = section.table + 1;
    const writers = section.writers.map((index) => indexes[index] ?? 0);
    store.load({ ...section, writers }, { rows: section.keys.length });
  }
  reader.finish();
  return { store, knowledge, horizon, greatestSeen, applied };
}
