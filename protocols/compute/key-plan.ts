/*
 * From the texts that the samples of a batch have to the distinct keys of a table, by shard. The reference is protocols/learning/training-batch.ts; whoever does
 * it otherwise gives the same keys in the same order.
 */
import { type RowChoice } from "./pooling.ts";

/** The distinct keys of one table in a batch, those of a shard side by side, and which of them each sample has. */
export interface BatchKeys extends RowChoice {
  readonly keys: BigUint64Array<ArrayBuffer>;
  /** By shard: where its keys begin; one more, the end of the last. */
  readonly shardStarts: readonly number[];
}

/** Texts, and which of them each sample has (protocols/columns/text-column.ts). */
export interface KeyTexts {
  /** How many texts there are. */
  readonly values: number;
  /** Of each, in UTF-16 units, in so many bytes. */
  readonly lengths: Uint8Array;
  readonly lengthBytes: number;
  /** One after the other, of one byte each or two. */
  readonly units: Uint8Array;
  readonly isWide: boolean;
  /** Bits (protocols/columns/column-head.ts). */
  readonly gaps: Uint8Array | undefined;
  readonly runs: Uint8Array | undefined;
}

/** What the keys of a table are made of of which each sample has one: columns of samples, some after others. */
export interface TableTexts {
  /** The shard of a key depends on it too. */
  readonly table: number;
  readonly parts: readonly {
    readonly size: number;
    /** Without, each sample has the empty text. */
    readonly column: KeyTexts | undefined;
  }[];
}

/** Plans the keys of some tables of one batch. What it gives is the caller's. */
export type PlanKeys = (tables: readonly TableTexts[], shards: number) => readonly BatchKeys[];
