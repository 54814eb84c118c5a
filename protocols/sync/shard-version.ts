/*
 * A shard version changes whenever the shard does, so that a poll can skip unchanged shards. If s1 covers s2, then the
 * knowledge behind s1 dominates that behind s2, and no row behind s2 is missing behind s1.
 */
import { DecodeError } from "../wire/decode-error.ts";
import { isWriterId, type WriterId } from "./version.ts";

/** `generator` is the writer id of the start that made it; its counters only grow. */
export interface ShardVersion {
  readonly counter: number;
  readonly generator: WriterId;
}

/** Whether who has `a` need not pull from who has `b`. */
export function coversVersion(a: ShardVersion, b: ShardVersion): boolean {
  return a.generator === b.generator && a.counter >= b.counter;
}

export function sameVersion(a: ShardVersion, b: ShardVersion): boolean {
  return a.generator === b.generator && a.counter === b.counter;
}

/** The greater of two versions of the same content, in an order that all replicas share: both sides of a pair choose the same. */
export function greaterVersion(a: ShardVersion, b: ShardVersion): ShardVersion {
  if (a.generator !== b.generator) return a.generator > b.generator ? a : b;
  return a.counter >= b.counter ? a : b;
}

/** What one merge did, as the adoption rule sees it. */
export interface MergeSummary {
  readonly ours: ShardVersion;
  readonly peers: ShardVersion;
  /** Both knowledges, ours taken after the merge, are the same and no row is early on either side: the contents are equal. */
  readonly equalNow: boolean;
  /** Something changed here: knowledge grew, or a row was applied. */
  readonly changed: boolean;
}

/**
 * What becomes of our shard version. Equal contents after a change take the peer's; equal contents all along take the greater
 * of both (each taking the other's, they would swap for ever); any other change needs a new one.
 */
export function versionAfterMerge(merge: MergeSummary): ShardVersion | "new" {
  if (merge.equalNow) return merge.changed ? merge.peers : greaterVersion(merge.ours, merge.peers);
  return merge.changed ? "new" : merge.ours;
}

/** Reads `{counter, generator}`; throws `DecodeError`. */
export function parseShardVersion(value: unknown): ShardVersion {
  if (typeof value !== "object" || value === null || !("counter" in value) || !("generator" in value)) {
    throw new DecodeError("shard version", "it is not an object with counter and generator");
  }
  const { counter, generator } = value;
  if (typeof counter !== "number" || !Number.isSafeInteger(counter) || counter < 1) {
    throw new DecodeError("shard version", "its counter is not a whole number from 1");
  }
  if (!isWriterId(generator)) throw new DecodeError("shard version", "its generator is no writer id");
  return { counter, generator };
}
