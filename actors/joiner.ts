/*
 * Joins every region's impressions and feedback into labelled samples, and publishes them with its positions in one message
 * (protocols/learning/joiner-resume.ts), appended only if nobody else appended: two joiners at once cannot both publish. When training
 * moves, the last message says so and the stream goes on elsewhere: that fences this region, whatever its processes know or forget.
 */
import { type ResumedJoiner } from "../protocols/learning/joiner-resume.ts";
import { type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { type Address, defineActor, type Outcome } from "../runtime/actor.ts";
import { type StreamMessage } from "../runtime/stream-protocol.ts";
import { createJoining } from "./joining.ts";

export interface JoinerConfig {
  readonly region: string;
  readonly stream: Address;
  /** All regions whose events are joined. */
  readonly sources: readonly string[];
  /** Kinds of feedback that make a positive; others are stored, and counted here. */
  readonly positive: readonly string[];
  /** Ids of all trainers that learn from the samples. */
  readonly trainers: readonly string[];
  readonly options: JoinerOptions;
}

export interface JoinerStatus {
  readonly published: number;
  readonly pending: number;
  /** Messages of events not joined yet, over all sources that could be read. */
  readonly backlog: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface JoinerProtocol {
  /** What this node's region has to do. Told again and again; nothing is joined before the first. */
  readonly role: { request: Role; reply: void };
  readonly status: { request: Record<string, never>; reply: JoinerStatus };
  /** A trainer needs the stream of samples from here on. */
  readonly needed: { request: { readonly trainer: string; readonly from: number }; reply: void };
  // To itself.
  readonly begin: { request: Record<string, never>; reply: void };
  readonly begun: { request: { readonly outcome: Outcome<Beginning> }; reply: void };
  readonly arrived: { request: { readonly source: string; readonly outcome: Outcome<Arrival> }; reply: void };
  readonly read: { request: { readonly source: string }; reply: void };
  readonly published: { request: { readonly outcome: Outcome<number>; readonly batch: SampleBatch }; reply: void };
  readonly purged: { request: { readonly outcome: Outcome<{ readonly purged: number }> }; reply: void };
  readonly tick: { request: Record<string, never>; reply: void };
}

/** What the stream of samples tells of the joiner before. */
export interface Beginning {
  readonly resumed: ResumedJoiner;
  readonly lastSeq: number;
  readonly isEnded: boolean;
}

/** A part of one region's events. */
export interface Arrival {
  readonly messages: readonly StreamMessage[];
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** The joiner of a region that trains, or may have to. */
export const joiner = defineActor<JoinerProtocol, JoinerConfig>({
  kind: "joiner",
  messages: ["role", "status", "needed", "begin", "begun", "arrived", "read", "published", "purged", "tick"],
  fromElsewhere: ["status"],
  setup: (config, context) => {
    const joining = createJoining(config, context);
    return {
      handlers: {
        role: (role) => joining.takeRole(role),
        status: () => joining.status(),
        needed: ({ trainer, from }) => joining.needed(trainer, from),
        purged: ({ outcome }) => joining.purged(outcome),
        begin: () => joining.begin(),
        begun: ({ outcome }) => joining.begun(outcome),
        read: ({ source }) => joining.read(source),
        arrived: ({ source, outcome }) => joining.arrived(source, outcome),
        published: ({ outcome, batch }) => joining.published(outcome, batch),
        tick: () => joining.tick(),
      },
    };
  },
});
