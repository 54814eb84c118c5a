/*
 * Pulling. Rows are applied as they come, as early rows; the peer's knowledge is joined when all frames of one answer were
 * applied, never before and never from two answers together.
 */
import { type SyncLimits } from "../limits.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeFrame } from "../wire/frame-codec.ts";
import { type AnswerEnd, sameAnswer } from "../wire/frame.ts";
import { parseRefuse } from "../wire/pull.ts";
import { applyRows, countRows } from "./apply-rows.ts";
import { burstFrames } from "./answers.ts";
import { checkFrame } from "./check-frame.ts";
import { sameHorizon } from "./horizon.ts";
import { equalKnowledge, join, type ReadonlyKnowledge } from "./knowledge.ts";
import { holdsLate, layHorizon } from "./lay-horizon.ts";
import { ask, askMore, askNext, beginToCome, timer, timerName } from "./pull-asks.ts";
import {
  dropRows,
  knownTimes,
  newVersion,
  noteRows,
  type OwnPull,
  type PullFailure,
  type ReceivedAnswer,
  type Replica,
  type ReplicaEffect,
  settleEarly,
} from "./replica-state.ts";
import { type SlotVersions } from "./row-store.ts";
import { speakUp } from "./settling.ts";
import { sameVersion, versionAfterMerge } from "./shard-version.ts";
import { observe } from "./stamper.ts";
import { acceptUrgent, endHold, holdName } from "./urgent-pull.ts";

/** Asks a peer for all that we lack. While another pull runs, this one fails at once; one that stands gives way. */
export function startPull(
  replica: Replica,
  {
    peer,
    pullId,
    burst,
    standMs,
  }: { readonly peer: string; readonly pullId: string; readonly burst?: number; readonly standMs?: number },
): ReplicaEffect[] {
  if (replica.pull?.isStanding === false) return [{ kind: "pulled", peer, pullId, outcome: "failed", reason: "busy" }];
  const pull: OwnPull = {
    peer,
    pullId,
    burst,
    isStanding: standMs !== undefined,
    upTo: 0,
    answer: undefined,
    staged: [],
    rows: 0,
    progress: false,
    congested: false,
    window: replica.limits.windowFrames,
    hold: "off",
    holdTimed: false,
    retries: 0,
  };
  replica.pull = pull;
  // Nothing is late before there is anything.
  return standMs === undefined ? [ask(replica, pull), timer(replica, pull)] : [ask(replica, pull, standMs)];
}

/** Applies a frame of our pull's answer; anything else changes nothing. */
export function acceptFrame(
  replica: Replica,
  { from, body, nowMs }: { from: string; body: unknown; nowMs: number },
): ReplicaEffect[] {
  if (!(body instanceof Uint8Array)) throw new DecodeError("frame", "it is not bytes");
  const frame = decodeFrame(body);
  const { pull } = replica;
  if (pull === undefined || pull.pullId !== frame.pullId || pull.peer !== from) return [stale(from, "of another pull")];
  if (frame.urgent !== undefined) {
    return acceptUrgent(replica, pull, { frame, bytes: body.length, number: frame.urgent, nowMs });
  }
  if (pull.answer !== undefined && !sameAnswer(pull.answer.id, frame.answer)) return [stale(from, "of another answer")];
  if (pull.answer !== undefined && pull.answer.received.length !== frame.frames) {
    return [stale(from, "of another count of frames")];
  }
  if (pull.answer?.received[frame.index] === 1) return [stale(from, "repeated")];
  const problem = checkFrame(replica, frame, nowMs);
  if (problem !== undefined) return [{ kind: "refused", from, ...problem }];

  const effects: ReplicaEffect[] = [];
  // With the last frame comes the knowledge that covers its rows, so they need not become early first.
  const fresh: SlotVersions[] = [];
  if (frame.replaces) pull.staged.push(frame);
  else effects.push(...applyRows(replica, { frame, origin: "peer", fresh }));
  pull.rows += countRows(effects);
  effects.push({ kind: "frame", pullId: pull.pullId, bytes: body.length, frames: frame.frames });
  effects.push(...beginToCome(replica, pull));
  const answer = (pull.answer ??= {
    id: frame.answer,
    received: new Uint8Array(frame.frames),
    receivedCount: 0,
    asked: Math.min(burstFrames(replica.limits, pull.burst), frame.frames),
    end: undefined,
  });
  answer.received[frame.index] = 1;
  answer.receivedCount += 1;
  pull.window = Math.min(replica.limits.windowFrames, pull.window + 1);
  answer.end ??= frame.end;
  if (answer.receivedCount === frame.frames && answer.end !== undefined) {
    return [...effects, ...complete(replica, pull, { answer, end: answer.end, fresh })];
  }
  noteRows(replica, ...fresh);
  effects.push(...askNext(replica, pull));
  return effects;
}

/** A pull that was given a burst may ask for all frames below `upTo`; any other paces itself. */
export function grantFrames(replica: Replica, { upTo }: { readonly upTo: number }): ReplicaEffect[] {
  const { pull } = replica;
  if (pull === undefined) return [];
  pull.upTo = Math.max(pull.upTo, upTo);
  return askNext(replica, pull);
}

/** Ends our pull from a peer, if one runs. What came stays. */
export function giveUpPull(replica: Replica, { peer }: { readonly peer: string }): ReplicaEffect[] {
  const { pull } = replica;
  return pull?.peer === peer ? fail(replica, pull, "given-up") : [];
}

/** The peer does not answer, or no longer. */
export function acceptRefusal(replica: Replica, { from, body }: { from: string; body: unknown }): ReplicaEffect[] {
  const { pullId, reason } = parseRefuse(body);
  const { pull } = replica;
  if (pull === undefined || pull.pullId !== pullId || pull.peer !== from) return [stale(from, "of another pull")];
  return fail(replica, pull, reason);
}

