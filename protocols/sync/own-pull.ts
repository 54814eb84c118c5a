/*
 * Pulling. Rows are applied as they come, as early rows; the peer's knowledge is joined when all frames of one answer were
 * applied, never before and never from two answers together.
 *
 * A pull that ends because nothing came any more keeps what it has of its answer, and the next pull of that peer asks for the rest: a
 * long answer over a bad link would never come whole otherwise. The answer is of one instant at the peer all the same, and what
 * happens here meanwhile takes nothing from it that is not superseded or gone for good. But that instant lies before the pull, which
 * was begun for what the peer has now: so it asks anew when it has the rest. A replica that says where it stands while it keeps one says so
 * too (settling.ts): what was asked for before may be on its way to it.
 */
import { DecodeError } from "../wire/decode-error.ts";
import { decodeFrame } from "../wire/frame-codec.ts";
import { type AnswerEnd, sameAnswer } from "../wire/frame.ts";
import { parseRefuse } from "../wire/pull.ts";
import { applyRows, countRows } from "./apply-rows.ts";
import { burstFrames } from "./answers.ts";
import { checkFrame } from "./check-frame.ts";
import { isLater, sameHorizon, type Settled, settledOf } from "./horizon.ts";
import { equalKnowledge, join, type ReadonlyKnowledge } from "./knowledge.ts";
import { holdsLate, layHorizon } from "./lay-horizon.ts";
import { ask, askMore, askNext, beginToCome, framesOf, missingFrames, probe, timer, timerName } from "./pull-asks.ts";
import { dropUnfinished, keepUnfinished, letGo, noteGivenUp, noteTooSoon, patienceWith } from "./kept-answers.ts";
import {
  type OwnPull,
  type PullFailure,
  type ReceivedAnswer,
  type Replica,
  type ReplicaEffect,
  type UnfinishedPull,
} from "./replica-state.ts";
import { dropRows, knownTimes, newVersion, noteRows, settleEarly } from "./row-notes.ts";
import { takePositions } from "./positions.ts";
import { type StoredVersions } from "./row-store.ts";
import { speakUp } from "./settling.ts";
import { sameVersion, versionAfterMerge } from "./shard-version.ts";
import { noRoom, stage } from "./staged-copy.ts";
import { observe } from "./stamper.ts";
import { acceptUrgent, endHold, holdName } from "./urgent-pull.ts";

/** Asks a peer for all that we lack. While another pull runs, this one fails at once; one that stands gives way. */
export function startPull(
  replica: Replica,
  {
    peer,
    pullId,
    burst,
    stands = false,
  }: { readonly peer: string; readonly pullId: string; readonly burst?: number; readonly stands?: boolean },
): ReplicaEffect[] {
  if (replica.pull?.isStanding === false) return [{ kind: "pulled", peer, pullId, outcome: "failed", reason: "busy" }];
  const pull: OwnPull = {
    peer,
    pullId,
    asksAs: pullId,
    burst,
    opening: burst,
    stood: stands,
    isStanding: stands,
    upTo: burst === undefined ? 0 : burstFrames(replica.limits, burst),
    before: 0,
    answer: undefined,
    staged: [],
    stagedBytes: 0,
    rows: 0,
    progress: false,
    congested: false,
    window: replica.limits.windowFrames,
    hold: "off",
    holdTimed: false,
    probed: [],
    retries: 0,
  };
  const released = replica.pull === undefined ? [] : [letGo(replica.pull)];
  replica.pull = pull;
  // Nothing is late before there is anything.
  if (stands) return [...released, ...dropUnfinished(replica, (_, other) => other === peer), ask(replica, pull)];
  const unfinished = replica.unfinished.get(peer);
  replica.unfinished.delete(peer);
  const asked = unfinished === undefined ? [ask(replica, pull)] : goOn(replica, pull, unfinished);
  return [...released, ...asked, timer(replica, pull)];
}

/** After an answer of an earlier pull, or instead of it. */
function askAnew(replica: Replica, pull: OwnPull): ReplicaEffect {
  pull.asksAs = pull.pullId;
  pull.before += pull.answer?.receivedCount ?? 0;
  pull.answer = undefined;
  pull.staged = [];
  pull.stagedBytes = 0;
  pull.probed = [];
  return ask(replica, pull);
}

/** Asks for the rest of an answer of which an earlier pull brought a part. */
function goOn(
  replica: Replica,
  pull: OwnPull,
  { asksAs, answer, staged, stagedBytes }: UnfinishedPull,
): ReplicaEffect[] {
  const left: number[] = [];
  for (const [index, isThere] of answer.received.entries()) if (isThere !== 1) left.push(index);
  pull.asksAs = asksAs;
  pull.staged = staged;
  pull.stagedBytes = stagedBytes;
  const rest = { ...answer, left: Uint32Array.from(left), receivedCount: 0, asked: 0 };
  pull.answer = rest;
  rest.asked = Math.min(burstFrames(replica.limits, pull.burst), left.length);
  return [askMore(replica, pull, { answer: rest, frames: left.slice(0, rest.asked) })];
}

