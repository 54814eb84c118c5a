/*
 * The report of a replica to its shard's primary, in JSON: rows that it has held early for a long time.
 *
 *   {"declaration": sixteen hex digits, "rows": [[table, "key", t, "writer"], ...]}
 *
 * 1 to `orphansMax` rows; the key in decimal without leading zeros, below 2^64.
 */
import { SYNC_LIMITS } from "../limits.ts";
import { isTime, isWriterId, type WriterId } from "../sync/version.ts";
import { DecodeError } from "./decode-error.ts";
import { isCount, isDeclaration, record } from "./json-fields.ts";

/** One row as its holder has it: no values, for the primary writes its own. */
export interface Orphan {
  readonly table: number;
  readonly key: bigint;
  readonly t: number;
  readonly writer: WriterId;
}

export interface OrphansMessage {
  readonly declaration: string;
  readonly rows: readonly (readonly [table: number, key: string, t: number, writer: WriterId])[];
}

export function buildOrphans(declaration: string, orphans: readonly Orphan[]): OrphansMessage {
  return { declaration, rows: orphans.map(({ table, key, t, writer }) => [table, key.toString(), t, writer]) };
}

/** Throws `DecodeError` on anything that `buildOrphans` does not make. */
export function parseOrphans(value: unknown): { readonly declaration: string; readonly orphans: readonly Orphan[] } {
  const { declaration, rows } = record("orphans", value);
  if (!isDeclaration(declaration)) {
    throw new DecodeError("orphans", "its declaration is not sixteen hex digits");
  }
  if (!Array.isArray(rows) || rows.length === 0 || rows.length > SYNC_LIMITS.orphansMax) {
    throw new DecodeError("orphans", `rows is not a list of 1 to ${SYNC_LIMITS.orphansMax}`);
  }
  return { declaration, orphans: rows.map(parseOrphan) };
}

function parseOrphan(value: unknown): Orphan {
  if (!Array.isArray(value) || value.length !== 4) throw new DecodeError("orphans", "a row is not a list of four");
  const table: unknown = value[0];
  const key: unknown = value[1];
  const t: unknown = value[2];
  const writer: unknown = value[3];
  if (!isCount(table) || table >= SYNC_LIMITS.tablesMax) {
    throw new DecodeError("orphans", "a table is not a whole number within the bound");
  }
  if (typeof key !== "string" || !/^(?:0|[1-9][0-9]{0,19})$/.test(key) || BigInt(key) >= 2n ** 64n) {
    throw new DecodeError("orphans", "a key is not a whole number below 2^64");
  }
  if (!isTime(t) || !isWriterId(writer)) throw new DecodeError("orphans", "a version is not a time and a writer");
  return { table, key: BigInt(key), t, writer };
}
