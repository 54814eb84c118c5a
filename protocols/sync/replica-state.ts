import { type SyncLimits } from "../limits.ts";
import {
  type PullMessage,
  type MoreMessage,
  type ParsedPull,
  type PullRefusal,
  type RefuseMessage,
  type ReleaseMessage,
} from "../wire/pull.ts";
import { type Orphan, type OrphansMessage } from "../wire/orphans.ts";
import { type AnswerEnd, type AnswerId, type Frame } from "../wire/frame.ts";
import { type ReportMessage, type SurveyMessage } from "../wire/survey.ts";
import { type GradientSteps } from "./gradient-steps.ts";
import { type Horizon } from "./horizon.ts";
import { type Knowledge } from "./knowledge.ts";
import { type Mutate, type RowStore, type SlotList } from "./row-store.ts";
import { type HeldSurvey, type Survey } from "./settling.ts";
import { type SlotSet } from "./slot-set.ts";
import { type ShardVersion } from "./shard-version.ts";
import { type Stamper } from "./stamper.ts";
import { type UpdateCache } from "./update-cache.ts";
import { type UrgentCursor, type UrgentList } from "./urgent-rows.ts";
import { type WriterId } from "./version.ts";

/** The whole state of one shard replica. Owned by replica.ts and its parts; others read. */
export interface Replica {
  readonly store: RowStore;
  readonly limits: SyncLimits;
  /** Of this start, and of the epoch in which this replica became primary (epoch.ts). */
  writer: WriterId;
  /** The writer's index in the store's dictionary. */
  self: number;
  readonly declaration: string;
  /** Entries beyond the settled time of the horizon; up to that, all is known of every writer. */
  readonly knowledge: Knowledge;
  horizon: Horizon;
  /** The epoch of the horizon that this one follows, where that was held here; else its own, and who holds an earlier epoch's takes a copy. */
  follows: number;
  /**
   * Peers with a horizon for which something here came too late: a pull from one of them asks for a copy of everything. Another cannot give it, and would be
   * asked in vain as often as it is that one's turn.
   */
  readonly copyFrom: Set<string>;
  /** What the primary has asked the members about; nobody else has one. */
  survey: Survey | undefined;
  /** Rounds of questions that this start has begun. No two have one number, also where it is the primary twice: late reports of the first time say nothing now. */
  rounds: number;
  /** What the primary asked while a pull of ours ran. */
  asked: HeldSurvey | undefined;
  readonly stamper: Stamper;
  /** Of versions that this start made; only grows, whatever was adopted. */
  counter: number;
  version: ShardVersion;
  /** Slots whose row is ahead of knowledge. */
  readonly early: SlotSet;
  /** What changed lately. Its `counts` say what pulls cost. */
  readonly cache: UpdateCache;
  /** Trainer -> highest batch applied; at who pulls, what the knowledge holds of the primary's (positions.ts). */
  readonly applied: Map<string, number>;
  /** By asker and pull id, least recently used first. */
  readonly answers: Map<string, OpenAnswer>;
  answersOpened: number;
  /** A sweep over the answers is due. */
  isSweeping: boolean;
  /** By asker: its pull that stands here, the longest kept first. */
  readonly held: Map<string, ParsedPull>;
  /** By asker: its pulls that were over last, the latest first (over-pulls.ts). */
  readonly over: Map<string, readonly string[]>;
  pull: OwnPull | undefined;
  /** By peer: where the next pull goes on, if the answer is still open there. */
  readonly unfinished: Map<string, UnfinishedPull>;
  /** By peer, until a pull of it is complete: the last one that ended for want of more, and how many times as long it is waited for. */
  readonly slow: Map<string, { readonly pullId: string | undefined; readonly patience: number }>;
  /** What travels before all else. */
  readonly urgent: UrgentList;
  /** Peer -> how far into its urgent list we are, for at most `CURSORS_MAX` peers. */
  readonly cursors: Map<string, UrgentCursor>;
  /** Unknown: rows left early stay so. */
  primary: Primary | undefined;
  readonly orphans: OrphanWatch;
  /** What a primary that pulls from nobody did not know when it asked last, by table and key. */
  strays: ReadonlyMap<string, Orphan>;
}

/** Who takes the shard's writes, and is told of rows left early: a peer, or this replica. */
export type Primary = { readonly kind: "peer"; readonly peer: string } | { readonly kind: "self" };

/** What the sweeps over early rows remember. */
export interface OrphanWatch {
  isWatching: boolean;
  /** Early at the last sweep, by table and key. */
  noted: Map<string, Orphan>;
  /** Written anew, as the primary, since the last sweep. */
  settled: number;
}

/** An answer being sent: everything but the rows' contents was fixed at one instant. */
export interface OpenAnswer {
  readonly to: string;
  readonly pullId: string;
  readonly id: AnswerId;
  readonly list: SlotList;
  /** Frame i has positions [cuts[i], cuts[i + 1]) of the list. */
  readonly cuts: readonly number[];
  readonly hasState: boolean;
  /** It lists everything, in place of all that its asker holds. */
  readonly replaces: boolean;
  /** The asker's knowledge, as a column by writer index. */
  readonly known: Float64Array;
  end: AnswerEnd;
  /** The frame with the end was sent. */
  isEnded: boolean;
  /** Asked for since the last sweep. */
  used: boolean;
}