/** Applies a frame of our pull's answer; anything else changes nothing. */
export function acceptFrame(
  replica: Replica,
  { from, body, nowMs }: { from: string; body: unknown; nowMs: number },
): ReplicaEffect[] {
  if (!(body instanceof Uint8Array)) throw new DecodeError("frame", "it is not bytes");
  const frame = decodeFrame(body);
  const { pull } = replica;
  if (pull === undefined || pull.asksAs !== frame.pullId || pull.peer !== from) {
    noteTooSoon(replica, { peer: from, pullId: frame.pullId });
    return [stale(from, "of another pull")];
  }
  if (frame.urgent !== undefined) {
    return acceptUrgent(replica, pull, { frame, bytes: body.length, number: frame.urgent, nowMs });
  }
  if (pull.answer !== undefined && !sameAnswer(pull.answer.id, frame.answer)) return [stale(from, "of another answer")];
  if (pull.answer !== undefined && pull.answer.received.length !== frame.frames) {
    return [stale(from, "of another count of frames")];
  }
  if (pull.answer?.received[frame.index] === 1) {
    // It took its time on the link; what we wait for may be behind it.
    pull.progress = true;
    return [stale(from, "repeated")];
  }
  const problem = checkFrame(replica, frame, nowMs);
  if (problem !== undefined) return [{ kind: "refused", from, ...problem }];
  const full = frame.replaces ? noRoom(replica, pull, body) : undefined;
  if (full !== undefined) return [{ kind: "refused", from, ...full }, ...fail(replica, pull, "full")];

  const effects: ReplicaEffect[] = [];
  // With the last frame comes the knowledge that covers its rows, so they need not become early first.
  const fresh: StoredVersions[] = [];
  if (frame.replaces) effects.push(...stage(replica, pull, { frame, body }));
  else effects.push(...applyRows(replica, { frame, origin: "peer", fresh }));
  pull.rows += countRows(effects);
  effects.push(...beginToCome(replica, pull));
  const answer = (pull.answer ??= {
    id: frame.answer,
    received: new Uint8Array(frame.frames),
    left: undefined,
    receivedCount: 0,
    asked: Math.min(burstFrames(replica.limits, pull.opening), frame.frames),
    toldIn: undefined,
    end: undefined,
  });
  answer.toldIn = undefined;
  effects.push({ kind: "frame", pullId: pull.pullId, bytes: body.length, frames: pull.before + framesOf(answer) });
  answer.received[frame.index] = 1;
  answer.receivedCount += 1;
  pull.window = Math.min(replica.limits.windowFrames, pull.window + 1);
  answer.end ??= frame.end;
  if (answer.receivedCount === framesOf(answer) && answer.end !== undefined) {
    return [...effects, ...complete(replica, pull, { answer, end: answer.end, fresh })];
  }
  noteRows(replica, ...fresh);
  effects.push(...askNext(replica, pull));
  return effects;
}

/** A pull that was given a burst may ask for `upTo` frames in all; any other paces itself. */
export function grantFrames(
  replica: Replica,
  { pullId, upTo }: { readonly pullId: string; readonly upTo: number },
): ReplicaEffect[] {
  const { pull } = replica;
  if (pull?.pullId !== pullId) return [];
  pull.upTo = Math.max(pull.upTo, upTo);
  return askNext(replica, pull);
}

/** Ends our pull, if it is this one that runs. What came stays. */
export function giveUpPull(replica: Replica, { pullId }: { readonly pullId: string }): ReplicaEffect[] {
  const { pull } = replica;
  return pull?.pullId === pullId ? fail(replica, pull, "given-up") : [];
}

