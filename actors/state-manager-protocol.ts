import { type Member, type NodeName } from "../protocols/model-state/members.ts";
import { type LogRead, type LogTurn } from "../protocols/model-state/log-follower.ts";
import { type RegionLogState } from "../protocols/model-state/region-log.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { type ProgressiveMetrics } from "../protocols/learning/progressive-metrics.ts";
import { type Slices } from "../protocols/learning/quality-slices.ts";
import { type Outcome } from "../runtime/actor.ts";
import { type AppendOutcome } from "../runtime/stream-protocol.ts";
import { type QualityPoint } from "../protocols/learning/quality-history.ts";
import { type FoundLog, type GoingOn } from "./later-epoch.ts";
import { type ModelSummary } from "./watched-model.ts";

export interface MembersReply {
  /** Of the log's entry that changed the members last; 0 before the first. */
  readonly number: number;
  readonly training: string;
  /** All that the log ever called a member, in order of name. */
  readonly members: readonly Member[];
}

/** Who trains, as far as this node has followed the log. */
export interface TrainingReply extends Pick<Role, "training" | "term" | "next"> {
  /** What a promotion that runs waits for, where this node knows. */
  readonly waitsFor?: string;
  /** What a promotion that was just forced loses, as far as this node knows. */
  readonly loses?: string;
}

/** What a region's shards hold, for a region that is to go on in its place. */
export interface Standing {
  /** The regions whose events it could join. */
  readonly regions: readonly string[];
  /** Whether its shards hold optimizer state and it has a trainer. */
  readonly mayTrain: boolean;
  /** The promotion by which it hands over now; absent when it does not, as far as it knows. */
  readonly handsOver?: number;
  /** `content` is there for shards whose images have all that was learned up to the message that was asked about, and not more. */
  readonly shards: readonly { readonly name: string; readonly durable: number; readonly content?: string }[];
}

export interface StateManagerProtocol {
  /** A trainer's metrics since its last report. */
  readonly progress: {
    request: {
      readonly model: string;
      readonly trainer: string;
      readonly window: ProgressiveMetrics;
      /** The same of parts of the samples, since they were told last. */
      readonly slices: Slices;
    };
    reply: void;
  };
  /** How a model that was trained anew, on what was there before, predicted the samples that came since it was told last. */
  readonly baseline: { request: { readonly model: string; readonly measured: ProgressiveMetrics }; reply: void };
  readonly summary: {
    request: Record<string, never>;
    reply: {
      readonly models: readonly ModelSummary[];
      readonly training: string;
      readonly term: number;
      /** Of its copy of the log. */
      readonly epoch: number;
      /** Whether this node makes samples and learns. */
      readonly trains: boolean;
      readonly regions: readonly string[];
      readonly applied: number;
    };
  };
  /** Quality by window, of all samples of each model and of their slices; `nowMs` is on the same clock. */
  readonly quality: { request: Record<string, never>; reply: QualityReply };
  /** Who is a member, as far as this node has followed the log. */
  readonly members: { request: Record<string, never>; reply: MembersReply };
  /**
   * Has the log say that a node is a member, or none any longer; answered once the log has it, or had before. Refused outside of the
   * region that trains, as no other can append.
   */
  readonly "change-member": {
    request: NodeName & { readonly act: "add" | "retire" };
    reply: MembersReply | { readonly refused: string };
  };
  readonly training: { request: Record<string, never>; reply: TrainingReply };
  /** Has another region train; answered once the log says so, or with why it is not to. The region takes over when it holds all, or by force what it has. */
  readonly promote: {
    request: {
      readonly region: string;
      /** Without asking the region that trains, which does not answer. Only at the node that is to train. */
      readonly force?: boolean;
    };
    reply: TrainingReply | { readonly refused: string };
  };
  /** Asked by another region's state manager, with the last message of the stream of samples; 0 for none. */
  readonly standing: { request: { readonly seal: number }; reply: Standing };
  // To itself.
  /** The next turn of reading the log, or what became of one. */
  readonly follow: { request: { readonly ended?: FollowTurn }; reply: void };
  /** Whether a region has a log of a later epoch, and that log in place of ours. */
  readonly look: { request: { readonly outcome?: Outcome<FoundLog | undefined> }; reply: void };
  readonly adopted: { request: { readonly from: string; readonly outcome: Outcome<RegionLogState> }; reply: void };
  /** Copying the samples, while another region trains. */
  readonly "follow-samples": { request: { readonly outcome?: Outcome<void> }; reply: void };
  /** The region that a forced promotion is without has answered, or not; and what is here instead. */
  readonly "force-checked": {
    request: { readonly force: boolean; readonly lost: string; readonly outcome: Outcome<ForceCheck> };
    reply: void;
  };
  readonly judge: { request: Record<string, never>; reply: void };
  readonly "close-window": { request: Record<string, never>; reply: void };
  readonly appended: { request: { readonly outcome: Outcome<AppendOutcome> }; reply: void };
  /** Tells the actors of this node what they have to do. */
  readonly "tell-role": { request: Record<string, never>; reply: void };
  /** The region that is to train has answered, or not. */
  readonly checked: { request: { readonly region: string; readonly outcome: Outcome<Standing> }; reply: void };
  readonly "took-over": { request: { readonly term: number; readonly outcome: Outcome<void> }; reply: void };
}

export interface QualityReply {
  readonly nowMs: number;
  readonly windowMs: number;
  readonly models: readonly {
    readonly model: string;
    readonly series: readonly { readonly name: string; readonly points: readonly QualityPoint[] }[];
  }[];
}

/** What a forced promotion is decided by: why the lost region does not answer, absent where it does; and what is here in its place. */
export interface ForceCheck {
  readonly silent: string | undefined;
  readonly own: GoingOn;
}

/** What a turn of reading the log brought; nothing where it copied a part of it to the own stream. */
export interface FollowTurn {
  readonly turn: LogTurn;
  readonly outcome: Outcome<LogRead | undefined>;
}