/** Our one running pull. */
export interface OwnPull {
  readonly peer: string;
  readonly pullId: string;
  /** The id under which its answer was opened: its own, or that of the pull that it goes on with. */
  asksAs: string;
  /** Bytes that may come unasked. Without it the pull paces itself: so many frames in flight. */
  readonly burst: number | undefined;
  /** Bytes that its answer is asked to begin with: the burst, or a little where it has to be asked for again. */
  opening: number | undefined;
  /** It began as one that stands. */
  readonly stood: boolean;
  /** Its peer answers when it has more than we; nothing is missed meanwhile. */
  isStanding: boolean;
  /** With a burst: so many frames may be asked for in all, of the answer and of the rest of one before it. */
  upTo: number;
  /** Frames that it brought of an answer before the one that it asks for now. */
  before: number;
  /** The answer taken up with its first frame; frames of any other are ignored. */
  answer: ReceivedAnswer | undefined;
  /** Frames of an answer that replaces: kept until all are there. */
  staged: Frame[];
  /** The bytes that these came in. */
  stagedBytes: number;
  /** Rows applied so far. */
  rows: number;
  /** A frame came since the timer last fired. */
  progress: boolean;
  /** It once did not. */
  congested: boolean;
  /** Frames in flight: halved where nothing comes for long, so that urgent rows queue behind few others; one more with each that comes. */
  window: number;
  /** `on`: no ordinary frame is asked for, while urgent rows come. `over`: that was long enough for this pull. */
  hold: "off" | "on" | "over";
  /** The hold's time is running. */
  holdTimed: boolean;
  /** For each small answer that is due, the first asked for first: so many frames were asked for before it, and what of these it comes without is lost. */
  probed: number[];
  retries: number;
}

export interface ReceivedAnswer {
  readonly id: AnswerId;
  /** Which frames were applied. */
  readonly received: Uint8Array;
  /** Which frames this pull is to bring, in that order: all, or those that the pull before did not. */
  readonly left: Uint32Array | undefined;
  receivedCount: number;
  /** Of the frames to bring, the first so many were asked for. */
  asked: number;
  /** The round in which it was told, nothing having come since, that more may be on its way (settling.ts). */
  toldIn: string | undefined;
  end: AnswerEnd | undefined;
}

/** What came of an answer before its pull failed for want of more. */
export interface UnfinishedPull {
  readonly asksAs: string;
  readonly answer: ReceivedAnswer;
  readonly staged: Frame[];
  readonly stagedBytes: number;
}

/** Local changes to rows of one table: by a function, by an optimizer's steps, or by whole rows that replace what was there. */
export type TableWrite = RowChanges & ({ readonly mutate: Mutate } | { readonly steps: GradientSteps } | WholeRows);

/** A column as in a batch. What replaces a row has no optimizer state: it starts as a row does that came from a replica without any. */
export interface WholeRows {
  readonly values: Uint8Array;
}

interface RowChanges {
  readonly table: number;
  readonly keys: BigUint64Array;
  /** Whether the row at this index of `keys`, which was just written, is urgent. Default: none is. */
  readonly isUrgent?: (index: number) => boolean;
}

export type ReplicaMessage = "pull" | "more" | "release" | "refuse" | "frame" | "orphans" | "survey" | "report";

export type ReplicaEvent =
  /** Stamps and stores. A batch at or below its trainer's highest is left out whole: effect once. */
  | {
      readonly kind: "write";
      readonly writes: readonly TableWrite[];
      readonly batch?: { readonly trainer: string; readonly id: number };
    }
  /** Start a pull from a peer. `pullId` is fresh from `drawPullId`. One runs at a time. */
  | {
      readonly kind: "pull";
      readonly peer: string;
      readonly pullId: string;
      readonly burst?: number;
      /** Leave it standing with the peer, who has what we have. */
      readonly stands?: boolean;
    }
  /** The peer of our pull, if it is this one and it stands, is to answer now. */
  | { readonly kind: "hurry"; readonly pullId: string }
  /** Our running pull, if it is this one, may ask for so many frames in all. */
  | { readonly kind: "grant"; readonly pullId: string; readonly upTo: number }
  /** Our running pull is to end, if it is this one. */
  | { readonly kind: "give-up"; readonly pullId: string }
  | { readonly kind: "message"; readonly from: string; readonly message: ReplicaMessage; readonly body: unknown }
  /** At the primary, now and then: move the settled time if there is cause, and ask the members, all but ourselves, where they stand. */
  | {
      readonly kind: "settle";
      readonly members: readonly string[];
      /** We pull from nobody. */
      readonly isAloof?: boolean;
      /** Fresh from `drawPullId`, for a pull all the same, should our disk have been lost. */
      readonly pullId: string;
      /** The epoch of our role, which may not be held here: to be had from a member, or begun with this writer, who was never used and is of it. */
      readonly begins?: { readonly epoch: number; readonly writer: WriterId };
    }
  /** At the primary: a table has more rows than this, and those written longest ago are to go. */
  | { readonly kind: "evict"; readonly table: number; readonly rowsMax: number }
  /** These rows of a table, which were written a moment ago, are urgent. One that is gone by now is passed over. */
  | { readonly kind: "urge"; readonly table: number; readonly keys: BigUint64Array }
  /** At the primary: rows of a table stamped before this t are gone. */
  | { readonly kind: "expire"; readonly table: number; readonly before: number }
  /**
   * Another replica is to write no more, and this one is to go on in its place: takes its trainers' positions, if the rows are the same.
   * Rows that differ, by one version or one row, refuse it, and what `contentOf` gives besides.
   */
  | { readonly kind: "succeed"; readonly content: string; readonly applied: ReadonlyMap<string, number> }
  /**
   * This replica goes on as the primary, in this epoch at least. `writer` was never used, and is of the epoch. In an epoch that is new here all
   * that earlier ones' writers stamped and this replica does not hold is refused for ever.
   */
  | { readonly kind: "lead"; readonly epoch: number; readonly writer: WriterId }
  /** A timer asked for by an effect of this name has run out. Timers are never cancelled; stale ones do nothing. */
  | { readonly kind: "timer"; readonly name: string };

