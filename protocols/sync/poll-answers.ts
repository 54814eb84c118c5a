/*
 * Answering polls. A poll that has nothing to report is held until something changes or its time is up; answers that report
 * something keep a distance, so that many updates of one shard are listed once.
 */
import { type Cursor, parsePoll, type PollMessage } from "../wire/poll.ts";
import { changesAfter } from "./change-list.ts";
import { type PollEffect, type Poller } from "./poll.ts";

/** Someone who polls us. */
export interface Asker {
  readonly peer: string;
  /** Its latest poll, while it is held. */
  held: PollMessage | undefined;
  /** The distance since the last answer has not passed yet. */
  resting: boolean;
  /** Tells timers of earlier polls and answers from the current ones. */
  turn: number;
}

/** Takes a poll: answers it, or holds it in place of an earlier one. */
export function answerPoll(
  poller: Poller,
  { from, body }: { readonly from: string; readonly body: unknown },
): PollEffect[] {
  const poll = parsePoll(body);
  const asker = poller.askers.get(from) ?? { peer: from, held: undefined, resting: false, turn: 0 };
  if (!poller.askers.has(from) && !makeRoom(poller)) {
    return [
      { kind: "refused", reason: "full", from, detail: `more than ${poller.limits.peersMax} nodes poll this one` },
    ];
  }
  // In the order of their latest polls.
  poller.askers.delete(from);
  poller.askers.set(from, asker);
  asker.held = poll;
  asker.turn += 1;
  const answered = answerHeld(poller, asker);
  return answered.length > 0 ? answered : [{ kind: "timer", name: timerName("wait", asker), delayMs: poll.waitMs }];
}

/** Forgets, if there is no room for another, who of those that wait for no answer polled longest ago: names can be made up, and nodes go for good. */
function makeRoom({ askers, limits }: Poller): boolean {
  if (askers.size < limits.peersMax) return true;
  for (const { peer, held } of askers.values()) if (held === undefined) return askers.delete(peer);
  return false;
}

/** Something changed here: answers whoever waits for that. */
export function answerHeldPolls(poller: Poller): PollEffect[] {
  const effects: PollEffect[] = [];
  for (const asker of poller.askers.values()) {
    if (asker.held !== undefined) effects.push(...answerHeld(poller, asker));
  }
  return effects;
}

export function timeAsker(poller: Poller, { what, turn, rest: peer }: PollTimer): PollEffect[] {
  const asker = poller.askers.get(peer);
  if (asker === undefined) return [];
  // While it rests, the end of the rest answers what is held.
  if (what === "wait" && asker.held !== undefined && turn === asker.turn && !asker.resting) {
    return answer(poller, asker, asker.held);
  }
  if (what === "rest") {
    asker.resting = false;
    return answerHeld(poller, asker);
  }
  return [];
}

/** A timer's name in its parts: `<what> <turn> <rest>`. The rest, a peer's text, may hold spaces. */
export interface PollTimer {
  readonly what: string;
  readonly turn: number;
  readonly rest: string;
}

export function splitTimer(name: string): PollTimer {
  const first = name.indexOf(" ");
  const second = name.indexOf(" ", first + 1);
  return { what: name.slice(0, first), turn: Number(name.slice(first + 1, second)), rest: name.slice(second + 1) };
}

function answerHeld(poller: Poller, asker: Asker): PollEffect[] {
  const { held } = asker;
  if (held === undefined || asker.resting) return [];
  const isKnown = held.cursor !== undefined && isOurs(poller, held.cursor);
  if (isKnown && held.cursor.change >= poller.changes.latest) return [];
  return answer(poller, asker, held);
}

function answer(poller: Poller, asker: Asker, poll: PollMessage): PollEffect[] {
  const { writer, changes } = poller;
  asker.held = undefined;
  const after = poll.cursor !== undefined && isOurs(poller, poll.cursor) ? poll.cursor.change : 0;
  const { shards, upTo, more } = changesAfter(changes, { change: after, max: poller.limits.changesMax });
  const { pollId } = poll;
  const body =
    after === changes.latest && after > 0 ? pollId : { pollId, cursor: { writer, change: upTo }, more, shards };
  const send: PollEffect = { kind: "send", to: asker.peer, message: "changes", body };
  if (more || shards.length === 0) return [send];
  asker.resting = true;
  return [send, { kind: "timer", name: timerName("rest", asker), delayMs: poller.limits.gapMs }];
}

/** Whether a cursor is of this start and not beyond what has happened. */
function isOurs({ writer, changes }: Poller, cursor: Cursor): boolean {
  return cursor.writer === writer && cursor.change <= changes.latest;
}

function timerName(what: string, { turn, peer }: Asker): string {
  return `${what} ${turn} ${peer}`;
}