/** Asks again where nothing came since the last time, a bounded number of times. */
export function timePull(replica: Replica, name: string): ReplicaEffect[] {
  const { pull } = replica;
  if (pull !== undefined && holdName(pull) === name) {
    return endHold(replica, pull);
  }
  if (pull === undefined || timerName(pull) !== name) return [];
  if (pull.progress) {
    pull.progress = false;
    pull.retries = 0;
    return [timer(replica, pull)];
  }
  pull.retries += 1;
  const { answer } = pull;
  const missing = answer === undefined ? [] : missingFrames(answer, replica.limits);
  // Whoever lets us ask for more may have others to serve first.
  const isWaiting = answer !== undefined && missing.length === 0 && pull.hold !== "on";
  if (isWaiting && pull.retries <= replica.limits.waitsMax) return [timer(replica, pull)];
  if (pull.retries > replica.limits.retriesMax) return fail(replica, pull, "no-answer");
  pull.congested = true;
  pull.window = Math.max(1, Math.floor(pull.window / 2));
  const effects: ReplicaEffect[] = [{ kind: "stalled", pullId: pull.pullId }];
  if (answer === undefined) effects.push(ask(replica, pull));
  // With none missing it was urgent rows that we waited for, and no longer do.
  else if (missing.length === 0) effects.push(...endHold(replica, pull));
  else effects.push(askMore(replica, pull, { answer, frames: missing }));
  return [...effects, timer(replica, pull)];
}

function complete(
  replica: Replica,
  pull: OwnPull,
  { answer, end, fresh }: { answer: ReceivedAnswer; end: AnswerEnd; fresh: readonly SlotVersions[] },
): ReplicaEffect[] {
  const { stamper, knowledge, version: before, horizon } = replica;
  const isCopy = pull.staged.length > 0;
  const isBehind = isCopy ? end.horizon.settled <= horizon.settled : holdsLate(replica, end.horizon);
  if (isCopy || isBehind) noteRows(replica, ...fresh);
  if (isBehind) {
    replica.wantsCopy ||= !isCopy;
    return fail(replica, pull, "behind");
  }
  replica.pull = undefined;
  replica.wantsCopy = false;
  const effects: ReplicaEffect[] = [
    { kind: "send", to: pull.peer, message: "release", body: { pullId: pull.pullId, answer: answer.id } },
  ];
  for (const t of end.knowledge.values()) observe(stamper, t);
  if (isCopy) effects.push(...dropCovered(replica, pull, end));
  const grew = join(knowledge, beyond(end.knowledge, horizon.settled));
  if (!isCopy) noteRows(replica, ...fresh);
  effects.push(...layHorizon(replica, end.horizon));
  const copied = pull.staged.flatMap((frame) => applyRows(replica, { frame, origin: "peer" }));
  pull.rows += countRows(copied);
  effects.push(...copied);
  settleEarly(replica);
  const changed = grew || pull.rows > 0 || replica.horizon !== horizon;
  const equalNow =
    replica.early.size === 0 &&
    !end.early &&
    sameHorizon(replica.horizon, end.horizon) &&
    equalKnowledge(knowledge, end.knowledge);
  const version = versionAfterMerge({ ours: before, peers: end.version, equalNow, changed });
  if (version === "new") newVersion(replica);
  else replica.version = version;
  if (!sameVersion(replica.version, before)) effects.push({ kind: "changed", version: replica.version });
  const isLevel = changed && sameVersion(replica.version, end.version);
  effects.push({ kind: "pulled", peer: pull.peer, pullId: pull.pullId, outcome: "complete", rows: pull.rows, isLevel });
  effects.push(...speakUp(replica));
  return effects;
}

/** Makes room for a copy: all that its sender knew is gone, was superseded, or is in the copy. What lies beyond stays. */
function dropCovered(replica: Replica, pull: OwnPull, end: AnswerEnd): ReplicaEffect[] {
  const { store } = replica;
  for (const { writers } of pull.staged) for (const writer of writers) store.writerIndex(writer);
  const theirs = knownTimes(store, { settled: end.horizon.settled, knowledge: end.knowledge });
  return dropRows(replica, ({ t, writer }) => t <= (theirs[writer] ?? 0));
}

function beyond(knowledge: ReadonlyKnowledge, settled: number): ReadonlyKnowledge {
  return new Map([...knowledge].filter(([, t]) => t > settled));
}

function fail(replica: Replica, pull: OwnPull, reason: PullFailure): ReplicaEffect[] {
  replica.pull = undefined;
  const effects: ReplicaEffect[] = [];
  if (pull.answer !== undefined && reason !== "gone") {
    effects.push({
      kind: "send",
      to: pull.peer,
      message: "release",
      body: { pullId: pull.pullId, answer: pull.answer.id },
    });
  }
  // The rows that came are visible here and must be found by others, even if their sender never returns.
  if (pull.rows > 0) effects.push({ kind: "changed", version: newVersion(replica) });
  effects.push({ kind: "pulled", peer: pull.peer, pullId: pull.pullId, outcome: "failed", reason });
  effects.push(...speakUp(replica));
  return effects;
}

function missingFrames({ received, asked }: ReceivedAnswer, limits: SyncLimits): number[] {
  const missing: number[] = [];
  for (let index = 0; index < asked && missing.length < limits.windowFrames; index += 1) {
    if (received[index] !== 1) missing.push(index);
  }
  return missing;
}

function stale(from: string, why: string): ReplicaEffect {
  return { kind: "refused", reason: "stale", from, detail: `a frame or refusal ${why}` };
}
