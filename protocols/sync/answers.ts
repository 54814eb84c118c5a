/*
 * Answering pulls. Knowledge, shard version and the list of rows are taken at one instant; the rows then travel at the version
 * they have when their frame is packed, which is the one listed or newer. So whoever applied every frame of one answer may
 * join its knowledge, and nobody else may.
 */
import { type SyncLimits } from "../limits.ts";
import { encodeFrame, type FrameInput } from "../wire/frame-codec.ts";
import { sameAnswer } from "../wire/frame.ts";
import { parseMore, parsePull, parseRelease, type ParsedPull } from "../wire/pull.ts";
import { holdPull, takeDue } from "./held-pulls.ts";
import { isLater, isWithinReach, type Known } from "./horizon.ts";
import { answerKey, closeAnswer, isOver, noteOver } from "./over-pulls.ts";
import { type OpenAnswer, type Replica, type ReplicaEffect } from "./replica-state.ts";
import { knownOf, knownTimes } from "./row-notes.ts";
import { type SlotList, type TableSpec } from "./row-store.ts";
import { isPlausible } from "./stamper.ts";
import { lackingSlots } from "./update-cache.ts";
import { type UrgentCursor, urgentAfter } from "./urgent-rows.ts";

/** Who holds no state never goes on as the primary. */
const NO_POSITIONS: ReadonlyMap<string, number> = new Map();

/** Name of the timer that closes answers nobody asks for any more. */
export const SWEEP_TIMER = "answers";

/** Answers a pull with its first frames, or lets it stand. A pull repeated under the same id gets the same answer. */
export function openAnswer(
  replica: Replica,
  { from, body, nowMs }: { from: string; body: unknown; nowMs: number },
): ReplicaEffect[] {
  const pull = parsePull(body);
  const { pullId } = pull;
  const open = replica.answers.get(answerKey(from, pullId));
  if (open !== undefined) {
    return sendFrames(replica, open, { indexes: firstFrames(replica, open, pull), cursor: pull.urgent });
  }
  if (isOver(replica, { asker: from, pullId })) return [refuse(from, pullId, "gone")];
  if (pull.declaration !== replica.declaration) {
    return [refuse(from, pullId, "declaration"), refused("declaration", from, "the peer's tables differ from ours")];
  }
  if (pull.wantsState && !replica.store.hasState) return [refuse(from, pullId, "serving")];
  for (const t of [pull.settled, ...pull.knowledge.values()]) {
    if (!isPlausible(t, { nowMs, jumpMs: replica.limits.jumpMs })) {
      return [refused("time", from, `a knowledge of t ${t}`)];
    }
  }
  return holdPull(replica, { from, pull }) ?? answerPull(replica, { from, pull });
}

/** The shard has another version: pulls that waited for that are answered. */
export function answerHeld(replica: Replica): ReplicaEffect[] {
  return takeDue(replica).flatMap((due) => answerPull(replica, due));
}

/** Takes knowledge, version and list at this instant, and sends the first frames. */
function answerPull(
  replica: Replica,
  { from, pull }: { readonly from: string; readonly pull: ParsedPull },
): ReplicaEffect[] {
  const { pullId } = pull;
  makeRoom(replica);
  const isAsked = pull.wantsCopy === true && isLater(replica.horizon, pull);
  const replaces = isAsked || !isWithinReach(replica.horizon, pull, replica.follows);
  const list = replaces ? replica.store.collect(new Float64Array()) : collectLacking(replica, pull);
  replica.answersOpened += 1;
  const answer: OpenAnswer = {
    to: from,
    pullId,
    id: { responder: replica.writer, number: replica.answersOpened },
    list,
    cuts: cutFrames(list, {
      tables: replica.store.tables,
      hasState: pull.wantsState,
      frameBytes: replica.limits.frameBytes,
      firstBytes: Math.min(replica.limits.frameBytes, pull.burst ?? Infinity),
    }),
    hasState: pull.wantsState,
    replaces,
    known: knownTimes(replica.store, pull),
    end: {
      knowledge: new Map(replica.knowledge),
      horizon: replica.horizon,
      version: replica.version,
      early: replica.early.size > 0,
      applied: pull.wantsState ? new Map(replica.applied) : NO_POSITIONS,
    },
    isEnded: false,
    used: true,
  };
  replica.answers.set(answerKey(from, pullId), answer);
  const frames = sendFrames(replica, answer, { indexes: firstFrames(replica, answer, pull), cursor: pull.urgent });
  return [...frames, ...sweepLater(replica)];
}

