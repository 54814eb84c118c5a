/*
 * Urgent rows of a peer, which come ahead of the frames of a pull that runs. On a congested link (an answer once took longer than a
 * time-out) they also travel alone: while they come no ordinary frame is asked for. An ordinary pull is held back `urgentHoldMs` in
 * all and no longer, whatever the urgent load: after that each urgent frame is followed by an ordinary one.
 */
import { type Frame } from "../wire/frame.ts";
import { applyRows, countRows } from "./apply-rows.ts";
import { checkFrame } from "./check-frame.ts";
import { askLost, askNext, beginToCome, probe } from "./pull-asks.ts";
import { type OwnPull, type Replica, type ReplicaEffect } from "./replica-state.ts";
import { newVersion } from "./row-notes.ts";
import { laterCursor, type UrgentCursor } from "./urgent-rows.ts";

/** Peers whose urgent lists we have a place in; a forgotten place only makes rows come again. */
const CURSORS_MAX = 256;

/**
 * Applies urgent rows as early rows: they move no knowledge and complete nothing, so it does not matter which of these frames come,
 * or how often. They are urgent here too, and others hear of them at once, in the middle of our pull.
 */
export function acceptUrgent(
  replica: Replica,
  pull: OwnPull,
  { frame, bytes, number, nowMs }: { frame: Frame; bytes: number; number: number; nowMs: number },
): ReplicaEffect[] {
  const problem = checkFrame(replica, frame, nowMs);
  if (problem !== undefined) return [{ kind: "refused", from: pull.peer, ...problem }];
  const effects = applyRows(replica, { frame, origin: "urgent" });
  effects.push({ kind: "frame", pullId: pull.pullId, bytes, frames: 0 });
  // It was packed for a cursor that we had, so all up to its number is here now.
  const isNews = moveCursor(replica.cursors, pull.peer, { writer: frame.answer.responder, number });
  if (countRows(effects) > 0) effects.push({ kind: "changed", version: newVersion(replica) });
  if (frame.sections.length === 0) return [...effects, ...goOn(replica, pull)];
  effects.push(...beginToCome(replica, pull));
  // A frame that came twice asks for nothing: each would be answered, and what is repeated would never end.
  if (isNews) effects.push(...holdBack(replica, pull));
  return effects;
}

/** There is nothing urgent: ordinary frames go on. */
function goOn(replica: Replica, pull: OwnPull): ReplicaEffect[] {
  if (pull.hold === "on") pull.hold = "off";
  return [...askLost(replica, pull), ...askNext(replica, pull)];
}

/** On a congested link urgent rows travel alone, for as long as they come, and in all no longer than a pull may be held back. */
function holdBack(replica: Replica, pull: OwnPull): ReplicaEffect[] {
  if (!pull.congested || pull.answer === undefined || pull.hold === "over") return [];
  const effects = [probe(replica, pull, pull.answer)];
  pull.hold = "on";
  if (!pull.holdTimed) {
    pull.holdTimed = true;
    effects.push({ kind: "timer", name: holdName(pull), delayMs: replica.limits.urgentHoldMs });
  }
  return effects;
}

/** That was long enough: ordinary frames go on, to the end of this pull. */
export function endHold(replica: Replica, pull: OwnPull): ReplicaEffect[] {
  pull.hold = "over";
  return askNext(replica, pull);
}

/** Names the timer that ends the hold of a pull. */
export function holdName(pull: OwnPull): string {
  return `hold ${pull.pullId}`;
}

/** Tells whether it is another than before. */
function moveCursor(cursors: Map<string, UrgentCursor>, peer: string, to: UrgentCursor): boolean {
  const held = cursors.get(peer);
  const later = laterCursor(held, to);
  cursors.delete(peer);
  cursors.set(peer, later);
  const [oldest] = cursors.keys();
  if (cursors.size > CURSORS_MAX && oldest !== undefined) cursors.delete(oldest);
  return later !== held;
}
