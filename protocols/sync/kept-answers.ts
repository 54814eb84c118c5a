/*
 * How pulls end that did not bring all: what is kept of their answers, to go on with, and what their peers are told. And what that says of a
 * peer's link: a pull that ended for want of more although frames of it came, or came after its end, was given up too soon. The next pulls of that
 * peer wait longer, until one is complete; and what does not come is not asked for again before a small answer, asked for after it, has come
 * without it: else a slow link would carry the same frames again and again.
 */
import {
  type OwnPull,
  type ReceivedAnswer,
  type Replica,
  type ReplicaEffect,
  type UnfinishedPull,
} from "./replica-state.ts";

/** So many times as long is waited for a slow peer at most. */
const PATIENCE_MAX = 4;

/** Tells the peer of a pull that it is over: also where nothing came, as the answer may be on its way, and is closed there. */
export function letGo({ peer, asksAs, answer }: Pick<OwnPull, "peer" | "asksAs" | "answer">): ReplicaEffect {
  const body = { pullId: asksAs, ...(answer !== undefined && { answer: answer.id }) };
  return { kind: "send", to: peer, message: "release", body };
}

/** Keeps what came of an answer. */
export function keepUnfinished(
  { unfinished }: Replica,
  { peer, asksAs, staged, stagedBytes }: OwnPull,
  answer: ReceivedAnswer,
): void {
  unfinished.set(peer, { asksAs, answer, staged, stagedBytes });
}

/** Gives up what pulls are to go on with, of all peers or some, and tells these. */
export function dropUnfinished(
  { unfinished }: Replica,
  isOver: (kept: UnfinishedPull, peer: string) => boolean = () => true,
): ReplicaEffect[] {
  const effects: ReplicaEffect[] = [];
  for (const [peer, kept] of unfinished) {
    if (!isOver(kept, peer)) continue;
    unfinished.delete(peer);
    effects.push(letGo({ peer, ...kept }));
  }
  return effects;
}

/** How many times as long as usual a peer is waited for. */
export function patienceWith({ slow }: Replica, peer: string): number {
  return slow.get(peer)?.patience ?? 1;
}

/** A pull ended for want of more. */
export function noteGivenUp(replica: Replica, { peer, asksAs, answer }: OwnPull): void {
  const patience = patienceWith(replica, peer);
  replica.slow.set(peer, { pullId: asksAs, patience });
  if (answer !== undefined && answer.receivedCount > 0) noteTooSoon(replica, { peer, pullId: asksAs });
}

/** Something came of a pull that had ended for want of it. */
export function noteTooSoon({ slow }: Replica, { peer, pullId }: { peer: string; pullId: string }): void {
  const givenUp = slow.get(peer);
  if (givenUp?.pullId !== pullId) return;
  slow.set(peer, { pullId: undefined, patience: Math.min(PATIENCE_MAX, 2 * givenUp.patience) });
}
