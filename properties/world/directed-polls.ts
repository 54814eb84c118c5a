/*
 * Directed situations of the poll: one node and a neighbour played by hand.
 */
import { createPoller, type PollEffect, type Poller, stepPoller } from "../../protocols/sync/poll.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { encodePoll, parseChanges } from "../../protocols/wire/poll.ts";

const OURS = parseWriterId("0.sim.a.l1");
const THEIRS = parseWriterId("0.sim.b.l1");

/** A shard is listed again while it is being pulled: that pull may have been answered before the change. */
export function listedAgain(): string | undefined {
  const poller = createListening();
  if (!hasPull(list(poller, { pollId: 1, counter: 1 }))) return "a listed shard is not pulled";
  if (hasPull(list(poller, { pollId: 2, counter: 2 }))) return "a shard is pulled twice at once";
  return hasPull(stepPoller(poller, { kind: "pulled", shard: "s/0", outcome: "complete" }))
    ? undefined
    : "a pull settled a change that was listed after it began";
}

/** A pull fails: the shard stays pending and is tried again after a while, although its neighbour lists it no more. */
export function failedPull(): string | undefined {
  const poller = createListening();
  list(poller, { pollId: 1, counter: 1 });
  const effects = stepPoller(poller, { kind: "pulled", shard: "s/0", outcome: "failed" });
  if (hasPull(effects)) return "a failed pull is tried again without pause";
  const again = effects.flatMap((effect) =>
    effect.kind === "timer" ? stepPoller(poller, { kind: "timer", name: effect.name }) : [],
  );
  return hasPull(again) ? undefined : "a failed pull is not tried again";
}

/** A node starts again and has as many changes as in its last life: a cursor of that life must not hide them. */
export function cursorOfAnotherLife(): string | undefined {
  const poller = createListening();
  const poll = { pollId: 1, waitMs: 0, cursor: { writer: THEIRS, change: 1 } };
  const [answer] = stepPoller(poller, { kind: "message", from: "b", message: "poll", body: encodePoll(poll) });
  return answer?.kind === "send" && answer.message === "changes" && parseChanges(answer.body).shards.length === 1
    ? undefined
    : "a cursor of another life hides a shard";
}

function createListening(): Poller {
  const poller = createPoller(OURS);
  stepPoller(poller, { kind: "changed", shard: "s/0", version: { counter: 1, generator: OURS } });
  stepPoller(poller, { kind: "neighbour", peer: "b" });
  return poller;
}

function list(poller: Poller, { pollId, counter }: { pollId: number; counter: number }): PollEffect[] {
  const body = {
    pollId,
    cursor: { writer: THEIRS, change: counter },
    more: false,
    shards: [{ shard: "s/0", counter, generator: THEIRS }],
  };
  return stepPoller(poller, { kind: "message", from: "b", message: "changes", body });
}

function hasPull(effects: readonly PollEffect[]): boolean {
  return effects.some((effect) => effect.kind === "pull");
}
