/*
 * Directed situations of the poll: one node and a neighbour played by hand.
 */
import { createPoller, type PollEffect, type Poller, stepPoller } from "../../protocols/sync/poll.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { encodePoll, parseChanges } from "../../protocols/wire/poll.ts";
import { pullIds } from "./names.ts";
import { hasPull, OURS, running, THEIRS } from "./situation.ts";

/** A shard is listed again while it is being pulled: that pull may have been answered before the change. */
export function listedAgain(): string | undefined {
  const poller = createListening();
  if (!hasPull(list(poller, { counter: 1 }))) return "a listed shard is not pulled";
  if (hasPull(list(poller, { counter: 2 }))) return "a shard is pulled twice at once";
  return hasPull(stepPoller(poller, { kind: "pulled", shard: "s/0", pullId: running(poller), outcome: "complete" }))
    ? undefined
    : "a pull settled a change that was listed after it began";
}

/** A pull fails: the shard stays pending and is tried again after a while, although its neighbour lists it no more. */
export function failedPull(): string | undefined {
  const poller = createListening();
  list(poller, { counter: 1 });
  const effects = stepPoller(poller, { kind: "pulled", shard: "s/0", pullId: running(poller), outcome: "failed" });
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

/**
 * A node starts again, and what answers a poll of its last life reaches it: it lists what was new then, and not all that is to be listed now, nor the
 * rest of it when a first part of it came.
 */
export function answerToAnotherLife(): string | undefined {
  const [before, now, onward] = [createListening(), createListening("0.sim.a.l2"), createListening("0.sim.a.l3")];
  for (const counter of [1, 2]) {
    list(before, { counter });
    tick(before);
  }
  const late = before.neighbours.get("b")?.pollId;
  if (takesUpTo(now, late)) return "an answer to a poll of another life is taken";
  if (!hasPull(list(now, { counter: 1 }))) return "an answer to a poll for everything is refused";
  list(onward, { counter: 1, more: true });
  if (takesUpTo(onward, late)) return "an answer to a poll of another life is taken for the rest of a list";
  list(onward, { counter: 3 });
  return onward.neighbours.get("b")?.cursor?.change === 3 ? undefined : "the rest of a list is refused";
}

/** Whether an answer of this id is taken now, or once some more polls got no answer. */
function takesUpTo(poller: Poller, pollId: number | undefined): boolean {
  for (let polls = 0; polls < 9; polls += 1) {
    const [effect] = list(poller, { pollId, counter: 2 });
    if (effect?.kind !== "refused") return true;
    tick(poller);
  }
  return false;
}

function createListening(writer = "0.sim.a.l1"): Poller {
  const poller = createPoller(parseWriterId(writer), pullIds());
  stepPoller(poller, { kind: "changed", shard: "s/0", version: { counter: 1, generator: OURS } });
  stepPoller(poller, { kind: "neighbour", peer: "b" });
  return poller;
}

function list(
  poller: Poller,
  {
    counter,
    more = false,
    pollId = poller.neighbours.get("b")?.pollId,
  }: { counter: number; more?: boolean; pollId?: number | undefined },
): PollEffect[] {
  const body = {
    pollId,
    cursor: { writer: THEIRS, change: counter },
    more,
    shards: [{ shard: "s/0", counter, generator: THEIRS }],
  };
  return stepPoller(poller, { kind: "message", from: "b", message: "changes", body });
}

/** The latest poll's time is up, or its answer's distance. */
function tick(poller: Poller): void {
  const id = poller.neighbours.get("b")?.pollId;
  for (const what of ["poll", "ask"]) stepPoller(poller, { kind: "timer", name: `${what} ${id} b` });
}
