/*
 * Pulls that are over for who answers them: let go by their asker, or closed here, as rows that the answer lists went away, or to make room. A copy of
 * one that is still on its way is not answered anew: what the answer brought may be on its way, and would come twice. It is told that
 * the answer is gone, by which an asker that got it does nothing, and one that did not starts over.
 */
import { type OpenAnswer, type Replica } from "./replica-state.ts";

/** Pulls of one asker that are over, of which a copy may still come: it would have to be later than all of these together. */
const OVER_MAX = 4;

/** Names an answer among those that are open. */
export function answerKey(asker: string, pullId: string): string {
  return `${pullId} ${asker}`;
}

/** Closes an answer: its pull is over. */
export function closeAnswer(replica: Replica, answer: OpenAnswer): void {
  const { to: asker, pullId } = answer;
  replica.answers.delete(answerKey(asker, pullId));
  replica.store.release(answer.list);
  noteOver(replica, { asker, pullId });
}

/** Closes all answers: their askers start over. */
export function closeAnswers(replica: Replica): void {
  for (const answer of replica.answers.values()) closeAnswer(replica, answer);
}

/** Of so many askers and so many pulls of each, the latest. */
export function noteOver({ over, limits }: Replica, { asker, pullId }: { asker: string; pullId: string }): void {
  const before = over.get(asker) ?? [];
  over.delete(asker);
  over.set(asker, [pullId, ...before.slice(0, OVER_MAX - 1)]);
  const [oldest] = over.keys();
  if (over.size > limits.heldMax && oldest !== undefined) over.delete(oldest);
}

/** Whether a pull is over. */
export function isOver({ over }: Replica, { asker, pullId }: { asker: string; pullId: string }): boolean {
  return over.get(asker)?.includes(pullId) === true;
}