/** Sends the frames asked for, or says that the answer is gone. */
export function sendMore(replica: Replica, { from, body }: { from: string; body: unknown }): ReplicaEffect[] {
  const { pullId, answer: id, frames, urgent } = parseMore(body);
  const answer = replica.answers.get(answerKey(from, pullId));
  if (answer === undefined || !sameAnswer(answer.id, id)) return [refuse(from, pullId, "gone")];
  return sendFrames(replica, answer, { indexes: frames, cursor: urgent });
}

/** Lets go of an answer that its asker is done with, or of a pull of it that stood here. */
export function releaseAnswer(replica: Replica, { from, body }: { from: string; body: unknown }): ReplicaEffect[] {
  const { pullId, answer: id } = parseRelease(body);
  const answer = replica.answers.get(answerKey(from, pullId));
  if (id !== undefined && (answer === undefined || !sameAnswer(answer.id, id))) return [];
  if (replica.held.get(from)?.pullId === pullId) replica.held.delete(from);
  if (answer === undefined) noteOver(replica, { asker: from, pullId });
  else closeAnswer(replica, answer);
  return [];
}

/** Closes what was not asked for since the last sweep. Counted in sweeps, so that a jumping clock does not matter. */
export function sweepAnswers(replica: Replica): ReplicaEffect[] {
  replica.isSweeping = false;
  for (const answer of replica.answers.values()) {
    if (answer.used) answer.used = false;
    else closeAnswer(replica, answer);
  }
  return replica.answers.size > 0 ? sweepLater(replica) : [];
}

/** One sweep is due at a time: of several, two could lie between two requests of an asker. */
function sweepLater(replica: Replica): ReplicaEffect[] {
  if (replica.isSweeping) return [];
  replica.isSweeping = true;
  return [{ kind: "timer", name: SWEEP_TIMER, delayMs: replica.limits.answerIdleMs }];
}

/** The rows that a knowledge lacks: from the update cache where it reaches back far enough, else by looking at every row. */
export function collectLacking(replica: Replica, theirs: Known): SlotList {
  const { store, cache } = replica;
  const known = knownTimes(store, theirs);
  return store.collect(known, lackingSlots(cache, { known, ours: knownTimes(store, knownOf(replica)) }));
}

/** Ends of frames over a list, each frame within the size by the largest its rows can become; one empty frame for no rows. */
function cutFrames(
  list: SlotList,
  options: { tables: readonly TableSpec[]; hasState: boolean; frameBytes: number; firstBytes: number },
): number[] {
  const cuts = [0];
  let bytes = 0;
  let bytesMax = options.firstBytes;
  for (const { table, from, to } of list.sections) {
    const spec = options.tables[table];
    if (spec === undefined) throw new RangeError(`Cannot cut frames: there is no table ${table}`);
    const rowBytes = rowBytesMax(spec) - (options.hasState ? 0 : spec.stateBytes);
    for (let position = from; position < to; position += 1) {
      if (bytes > 0 && bytes + rowBytes > bytesMax) {
        cuts.push(position);
        bytes = 0;
        bytesMax = options.frameBytes;
      }
      bytes += rowBytes;
    }
  }
  return [...cuts, list.slots.length];
}

/** The most that a row takes in a frame: key 8, difference of t 8, writer 2, flags 1, values and state. */
export function rowBytesMax(spec: TableSpec | undefined): number {
  return 19 + (spec?.valueBytes ?? 0) + (spec?.stateBytes ?? 0);
}

