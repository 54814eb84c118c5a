/*
 * How the primary moves the settled time. It asks all members where they stand, twice. A member answers when no pull of its own
 * runs, so that nothing is on its way to it but what it has not asked for yet.
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
 * A writer that may hold back what it writes must have on disk what it answers; the shell sees to that. The primary
 * itself has S on disk before anybody hears of it (the effect `save`): a start from an older image could settle another time after the
 * same one before it, which members that know of S, and were retired meanwhile, could never follow.
 */
import { buildReport, parseReport, parseSurvey, type SurveyMessage } from "../wire/survey.ts";
import { type Horizon, isWithinReach } from "./horizon.ts";
import { type ReadonlyKnowledge } from "./knowledge.ts";
import { holdsLate, layHorizon } from "./lay-horizon.ts";
import { hurryPull } from "./pull-asks.ts";
import { knownOf, newVersion, type Replica, type ReplicaEffect } from "./replica-state.ts";
import { isPlausible } from "./stamper.ts";
import { type WriterId } from "./version.ts";

/** Where a replica stands. */
export interface Report {
  readonly writer: WriterId;
  readonly horizon: Horizon;
  readonly knowledge: ReadonlyKnowledge;
  /** It stamps later than this, and holds nothing up to this that its knowledge does not cover. */
  readonly upTo: number;
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
  /** What the last round came to, and who answered in it. */
  candidate: { readonly horizon: Horizon; readonly writers: ReadonlySet<WriterId> } | undefined;
}

/** A survey that waits until no pull of ours runs. */
export interface HeldSurvey extends SurveyMessage {
  readonly from: string;
}

/** Asks on, or anew, as long as there is anything to settle. */
export function settle(replica: Replica, members: readonly string[]): ReplicaEffect[] {
  const { store, knowledge, limits } = replica;
  if (store.tombstones === 0 && knowledge.size <= limits.entriesKept) {
    replica.survey = undefined;
    return [];
  }
  const survey = (replica.survey ??= { round: 0, isOpen: false, members, reports: new Map(), candidate: undefined });
  survey.members = members;
  if (!survey.isOpen) {
    survey.isOpen = true;
    survey.round += 1;
    survey.reports.clear();
  }
  const body = { asker: replica.writer, round: survey.round };
  const asked = members.filter((member) => !survey.reports.has(member));
  return [...asked.map((to): ReplicaEffect => ({ kind: "send", to, message: "survey", body })), ...speakUp(replica)];
}

/** Says where we stand, once no rows are on their way to us. */
export function takeSurvey(replica: Replica, { from, body }: { from: string; body: unknown }): ReplicaEffect[] {
  replica.asked = { from, ...parseSurvey(body) };
  return speakUp(replica);
}

/** What waited until no pull of ours runs: our report to the primary, or as the primary the end of a round. */
export function speakUp(replica: Replica): ReplicaEffect[] {
  const { asked, survey, pull } = replica;
  const reports = survey?.members.flatMap((member) => survey.reports.get(member) ?? []) ?? [];
  const isOver = survey?.isOpen === true && reports.length === survey.members.length;
  // What stands might be on its way.
  if (pull !== undefined) return asked !== undefined || isOver ? hurryPull(replica, pull) : [];
  const effects: ReplicaEffect[] = [];
  if (asked !== undefined || survey?.isOpen === true) replica.unfinished.clear();
  if (asked !== undefined) {
    const { from, asker, round } = asked;
    replica.asked = undefined;
    effects.push({ kind: "send", to: from, message: "report", body: buildReport({ asker, round }, reportOf(replica)) });
  }
  if (survey?.isOpen !== true || reports.length < survey.members.length) return effects;
  survey.isOpen = false;
  effects.push(...evaluate(replica, survey, [...reports, reportOf(replica)]));
  return effects;
}

/** Files a member's report. One with a later horizon than ours is from before our start: it becomes ours. */
export function takeReport(
  replica: Replica,
  { from, body, nowMs }: { from: string; body: unknown; nowMs: number },
): ReplicaEffect[] {
  const { asker, round, ...report } = parseReport(body);
  const { survey } = replica;
  if (survey?.isOpen !== true || survey.round !== round || asker !== replica.writer) {
    return [{ kind: "refused", reason: "stale", from, detail: "a report of another round" }];
  }
  for (const t of [report.horizon.settled, ...report.horizon.expired.values(), ...report.knowledge.values()]) {
    if (!isPlausible(t, { nowMs, jumpMs: replica.limits.jumpMs })) {
      return [{ kind: "refused", reason: "time", from, detail: `a report of t ${t}` }];
    }
  }
  survey.reports.set(from, report);
  const moved = isWithinReach(report.horizon, knownOf(replica)) ? moveTo(replica, report.horizon) : [];
  return [...moved, ...speakUp(replica)];
}

function evaluate(replica: Replica, survey: Survey, reports: readonly Report[]): ReplicaEffect[] {
  const { candidate } = survey;
  survey.candidate = undefined;
  if (reports.some(({ horizon }) => horizon.settled !== replica.horizon.settled)) return [];
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
  return { settled, before: base, graveyard, expired: current.expired };
}

function isConfirmed(
  { horizon, writers }: { readonly horizon: Horizon; readonly writers: ReadonlySet<WriterId> },
  reports: readonly Report[],
): boolean {
  const { settled, graveyard } = horizon;
  return reports.every(
    ({ horizon: held, knowledge, upTo }) =>
      upTo >= settled &&
      isWithinReach(horizon, { settled: held.settled, knowledge }) &&
      [...knowledge].every(
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

function reportOf(replica: Replica): Report {
  const { store, stamper, early, writer, knowledge, horizon } = replica;
  let upTo = Math.max(stamper.last, stamper.greatestSeen);
  for (const slot of early) upTo = Math.min(upTo, store.versionAt(slot).t - 1);
  return { writer, horizon, knowledge: new Map(knowledge), upTo };
}
