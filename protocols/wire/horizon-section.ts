/*
 * A horizon, as frames and images hold it; frame.ts documents the bytes.
 */
import { EPOCH_MAX, SYNC_LIMITS, T_MAX } from "../limits.ts";
import { type Horizon } from "../sync/horizon.ts";
import { type ByteReader, type ByteWriter } from "./bytes.ts";
import { readKnowledge, writeKnowledge } from "./knowledge-section.ts";

export function writeHorizon(writer: ByteWriter, { epoch, settled, before, graveyard, expired }: Horizon): void {
  if (epoch > 0) writer.varint(T_MAX + epoch);
  writer.varint(settled);
  if (settled > 0) {
    writer.varint(before);
    writeKnowledge(writer, graveyard);
  }
  const tables = [...expired].sort(([a], [b]) => a - b);
  writer.varint(tables.length);
  for (const [table, t] of tables) {
    writer.varint(table);
    writer.varint(t);
  }
}

/** Reads what `writeHorizon` wrote: before < graveyard <= settled, above 0 in a later epoch than the first; tables strictly rising, no t of 0. */
export function readHorizon(reader: ByteReader): Horizon {
  const first = reader.varint(T_MAX + EPOCH_MAX);
  const epoch = Math.max(0, first - T_MAX);
  const settled = epoch === 0 ? first : reader.varint(T_MAX);
  if (epoch > 0 && settled === 0) throw reader.fail("an epoch begins with nothing settled");
  const before = settled === 0 ? 0 : reader.varint(settled - 1);
  const graveyard = settled === 0 ? new Map() : readKnowledge(reader, before);
  for (const t of graveyard.values()) if (t > settled) throw reader.fail("a graveyard is beyond its settled time");
  const count = reader.varint(SYNC_LIMITS.tablesMax);
  const expired = new Map<number, number>();
  let tableMin = 0;
  for (let entry = 0; entry < count; entry += 1) {
    const table = reader.varint(SYNC_LIMITS.tablesMax - 1);
    if (table < tableMin) throw reader.fail("tables that expire are not in rising order");
    const t = reader.varint(T_MAX);
    if (t === 0) throw reader.fail("a table expires at zero");
    expired.set(table, t);
    tableMin = table + 1;
  }
  return { epoch, settled, before, graveyard, expired };
}
