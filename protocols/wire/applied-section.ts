/*
 * Where trainers stand, as frames and images hold it; frame.ts documents the bytes.
 */
import { SYNC_LIMITS } from "../limits.ts";
import { type ByteReader, type ByteWriter } from "./bytes.ts";

/** The longest name of a trainer. */
export const TRAINER_CHARS_MAX = 200;

export function writeApplied(writer: ByteWriter, applied: ReadonlyMap<string, number>): void {
  const trainers = [...applied].sort(([a], [b]) => (a < b ? -1 : 1));
  writer.varint(trainers.length);
  for (const [trainer, batch] of trainers) {
    writer.text(trainer);
    writer.varint(batch);
  }
}

export function readApplied(reader: ByteReader): Map<string, number> {
  const count = reader.varint(SYNC_LIMITS.trainersMax);
  const applied = new Map<string, number>();
  let before = "";
  for (let entry = 0; entry < count; entry += 1) {
    const trainer = reader.text(TRAINER_CHARS_MAX);
    if (trainer <= before) throw reader.fail("its trainers are not in rising order");
    applied.set(trainer, reader.varint());
    before = trainer;
  }
  return applied;
}
