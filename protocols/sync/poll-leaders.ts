/*
 * Several nodes of a region hold the same shards. One of them, a shard's leader, pulls it from other regions; the others pull it from
 * the leader. That saves traffic and nothing rests on it: where no leader is known each node pulls for itself, and what a leader is
 * given too long for, a node pulls itself after all.
 */
import { type Neighbour, type Pending } from "./poll-neighbours.ts";
import { makeReady } from "./lanes.ts";
import { type PollEffect, type Poller } from "./poll.ts";
import { coversVersion } from "./shard-version.ts";

/** Who leads a shard in this node's region at this moment: this node, a peer by the text that it is polled under, or nobody known. */
export type LeaderOf = (shard: string) => "self" | { readonly peer: string } | undefined;

/** As what a node pulls: for its region, from its leader, or because there is no leader that does it. */
export type PullRole = "leader" | "follower" | "itself";

/** As what this node pulls a shard from a peer now; undefined when that is left to the shard's leader. */
export function roleIn(poller: Poller, { peer, shard, isOverdue }: Pending): PullRole | undefined {
  const leader = poller.leaderOf(shard);
  if (leader === "self") return "leader";
  if (leader === undefined) return "itself";
  if (leader.peer === peer) return "follower";
  // A leader that we do not poll brings us nothing.
  return isOverdue || !poller.neighbours.has(leader.peer) ? "itself" : undefined;
}

/** Leaves a shard to its leader for a while. */
export function leave(poller: Poller, pending: Pending): PollEffect[] {
  pending.left = pending.version;
  pending.leaves += 1;
  const { peer, shard, leaves } = pending;
  return [
    { kind: "left", peer, shard },
    { kind: "timer", name: `left ${leaves} ${shard} ${peer}`, delayMs: poller.limits.patienceMs },
  ];
}

/** The leader has had its time: when it brought nothing as new as what was listed then, it has fallen behind. */
export function timeLeft(poller: Poller, pending: Pending): void {
  const { left, shard } = pending;
  if (left === undefined) return;
  pending.left = undefined;
  const ours = poller.changes.byShard.get(shard)?.version;
  pending.isOverdue = ours !== undefined && !coversVersion(ours, left);
  makeReady(poller, pending);
}

/** Another leads a shard now, or nobody: what was left to the last leader is looked at again. Gives whom to poll at once. */
export function noteLeader(poller: Poller, shard: string): readonly Neighbour[] {
  const leader = poller.leaderOf(shard);
  const didFollow = follows(poller);
  if (leader === undefined || leader === "self") poller.ledByOthers.delete(shard);
  else poller.ledByOthers.add(shard);
  for (const { pending } of poller.neighbours.values()) {
    const waiting = pending.get(shard);
    if (waiting?.left === undefined) continue;
    waiting.left = undefined;
    makeReady(poller, waiting);
  }
  if (!didFollow || follows(poller)) return [];
  // Nobody rests any longer from what only now concerns us.
  return [...poller.neighbours.values()].filter(({ isFar, asked }) => isFar && !asked);
}

/**
 * How long to rest after a whole answer of a peer outside, milliseconds. Who leads nothing asks there only to see whether its leaders keep
 * up: all such peers together once in `farPollMs`.
 */
export function restMs(poller: Poller, { isFar }: Neighbour): number {
  if (!isFar || !follows(poller)) return 0;
  let far = 0;
  for (const neighbour of poller.neighbours.values()) far += neighbour.isFar ? 1 : 0;
  return far * poller.limits.farPollMs;
}

/** Whether others lead every shard that this node holds. */
function follows({ ledByOthers, changes }: Poller): boolean {
  return ledByOthers.size > 0 && ledByOthers.size >= changes.byShard.size;
}
