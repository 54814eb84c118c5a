/*
 * Pulls that stand with a peer. Once a pull has made us level with a peer, the next one is left there, to be answered when the shard changes:
 * one crossing, where listing, pull and frame are three. Only what changes gets one: it ends where nothing comes for `standMs`, without a
 * message, and the next comes with the next change. Polls go on as ever. What they list is expected from the pull that stands, and after
 * `standPatienceMs` asked for: a lost one costs that time, and no peer keeps another from being asked.
 */
import { openStanding, wakeStanding } from "./links.ts";
import { type PollTimer } from "./poll-answers.ts";
import { roleIn } from "./poll-leaders.ts";
import { createPending } from "./poll-neighbours.ts";
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
  if (delayMs > 0) return [{ kind: "timer", name: `stand 0 ${shard} ${peer}`, delayMs }];
  return stand(poller, { peer, shard }, nowMs);
}

/** Nothing more is wanted of a peer: the pulls that stand there end. */
export function endStanding(poller: Poller, peer: string): PollEffect[] {
  const effects: PollEffect[] = [];
  for (const pulling of poller.pulling.values()) {
    if (pulling.standing !== undefined && pulling.pending.peer === peer) effects.push(...end(poller, pulling));
  }
  return effects;
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
    return stand(poller, { shard: rest.slice(0, space), peer: rest.slice(space + 1) }, nowMs);
  }
  const pulling = poller.pulling.get(rest);
  if (pulling?.number !== turn || pulling.standing === undefined) return [];
  if (what === "over" && pulling.standing === "quiet") return end(poller, pulling);
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
  const burst = role === undefined ? undefined : openStanding(neighbour.lane.link, { shard, nowMs });
  if (role === undefined || burst === undefined) return [];
  poller.pullNumber += 1;
  const number = poller.pullNumber;
  pulling.set(shard, { pending, number, isAlive: false, periods: 0, ending: undefined, standing: "quiet" });
  const { standMs, graceMs } = limits;
  return [
    { kind: "pull", peer, shard, role, burst, standMs },
    { kind: "timer", name: `over ${number} ${shard}`, delayMs: standMs + graceMs },
  ];
}

/** From here on it is a pull as any other. */
function hurry(poller: Poller, pulling: Pulling): PollEffect[] {
  pulling.standing = undefined;
  const { peer, shard, lane } = pulling.pending;
  wakeStanding(lane.link, shard);
  return [{ kind: "hurry", shard, peer }, pullTimer(poller, pulling)];
}

/** The replica tells the end, as of any pull. */
function end(poller: Poller, pulling: Pulling): PollEffect[] {
  pulling.standing = undefined;
  const { peer, shard } = pulling.pending;
  return [{ kind: "give-up", shard, peer }, pullTimer(poller, pulling)];
}