/** Urgent rows first, where there are some that the asker lacks; then the frames asked for. */
function sendFrames(
  replica: Replica,
  answer: OpenAnswer,
  { indexes, cursor }: { readonly indexes: readonly number[]; readonly cursor: UrgentCursor | undefined },
): ReplicaEffect[] {
  answer.used = true;
  const { store } = replica;
  const frames = answer.cuts.length - 1;
  // An answer of one frame is as fast as its urgent rows alone would be.
  const effects = frames === 1 ? [] : urgentFrame(replica, answer, { cursor, isAsked: indexes.length === 0 });
  for (const index of indexes) {
    const from = answer.cuts[index];
    const to = answer.cuts[index + 1];
    if (from === undefined || to === undefined) continue;
    const batches = store.pack(answer.list, { from, to });
    const end = index === frames - 1 ? answer.end : undefined;
    answer.isEnded ||= end !== undefined;
    effects.push(frameOf(replica, answer, { index, frames, batches, end }));
  }
  return effects;
}

/** The urgent rows after the asker's cursor that it does not know, at their versions now. */
function urgentFrame(
  replica: Replica,
  answer: OpenAnswer,
  { cursor, isAsked }: { readonly cursor: UrgentCursor | undefined; readonly isAsked: boolean },
): ReplicaEffect[] {
  const { store, urgent, limits } = replica;
  const number = cursor?.writer === replica.writer ? Math.min(cursor.number, urgent.latest) : 0;
  const { slots, upTo } = urgentAfter(urgent, { number, bytesMax: limits.frameBytes });
  if (slots.length === 0 && !isAsked) return [];
  const list = store.collect(answer.known, slots);
  const batches = store.pack(list, { from: 0, to: list.slots.length });
  store.release(list);
  if (batches.length === 0 && !isAsked) return [];
  return [frameOf(replica, answer, { index: 0, frames: 0, urgent: upTo, batches, end: undefined })];
}

function frameOf(
  { declaration, store }: Replica,
  { to, pullId, id, hasState, replaces }: OpenAnswer,
  frame: Pick<FrameInput, "index" | "frames" | "urgent" | "batches" | "end">,
): ReplicaEffect {
  const { tables, writers } = store;
  // Urgent rows are early rows, and replace nothing.
  const isCopy = replaces && frame.urgent === undefined;
  const body = encodeFrame({ declaration, pullId, answer: id, hasState, replaces: isCopy, tables, writers, ...frame });
  return { kind: "send", to, message: "frame", body };
}

function firstFrames({ limits }: Replica, answer: OpenAnswer, { burst }: { readonly burst?: number }): number[] {
  const length = Math.min(burstFrames(limits, burst), answer.cuts.length - 1);
  return Array.from({ length }, (_, index) => index);
}

/** Frames that come unasked where so many bytes may: at least one, which is then no larger than these; at most a window. */
export function burstFrames({ frameBytes, windowFrames }: SyncLimits, burst: number | undefined): number {
  return burst === undefined ? windowFrames : Math.min(windowFrames, Math.max(1, Math.floor(burst / frameBytes)));
}

/**
 * Closes an answer where there is no room for another: one of a single frame, which was sent whole, or else the one that was opened last. So those before
 * it come to their end, however many ask: if the oldest gave way, or what was used longest ago, askers would close each other's in turn, for ever.
 */
function makeRoom(replica: Replica): void {
  const open = [...replica.answers.values()];
  if (open.length < replica.limits.answersMax) return;
  const last = open.find(({ cuts }) => cuts.length === 2) ?? open.at(-1);
  if (last !== undefined) closeAnswer(replica, last);
}

function refuse(to: string, pullId: string, reason: "declaration" | "serving" | "gone"): ReplicaEffect {
  return { kind: "send", to, message: "refuse", body: { pullId, reason } };
}

function refused(reason: "declaration" | "time", from: string, detail: string): ReplicaEffect {
  return { kind: "refused", reason, from, detail };
}
