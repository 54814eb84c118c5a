/*
 * How the primary moves the settled time. It asks all members where they stand, twice. A member answers when no pull of its own
 * runs, so that nothing is on its way to it but what it has not asked for yet. Where it keeps a part of an answer, to go on with, it says that
 * rows of any time may come: then nothing is settled. Kept over a whole round without a frame, the part is given up.
 *
 * First round: S is the latest time such that (a) all that a member knows up to S every member knows, (b) whatever a member
 * stamps from now on is later, and (c) no member holds an early row up to S. G is what all know up to S.
 *
 * Second round, asked after that: every member knows G, (b) and (c) still hold, and nobody has heard of a writer that did not answer
 * in the first round more than G says, unless G has all of that writer up to S. Why twice: a writer that died in
 * between may have given a row to a member that had answered already. It died before the one in its place
 * answered, so whoever has the row says so in the second round. Hence what is late for S is held by no member: it was stamped by who
 * is no member, or lost with a disk.
 *
 * A primary that pulls from nobody (one that learns from a stream) lacks for ever what an earlier start of it stamped after the image that it
 * started from, and members know that. So it says what it knows, and a member tells of no more than both know, and of a time before the
 * oldest row held that the primary does not know. What only members knew and no longer hold was superseded by something that
 * all know: it is late like anything else that nobody holds. Rows that members go on holding are strays (strays.ts).
 *
 * A writer that may hold back what it writes must have on disk what it answers; the shell sees to that. The primary
 * itself has S on disk before anybody hears of it (the effect `save`): a start from an older image could settle another time after the
 * same one before it, which members that know of S, and were retired meanwhile, could never follow.
 */
import { buildReport, buildSurvey, parseReport, parseSurvey, type SurveyRound } from "../wire/survey.ts";
import { type Horizon, isLater, isWithinReach, type Known, sameSettled, settledOf } from "./horizon.ts";
import { type ReadonlyKnowledge } from "./knowledge.ts";
import { holdsLate, layHorizon } from "./lay-horizon.ts";
import { lead } from "./epoch.ts";
import { dropUnfinished } from "./kept-answers.ts";
import { hurryPull } from "./pull-asks.ts";
import { type Replica, type ReplicaEffect, type ReplicaEvent } from "./replica-state.ts";
import { covers, isSuperseded, knownOf, newVersion } from "./row-notes.ts";
import { isPlausible } from "./stamper.ts";
import { countStrays, NO_STRAYS, reportStrays } from "./strays.ts";
import { type WriterId } from "./version.ts";

/** In so many rounds no member had more than a primary that lacks its epoch: one that answered before another gave it something says so in the second. */
const ROUNDS_LEVEL = 2;

/** Where a replica stands. */
export interface Report {
  readonly writer: WriterId;
  readonly horizon: Horizon;
  readonly knowledge: ReadonlyKnowledge;
  /** It stamps later than this, and holds nothing up to this that its knowledge does not cover. */
  readonly upTo: number;
  /** Rows held that the primary, which pulls from nobody, does not know. */
  readonly strays: number;
}

/** One round of questions. */
export interface Survey {
  round: number;
  /** The round still waits for answers. */
  isOpen: boolean;
  /** Who is asked: all members but ourselves. */
  members: readonly string[];
  /** By member, of this round. */
  readonly reports: Map<string, Report>;
  /** We pull from nobody: what we do not know, and members do, we never will. */
  isAloof: boolean;
  /** The last round that ended found no strays. */
  isClean: boolean;
  /** Members that told of more than we may take on, and of how much: our disk was lost, or is an older one (recovery.ts). */
  readonly ahead: Map<string, Known>;
  /** For a pull that brings it. */
  pullId: string | undefined;
  /** The epoch that we are to write in is not held here. */
  lacksEpoch: boolean;
  /** Rounds in a row in which no member had more than we. */
  roundsLevel: number;
  /** What the last round came to, and who answered in it. */
  candidate: { readonly horizon: Horizon; readonly writers: ReadonlySet<WriterId> } | undefined;
}

/** A survey that waits until no pull of ours runs. */
export interface HeldSurvey extends SurveyRound {
  readonly from: string;
  /** What the primary knows, where it pulls from nobody. */
  readonly primary?: Known;
}

