/*
 * The port through which synchronisation sees rows, and nothing else of them. Columns instead of objects, so that a table in
 * WebAssembly memory can stand behind it; `test/row-store-conformance.ts` says what each implementation must do.
 */
import { type GradientSteps } from "./gradient-steps.ts";
import { type Precision } from "./precision.ts";
import { type Version, type WriterId } from "./version.ts";

/** One table of a shard. Its index in the declaration names it on the wire. */
export interface TableSpec {
  readonly name: string;
  /** Numbers in a row. For `bytes` tables, its length in bytes. */
  readonly dim: number;
  readonly valueBytes: number;
  /** Optimizer state of a row, whole floats; 0 for none. That of an f16 table begins with the exact numbers, `exactBytesOf` bytes. */
  readonly stateBytes: number;
  readonly precision: Precision;
  /** Opaque here; part of the declaration's digest, so that peers who learn differently do not exchange rows. */
  readonly optimizer: string;
}

/**
 * The most memory that a row takes in a region node's table, which is what a budget counts: a head of 24 bytes, values and state to whole eights, and of the index of keys 32. In a large
 * table that takes at most 22 where rows came a few at a time, and 27 where rows were deleted before it grew, or room for many was made at once.
 */
export function rowMemory({ valueBytes, stateBytes }: Pick<TableSpec, "valueBytes" | "stateBytes">): number {
  return 24 + 8 * Math.ceil((valueBytes + stateBytes) / 8) + 32;
}

/** So many rows tell what share of a table is older than what: a tenth of the rows is then found to within a tenth of it, a hundredth to within a third. */
export const SAMPLE_ROWS = 8192;

/** The row is deleted: its values are zero and readers do not find it. */
export const TOMBSTONE = 1;

/** Rows of one table in columns. `writers` are indexes of the store's dictionary (`writerIndex`). */
export interface RowBatch {
  readonly table: number;
  readonly keys: BigUint64Array;
  readonly t: Float64Array;
  readonly writers: Uint16Array;
  readonly flags: Uint8Array;
  /** rows * valueBytes */
  readonly values: Uint8Array;
  /** rows * stateBytes, where state is carried. */
  readonly state: Uint8Array | undefined;
}

/** One row as a local write sees it: a copy, zero when new. What the callback leaves in it is what will be stored. */
export interface RowEdit {
  readonly index: number;
  readonly key: bigint;
  readonly isNew: boolean;
  readonly bytes: Uint8Array;
  /** The same bytes as floats; empty in `bytes` tables. Those of an f16 table are exact: they are rounded when the row is stored. */
  readonly floats: Float32Array;
  /** The optimizer's state. Empty where the store holds none. */
  readonly state: Float32Array;
}

/** Changes a row in place. `skip` leaves the row as it was and takes no version; `delete` writes a tombstone. */
export type Mutate = (row: RowEdit) => void | "skip" | "delete";

/**
 * A place of a row, a whole number below 2^32 - 1 and otherwise opaque. Reused after its row was dropped, with another generation: a list names both, so it never sends the
 * row that came later in the place of one it listed.
 */
export type Slot = number;

export interface UpdateRequest {
  readonly table: number;
  readonly keys: BigUint64Array;
  /** Index of the local writer. */
  readonly writer: number;
  /** The t of the first row that is stamped; the second has the next, and so on. */
  readonly firstT: number;
  readonly mutate: Mutate;
}

/** As an update, by an optimizer's steps instead of a function. */
export interface LearnRequest extends Omit<UpdateRequest, "mutate"> {
  readonly steps: GradientSteps;
}

/** Rows in columns: where they lie, and the version that each was given. */
export interface SlotVersions {
  readonly slots: Float64Array;
  readonly t: Float64Array;
  /** Indexes of the store's dictionary. */
  readonly writers: Uint16Array;
}

/** Rows just stored. */
export interface StoredVersions extends SlotVersions {
  /** The version of each row before; t is 0 where there was none. */
  readonly before: Pick<SlotVersions, "t" | "writers">;
}

export interface UpdateOutcome extends StoredVersions {
  /** Those of the request, or a copy: nobody changes them. */
  readonly keys: BigUint64Array;
  /** Which of the request's keys these are: a key that stands there twice is there twice. */
  readonly indexes: Uint32Array;
  /** Rows left as they were because the result was not finite or would not have been the newest. */
  readonly refused: number;
  /** How many times were taken, from the first on: those of the rows, and those in vain. */
  readonly stamped: number;
}

export interface MergeOutcome extends StoredVersions {
  /** Indexes, in the batch, of the rows that were newer and are now stored. */
  readonly applied: Uint32Array;
  /** Rows whose version is known: held, superseded, deleted or come too late, so left out. */
  readonly ignored: number;
}

/** A row as `dropWhere` shows it: one object for all rows, to be read and not kept. */
export interface RowGlance {
  readonly table: number;
  readonly key: bigint;
  readonly t: number;
  /** Index of the writer. */
  readonly writer: number;
  readonly flags: number;
}

/** Which rows `dropWhere` shows: those of one table, those with t in (after, upTo], those that are deleted. All where nothing is said. */
export interface Among {
  readonly table?: number;
  readonly after?: number;
  readonly upTo?: number;
  readonly deleted?: boolean;
}

/** Rows of one table that were dropped, the slots they had and the versions. */
export interface DroppedRows extends SlotVersions {
  readonly table: number;
  readonly keys: BigUint64Array;
}

