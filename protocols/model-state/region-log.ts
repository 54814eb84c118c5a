/*
 * The log that every region follows: who is a member, which region trains, and what was found of each model. It lies in the training
 * region's stream, is appended to by compare-and-set, and the same entries give the same state wherever they are replayed. When
 * training moves the log moves with it, under the same numbers (role.ts).
 */
import { EPOCH_MAX } from "../limits.ts";
import { isToken } from "../subjects.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { changeMember, type Members, type NodeName } from "./members.ts";
import { type Verdict } from "./verdict.ts";
import { readJson } from "../read-json.ts";

/** Which regions there are, and which of them trains. Replaces what was said before. */
export interface MembershipEntry {
  readonly kind: "membership";
  readonly atMs: number;
  readonly regions: readonly string[];
  readonly training: string;
}

/** A model's verdict changed. */
export interface VerdictEntry {
  readonly kind: "verdict";
  readonly atMs: number;
  readonly model: string;
  readonly from: Verdict;
  readonly to: Verdict;
  /** The figure that caused it and what it was held against, for people. */
  readonly cause: string;
}

/** A node becomes a member, or is one no longer. */
export interface MemberEntry extends NodeName {
  readonly kind: "member";
  readonly atMs: number;
  readonly act: "add" | "retire";
}

/** Training is to move. Counts only as the next promotion after the last one has ended. */
export interface PromoteEntry {
  readonly kind: "promote";
  readonly atMs: number;
  readonly to: string;
  /** 1 for the first promotion, and one more for each after it. */
  readonly term: number;
  /** Forced: the old region was not asked, and what it writes from now on is of an earlier epoch. Counts also while another promotion runs. */
  readonly epoch?: number;
}

/** The region of the promotion of this term has taken over: it trains. */
export interface TrainingEntry {
  readonly kind: "training";
  readonly atMs: number;
  readonly region: string;
  readonly term: number;
}

export type LogEntry = MembershipEntry | VerdictEntry | MemberEntry | PromoteEntry | TrainingEntry;

/** What the log says so far. */
export interface RegionLogState {
  /** The last entry's sequence; 0 before the first. */
  readonly applied: number;
  readonly membership?: MembershipEntry;
  /** The last promotion and the number of its entry. It runs until `training` is of its term. */
  readonly promotion?: PromoteEntry & { readonly seq: number };
  /** Of the last forced promotion. */
  readonly epoch?: number;
  readonly training?: TrainingEntry;
  readonly members: Members;
  readonly verdicts: ReadonlyMap<string, VerdictEntry>;
}

export const EMPTY_LOG: RegionLogState = { applied: 0, members: new Map(), verdicts: new Map() };

/** The state after one more entry. Entries at or below `applied` change nothing. */
export function applyEntry(state: RegionLogState, seq: number, entry: LogEntry): RegionLogState {
  if (seq <= state.applied) return state;
  switch (entry.kind) {
    case "membership":
      return { ...state, applied: seq, membership: entry };
    case "member":
      return { ...state, applied: seq, members: changeMember(state.members, { ...entry, seq }) };
    case "verdict":
      return { ...state, applied: seq, verdicts: new Map(state.verdicts).set(entry.model, entry) };
    case "promote": {
      const { promotion, training } = state;
      const isNext = entry.term === (promotion?.term ?? 0) + 1;
      const { epoch } = entry;
      const counts = isNext && (epoch === undefined ? promotion?.term === training?.term : epoch > epochOfLog(state));
      if (!counts) return { ...state, applied: seq };
      return { ...state, applied: seq, promotion: { ...entry, seq }, ...(epoch !== undefined && { epoch }) };
    }
    case "training": {
      const { promotion, training } = state;
      const counts = promotion?.term === entry.term && promotion.to === entry.region && training?.term !== entry.term;
      return { ...state, applied: seq, ...(counts ? { training: entry } : {}) };
    }
  }
}

/** The state after one more message of the log; absent where it cannot be read. */
export function applyMessage(
  state: RegionLogState,
  { seq, body }: { readonly seq: number; readonly body: Uint8Array },
): RegionLogState | undefined {
  try {
    return applyEntry(state, seq, decodeEntry(body));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undefined;
  }
}

