/*
 * A frame: some rows of one answer, in columns. Little-endian; "varint" as in bytes.ts; "text" is a varint length and ASCII.
 *
 *   offset  size        what
 *   0       2           magic 0x46 0x72 ("Fr")
 *   2       1           layout version, 2
 *   3       1           flags: bit 0 rows carry optimizer state, bit 1 last frame of the answer, bit 2 urgent rows, bit 3 the
 *                       answer replaces what its asker holds, bit 4 positions at the end; others 0
 *   4       8           digest of the declaration of the tables
 *   12      16          pull id: the question this answers
 *   28      text        responder: the writer id of the answering process
 *           varint      number of the answer, counted by the responder from 1
 *           varint      index of this frame, from 0
 *           varint      frames of the answer; bit 1 of the flags is set exactly when index + 1 = frames
 *                       (with bit 2, instead of these two: varint, the number in the responder's urgent list up to which it reaches)
 *           varint      W, writers in the dictionary, each used by a row of this frame, in order of first use
 *           W texts     writer ids
 *           varint      T, table sections, each with at least one row, table indexes strictly rising
 *           T times:
 *             varint    table
 *             varint    R, rows
 *             varint    bytes of a row's values, at least 1
 *             varint    bytes of a row's state, 0 without bit 0 of the flags
 *             R * 8     keys
 *             varint    the smallest t, at least 1
 *             R varints t of each row less the smallest
 *             0, R, 2R  writers as indexes of the dictionary: nothing when W = 1, one byte each when W <= 256, else two
 *             1         0: all flags of the rows are 0; 1: a column follows, not all zero
 *             0 or R    flags of the rows
 *             R * v     values
 *             R * s     state
 *           last frame only:
 *             horizon   that the responder held at the instant of the answer:
 *               in an epoch E above 0: varint 2^53 - 2^20 + E, and S is not 0
 *               varint    settled time S, 0 for none
 *               unless 0  varint settled time before it, less than S; then the graveyard, as a knowledge: each t beyond
 *                         the former and up to S
 *               varint    N, tables that have expired; N times: varint table, strictly rising; varint t, at least 1
 *             varint    E, entries of the responder's knowledge then
 *             E times   text writer id, strictly rising; varint t, beyond S
 *             varint    counter of the shard version at that instant
 *             text      its generator
 *             1         1 when the responder held early rows, else 0
 *             with bit 4 of the flags: varint A, trainers, at least 1; A times: text name, strictly rising; varint its highest batch at that instant
 *   end-4   4           CRC-32C of all bytes before
 *
 * A frame of urgent rows has no place in the answer that it comes with: it completes nothing, never is the last, replaces nothing, and may be
 * empty.
 *
 * Canonical: one meaning has one encoding, and the decoder refuses any other. Decoding allocates less than twice the input.
 */
import { type Horizon } from "../sync/horizon.ts";
import { type ReadonlyKnowledge } from "../sync/knowledge.ts";
import { type RowBatch } from "../sync/row-store.ts";
import { type ShardVersion } from "../sync/shard-version.ts";
import { type WriterId } from "../sync/version.ts";

export const FRAME_MAGIC = [0x46, 0x72] as const;
export const FRAME_VERSION = 2;
/** Where the flags lie. */
export const FLAGS_AT = 3;
export const FLAG_STATE = 1;
export const FLAG_LAST = 2;
export const FLAG_URGENT = 4;
export const FLAG_REPLACES = 8;
export const FLAG_POSITIONS = 16;

/** Which answer a frame belongs to. Frames of different answers are never counted together. */
export interface AnswerId {
  readonly responder: WriterId;
  readonly number: number;
}

/** What the last frame closes an answer with: taken at the same instant as the list of rows. */
export interface AnswerEnd {
  readonly knowledge: ReadonlyKnowledge;
  readonly horizon: Horizon;
  readonly version: ShardVersion;
  readonly early: boolean;
  /** Trainer -> highest batch in what the knowledge covers; empty in an answer without state. */
  readonly applied: ReadonlyMap<string, number>;
}

/** Rows of one table; `writers` are indexes of the frame's own dictionary. Values and state share memory with the decoded bytes. */
export interface FrameSection extends RowBatch {
  readonly valueBytes: number;
  readonly stateBytes: number;
}

export interface Frame {
  /** Sixteen hex digits. */
  readonly declaration: string;
  /** Thirty-two hex digits. */
  readonly pullId: string;
  readonly answer: AnswerId;
  /** Both 0 for a frame of urgent rows. */
  readonly index: number;
  readonly frames: number;
  /** For a frame of urgent rows: the number in the responder's urgent list up to which it reaches. */
  readonly urgent: number | undefined;
  readonly hasState: boolean;
  /** The answer is a full copy, in place of what its asker holds. The same on all its frames. */
  readonly replaces: boolean;
  readonly writers: readonly WriterId[];
  readonly sections: readonly FrameSection[];
  /** Present exactly on the last frame. */
  readonly end: AnswerEnd | undefined;
}

/** Whether two ids name one answer. */
export function sameAnswer(a: AnswerId, b: AnswerId): boolean {
  return a.responder === b.responder && a.number === b.number;
}