/** Why something was not taken. All but `stale` deserve a look. */
export type Refusal =
  | "undecodable" // bytes or message are not what they claim
  | "declaration" // the peer's tables differ from ours
  | "state" // optimizer state is missing, or there where none was asked for
  | "not-finite" // NaN or infinity in an f32 table
  | "time" // a t too far ahead, or no t left to stamp
  | "minted" // versions in our name that we never wrote
  | "full" // a bound is reached
  | "differs" // rows are not those of the replica to be succeeded
  | "epoch" // another primary writes in a later epoch, and this replica knows it
  | "stale"; // of another pull, answer or peer: late or repeated, and harmless

/** Why a pull failed. */
export type PullFailure = PullRefusal | "busy" | "no-answer" | "given-up" | "behind";

export type SendEffect =
  | { readonly kind: "send"; readonly to: string; readonly message: "pull"; readonly body: PullMessage }
  | { readonly kind: "send"; readonly to: string; readonly message: "more"; readonly body: MoreMessage }
  | { readonly kind: "send"; readonly to: string; readonly message: "release"; readonly body: ReleaseMessage }
  | { readonly kind: "send"; readonly to: string; readonly message: "refuse"; readonly body: RefuseMessage }
  | { readonly kind: "send"; readonly to: string; readonly message: "survey"; readonly body: SurveyMessage }
  | { readonly kind: "send"; readonly to: string; readonly message: "report"; readonly body: ReportMessage }
  | { readonly kind: "send"; readonly to: string; readonly message: "orphans"; readonly body: OrphansMessage }
  | { readonly kind: "send"; readonly to: string; readonly message: "frame"; readonly body: Uint8Array<ArrayBuffer> };

export type ReplicaEffect =
  | SendEffect
  | { readonly kind: "timer"; readonly name: string; readonly delayMs: number }
  /** An image of now must be on disk before anything of what follows is done, or before any other event is taken; else this life must end. */
  | { readonly kind: "save" }
  /** The shard has this version now. */
  | { readonly kind: "changed"; readonly version: ShardVersion }
  | {
      readonly kind: "pulled";
      readonly peer: string;
      readonly pullId: string;
      readonly outcome: "complete";
      readonly rows: number;
      /** It brought something, or had stood, and now we have the version of our peer. */
      readonly isLevel: boolean;
    }
  | {
      readonly kind: "pulled";
      readonly peer: string;
      readonly pullId: string;
      readonly outcome: "failed";
      readonly reason: PullFailure;
    }
  /** A frame of our pull was applied; in all it is to bring so many, as far as is known. 0: it was one of urgent rows, which are not of the answer. */
  | { readonly kind: "frame"; readonly pullId: string; readonly bytes: number; readonly frames: number }
  /** Our pull asks again for what did not come. */
  | { readonly kind: "stalled"; readonly pullId: string }
  /** These rows are visible now. `urgent` ones came ahead of the rest; an `orphan` was written anew, by us as the primary. */
  | {
      readonly kind: "applied";
      readonly table: number;
      readonly keys: BigUint64Array;
      readonly t: Float64Array;
      readonly origin: "local" | "peer" | "urgent" | "orphan";
    }
  | {
      readonly kind: "written";
      readonly rows: number;
      readonly refused: number;
      readonly urgent: number;
      readonly duplicate: boolean;
    }
  /** These rows were taken out: they are not there now, or as a full copy had them. */
  | { readonly kind: "dropped"; readonly table: number; readonly keys: BigUint64Array }
  | { readonly kind: "refused"; readonly reason: Refusal; readonly from: string | undefined; readonly detail: string };