/** Whether a promotion, or its end, would be one as the log's next entry. Every other entry counts. */
export function wouldCount(state: RegionLogState, entry: LogEntry): boolean {
  const next = applyEntry(state, state.applied + 1, entry);
  if (entry.kind === "promote") return next.promotion !== state.promotion;
  return entry.kind !== "training" || next.training !== state.training;
}

/** How often training was taken by force, as far as the log says: the log of a later epoch is the true one. */
export function epochOfLog({ epoch }: RegionLogState): number {
  return epoch ?? 0;
}

/** How far a log has come: its epoch, and its last entry. */
export interface LogExtent {
  readonly epoch: number;
  readonly last: number;
}

export function extentOf(log: RegionLogState): LogExtent {
  return { epoch: epochOfLog(log), last: log.applied };
}

/** Whether a log has come as far as another: it is of a later epoch, or of that one and as long. */
export function reaches(extent: LogExtent, other: LogExtent): boolean {
  return extent.epoch === other.epoch ? extent.last >= other.last : extent.epoch > other.epoch;
}

/** An entry that cannot be read: it is passed over, by every region alike. */
export function skipEntry(state: RegionLogState, seq: number): RegionLogState {
  return seq <= state.applied ? state : { ...state, applied: seq };
}

export function encodeEntry(entry: LogEntry): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(entry));
}

/** Decodes or throws `DecodeError`. */
export function decodeEntry(bytes: Uint8Array): LogEntry {
  const parsed = readJson(WHAT, bytes);
  if (typeof parsed !== "object" || parsed === null) throw new DecodeError(WHAT, "it is no object");
  const fields = new Map<string, unknown>(Object.entries(parsed));
  const given = fields.get("atMs");
  if (typeof given !== "number" || !Number.isFinite(given)) throw new DecodeError(WHAT, "atMs is no number");
  // JSON can say -0, in many ways, but never writes it: adding 0 makes it the plain one.
  const atMs = given + 0;
  if (fields.get("kind") === "membership") {
    const [regions, training] = [fields.get("regions"), fields.get("training")];
    if (!Array.isArray(regions) || !regions.every((each) => typeof each === "string" && isToken(each))) {
      throw new DecodeError(WHAT, "regions is no list of names");
    }
    if (typeof training !== "string" || !regions.includes(training)) {
      throw new DecodeError(WHAT, "training is no region of the list");
    }
    return { kind: "membership", atMs, regions: regions.map(String), training };
  }
  if (fields.get("kind") === "member") {
    const [act, region, node] = [fields.get("act"), fields.get("region"), fields.get("node")];
    if ((act !== "add" && act !== "retire") || !isName(region) || !isName(node)) {
      throw new DecodeError(WHAT, "a change of members lacks a field");
    }
    return { kind: "member", atMs, act, region, node };
  }
  if (fields.get("kind") === "promote") {
    const [to, term] = [fields.get("to"), fields.get("term")];
    if (!isName(to) || !isTerm(term)) throw new DecodeError(WHAT, "a promotion lacks a field");
    const epoch = fields.get("epoch");
    if (epoch === undefined) return { kind: "promote", atMs, to, term };
    if (!isEpoch(epoch)) throw new DecodeError(WHAT, "a promotion's epoch is no epoch");
    return { kind: "promote", atMs, to, term, epoch };
  }
  if (fields.get("kind") === "training") {
    const [region, term] = [fields.get("region"), fields.get("term")];
    if (!isName(region) || !isTerm(term)) throw new DecodeError(WHAT, "a start of training lacks a field");
    return { kind: "training", atMs, region, term };
  }
  if (fields.get("kind") !== "verdict") throw new DecodeError(WHAT, "its kind is unknown");
  const [model, from, to, cause] = [fields.get("model"), fields.get("from"), fields.get("to"), fields.get("cause")];
  if (typeof model !== "string" || !isToken(model) || !isVerdict(from) || !isVerdict(to) || typeof cause !== "string") {
    throw new DecodeError(WHAT, "a verdict lacks a field");
  }
  return { kind: "verdict", atMs, model, from, to, cause };
}

const WHAT = "an entry of the region log";

function isName(value: unknown): value is string {
  return typeof value === "string" && isToken(value);
}

function isTerm(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function isEpoch(value: unknown): value is number {
  return isTerm(value) && value <= EPOCH_MAX;
}

function isVerdict(value: unknown): value is Verdict {
  return value === "healthy" || value === "uncertain" || value === "corrupted";
}
