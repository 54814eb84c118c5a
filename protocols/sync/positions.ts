/*
 * How far the trainers had come in what a replica knows. Only a primary learns; the others take its positions with its knowledge, of the same instant, so
 * that one of them can go on in its place when it is lost: from these positions every sample takes effect once, but for rows that came ahead of the
 * knowledge.
 *
 * One primary writes at a time, so of two knowledges the one with the latest time is of the later moment, also across a restart of the
 * primary from an older image: its positions go back then, and what it stamps again is later than all before. Batches without
 * rows move positions alone.
 *
 * A copy takes away what its sender lacks, as the primary lost it with an earlier start. We may still know of a later moment than the copy is of, by rows that
 * were lost or, as a primary that copies, by our own: those stay, beside rows of the copy's moment. The lesser of both positions is in all of them.
 */
import { type AnswerEnd } from "../wire/frame.ts";
import { type Known } from "./horizon.ts";
import { type Replica } from "./replica-state.ts";
import { knownOf } from "./row-notes.ts";
import { epochOf } from "./version.ts";

/** An answer is complete, and its knowledge not joined yet. */
export function takePositions(replica: Replica, end: AnswerEnd, kind: { readonly isCopy: boolean }): void {
  const after = positionsAfter(replica, end, kind);
  replica.applied.clear();
  for (const [trainer, batch] of after) replica.applied.set(trainer, batch);
}

/** What our positions become with the end of an answer. */
export function positionsAfter(
  replica: Replica,
  { knowledge, horizon: { epoch, settled }, applied }: AnswerEnd,
  { isCopy }: { readonly isCopy: boolean },
): ReadonlyMap<string, number> {
  const order = compareMoments(momentOf({ epoch, settled, knowledge }), momentOf(knownOf(replica)));
  const ours = new Map(replica.applied);
  if (isCopy && order < 0) {
    for (const [trainer, batch] of ours) {
      const theirs = applied.get(trainer);
      if (theirs === undefined) ours.delete(trainer);
      else ours.set(trainer, Math.min(batch, theirs));
    }
  }
  if (order < 0) return ours;
  if (isCopy || order > 0) ours.clear();
  for (const [trainer, batch] of applied) ours.set(trainer, Math.max(batch, ours.get(trainer) ?? 0));
  return ours;
}

/** The latest time known, and its epoch. */
interface Moment {
  readonly epoch: number;
  readonly t: number;
}

function momentOf({ epoch, settled, knowledge }: Known): Moment {
  let latest: Moment = { epoch, t: settled };
  for (const [writer, t] of knowledge) {
    const moment = { epoch: epochOf(writer), t };
    if (compareMoments(moment, latest) > 0) latest = moment;
  }
  return latest;
}

function compareMoments(a: Moment, b: Moment): number {
  return a.epoch - b.epoch || a.t - b.t;
}