/** The peer does not answer, or no longer. */
export function acceptRefusal(replica: Replica, { from, body }: { from: string; body: unknown }): ReplicaEffect[] {
  const { pullId, reason } = parseRefuse(body);
  const { pull } = replica;
  if (pull === undefined || pull.asksAs !== pullId || pull.peer !== from) return [stale(from, "of another pull")];
  if (reason !== "gone" || pull.asksAs === pull.pullId) return fail(replica, pull, reason);
  // The answer that we were to go on with is closed.
  return [askAnew(replica, pull)];
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
  const missing = answer === undefined ? [] : missingFrames(answer, { most: replica.limits.windowFrames });
  // Whoever lets us ask for more may have others to serve first.
  const isWaiting = answer !== undefined && missing.length === 0 && pull.hold !== "on";
  if (isWaiting && pull.retries <= replica.limits.waitsMax) return [timer(replica, pull)];
  const patience = patienceWith(replica, pull.peer);
  if (pull.retries > replica.limits.retriesMax * patience) return fail(replica, pull, "no-answer");
  // After one time-out, two, four and so on: what was asked for may be on its way.
  if ((pull.retries & (pull.retries - 1)) !== 0) return [timer(replica, pull)];
  // What comes late will come late again; of what was lost once, more may be lost, but is not.
  const isSlow = pull.congested || patience > 1;
  pull.congested = true;
  pull.window = Math.max(1, Math.floor(pull.window / 2));
  const effects: ReplicaEffect[] = [{ kind: "stalled", pullId: pull.pullId }];
  if (answer === undefined) {
    pull.opening = Math.ceil(replica.limits.frameBytes * REPEATED_SHARE);
    effects.push(ask(replica, pull));
  }
  // With none missing it was urgent rows that we waited for, and no longer do.
  else if (missing.length === 0) effects.push(...endHold(replica, pull));
  else if (isSlow) effects.push(probe(replica, pull, answer));
  else effects.push(askMore(replica, pull, { answer, frames: missing }));
  return [...effects, timer(replica, pull)];
}

function complete(
  replica: Replica,
  pull: OwnPull,
  { answer, end, fresh }: { answer: ReceivedAnswer; end: AnswerEnd; fresh: readonly StoredVersions[] },
): ReplicaEffect[] {
  const { stamper, knowledge, version: before, horizon } = replica;
  const isCopy = pull.staged.length > 0;
  const isBehind = isCopy ? !isLater(end.horizon, horizon) : holdsLate(replica, end.horizon);
  if (isCopy || isBehind) noteRows(replica, ...fresh);
  if (isBehind) {
    if (!isCopy) replica.copyFrom.add(pull.peer);
    return [...(isCopy ? [] : dropUnfinished(replica)), ...fail(replica, pull, "behind")];
  }
  replica.pull = undefined;
  replica.copyFrom.delete(pull.peer);
  replica.slow.delete(pull.peer);
  if (isCopy) replica.copyFrom.clear();
  const effects: ReplicaEffect[] = [
    { kind: "send", to: pull.peer, message: "release", body: { pullId: pull.asksAs, answer: answer.id } },
  ];
  for (const t of end.knowledge.values()) observe(stamper, t);
  takePositions(replica, end, { isCopy });
  if (isCopy) effects.push(...dropCovered(replica, pull, end));
  const grew = join(knowledge, beyond(end.knowledge, horizon));
  if (!isCopy) noteRows(replica, ...fresh);
  effects.push(...layHorizon(replica, end.horizon));
  // What it followed was not held here.
  if (isCopy) replica.follows = replica.horizon.epoch;
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
  if (pull.asksAs !== pull.pullId) {
    replica.pull = pull;
    return [...effects, askAnew(replica, pull)];
  }
  const isLevel = (changed || pull.stood) && sameVersion(replica.version, end.version);
  effects.push({ kind: "pulled", peer: pull.peer, pullId: pull.pullId, outcome: "complete", rows: pull.rows, isLevel });
  effects.push(...speakUp(replica));
  return effects;
}

/** Makes room for a copy: all that its sender knew is gone, was superseded, or is in the copy. What lies beyond stays. */
function dropCovered(replica: Replica, pull: OwnPull, end: AnswerEnd): ReplicaEffect[] {
  const { store } = replica;
  for (const { writers } of pull.staged) for (const writer of writers) store.writerIndex(writer);
  const { epoch, settled } = end.horizon;
  const theirs = knownTimes(store, { epoch, settled, knowledge: end.knowledge });
  return dropRows(replica, ({ t, writer }) => t <= (theirs[writer] ?? 0));
}

function beyond(knowledge: ReadonlyKnowledge, settled: Settled): ReadonlyKnowledge {
  return new Map([...knowledge].filter(([writer, t]) => t > settledOf(settled, writer)));
}

function fail(replica: Replica, pull: OwnPull, reason: PullFailure): ReplicaEffect[] {
  replica.pull = undefined;
  const effects: ReplicaEffect[] = [];
  if (reason === "no-answer") noteGivenUp(replica, pull);
  if (pull.answer !== undefined && reason === "no-answer") keepUnfinished(replica, pull, pull.answer);
  else if (reason !== "gone") effects.push(letGo(pull));
  // The rows that came are visible here and must be found by others, even if their sender never returns.
  if (pull.rows > 0) effects.push({ kind: "changed", version: newVersion(replica) });
  effects.push({ kind: "pulled", peer: pull.peer, pullId: pull.pullId, outcome: "failed", reason });
  effects.push(...speakUp(replica));
  return effects;
}

/** Of a frame: what a pull that is repeated is to bring first. The first answer to it may be on its way. */
const REPEATED_SHARE = 1 / 16;

function stale(from: string, why: string): ReplicaEffect {
  return { kind: "refused", reason: "stale", from, detail: `a frame or refusal ${why}` };
}
