/*
 * How nodes find out what to pull: one pure state machine per node, over all its shards. It answers neighbours' polls
 * (poll-answers.ts), polls them (poll-neighbours.ts), and says which shard to pull from whom. It knows shards by name and
 * shard version only. A lost, late or repeated message never hides a changed shard:
 *   1. A cursor moves when the listed shards are noted as pending, not when they were sent.
 *   2. A shard stays pending until a pull of it, begun after it was noted, has completed.
 */
import { POLL_LIMITS, type PollLimits } from "../limits.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { type ChangesMessage, isShardName, type PollBody } from "../wire/poll.ts";
import { type ChangeList, createChangeList, noteChange, removeShard } from "./change-list.ts";
import { answerHeldPolls, answerPoll, type Asker, splitTimer, timeAsker } from "./poll-answers.ts";
import {
  addNeighbour,
  askFarther,
  type Neighbour,
  type NewNeighbour,
  type Pending,
  relist,
  removeNeighbour,
  takeChanges,
  timeNeighbour,
} from "./poll-neighbours.ts";
import { type Lane } from "./lanes.ts";
import { type LeaderOf, type PullRole } from "./poll-leaders.ts";
import { loosePull, noteFrame, noteStalled, runningPull, settlePull, startPulls, timePulls } from "./poll-pulls.ts";
import { endPulls, forgetStanding, reviewStanding, standSoon, timeStanding } from "./poll-standing.ts";
import { type Pulling } from "./pulling.ts";
import { type ShardVersion } from "./shard-version.ts";
import { type WriterId } from "./version.ts";

/** The state of one node's polling. */
export interface Poller {
  /** Of this start of the node. */
  readonly writer: WriterId;
  readonly limits: PollLimits;
  readonly changes: ChangeList;
  readonly askers: Map<string, Asker>;
  readonly neighbours: Map<string, Neighbour>;
  /** By link: what is to be pulled over it, and what the link bears. */
  readonly lanes: Map<string, Lane>;
  /** Asked at each pull, as a lease may be over at any moment. */
  readonly leaderOf: LeaderOf;
  /** Shards that other nodes of the region led when last noted. */
  readonly ledByOthers: Set<string>;
  /** Shard -> what is being pulled. One pull a shard at a time. */
  readonly pulling: Map<string, Pulling>;
  pullNumber: number;
  readonly drawPullId: () => string;
  /** Shard -> the start of it that told its version last. */
  readonly lives: Map<string, string | undefined>;
  /** Shard -> what waits until the shard's running pull, or its rest, has ended. */
  readonly blocked: Map<string, Set<Pending>>;
  /** Shards that were made level less than a gap ago: what is listed of them waits until that has passed. */
  readonly resting: Set<string>;
}

export type PollEvent =
  /**
   * A shard of this node has this version now; a shard is introduced by its first change. `life` names the start of the shard that tells it, where
   * shards start without their poller: another one may hold less than its former did, so no pull of that one counts, and everything is listed anew.
   */
  | { readonly kind: "changed"; readonly shard: string; readonly version: ShardVersion; readonly life?: string }
  | { readonly kind: "removed"; readonly shard: string }
  /** Start or stop polling a peer. `peer` is the address text under which its messages arrive; `isFar` that it is of another region. */
  | ({ readonly kind: "neighbour" } & NewNeighbour)
  | { readonly kind: "neighbour-removed"; readonly peer: string }
  /** `leaderOf` says another than before of this shard. */
  | { readonly kind: "led"; readonly shard: string }
  | { readonly kind: "message"; readonly from: string; readonly message: "poll" | "changes"; readonly body: unknown }
  /** Every `pull` effect must be answered by one of these, of the same id, unless the shard starts again meanwhile. */
  | {
      readonly kind: "pulled";
      readonly shard: string;
      readonly pullId: string;
      readonly outcome: "complete" | "failed";
      /** It brought something, or had stood, and now both have the same. */
      readonly isLevel?: boolean;
    }
  /** A frame of a shard's pull was applied: its size, and how many the whole answer has. */
  | {
      readonly kind: "frame";
      readonly shard: string;
      readonly pullId: string;
      readonly bytes: number;
      readonly frames: number;
    }
  /** A shard's pull asks again for what did not come. */
  | { readonly kind: "stalled"; readonly shard: string; readonly pullId: string }
  | { readonly kind: "timer"; readonly name: string };

