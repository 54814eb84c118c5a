/*
 * Pulls that stand with a peer. Once a pull has made us level with a peer, the next one is left there, to be answered when the shard changes:
 * one crossing, where listing, pull and frame are three. It stands until something comes, however long that takes, and nothing is said meanwhile;
 * where there is no room for another, those that have stood longest, and for `standMs` at least, give way. A shard is left standing where news of
 * it came from last: what never brought any gets none, or there would be no end to it. Polls go on as ever. What they list is expected from the
 * pull that stands, and after `standPatienceMs` asked for: a lost one costs that time, and no peer keeps another from being asked.
 */
import { openStanding, wakeStanding } from "./links.ts";
import { type PollTimer } from "./poll-answers.ts";
import { roleIn } from "./poll-leaders.ts";
import { createPending } from "./poll-neighbours.ts";
import { giveUp, unblock } from "./poll-pulls.ts";
import { type PollEffect, type Poller } from "./poll.ts";
import { type Pulling, pullTimer } from "./pulling.ts";

interface Place {
  readonly peer: string;
  readonly shard: string;
}

/** A pull has made us level with a peer: the next one is left there. Answers keep the distance of polls' answers. */
export function standSoon(poller: Poller, { peer, shard }: Place, nowMs: number): PollEffect[] {
  const { latencyMs = 0 } = poller.neighbours.get(peer)?.lane.link.window ?? {};
  const delayMs = Math.max(0, poller.limits.gapMs - latencyMs);
  if (delayMs > 0) {
    poller.resting.add(shard);
    return [{ kind: "timer", name: `stand 0 ${shard} ${peer}`, delayMs }];
  }
  return stand(poller, { peer, shard }, nowMs);
}

/** Nothing more is wanted of a peer: the pulls that stand there end, and those that run. Who is to take writes must not take what others hold besides. */
export function endPulls(poller: Poller, peer: string): PollEffect[] {
  const effects: PollEffect[] = [];
  for (const pulling of poller.pulling.values()) {
    if (pulling.pending.peer !== peer) continue;
    effects.push(...(pulling.standing === undefined ? [giveUp(pulling)] : end(poller, pulling)));
  }
  return effects;
}

/** The shard is no longer here. */
export function forgetStanding(poller: Poller, shard: string): PollEffect[] {
  const pulling = poller.pulling.get(shard);
  return pulling?.standing === undefined ? [] : end(poller, pulling);
}

/** Another leads a shard now: a pull that stands where we would pull no more keeps us from asking others. What it has is taken. */
export function reviewStanding(poller: Poller, shard: string): PollEffect[] {
  const pulling = poller.pulling.get(shard);
  if (pulling?.standing === undefined || roleIn(poller, pulling.pending) !== undefined) return [];
  return hurry(poller, pulling);
}

export function timeStanding(poller: Poller, { what, turn, rest }: PollTimer, nowMs: number): PollEffect[] {
  if (what === "stand") {
    const space = rest.indexOf(" ");
    const shard = rest.slice(0, space);
    poller.resting.delete(shard);
    // Who has more is asked first.
    if (poller.blocked.has(shard)) unblock(poller, shard);
    return stand(poller, { shard, peer: rest.slice(space + 1) }, nowMs);
  }
  const pulling = poller.pulling.get(rest);
  if (pulling?.number !== turn || pulling.standing === undefined) return [];
  return what === "hurry" ? hurry(poller, pulling) : [];
}

function stand(poller: Poller, { peer, shard }: Place, nowMs: number): PollEffect[] {
  const { limits, neighbours, pulling } = poller;
  const neighbour = neighbours.get(peer);
  const version = poller.changes.byShard.get(shard)?.version;
  if (neighbour === undefined || version === undefined || pulling.has(shard) || limits.standMs === 0) return [];
  for (const { pending } of neighbours.values()) {
    const waiting = pending.get(shard);
    // Who has more is asked first.
    if (waiting !== undefined && (waiting.lane.short.has(waiting) || waiting.lane.long.has(waiting))) return [];
  }
  const pending = createPending(neighbour, { shard, version });
  const role = roleIn(poller, pending);
  const opened = role === undefined ? undefined : openStanding(neighbour.lane.link, { shard, nowMs });
  if (role === undefined || opened === undefined) return [];
  const ended = opened.giveWay.flatMap((other) => forgetStanding(poller, other));
  poller.pullNumber += 1;
  const number = poller.pullNumber;
  const pullId = poller.drawPullId();
  pulling.set(shard, { pending, pullId, number, isAlive: false, periods: 0, ending: undefined, standing: "quiet" });
  return [...ended, { kind: "pull", pullId, peer, shard, role, burst: opened.burst, stands: true }];
}

/** From here on it is a pull as any other. */
function hurry(poller: Poller, pulling: Pulling): PollEffect[] {
  pulling.standing = undefined;
  const { shard, lane } = pulling.pending;
  wakeStanding(lane.link, shard);
  return [{ kind: "hurry", shard, pullId: pulling.pullId }, pullTimer(poller, pulling)];
}

/** The replica tells the end, as of any pull. */
function end(poller: Poller, pulling: Pulling): PollEffect[] {
  pulling.standing = undefined;
  return [giveUp(pulling), pullTimer(poller, pulling)];
}
