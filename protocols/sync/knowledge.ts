/*
 * What a shard replica knows: writer -> t. Soundness, which everything in this folder keeps true: for every writer w and every
 * update of w with t <= knowledge[w], the replica holds that update or one that supersedes it. An absent writer counts as 0.
 */
import { SYNC_LIMITS } from "../limits.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { isTime, isWriterId, type WriterId } from "./version.ts";

/** A version vector. Entries are never 0. */
export type Knowledge = Map<WriterId, number>;

/** Knowledge that its holder does not change. */
export type ReadonlyKnowledge = ReadonlyMap<WriterId, number>;

/** Raises `into` to the least upper bound of both; tells whether it changed. */
export function join(into: Knowledge, other: ReadonlyKnowledge): boolean {
  let changed = false;
  for (const [writer, t] of other) {
    if (t > (into.get(writer) ?? 0)) {
      into.set(writer, t);
      changed = true;
    }
  }
  return changed;
}

/** Whether `a` knows all that `b` knows. */
export function dominates(a: ReadonlyKnowledge, b: ReadonlyKnowledge): boolean {
  for (const [writer, t] of b) if (t > (a.get(writer) ?? 0)) return false;
  return true;
}

/** Whether both know the same. */
export function equalKnowledge(a: ReadonlyKnowledge, b: ReadonlyKnowledge): boolean {
  return dominates(a, b) && dominates(b, a);
}

/** As pairs in order of writer: equal knowledge gives equal text. */
export function knowledgeToJson(knowledge: ReadonlyKnowledge): [WriterId, number][] {
  return writersOf(knowledge).map((writer) => [writer, knowledge.get(writer) ?? 0]);
}

/** Its writers in order. What was read from others mostly is in order already. */
export function writersOf(knowledge: ReadonlyKnowledge): WriterId[] {
  const writers = [...knowledge.keys()];
  for (let at = 1; at < writers.length; at += 1) {
    if ((writers[at - 1] ?? "") > (writers[at] ?? "")) return writers.sort();
  }
  return writers;
}

/** Reads what `knowledgeToJson` wrote; throws `DecodeError` on anything else, including a writer given twice. */
export function parseKnowledge(value: unknown): Knowledge {
  if (!Array.isArray(value)) throw new DecodeError("knowledge", "it is not a list");
  if (value.length > SYNC_LIMITS.writersMax) {
    throw new DecodeError("knowledge", `${value.length} writers are more than ${SYNC_LIMITS.writersMax}`);
  }
  const knowledge: Knowledge = new Map();
  for (const entry of value) {
    if (!Array.isArray(entry) || entry.length !== 2) throw new DecodeError("knowledge", "an entry is not a pair");
    const writer: unknown = entry[0];
    const t: unknown = entry[1];
    if (!isWriterId(writer) || knowledge.has(writer)) {
      throw new DecodeError("knowledge", "an entry's writer is malformed or repeated");
    }
    if (!isTime(t)) throw new DecodeError("knowledge", `the t of ${writer} is no time`);
    knowledge.set(writer, t);
  }
  return knowledge;
}
