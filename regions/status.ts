import { type EpochsApart } from "../actors/epoch-rows.ts";
import { type LinkLoad } from "../actors/leader-protocol.ts";

/** Quantiles of the freshness lag over the last minutes, milliseconds; `count` rows. */
export interface LagQuantiles {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

/** One model on one node. What is not known yet is absent. */
export interface ModelStatus {
  readonly model: string;
  readonly rows: number;
  /** Of the rows of all shards, each apart. */
  readonly digest?: string;
  readonly samples: number;
  readonly auc?: number;
  readonly logLoss?: number;
  readonly calibration?: number;
  /** Messages of events and samples not learned from yet, and impressions that wait for feedback; on the training node only. */
  readonly backlog?: number;
  readonly pending?: number;
  /** Quality of parts of the samples: new users, new items, values of declared features. */
  readonly slices?: readonly SliceStatus[];
  /** A model that is trained anew on a schedule, judged on what came after, and the online one over about the same samples. */
  readonly baseline?: QualityStatus & { readonly atMs: number; readonly online: QualityStatus };
  /** Which epochs requests are answered as of, and its shards hold; absent while these agree. */
  readonly epochs?: EpochsApart;
  /** Steps of other trainers between a step's reading and its writing, in the mean; on the training node only. */
  readonly stepsLate?: number;
  readonly verdict: "healthy" | "uncertain" | "corrupted";
  readonly verdictCause?: string;
}

/** Quality over some samples. */
export interface QualityStatus {
  readonly samples: number;
  readonly auc?: number;
  readonly logLoss?: number;
  readonly calibration?: number;
}

/** One part of a model's samples. */
export interface SliceStatus extends QualityStatus {
  readonly slice: string;
}

export interface LinkStatus {
  readonly peer: string;
  readonly connected: boolean;
  readonly rttMs?: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** What this node's pulls make of the link; absent where it pulls nothing over it. */
  readonly pulls?: PullStatus;
}

/** The pulls of one node over one link. */
export type PullStatus = LinkLoad["pulls"];

export interface WorkerStatus {
  readonly name: string;
  readonly state: string;
  readonly restarts: number;
  readonly lastFailure?: string;
}

/** All that a region node says about itself: the body of `GET /status`. */
export interface NodeStatus {
  readonly region: string;
  readonly node: string;
  readonly version: string;
  readonly role: "training" | "serving";
  /** Which region trains, as far as this node has followed the region log, and after how many promotions. */
  readonly training?: { readonly region: string; readonly term: number };
  readonly upSeconds: number;
  readonly ready: boolean;
  /** Why it is not ready, or what is wrong though it is. */
  readonly problems: readonly string[];
  readonly models: readonly ModelStatus[];
  /** From the stamp at the primary to the merge here. Absent before the first row came. */
  readonly lagMs?: LagQuantiles;
  readonly links: readonly LinkStatus[];
  /** Events taken over HTTP since the start, and requests with events that were refused. */
  readonly events: { readonly accepted: number; readonly refused: number };
  readonly workers: readonly WorkerStatus[];
  readonly leaders: readonly { readonly model: string; readonly shard: number; readonly holder: string }[];
  readonly nats: { readonly version: string; readonly url: string; readonly jetstream: string };
}

/** The node actor, as far as HTTP asks it. */
export interface NodeProtocol {
  readonly status: { request: Record<string, never>; reply: NodeStatus };
  /** Whether this node can do its work. As cheap as a ping, however many rows there are, and soon answered though a worker is blocked. */
  readonly ready: { request: Record<string, never>; reply: Pick<NodeStatus, "ready" | "problems"> };
  /** Prometheus text of the whole node. */
  readonly metrics: { request: Record<string, never>; reply: string };
}
