/*
 * Directed situations of a shard and its node's poller, of which each starts without the other.
 */
import { SYNC_LIMITS } from "../../protocols/limits.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createPoller, type PollEffect, type Poller, stepPoller } from "../../protocols/sync/poll.ts";
import { createReplica, stepReplica } from "../../protocols/sync/replica.ts";
import { type ReplicaEvent } from "../../protocols/sync/replica-state.ts";
import { pullIds } from "./names.ts";
import { hasPull, NOW, OURS, running, TABLES, THEIRS } from "./situation.ts";

const [ONE, OTHER] = ["1".repeat(32), "2".repeat(32)];

/** A shard pulled what its peers have, and starts again from an older image: nobody lists that any more. */
export function shardStartsAlone(): string | undefined {
  const poller = createListening();
  list(poller);
  end(poller, running(poller));
  const again = shardSays(poller, "l2");
  const asked = again.some(
    (effect) => effect.kind === "send" && effect.message === "poll" && !("cursor" in effect.body),
  );
  if (!asked) return "what a shard pulled before it started again from an older image is not listed anew";
  if (!hasPull(list(poller))) return "what a shard lacks since it started again is not pulled";
  return shardSays(poller, "l2").length > 0
    ? "a shard that says once more what it has is taken for a new start"
    : undefined;
}

/** It starts again while it pulls: that pull is over, whatever is said of it, and the shard is told so, should the pull be yet to begin. */
export function shardStartsDuringAPull(): string | undefined {
  const poller = createListening();
  list(poller);
  const former = running(poller);
  const again = shardSays(poller, "l2");
  const isTold = again.some((effect) => effect.kind === "give-up" && effect.pullId === former);
  if (poller.pulling.size > 0 || !isTold) return "the pull of a shard that started again goes on";
  const retried = again.flatMap((effect) =>
    effect.kind === "timer" ? stepPoller(poller, { kind: "timer", name: effect.name }) : [],
  );
  if (!hasPull(retried)) return "what a shard pulled when it started again is not pulled again";
  end(poller, former);
  return poller.pulling.has("s/0") ? undefined : "the end of a pull of a shard's former start is taken for another's";
}

/** A poller starts again, and what the shard says of the pull of its former start comes when it has begun one itself. */
export function pollerStartsAlone(): string | undefined {
  const ids = pullIds();
  const [before, now] = [createListening(ids), createListening(ids)];
  for (const poller of [before, now]) list(poller);
  const former = running(before);
  stepPoller(now, { kind: "frame", shard: "s/0", pullId: former, bytes: 9, frames: 1 });
  if (now.pulling.get("s/0")?.isAlive !== false) return "a frame of a pull of another start is taken for this one's";
  end(now, former);
  return now.pulling.has("s/0") ? undefined : "the end of a pull of another start is taken for this one's";
}

/** What a poller says of a pull that is over reaches a shard that has begun another one, of the same peer. */
export function toldOfAnotherPull(): string | undefined {
  for (const stands of [false, true]) {
    const replica = createReplica({
      writer: OURS,
      store: createMapRowStore(TABLES, { state: true }),
      limits: SYNC_LIMITS,
    });
    const pull = { kind: "pull", peer: "b", burst: 40, ...(stands && { stands }) } as const;
    stepReplica(replica, { ...pull, pullId: ONE }, NOW);
    const late: ReplicaEvent[] = [
      { kind: "hurry", pullId: OTHER },
      { kind: "grant", pullId: OTHER, upTo: 9 },
      { kind: "give-up", pullId: OTHER },
    ];
    const done = late.flatMap((event) => stepReplica(replica, event, NOW));
    if (done.length > 0) return "what is said of one pull is done to another";
    if (replica.pull?.upTo === 9) return "what one pull is granted another one takes";
  }
  return undefined;
}

/** A node is to take writes, and polls nobody any more: what it pulls at that moment is what others hold besides. */
export function polledNoMore(): string | undefined {
  const poller = createListening();
  list(poller);
  const pullId = running(poller);
  const effects = stepPoller(poller, { kind: "neighbour-removed", peer: "b" });
  return effects.some((effect) => effect.kind === "give-up" && effect.pullId === pullId)
    ? undefined
    : "a pull of a peer that is polled no more goes on";
}

function createListening(ids = pullIds()): Poller {
  const poller = createPoller(OURS, ids);
  shardSays(poller, "l1");
  stepPoller(poller, { kind: "neighbour", peer: "b" });
  return poller;
}

function shardSays(poller: Poller, life: string): PollEffect[] {
  return stepPoller(poller, { kind: "changed", shard: "s/0", life, version: { counter: 1, generator: OURS } });
}

/** The peer lists the version that it had all the time. */
function list(poller: Poller): PollEffect[] {
  const body = {
    pollId: poller.neighbours.get("b")?.pollId,
    cursor: { writer: THEIRS, change: 1 },
    more: false,
    shards: [{ shard: "s/0", counter: 1, generator: THEIRS }],
  };
  return stepPoller(poller, { kind: "message", from: "b", message: "changes", body });
}

function end(poller: Poller, pullId: string): void {
  stepPoller(poller, { kind: "pulled", shard: "s/0", pullId, outcome: "complete" });
}
