/*
 * Polling neighbours, and the shards pending from them.
 */
import { type Cursor, encodePoll, parseChanges } from "../wire/poll.ts";
import { type PollEffect, type Poller } from "./poll.ts";
import { leave, noteLeader, restMs, roleIn, timeLeft } from "./poll-leaders.ts";
import { type PollTimer } from "./poll-answers.ts";
import { coversVersion, type ShardVersion } from "./shard-version.ts";

/** A peer that we poll. */
export interface Neighbour {
  readonly peer: string;
  /** Of another region. */
  readonly isFar: boolean;
  /** All up to here is noted. Absent: list everything. */
  cursor: Cursor | undefined;
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
  /** The neighbour's when it was last listed. */
  version: ShardVersion;
  /** Listed again since the running pull began: that pull may have been answered before. */
  again: boolean;
  /** Failures in a row. */
  failures: number;
  /** The version that is left to the shard's leader to bring, while it is. */
  left: ShardVersion | undefined;
  /** How often it was left; tells its timers apart. */
  leaves: number;
  /** The leader did not bring it in time. */
  isOverdue: boolean;
}

export function addNeighbour(
  poller: Poller,
  { peer, isFar = false }: { readonly peer: string; readonly isFar?: boolean },
): PollEffect[] {
  if (poller.neighbours.has(peer)) return [];
  const neighbour: Neighbour = { peer, isFar, cursor: undefined, pollId: 0, asked: false, pending: new Map() };
  poller.neighbours.set(peer, neighbour);
  return sendPoll(poller, neighbour);
}

/** A pull that runs goes on and is settled as any other. */
export function removeNeighbour(poller: Poller, peer: string): void {
  const neighbour = poller.neighbours.get(peer);
  if (neighbour === undefined) return;
  poller.neighbours.delete(peer);
  for (const pending of neighbour.pending.values()) {
    poller.ready.delete(pending);
    poller.blocked.get(pending.shard)?.delete(pending);
  }
}

/** A shard is new here: what neighbours listed of it before was not noted, so they list everything again. */
export function relist(poller: Poller): PollEffect[] {
  return [...poller.neighbours.values()].flatMap((neighbour) => {
    if (neighbour.cursor === undefined) return [];
    neighbour.cursor = undefined;
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

/** Starts pulls while there is room. Shards that we know as much of as their neighbour are pending no more. */
export function startPulls(poller: Poller): PollEffect[] {
  const effects: PollEffect[] = [];
  for (const pending of poller.ready) {
    if (poller.pulling.size >= poller.limits.pullsMax) break;
    const { peer, shard } = pending;
    poller.ready.delete(pending);
    const ours = poller.changes.byShard.get(shard)?.version;
    const role = roleIn(poller, pending);
    if (ours === undefined || coversVersion(ours, pending.version)) {
      poller.neighbours.get(peer)?.pending.delete(shard);
    } else if (role === undefined) {
      effects.push(...leave(poller, pending));
    } else if (poller.pulling.has(shard)) {
      const blocked = poller.blocked.get(shard) ?? new Set();
      poller.blocked.set(shard, blocked.add(pending));
    } else {
      pending.again = false;
      poller.pulling.set(shard, pending);
      effects.push({ kind: "pull", peer, shard, role });
    }
  }
  return effects;
}

/** A pull has ended. Only a complete one, of a shard not listed again meanwhile, takes the shard off the neighbour's pending ones. */
export function settlePull(
  poller: Poller,
  { shard, outcome }: { readonly shard: string; readonly outcome: "complete" | "failed" },
): PollEffect[] {
  const pending = poller.pulling.get(shard);
  if (pending === undefined) return [];
  poller.pulling.delete(shard);
  for (const waiting of poller.blocked.get(shard) ?? []) poller.ready.add(waiting);
  poller.blocked.delete(shard);
  const neighbour = poller.neighbours.get(pending.peer);
  if (neighbour?.pending.get(shard) !== pending) return [];
  if (outcome === "complete") {
    pending.failures = 0;
    pending.isOverdue = false;
    if (pending.again) poller.ready.add(pending);
    else neighbour.pending.delete(shard);
    return [];
  }
  pending.failures += 1;
  const delayMs = Math.min(poller.limits.backoffMs * 2 ** (pending.failures - 1), poller.limits.backoffMsMax);
  return [{ kind: "timer", name: `retry ${pending.failures} ${shard} ${pending.peer}`, delayMs }];
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
  const { peer } = neighbour;
  const pending: Pending = {
    peer,
    shard,
    version,
    again: false,
    failures: 0,
    left: undefined,
    leaves: 0,
    isOverdue: false,
  };
  neighbour.pending.set(shard, pending);
  poller.ready.add(pending);
}

function makeReady(poller: Poller, pending: Pending): void {
  if (pending.left !== undefined) return;
  if (poller.pulling.get(pending.shard) === pending || poller.blocked.get(pending.shard)?.has(pending)) return;
  poller.ready.add(pending);
}

function sendPoll(poller: Poller, neighbour: Neighbour): PollEffect[] {
  const { peer, cursor } = neighbour;
  neighbour.pollId += 1;
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
