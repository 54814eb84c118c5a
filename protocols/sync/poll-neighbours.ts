/*
 * Polling neighbours, and the shards pending from them.
 */
import { hashText } from "../keys.ts";
import { type Cursor, encodePoll, parseChanges } from "../wire/poll.ts";
import { type PollEffect, type Poller } from "./poll.ts";
import { noteLeader, restMs, timeLeft } from "./poll-leaders.ts";
import { type Lane, laneOf, makeReady, unready } from "./lanes.ts";
import { type PollTimer } from "./poll-answers.ts";
import { type ShardVersion } from "./shard-version.ts";

/** A peer that we poll. */
export interface Neighbour {
  readonly peer: string;
  /** Of another region. */
  readonly isFar: boolean;
  /** Of the link by which it is reached. */
  readonly lane: Lane;
  /** All up to here is noted. Absent: list everything. */
  cursor: Cursor | undefined;
  /** All that it had when this start first polled it is noted. */
  isListed: boolean;
  /** How many times it was polled. */
  polls: number;
  /** Id of the latest poll; only its answer counts. */
  pollId: number;
  /** Whether that poll is still to be answered. */
  asked: boolean;
  readonly pending: Map<string, Pending>;
}

/** A shard of which a neighbour may know more than we. */
export interface Pending {
  readonly peer: string;
  readonly shard: string;
  readonly lane: Lane;
  /** The neighbour's when it was last listed. */
  version: ShardVersion;
  /** Listed again since the running pull began: that pull may have been answered before. */
  again: boolean;
  /** Failures in a row. */
  failures: number;
  /** Pulls in a row that lasted too long and gave way to another peer. */
  abandons: number;
  /** How often a better peer was asked in its place. */
  passes: number;
  /** Its answer was seen to be long. */
  isLong: boolean;
  /** The version that is left to the shard's leader to bring, while it is. */
  left: ShardVersion | undefined;
  /** How often it was left; tells its timers apart. */
  leaves: number;
  /** The leader did not bring it in time. */
  isOverdue: boolean;
}

/** A peer to poll. `link` names the link by which it is reached, its own by default; `bytesPerSecond` is that link's byte budget. */
export interface NewNeighbour {
  readonly peer: string;
  readonly isFar?: boolean;
  readonly link?: string;
  readonly bytesPerSecond?: number | undefined;
}

export function addNeighbour(
  poller: Poller,
  { peer, isFar = false, link = peer, bytesPerSecond }: NewNeighbour,
  nowMs: number,
): PollEffect[] {
  if (poller.neighbours.has(peer)) return [];
  const lane = laneOf(poller, { link, bytesPerSecond, nowMs });
  const neighbour: Neighbour = {
    peer,
    isFar,
    lane,
    cursor: undefined,
    isListed: false,
    polls: 0,
    pollId: 0,
    asked: false,
    pending: new Map(),
  };
  poller.neighbours.set(peer, neighbour);
  return sendPoll(poller, neighbour);
}

/** Its pulls are ended apart. */
export function removeNeighbour(poller: Poller, peer: string): void {
  const neighbour = poller.neighbours.get(peer);
  if (neighbour === undefined) return;
  poller.neighbours.delete(peer);
  for (const pending of neighbour.pending.values()) {
    unready(pending);
    poller.blocked.get(pending.shard)?.delete(pending);
  }
}

/** A shard is new here, or started again from an older image: what neighbours listed of it before does not count, so they list everything again. */
export function relist(poller: Poller): PollEffect[] {
  return [...poller.neighbours.values()].flatMap((neighbour) => {
    if (neighbour.cursor === undefined) return [];
    neighbour.cursor = undefined;
    neighbour.isListed = false;
    return sendPoll(poller, neighbour);
  });
}

/** Another leads a shard now. Neighbours of other regions that were not to be asked yet may have to be. */
export function askFarther(poller: Poller, shard: string): PollEffect[] {
  return noteLeader(poller, shard).flatMap((neighbour) => sendPoll(poller, neighbour));
}

