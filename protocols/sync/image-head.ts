/*
 * Of which moment a segment's rows are: all that an image holds besides them. Little-endian; varint, text, horizon and knowledge as in
 * wire/frame.ts.
 *
 *   4           magic 0x46 0x72 0x49 0x6d ("FrIm")
 *   1           layout version, 4 (3 is the same without rows of the tables; 1 and 2 were whole images in one: image.ts)
 *   1           1 when the segment has all rows, 0 when it has those that changed since the segment before
 *   1           1 when rows carry optimizer state, else 0
 *   varint      T, tables as declared; T times: text name; varint dim; varint bytes of values; varint bytes of state; text precision;
 *               text optimizer; varint rows that are not deleted, which is no promise: room is made for them at once
 *   varint      greatest t stamped or seen, 0 for none
 *   horizon     settled time, graveyard and expiry
 *   knowledge   entries of writer and t
 *   varint      A, trainers; A times: text trainer, strictly rising; varint highest batch applied
 *   varint      W, writers; W texts. Rows name them by index; no row need have one
 *
 * What is left out on purpose: the writer id and the shard version, which are new at each start, and which rows are early, which
 * is every row ahead of the knowledge. Its checksum is the segment's.
 */
import { SYNC_LIMITS, T_MAX } from "../limits.ts";
import { ByteReader, ByteWriter } from "../wire/bytes.ts";
import { readApplied, writeApplied } from "../wire/applied-section.ts";
import { readHorizon, writeHorizon } from "../wire/horizon-section.ts";
import { readDictionary, readKnowledge, writeKnowledge } from "../wire/knowledge-section.ts";
import { type Horizon } from "./horizon.ts";
import { type Knowledge, type ReadonlyKnowledge } from "./knowledge.ts";
import { type Precision } from "./precision.ts";
import { type TableSpec } from "./row-store.ts";
import { type WriterId } from "./version.ts";

const MAGIC = [0x46, 0x72, 0x49, 0x6d] as const;
const VERSION = 4;
const VERSION_WITHOUT_ROWS = 3;
/** Of one table: more no table has an index for. */
const ROWS_MAX = 2 ** 28;
const NAME_CHARS_MAX = 4096;
const PRECISIONS: readonly Precision[] = ["f32", "f16", "i8", "bytes"];

export interface ImageHead {
  readonly whole: boolean;
  readonly hasState: boolean;
  /** As declared for all replicas, whether state is held or not. */
  readonly declared: readonly TableSpec[];
  /** About how many rows each table has; 0 where nobody said. */
  readonly rows: readonly number[];
  readonly greatestSeen: number;
  readonly horizon: Horizon;
  readonly knowledge: ReadonlyKnowledge;
  readonly applied: ReadonlyMap<string, number>;
  readonly writers: readonly WriterId[];
}

export function encodeHead(head: ImageHead): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(4096);
  for (const byte of MAGIC) writer.u8(byte);
  writer.u8(VERSION);
  writer.u8(head.whole ? 1 : 0);
  writer.u8(head.hasState ? 1 : 0);
  writer.varint(head.declared.length);
  for (const [table, { name, dim, valueBytes, stateBytes, precision, optimizer }] of head.declared.entries()) {
    writer.text(name);
    writer.varint(dim);
    writer.varint(valueBytes);
    writer.varint(stateBytes);
    writer.text(precision);
    writer.text(optimizer);
    writer.varint(Math.min(head.rows[table] ?? 0, ROWS_MAX));
  }
  writer.varint(head.greatestSeen);
  writeHorizon(writer, head.horizon);
  writeKnowledge(writer, head.knowledge);
  writeApplied(writer, head.applied);
  writer.varint(head.writers.length);
  for (const id of head.writers) writer.text(id);
  return writer.finish();
}

/** Reads a head; throws `DecodeError` on anything that `encodeHead` would not have written. */
export function decodeHead(bytes: Uint8Array): ImageHead & { readonly knowledge: Knowledge } {
  const reader = new ByteReader(bytes, { what: "image" });
  for (const byte of MAGIC) if (reader.u8() !== byte) throw reader.fail("it does not begin as an image");
  const version = reader.u8();
  if (version !== VERSION && version !== VERSION_WITHOUT_ROWS) {
    throw reader.fail(`its layout version is ${version}, not ${VERSION} or ${VERSION_WITHOUT_ROWS}`);
  }
  const whole = readFlag(reader);
  const hasState = readFlag(reader);
  const { declared, rows } = readTables(reader, { hasRows: version === VERSION });
  const greatestSeen = reader.varint(T_MAX);
  const horizon = readHorizon(reader);
  const knowledge = readKnowledge(reader, horizon);
  const applied = readApplied(reader);
  const writers = readDictionary(reader);
  reader.finish();
  return { whole, hasState, declared, rows, greatestSeen, horizon, knowledge, applied, writers };
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw reader.fail("a mark is neither 0 nor 1");
  return flag === 1;
}

function readTables(
  reader: ByteReader,
  { hasRows }: { readonly hasRows: boolean },
): { readonly declared: TableSpec[]; readonly rows: number[] } {
  const count = reader.varint(SYNC_LIMITS.tablesMax);
  const declared: TableSpec[] = [];
  const rows: number[] = [];
  for (let table = 0; table < count; table += 1) {
    const name = reader.text(NAME_CHARS_MAX);
    const dim = reader.varint();
    const valueBytes = reader.varint(SYNC_LIMITS.rowBytesMax);
    const stateBytes = reader.varint(SYNC_LIMITS.rowBytesMax);
    const text = reader.text(8);
    const precision = PRECISIONS.find((known) => known === text);
    if (precision === undefined) throw reader.fail("a table has an unknown precision");
    if (dim === 0 || valueBytes === 0) throw reader.fail("a table has rows of nothing");
    declared.push({ name, dim, valueBytes, stateBytes, precision, optimizer: reader.text(NAME_CHARS_MAX) });
    rows.push(hasRows ? reader.varint(ROWS_MAX) : 0);
  }
  return { declared, rows };
}