/** Asks on, or anew, as long as there is anything to settle, or the epoch of our role is lacking (recovery.ts). */
export function settle(
  replica: Replica,
  { members, isAloof = false, pullId, begins }: ReplicaEvent & { readonly kind: "settle" },
  nowMs: number,
): ReplicaEffect[] {
  const { store, knowledge, limits, horizon, pull } = replica;
  const lacksEpoch = begins !== undefined && horizon.epoch < begins.epoch;
  // Who pulls from nobody hears in no other way what it lacks, of each member that was not asked yet.
  if (replica.survey?.members.join() !== members.join() && replica.survey !== undefined) {
    replica.survey.isClean = false;
    replica.survey.roundsLevel = 0;
  }
  if (lacksEpoch) {
    if (pull !== undefined) return [];
    if ((replica.survey?.roundsLevel ?? 0) >= ROUNDS_LEVEL) return lead(replica, begins, nowMs);
  } else {
    if (isSuperseded(replica)) return [];
    const entriesMax = !isAloof ? limits.entriesKept : replica.survey?.isClean === true ? 0 : -1;
    if (store.tombstones === 0 && knowledge.size <= entriesMax) {
      if (!isAloof) replica.survey = undefined;
      return [];
    }
  }
  const survey = (replica.survey ??= {
    round: 0,
    isOpen: false,
    members,
    reports: new Map(),
    isAloof,
    isClean: false,
    ahead: new Map(),
    pullId,
    lacksEpoch,
    roundsLevel: 0,
    candidate: undefined,
  });
  survey.members = members;
  survey.isAloof = isAloof;
  survey.pullId = pullId;
  survey.lacksEpoch = lacksEpoch;
  if (!survey.isOpen) {
    survey.isOpen = true;
    replica.rounds += 1;
    survey.round = replica.rounds;
    survey.reports.clear();
  }
  // Who lacks its epoch is to be told of all that a member knows.
  const primary = isAloof && !lacksEpoch ? knownOf(replica) : undefined;
  const body = buildSurvey({ asker: replica.writer, round: survey.round }, primary);
  const asked = members.filter((member) => !survey.reports.has(member));
  return [...asked.map((to): ReplicaEffect => ({ kind: "send", to, message: "survey", body })), ...speakUp(replica)];
}

/** Says where we stand, once no rows are on their way to us. */
export function takeSurvey(replica: Replica, { from, body }: { from: string; body: unknown }): ReplicaEffect[] {
  const survey = parseSurvey(body);
  replica.asked = { from, ...survey };
  const strays = survey.primary === undefined ? [] : reportStrays(replica, { from, primary: survey.primary });
  return [...strays, ...speakUp(replica)];
}

/** What waited until no pull of ours runs: our report to the primary, or as the primary the end of a round. */
export function speakUp(replica: Replica): ReplicaEffect[] {
  const { asked, survey, pull } = replica;
  if (asked === undefined && survey?.isOpen !== true) return [];
  const reports = survey?.members.flatMap((member) => survey.reports.get(member) ?? []) ?? [];
  const isOver = survey?.isOpen === true && reports.length === survey.members.length;
  // What stands might be on its way.
  if (pull !== undefined) return asked !== undefined || isOver ? hurryPull(replica, pull) : [];
  const effects: ReplicaEffect[] = [];
  if (asked !== undefined) {
    const { from, asker, round, primary } = asked;
    replica.asked = undefined;
    effects.push(...reviewUnfinished(replica, { asker, round }));
    const body = buildReport({ asker, round }, reportOf(replica, primary));
    effects.push({ kind: "send", to: from, message: "report", body });
  }
  if (survey?.isOpen !== true || reports.length < survey.members.length) return effects;
  survey.isOpen = false;
  effects.push(...reviewUnfinished(replica, { asker: replica.writer, round: survey.round }));
  effects.push(...evaluate(replica, survey, [...reports, reportOf(replica)]));
  return effects;
}

/** Files a member's report; nobody else is heard. One with a later horizon than ours is from before our start: it becomes ours. */
export function takeReport(
  replica: Replica,
  { from, body, nowMs }: { from: string; body: unknown; nowMs: number },
): ReplicaEffect[] {
  const { asker, round, ...report } = parseReport(body);
  const { survey } = replica;
  if (survey?.isOpen !== true || survey.round !== round || asker !== replica.writer) {
    return [{ kind: "refused", reason: "stale", from, detail: "a report of another round" }];
  }
  if (!survey.members.includes(from)) {
    return [{ kind: "refused", reason: "stale", from, detail: "a report of who is no member" }];
  }
  for (const t of [report.horizon.settled, ...report.horizon.expired.values(), ...report.knowledge.values()]) {
    if (!isPlausible(t, { nowMs, jumpMs: replica.limits.jumpMs })) {
      return [{ kind: "refused", reason: "time", from, detail: `a report of t ${t}` }];
    }
  }
  // Of an earlier one than ours our peer will hear. A later one came with another primary: rows, positions and all (recovery.ts).
  const known = knownBy(report);
  if (report.horizon.epoch > replica.horizon.epoch) {
    survey.ahead.set(from, known);
    if (survey.lacksEpoch) return [];
    return [{ kind: "refused", reason: "epoch", from, detail: `epoch ${report.horizon.epoch} has begun` }];
  }
  survey.reports.set(from, report);
  const moved = isWithinReach(report.horizon, knownOf(replica)) ? moveTo(replica, report.horizon) : [];
  if (hasMore(replica, survey, known)) survey.ahead.set(from, known);
  else survey.ahead.delete(from);
  return [...moved, ...speakUp(replica)];
}