/** Notes what a neighbour lists, then moves the cursor, then asks on. */
export function takeChanges(
  poller: Poller,
  { from, body }: { readonly from: string; readonly body: unknown },
): PollEffect[] {
  const { pollId, cursor, more, shards } = parseChanges(body);
  const neighbour = poller.neighbours.get(from);
  if (neighbour === undefined || !neighbour.asked || neighbour.pollId !== pollId) {
    return [{ kind: "refused", reason: "stale", from, detail: "changes that answer no open poll" }];
  }
  for (const { shard, counter, generator } of shards) {
    notePending(poller, neighbour, { shard, version: { counter, generator } });
  }
  neighbour.cursor = cursor ?? neighbour.cursor;
  neighbour.asked = false;
  if (more) return sendPoll(poller, neighbour);
  neighbour.isListed = true;
  // A neighbour that answers nothing at once must not make us ask without pause.
  const delayMs = Math.max(restMs(poller, neighbour), shards.length > 0 ? 0 : poller.limits.gapMs);
  return delayMs === 0 ? sendPoll(poller, neighbour) : [{ kind: "timer", name: `ask ${pollId} ${from}`, delayMs }];
}

export function timeNeighbour(poller: Poller, { what, turn, rest }: PollTimer): PollEffect[] {
  if (what === "retry" || what === "left") {
    const end = rest.indexOf(" ");
    const pending = poller.neighbours.get(rest.slice(end + 1))?.pending.get(rest.slice(0, end));
    if (what === "retry" && pending?.failures === turn) makeReady(poller, pending);
    if (what === "left" && pending?.leaves === turn) timeLeft(poller, pending);
    return [];
  }
  const neighbour = poller.neighbours.get(rest);
  if (neighbour === undefined || neighbour.pollId !== turn) return [];
  if ((what === "poll" && neighbour.asked) || (what === "ask" && !neighbour.asked)) return sendPoll(poller, neighbour);
  return [];
}

function notePending(
  poller: Poller,
  neighbour: Neighbour,
  { shard, version }: { shard: string; version: ShardVersion },
): void {
  if (!poller.changes.byShard.has(shard)) return;
  const held = neighbour.pending.get(shard);
  if (held !== undefined) {
    held.version = version;
    held.again = true;
    return;
  }
  const pending = createPending(neighbour, { shard, version });
  neighbour.pending.set(shard, pending);
  makeReady(poller, pending);
}

export function createPending(
  { peer, lane }: Neighbour,
  { shard, version }: { readonly shard: string; readonly version: ShardVersion },
): Pending {
  return {
    peer,
    shard,
    lane,
    version,
    again: false,
    failures: 0,
    abandons: 0,
    passes: 0,
    isLong: false,
    left: undefined,
    leaves: 0,
    isOverdue: false,
  };
}

function sendPoll(poller: Poller, neighbour: Neighbour): PollEffect[] {
  const { peer, cursor } = neighbour;
  neighbour.polls += 1;
  // Polls are counted anew at each start. What answers one of an earlier start goes on from what that start had noted: not for who has yet to note it.
  neighbour.pollId = (neighbour.isListed ? 0 : idsOfStart(poller)) + neighbour.polls;
  neighbour.asked = true;
  const { waitMs, graceMs } = poller.limits;
  return [
    {
      kind: "send",
      to: peer,
      message: "poll",
      body: encodePoll({ pollId: neighbour.pollId, waitMs, ...(cursor && { cursor }) }),
    },
    { kind: "timer", name: `poll ${neighbour.pollId} ${peer}`, delayMs: waitMs + graceMs },
  ];
}

/** Below the ids of polls of this start that ask for everything, or for the rest of it. */
function idsOfStart({ writer }: Poller): number {
  return (1 + hashText(writer, 0)) * 2 ** 20;
}
