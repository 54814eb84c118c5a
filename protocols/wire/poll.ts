/*
 * The two messages of the poll between nodes, in JSON, and their checks.
 */
import { POLL_LIMITS } from "../limits.ts";
import { parseShardVersion, type ShardVersion } from "../sync/shard-version.ts";
import { isWriterId, type WriterId } from "../sync/version.ts";
import { DecodeError } from "./decode-error.ts";
import { isCount, record } from "./json-fields.ts";

/** A place in a node's list of changes: all up to `change` are noted. Means nothing to another start of that node. */
export interface Cursor {
  readonly writer: WriterId;
  readonly change: number;
}

/** "Which shards changed after this?" Without a cursor: all of them. May be held back up to `waitMs`. Travels as `PollBody`. */
export interface PollMessage {
  readonly pollId: number;
  readonly cursor?: Cursor;
  readonly waitMs: number;
}

/** Most links are idle most of the time, so a poll is short: id, wait, and the cursor's change and writer. */
export type PollBody =
  | readonly [pollId: number, waitMs: number]
  | readonly [pollId: number, waitMs: number, change: number, writer: WriterId];

/**
 * Changed shards, oldest change first; `cursor` is where the next poll goes on, `more` that there is more already. Where nothing has changed the
 * id travels alone, as a number; `cursor` is then absent: the next poll goes on from the same.
 */
export interface ChangesMessage {
  readonly pollId: number;
  readonly cursor?: Cursor;
  readonly more: boolean;
  readonly shards: readonly ShardChange[];
}

export interface ShardChange extends ShardVersion {
  readonly shard: string;
}

/** Whether a text can name a shard in polls. */
export function isShardName(value: unknown): value is string {
  return (
    typeof value === "string" && value.length <= POLL_LIMITS.shardNameCharsMax && /^[a-z0-9][a-z0-9_./-]*$/.test(value)
  );
}

export function encodePoll({ pollId, waitMs, cursor }: PollMessage): PollBody {
  return cursor === undefined ? [pollId, waitMs] : [pollId, waitMs, cursor.change, cursor.writer];
}

/** Throws `DecodeError`, as `parseChanges` does. */
export function parsePoll(value: unknown): PollMessage {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [];
  if (parts.length !== 2 && parts.length !== 4) throw new DecodeError("poll", "it is not a list of two or four");
  const [pollId, waitMs, change, writer] = parts;
  if (!isCount(pollId)) throw new DecodeError("poll", "its id is not a whole number");
  if (!isCount(waitMs) || waitMs > POLL_LIMITS.waitMs) {
    throw new DecodeError("poll", `waitMs is not a whole number up to ${POLL_LIMITS.waitMs}`);
  }
  return parts.length === 2 ? { pollId, waitMs } : { pollId, waitMs, cursor: parseCursor("poll", { writer, change }) };
}

export function parseChanges(value: unknown): ChangesMessage {
  if (isCount(value)) return { pollId: value, more: false, shards: [] };
  const { pollId, cursor, more, shards } = record("changes", value);
  if (!isCount(pollId)) throw new DecodeError("changes", "its id is not a whole number");
  if (typeof more !== "boolean") throw new DecodeError("changes", "more is not true or false");
  if (!Array.isArray(shards) || shards.length > POLL_LIMITS.changesMax) {
    throw new DecodeError("changes", `shards is not a list of up to ${POLL_LIMITS.changesMax}`);
  }
  return { pollId, cursor: parseCursor("changes", cursor), more, shards: shards.map(parseShardChange) };
}

function parseShardChange(value: unknown): ShardChange {
  const { shard } = record("changes", value);
  if (!isShardName(shard)) throw new DecodeError("changes", "a shard's name is malformed");
  const { counter, generator } = parseShardVersion(value);
  return { shard, counter, generator };
}

function parseCursor(what: string, value: unknown): Cursor {
  const { writer, change } = record(what, value);
  if (!isWriterId(writer) || !isCount(change)) throw new DecodeError(what, "its cursor is not {writer, change}");
  return { writer, change };
}