/** Whether somebody had more, when it told that, than we have now: a later horizon; and where we lack an epoch, anything that we do not know. */
export function hasMore(replica: Replica, { lacksEpoch }: Survey, known: Known): boolean {
  if (isLater(known, replica.horizon)) return true;
  return lacksEpoch && [...known.knowledge].some(([writer, t]) => !covers(replica, { t, writer }));
}

function knownBy({ horizon: { epoch, settled }, knowledge }: Report): Known {
  return { epoch, settled, knowledge };
}

function evaluate(replica: Replica, survey: Survey, reports: readonly Report[]): ReplicaEffect[] {
  const { candidate } = survey;
  survey.candidate = undefined;
  if (survey.lacksEpoch) {
    const isLevel = !reports.some((report) => hasMore(replica, survey, knownBy(report)));
    survey.roundsLevel = isLevel ? survey.roundsLevel + 1 : 0;
    return [];
  }
  if (isSuperseded(replica)) return [];
  survey.isClean = reports.every(({ strays }) => strays === 0);
  if (reports.some(({ horizon }) => !sameSettled(horizon, replica.horizon))) return [];
  if (candidate !== undefined && isConfirmed(candidate, reports)) return moveTo(replica, candidate.horizon);
  const horizon = propose(replica.horizon, reports);
  if (horizon !== undefined) {
    survey.candidate = { horizon, writers: new Set(reports.map(({ writer }) => writer)) };
  }
  return [];
}

function propose(current: Horizon, reports: readonly Report[]): Horizon | undefined {
  const base = current.settled;
  const writers = new Set(reports.flatMap(({ knowledge }) => [...knowledge.keys()]));
  const least = new Map<WriterId, number>();
  let settled = Math.min(...reports.map(({ upTo }) => upTo));
  for (const writer of writers) {
    const times = reports.map(({ knowledge }) => knowledge.get(writer) ?? base);
    const all = Math.min(...times);
    least.set(writer, all);
    if (Math.max(...times) > all) settled = Math.min(settled, all);
  }
  const graveyard = new Map<WriterId, number>();
  for (const [writer, t] of least) if (t > base && settled > base) graveyard.set(writer, Math.min(t, settled));
  if (graveyard.size === 0) return undefined;
  return { ...current, settled, before: base, graveyard };
}

function isConfirmed(
  { horizon, writers }: { readonly horizon: Horizon; readonly writers: ReadonlySet<WriterId> },
  reports: readonly Report[],
): boolean {
  const { settled, graveyard } = horizon;
  return reports.every(
    (report) =>
      report.upTo >= settled &&
      isWithinReach(horizon, knownBy(report)) &&
      [...report.knowledge].every(
        ([writer, t]) => writers.has(writer) || t <= (graveyard.get(writer) ?? 0) || graveyard.get(writer) === settled,
      ),
  );
}

/** Lays a horizon that is within reach. Who holds something late waits: for a later round, or for a copy. */
function moveTo(replica: Replica, next: Horizon): ReplicaEffect[] {
  const before = replica.horizon;
  if (holdsLate(replica, next)) return [];
  const effects = layHorizon(replica, next);
  if (replica.horizon === before) return [];
  return [{ kind: "save" }, ...effects, { kind: "changed", version: newVersion(replica) }];
}

/** An answer of which nothing came since an earlier round was told of it is closed at its peer by now, or its peer gone. */
function reviewUnfinished(replica: Replica, { asker, round }: SurveyRound): ReplicaEffect[] {
  const now = `${asker} ${round}`;
  const dropped = dropUnfinished(replica, ({ answer }) => (answer.toldIn ?? now) !== now);
  for (const { answer } of replica.unfinished.values()) answer.toldIn = now;
  return dropped;
}

function reportOf(replica: Replica, primary?: Known): Report {
  const { store, stamper, early, writer, knowledge, horizon } = replica;
  let upTo = Math.max(stamper.last, stamper.greatestSeen);
  const strays = primary === undefined ? NO_STRAYS : countStrays(replica, primary);
  upTo = Math.max(0, Math.min(upTo, strays.oldest - 1));
  const capped = primary === undefined ? knowledge : capAt(replica, primary);
  for (const slot of early) upTo = Math.min(upTo, store.versionAt(slot).t - 1);
  // What is on its way of a part that we keep may be of any time.
  if (replica.unfinished.size > 0) upTo = Math.min(upTo, horizon.settled);
  return { writer, horizon, knowledge: new Map(capped), upTo, strays: strays.count };
}

/** What both know, beyond what is settled here. */
function capAt({ knowledge, horizon }: Replica, primary: Known): ReadonlyKnowledge {
  const capped = new Map<WriterId, number>();
  for (const [writer, t] of knowledge) {
    const both = Math.min(t, Math.max(settledOf(primary, writer), primary.knowledge.get(writer) ?? 0));
    if (both > settledOf(horizon, writer)) capped.set(writer, both);
  }
  return capped;
}