export type PollEffect =
  | { readonly kind: "send"; readonly to: string; readonly message: "poll"; readonly body: PollBody }
  | { readonly kind: "send"; readonly to: string; readonly message: "changes"; readonly body: ChangesMessage | number }
  /** Timers are never cancelled; stale ones do nothing. */
  | { readonly kind: "timer"; readonly name: string; readonly delayMs: number }
  /** Pull a shard; `burst` bytes of the answer may come unasked. What is told of a pull, either way, names it: shard and poller live apart. */
  | {
      readonly kind: "pull";
      readonly pullId: string;
      readonly peer: string;
      readonly shard: string;
      readonly role: PullRole;
      readonly burst: number;
      /** It is to stand with the peer. */
      readonly stands?: boolean;
    }
  /** The shard's standing pull is to be answered now. */
  | { readonly kind: "hurry"; readonly shard: string; readonly pullId: string }
  /** The shard's pull may ask for `upTo` frames in all. */
  | { readonly kind: "grant"; readonly shard: string; readonly pullId: string; readonly upTo: number }
  /** The shard's pull, if it still runs, is to end. Its end is told as any other. */
  | { readonly kind: "give-up"; readonly shard: string; readonly pullId: string }
  /** A peer has more of this shard, and the shard's leader is to bring it. */
  | { readonly kind: "left"; readonly peer: string; readonly shard: string }
  | {
      readonly kind: "refused";
      readonly reason: "undecodable" | "full" | "stale";
      readonly from: string;
      readonly detail: string;
    };

/** A poller of a node that has started. Ids of pulls differ from all others ever drawn, as of `drawPullId` of protocols/wire. Without `leaderOf` no shard has a leader. */
export function createPoller(
  writer: WriterId,
  drawPullId: () => string,
  limits: PollLimits = POLL_LIMITS,
  leaderOf: LeaderOf = () => undefined,
): Poller {
  return {
    writer,
    limits,
    leaderOf,
    ledByOthers: new Set(),
    changes: createChangeList(),
    askers: new Map(),
    neighbours: new Map(),
    lanes: new Map(),
    pulling: new Map(),
    pullNumber: 0,
    drawPullId,
    lives: new Map(),
    blocked: new Map(),
    resting: new Set(),
  };
}

/**
 * Takes one event and returns what is to be done, in order. The time is of a clock that never jumps, and serves to measure links and their
 * budgets only: where it stands still, windows stay as they began.
 */
export function stepPoller(poller: Poller, event: PollEvent, nowMs = 0): PollEffect[] {
  switch (event.kind) {
    case "changed": {
      const isNew = !poller.changes.byShard.has(event.shard);
      if (isNew && !isShardName(event.shard)) {
        throw new RangeError(
          `Cannot poll for a shard named ${JSON.stringify(event.shard)}: use lower-case letters, digits and _ . / -`,
        );
      }
      noteChange(poller.changes, event);
      const answered = answerHeldPolls(poller);
      if (!isNew && poller.lives.get(event.shard) === event.life) return answered;
      poller.lives.set(event.shard, event.life);
      return [...answered, ...loosePull(poller, event.shard), ...relist(poller), ...startPulls(poller, nowMs)];
    }
    case "removed":
      removeShard(poller.changes, event.shard);
      poller.ledByOthers.delete(event.shard);
      poller.lives.delete(event.shard);
      return forgetStanding(poller, event.shard);
    case "neighbour":
      return addNeighbour(poller, event, nowMs);
    case "neighbour-removed":
      removeNeighbour(poller, event.peer);
      return endPulls(poller, event.peer);
    case "led":
      return [...reviewStanding(poller, event.shard), ...askFarther(poller, event.shard), ...startPulls(poller, nowMs)];
    case "pulled": {
      const pulling = runningPull(poller, event);
      if (pulling === undefined) return [];
      const effects = [...settlePull(poller, pulling, event.outcome), ...startPulls(poller, nowMs)];
      if (event.isLevel !== true) return effects;
      return [...effects, ...standSoon(poller, pulling.pending, nowMs)];
    }
    case "frame":
      return joined(noteFrame(poller, event, nowMs), startPulls(poller, nowMs));
    case "stalled":
      noteStalled(poller, event);
      return [];
    case "timer": {
      const timer = splitTimer(event.name);
      const told = joined(timeAsker(poller, timer), timeNeighbour(poller, timer));
      const timed = joined(timePulls(poller, timer, nowMs), timeStanding(poller, timer, nowMs));
      return joined(joined(told, timed), startPulls(poller, nowMs));
    }
    case "message":
      try {
        return event.message === "poll"
          ? answerPoll(poller, event)
          : joined(takeChanges(poller, event), startPulls(poller, nowMs));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        return [{ kind: "refused", reason: "undecodable", from: event.from, detail: error.message }];
      }
  }
}

/** One after the other; most parts of most steps have no effect. */
function joined(first: PollEffect[], second: PollEffect[]): PollEffect[] {
  if (second.length === 0) return first;
  return first.length === 0 ? second : [...first, ...second];
}

/** How many shards wait for a pull or are being pulled, over all neighbours. */
export function pendingCount(poller: Poller): number {
  let count = 0;
  for (const { pending } of poller.neighbours.values()) count += pending.size;
  return count;
}
