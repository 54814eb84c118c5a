import { type Recommendation, type Recommendations, type RecommendRequest } from "../actors/inference.ts";
import {
  type MembersReply,
  type QualityReply,
  type StateManagerProtocol,
  type TrainingReply,
} from "../actors/state-manager-protocol.ts";
import { type Logger, type Metrics } from "../runtime/actor.ts";
import { type AppendOutcome } from "../runtime/stream-protocol.ts";
import { type NodeStatus } from "./status.ts";

interface Waiting {
  readonly signal: AbortSignal;
}

/** Everything that the HTTP interface reaches. Each call rejects with `AskFailed` when there is no answer in time. */
export interface HttpPorts {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Wall clock, milliseconds since the epoch. */
  nowMs(): number;
  /** An id that no other request has. */
  requestId(): string;
  /** Stores a JSON list of events; one with a `msgId` that was stored in the last minutes is stored once. */
  append(body: Uint8Array, options: Waiting & { readonly msgId?: string }): Promise<AppendOutcome>;
  recommend(model: string, request: RecommendRequest, options: Waiting): Promise<Recommendations>;
  popular(model: string, k: number, options: Waiting): Promise<readonly Recommendation[]>;
  status(options: Waiting): Promise<NodeStatus>;
  /** Cheap, however many rows there are. */
  ready(options: Waiting): Promise<Pick<NodeStatus, "ready" | "problems">>;
  quality(options: Waiting): Promise<QualityReply>;
  members(options: Waiting): Promise<MembersReply>;
  /** Resolves once the region log has it, or with why it is not to have it. */
  changeMember(
    change: StateManagerProtocol["change-member"]["request"],
    options: Waiting,
  ): Promise<StateManagerProtocol["change-member"]["reply"]>;
  training(options: Waiting): Promise<TrainingReply>;
  /** Resolves once the region log has it, or with why it is not to have it. */
  promote(
    request: StateManagerProtocol["promote"]["request"],
    options: Waiting,
  ): Promise<StateManagerProtocol["promote"]["reply"]>;
  /** Prometheus text. */
  prometheus(options: Waiting): Promise<string>;
}

/** How the HTTP interface is set up. Data: it crosses to the worker. */
export interface HttpOptions {
  readonly region: string;
  /** Names of the models; the first answers a request that names none. */
  readonly models: readonly string[];
  /** SHA-256 of the bearer token, hexadecimal. The token itself stays with the supervisor. Absent: no token is asked for. */
  readonly tokenSha256?: string;
  readonly bodyBytesMax: number;
  /** Absent: no limit. */
  readonly requestsPerSecond?: number;
  readonly deadlineMs: number;
  /** Whether only this machine can connect; then a Host header that names another is refused, as a rebound DNS name would send it. */
  readonly loopback: boolean;
}

/** Fixed limits of the HTTP interface. */
export const HTTP_LIMITS = {
  /** Path and query. */
  urlCharsMax: 8_192,
  queryFieldsMax: 160,
  kMax: 100,
  kDefault: 10,
  problemsMax: 100,
  /** Events of one request as they are stored, in one message: below what a nats-server takes as a message. */
  storedBytesMax: 1_000_000,
  inFlightMax: 512,
  connectionsMax: 1_024,
  headersWithinMs: 5_000,
  requestWithinMs: 15_000,
  appendWithinMs: 5_000,
  /** More than the node takes to give up on a worker that is blocked. */
  statusWithinMs: 3_000,
  memberBytesMax: 1_000,
  memberWithinMs: 10_000,
  readyWithinMs: 900,
  /** What an inference replica may be late before the list at hand is the answer. */
  graceMs: 20,
  impressionsMax: 20_000,
  popularEveryMs: 1_000,
} as const;
