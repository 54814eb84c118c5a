import { type ModelDeclaration } from "../protocols/model.ts";
import { type Address } from "../runtime/actor.ts";
import { type TraceConfig } from "./step-trace.ts";

/** What a replica of a shard is told when it starts. */
export interface ShardConfig {
  readonly region: string;
  readonly node: string;
  readonly model: ModelDeclaration;
  readonly shard: number;
  /** The name under which nodes speak of this shard, and under which its image lies. */
  readonly name: string;
  /**
   * The primary's replica, until the shard is told of another region: it is told of rows that are left early here. Where that is this
   * replica, no gradients are taken before the role is told.
   */
  readonly primaryAt: Address;
  /** Full replicas hold optimizer state and may become primary; others hold values only. */
  readonly full: boolean;
  readonly leader: Address;
  readonly files: Address;
  /** A folder of its own, for rows of tables that are not all in memory. Whatever is there when it starts goes. */
  readonly scratch?: string;
  readonly snapshotMs: number;
  /** Versions further ahead of our clock are refused. */
  readonly jumpMs: number;
  /** How long urgent rows may hold an ordinary pull back on a congested link. */
  readonly urgentHoldMs: number;
  /** After this long, and at most twice as long, a row left early is reported to the primary. */
  readonly orphanMs: number;
  /** The operator's own function for which updates are urgent (urgency-scores.ts). */
  readonly scorer?: Address;
  /** For whoever replays what this replica did. */
  readonly trace?: TraceConfig;
}
