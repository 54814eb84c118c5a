/*
 * The control messages of a pull, in JSON, and their checks. Frames are binary (frame.ts).
 */
import { SYNC_LIMITS } from "../limits.ts";
import { type Known } from "../sync/horizon.ts";
import { knowledgeToJson, parseKnowledge } from "../sync/knowledge.ts";
import { parseShardVersion, type ShardVersion } from "../sync/shard-version.ts";
import { type UrgentCursor } from "../sync/urgent-rows.ts";
import { isWriterId, type WriterId } from "../sync/version.ts";
import { HEX } from "./bytes.ts";
import { DecodeError } from "./decode-error.ts";
import { type AnswerId } from "./frame.ts";
import { isCount, isDeclaration, record } from "./json-fields.ts";
import { epochIn, timeOf } from "./survey.ts";

/** "Send me what I lack." Repeated under the same id until the first frame arrives. */
export interface PullMessage {
  readonly pullId: string;
  readonly declaration: string;
  readonly wantsState: boolean;
  /** All up to this t is known of every writer of this epoch, 0 when absent, and all of earlier ones'; the entries of the knowledge say what is known beyond. */
  readonly settled: number;
  readonly epoch?: number;
  readonly knowledge: readonly (readonly [WriterId, number])[];
  /** Something is held that came too late: if your horizon is later than ours, send a copy of everything. */
  readonly wantsCopy?: boolean;
  /** Urgent rows up to here were applied. */
  readonly urgent?: UrgentCursor;
  /** Bytes of the answer that may come unasked: at least one frame comes, no larger than this. Without it a window of whole frames. */
  readonly burst?: number;
  /** It may stand: answer when your shard has a version that this one, its asker's, does not cover. */
  readonly stands?: ShardVersion;
}

/** A pull that was read. */
export type ParsedPull = Omit<PullMessage, "knowledge" | "epoch"> & Known;

/** "Send these frames of that answer", for the first time or again; for no frames: "send urgent rows, or say that there are none". */
export interface MoreMessage {
  readonly pullId: string;
  readonly answer: AnswerId;
  readonly frames: readonly number[];
  readonly urgent?: UrgentCursor;
}

/** "I have it all, or want no more of it"; without an answer, of a pull that stands: "I wait no longer". */
export interface ReleaseMessage {
  readonly pullId: string;
  readonly answer?: AnswerId;
}

/** Why a pull is not answered. `gone`: that answer is no longer held; start over. `serving`: no optimizer state here. */
export type PullRefusal = "declaration" | "serving" | "gone" | "full";

export interface RefuseMessage {
  readonly pullId: string;
  readonly reason: PullRefusal;
}

/** Thirty-two hex digits from a source of uniform numbers in [0, 1): names one pull among all pulls ever. */
export function drawPullId(random: () => number): string {
  let id = "";
  for (let word = 0; word < 4; word += 1) {
    const drawn = Math.floor(random() * 0x1_0000_0000);
    for (let shift = 24; shift >= 0; shift -= 8) id += HEX[(drawn >>> shift) & 0xff] ?? "";
  }
  return id;
}

export function buildPull(pull: ParsedPull): PullMessage {
  const { pullId, declaration, wantsState, settled, wantsCopy, burst, urgent, stands, epoch, knowledge } = pull;
  // Field by field: every pull comes by here, and objects that are spread into others take several times as long.
  const message: Partial<Writable<PullMessage>> = { pullId, declaration, wantsState, settled };
  if (wantsCopy !== undefined) message.wantsCopy = wantsCopy;
  if (burst !== undefined) message.burst = burst;
  if (urgent !== undefined) message.urgent = urgent;
  if (stands !== undefined) message.stands = stands;
  if (epoch > 0) message.epoch = epoch;
  return { ...message, pullId, declaration, wantsState, settled, knowledge: knowledgeToJson(knowledge) };
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/** Throws `DecodeError`, as all of these do, on anything that is not the message. */
export function parsePull(value: unknown): ParsedPull {
  const fields = record("pull", value);
  const { declaration, wantsState } = fields;
  if (!isDeclaration(declaration)) {
    throw new DecodeError("pull", "its declaration is not sixteen hex digits");
  }
  if (typeof wantsState !== "boolean") throw new DecodeError("pull", "wantsState is not true or false");
  const { burst, wantsCopy } = fields;
  if (wantsCopy !== undefined && wantsCopy !== true) throw new DecodeError("pull", "wantsCopy is there and not true");
  if (burst !== undefined && !isCount(burst, 1)) {
    throw new DecodeError("pull", "its burst is not a whole number from 1");
  }
  return {
    pullId: pullIdOf("pull", fields),
    declaration,
    wantsState,
    epoch: epochIn("pull", fields),
    settled: timeOf("pull", fields["settled"]),
    knowledge: parseKnowledge(fields["knowledge"]),
    ...(wantsCopy !== undefined && { wantsCopy }),
    ...(burst !== undefined && { burst }),
    ...urgentOf("pull", fields),
    ...standingOf(fields),
  };
}

export function parseMore(value: unknown): MoreMessage {
  const fields = record("more", value);
  const { frames } = fields;
  if (!Array.isArray(frames) || frames.length > SYNC_LIMITS.windowFrames) {
    throw new DecodeError("more", `frames is not a list of up to ${SYNC_LIMITS.windowFrames}`);
  }
  const wanted = frames.map((frame: unknown) => {
    if (!isCount(frame)) throw new DecodeError("more", "a frame is not a whole number");
    return frame;
  });
  return {
    pullId: pullIdOf("more", fields),
    answer: answerOf("more", fields),
    frames: wanted,
    ...urgentOf("more", fields),
  };
}

export function parseRelease(value: unknown): ReleaseMessage {
  const fields = record("release", value);
  return {
    pullId: pullIdOf("release", fields),
    ...(fields["answer"] !== undefined && { answer: answerOf("release", fields) }),
  };
}

export function parseRefuse(value: unknown): RefuseMessage {
  const fields = record("refuse", value);
  const { reason } = fields;
  if (reason !== "declaration" && reason !== "serving" && reason !== "gone" && reason !== "full") {
    throw new DecodeError("refuse", "its reason is unknown");
  }
  return { pullId: pullIdOf("refuse", fields), reason };
}

function pullIdOf(what: string, fields: Readonly<Record<string, unknown>>): string {
  const id = fields["pullId"];
  if (typeof id !== "string" || !/^[0-9a-f]{32}$/.test(id)) {
    throw new DecodeError(what, "its pull id is not thirty-two hex digits");
  }
  return id;
}

function answerOf(what: string, fields: Readonly<Record<string, unknown>>): AnswerId {
  const { responder, number } = record(what, fields["answer"]);
  if (!isWriterId(responder) || !isCount(number, 1)) {
    throw new DecodeError(what, "its answer is not {responder, number}");
  }
  return { responder, number };
}

function standingOf(fields: Readonly<Record<string, unknown>>): { readonly stands?: ShardVersion } {
  return fields["stands"] === undefined ? {} : { stands: parseShardVersion(fields["stands"]) };
}

function urgentOf(what: string, fields: Readonly<Record<string, unknown>>): { readonly urgent?: UrgentCursor } {
  if (fields["urgent"] === undefined) return {};
  const { writer, number } = record(what, fields["urgent"]);
  if (!isWriterId(writer) || !isCount(number)) {
    throw new DecodeError(what, "its urgent cursor is not {writer, number}");
  }
  return { urgent: { writer, number } };
}
