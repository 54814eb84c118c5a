/*
 * What our pull sends: requests and timers.
 */
import { buildPull } from "../wire/pull.ts";
import { type OwnPull, type ReceivedAnswer, type Replica, type ReplicaEffect } from "./replica-state.ts";
import { type UrgentCursor } from "./urgent-rows.ts";

/** Asks the peer of our pull for all that we lack, now or, where it is to stand, when that is anything. */
export function ask(replica: Replica, pull: OwnPull): ReplicaEffect {
  const { declaration, store, horizon, version } = replica;
  const wantsCopy = replica.copyFrom.has(pull.peer);
  return {
    kind: "send",
    to: pull.peer,
    message: "pull",
    body: buildPull({
      pullId: pull.asksAs,
      declaration,
      wantsState: store.hasState,
      epoch: horizon.epoch,
      settled: horizon.settled,
      knowledge: wantsCopy ? new Map() : replica.knowledge,
      ...(wantsCopy && { wantsCopy }),
      ...(pull.opening !== undefined && { burst: pull.opening }),
      ...cursorOf(replica, pull),
      ...(pull.isStanding && { stands: version }),
    }),
  };
}

/** Asks for frames of the answer; for none of them: for urgent rows alone. */
export function askMore(
  replica: Replica,
  pull: OwnPull,
  { answer, frames }: { readonly answer: ReceivedAnswer; readonly frames: readonly number[] },
): ReplicaEffect {
  const body = { pullId: pull.asksAs, answer: answer.id, frames, ...cursorOf(replica, pull) };
  return { kind: "send", to: pull.peer, message: "more", body };
}

/** Asks for the next frames, where there are some: those granted, or without a burst as many as may be in flight. */
export function askNext(replica: Replica, pull: OwnPull): ReplicaEffect[] {
  const { answer, burst, upTo, before, window, hold } = pull;
  if (answer === undefined || hold === "on") return [];
  const end = Math.min(framesOf(answer), burst === undefined ? answer.receivedCount + window : upTo - before);
  const effects: ReplicaEffect[] = [];
  while (answer.asked < end) {
    const frames: number[] = [];
    for (; answer.asked < end && frames.length < replica.limits.windowFrames; answer.asked += 1) {
      frames.push(frameAt(answer, answer.asked));
    }
    effects.push(askMore(replica, pull, { answer, frames }));
  }
  return effects;
}

/** Asks for a small answer, by which we see, when it comes, what is lost of all that was asked for before it. */
export function probe(replica: Replica, pull: OwnPull, answer: ReceivedAnswer): ReplicaEffect {
  pull.probed.push(answer.asked);
  return askMore(replica, pull, { answer, frames: [] });
}

/** A small answer came. It may be a later one than we take it for, as others are lost: then less is taken for lost than is. */
export function askLost(replica: Replica, pull: OwnPull): ReplicaEffect[] {
  const { answer, probed } = pull;
  const asked = probed.shift();
  if (answer === undefined || asked === undefined) return [];
  const frames = missingFrames(answer, { asked, most: replica.limits.windowFrames });
  if (frames.length === 0) return [];
  // Small answers that are under way already come before these.
  probed.fill(0);
  return [askMore(replica, pull, { answer, frames })];
}

/** Of the first so many frames to bring, those that did not come. */
export function missingFrames(
  answer: ReceivedAnswer,
  { asked = answer.asked, most }: { readonly asked?: number; readonly most: number },
): number[] {
  const missing: number[] = [];
  for (let position = 0; position < asked && missing.length < most; position += 1) {
    const index = frameAt(answer, position);
    if (answer.received[index] !== 1) missing.push(index);
  }
  return missing;
}

/** Has our standing pull answered now, as any other; what it is answered with already comes again. */
export function hurryPull(replica: Replica, { pullId }: { readonly pullId: string }): ReplicaEffect[] {
  const { pull, limits } = replica;
  if (pull?.pullId !== pullId || !pull.isStanding) return [];
  pull.isStanding = false;
  // Others may have what this peer, if it is gone, keeps us from asking them for.
  pull.retries = Math.max(0, limits.retriesMax - 1);
  return [ask(replica, pull), timer(replica, pull)];
}

/** Something of our pull came. From here on more is due, also where it stood. */
export function beginToCome(replica: Replica, pull: OwnPull): ReplicaEffect[] {
  pull.progress = true;
  if (!pull.isStanding) return [];
  pull.isStanding = false;
  return [timer(replica, pull)];
}

/** How many frames a pull is to bring. */
export function framesOf({ left, received }: ReceivedAnswer): number {
  return left?.length ?? received.length;
}

/** The index, in the answer, of one of the frames that a pull is to bring. */
function frameAt({ left }: ReceivedAnswer, position: number): number {
  return left === undefined ? position : (left[position] ?? 0);
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
