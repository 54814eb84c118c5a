import { type ColdOptions } from "./cold-rows.ts";
import { type Scratch } from "./scratch.ts";

/** Which tables need not have all their rows' contents in memory, and where the others are. */
export interface ColdTables extends Omit<ColdOptions, "bytes" | "file"> {
  /** By table: bytes of contents in memory; all are where it has none. */
  readonly bytes: readonly (number | undefined)[];
  readonly scratch: Scratch;
}

/** What that says of one of them. */
export function coldOptions(cold: ColdTables | undefined, table: number): ColdOptions | undefined {
  const bytes = cold?.bytes[table];
  if (cold === undefined || bytes === undefined) return undefined;
  const { scratch, ...options } = cold;
  return { ...options, bytes, file: scratch.open(`table-${table}`) };
}