/** Keys of one table. */
export interface TableKeys {
  readonly table: number;
  readonly keys: BigUint64Array<ArrayBuffer>;
}

/**
 * Rows as they were at one moment, read piece by piece while writes go on: a row about to change that was not read yet is kept aside
 * first. One is open at a time. It knows the writers that the store knew at the moment.
 */
export interface FrozenRows {
  /** All rows, not only those that changed: asked for, or because too much was dropped to name it. */
  readonly whole: boolean;
  /** What was dropped since the last moment that was kept. A key may be back, and then it is among the rows too. Empty where all rows are. */
  readonly dropped: readonly TableKeys[];
  /**
   * Rows of one table, each once: at most as many as have so many bytes of values and state, and one at least; undefined when all were
   * given. Their columns are the store's, and good until it is asked for anything else.
   */
  next(bytesMax: number): RowBatch | undefined;
  /**
   * `kept`: what changes from this moment on counts as changed. `lost`: so does what had changed before it, as if there had been no such
   * moment. The rows are gone; closing twice does nothing.
   */
  close(outcome: "kept" | "lost"): void;
}

/** The rows that a knowledge lacks, frozen at one instant, grouped by table. Packing one that was released throws `RangeError`. */
export interface SlotList {
  readonly slots: Float64Array;
  readonly generations: Uint32Array;
  /** Positions [from, to) of each table present, in order of table. */
  readonly sections: readonly { readonly table: number; readonly from: number; readonly to: number }[];
}

/**
 * `known` columns are a knowledge by writer index: known[i] is the t up to which writer i is known; beyond its end, 0.
 * Methods throw `RangeError` on tables or columns that do not fit the declaration: that is a bug of the caller.
 */
export interface RowStore {
  /** As this store holds them: without state where it holds none. */
  readonly tables: readonly TableSpec[];
  /** As declared for all replicas, full and serving. */
  readonly declared: readonly TableSpec[];
  /** Whether optimizer state is held. Serving replicas hold values only. */
  readonly hasState: boolean;
  /** The dictionary of writers; only grows. */
  readonly writers: readonly WriterId[];
  /** The index of a writer, interned if new. Throws `StoreFull` beyond the bound. */
  writerIndex(writer: WriterId): number;
  /** Live rows of a table. */
  rows(table: number): number;
  /** Deleted rows of all tables that are still held. */
  readonly tombstones: number;
  /** Values of keys, zero where not found. */
  read(table: number, keys: BigUint64Array): { readonly found: Uint8Array; readonly values: Uint8Array };
  versionOf(table: number, key: bigint): Version | undefined;
  /** Where a row is that is held, deleted ones included. */
  slotOf(table: number, key: bigint): Slot | undefined;
  /** The version in a slot as (t, index of writer). */
  versionAt(slot: Slot): { readonly t: number; readonly writer: number };
  /** The versions of the rows in these slots; t is 0 where one is empty. */
  versionsAt(slots: Float64Array): SlotVersions;
  update(request: UpdateRequest): UpdateOutcome;
  /** Does what an update by `mutateBySteps` does, to the last bit; which key is stamped before another is the store's own matter. */
  learn(request: LearnRequest): UpdateOutcome;
  /**
   * Stores each row of a batch that is newer than what is held, and not known already. Repeating or reordering merges changes nothing in
   * the result.
   */
  merge(batch: RowBatch, known: Float64Array): MergeOutcome;
  /**
   * Rows of an image: as merged where nothing is known, but they do not count as changed. Room is made at once for as many `rows` as the table is
   * said to come to; 0 where nobody knows. Throws `RangeError` while rows are frozen.
   */
  load(batch: RowBatch, options: { readonly rows: number }): void;
  /** The rows ahead of a knowledge; where slots are given, each once, only those among them. Empty slots are passed over. */
  collect(known: Float64Array, among?: Float64Array): SlotList;
  /** The rows at positions [from, to) at their current versions, each once; dropped rows are left out. */
  pack(list: SlotList, range: { readonly from: number; readonly to: number }): RowBatch[];
  release(list: SlotList): void;
  /** Forgets the rows that are doomed, tombstones included, without a trace. The caller knows that they may not come back. To be shown few rows costs little. */
  dropWhere(isDoomed: (row: RowGlance) => boolean, among?: Among): DroppedRows[];
  /**
   * The t up to which so many live rows of a table lie, at least one: exactly in a table of up to `SAMPLE_ROWS` rows that were ever held at once, and in a larger one
   * by a sample of so many. 0 where there is none.
   */
  oldest(table: number, count: number): number;
  /** Forgets the rows of these keys, each of which stands there once, as far as they are there. */
  dropKeys(dropped: TableKeys): void;
  /** Rows written and keys dropped since the last moment that was kept; at the start, all. Some may count twice. */
  readonly changes: number;
  /** Freezes all rows, or those that changed since the last moment that was kept. Throws `RangeError` while others are frozen. Takes no time to speak of. */
  freeze(what: "all" | "changed"): FrozenRows;
  /** A hash of (table, key, version, values) of all rows: equal contents give equal text in whatever order they came. State is not in it. */
  digest(): string;
}

/** A bound of the store is reached. */
export class StoreFull extends Error {
  override readonly name = "StoreFull";

  constructor(what: string, max: number) {
    super(`Cannot hold more ${what}: ${max} is the limit`);
  }
}
