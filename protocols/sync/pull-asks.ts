/*
 * What our pull sends: requests and timers.
 */
import { buildPull } from "../wire/pull.ts";
import { type OwnPull, type ReceivedAnswer, type Replica, type ReplicaEffect } from "./replica-state.ts";
import { type UrgentCursor } from "./urgent-rows.ts";

/** Asks the peer of our pull for all that we lack. */
export function ask(replica: Replica, pull: OwnPull): ReplicaEffect {
  const { declaration, knowledge, store } = replica;
  return {
    kind: "send",
    to: pull.peer,
    message: "pull",
    body: buildPull({
      pullId: pull.pullId,
      declaration,
      wantsState: store.hasState,
      knowledge,
      ...cursorOf(replica, pull),
    }),
  };
}

/** Asks for frames of the answer; for none of them: for urgent rows alone. */
export function askMore(
  replica: Replica,
  pull: OwnPull,
  { answer, frames }: { readonly answer: ReceivedAnswer; readonly frames: readonly number[] },
): ReplicaEffect {
  const body = { pullId: pull.pullId, answer: answer.id, frames, ...cursorOf(replica, pull) };
  return { kind: "send", to: pull.peer, message: "more", body };
}

/** Asks for the next frames, where there are some and room on the way. */
export function askNext(replica: Replica, pull: OwnPull): ReplicaEffect[] {
  const { answer } = pull;
  if (answer === undefined || pull.hold === "on") return [];
  const frames: number[] = [];
  while (answer.asked < answer.received.length && answer.asked - answer.receivedCount < pull.window) {
    frames.push(answer.asked);
    answer.asked += 1;
  }
  return frames.length === 0 ? [] : [askMore(replica, pull, { answer, frames })];
}

/** Comes back when nothing may have come for too long. */
export function timer(replica: Replica, pull: OwnPull): ReplicaEffect {
  return { kind: "timer", name: timerName(pull), delayMs: replica.limits.retryMs };
}

/** Names the timer of a pull. */
export function timerName(pull: OwnPull): string {
  return `pull ${pull.pullId}`;
}

function cursorOf({ cursors }: Replica, { peer }: OwnPull): { readonly urgent?: UrgentCursor } {
  const urgent = cursors.get(peer);
  return urgent === undefined ? {} : { urgent };
}
