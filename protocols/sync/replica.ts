/*
 * One replica of one shard as a pure state machine: events in, effects out, time passed in. It answers pulls (answers.ts), pulls
 * (own-pull.ts) and takes local writes. What it must keep true, always:
 *   1. Knowledge is sound: every update that it covers is held, or one that supersedes it.
 *   2. Rows ahead of knowledge (early rows) are visible and never raise it.
 *   3. If shard version a covers b, nothing behind b is missing behind a.
 *   4. What its horizon says is gone is not there, and does not come back (lay-horizon.ts).
 */
import { SYNC_LIMITS, type SyncLimits } from "../limits.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { answerHeld, openAnswer, releaseAnswer, rowBytesMax, sendMore, sweepAnswers, SWEEP_TIMER } from "./answers.ts";
import { declarationDigest } from "./declaration.ts";
import { type Horizon, latestOf, NO_HORIZON } from "./horizon.ts";
import { join, type Knowledge, type ReadonlyKnowledge } from "./knowledge.ts";
import { acceptFrame, acceptRefusal, giveUpPull, grantFrames, startPull, timePull } from "./own-pull.ts";
import { hurryPull } from "./pull-asks.ts";
import { lead } from "./epoch.ts";
import { putRows } from "./put-rows.ts";
import { evict, expire } from "./lay-horizon.ts";
import { type Primary, type Replica, type ReplicaEffect, type ReplicaEvent, type TableWrite } from "./replica-state.ts";
import { isSuperseded, knownOf, knownTimes, newVersion, noteRows } from "./row-notes.ts";
import { ORPHAN_TIMER, sweepEarly, takeOrphans, watchEarly } from "./orphans.ts";
import { recover } from "./recovery.ts";
import { type RowStore, type Slot, type UpdateOutcome } from "./row-store.ts";
import { TRAINER_CHARS_MAX } from "../wire/applied-section.ts";
import { settle, takeReport, takeSurvey } from "./settling.ts";
import { SlotSet } from "./slot-set.ts";
import { canStamp, createStamper, nextTime, noteStamped, observe } from "./stamper.ts";
import { boundCache, createUpdateCache, fileRows, turnCache } from "./update-cache.ts";
import { createUrgentList, noteUrgent, type UrgentRows } from "./urgent-rows.ts";
import { type WriterId } from "./version.ts";

/** What a start begins with. All but the writer is what the image of the last run held, or nothing. */
export interface ReplicaStart {
  /** Never used before, and already durable. */
  readonly writer: WriterId;
  /** The rows of the image; may hold rows ahead of `knowledge`, which stay early. */
  readonly store: RowStore;
  readonly knowledge?: ReadonlyKnowledge;
  readonly horizon?: Horizon;
  /** Greatest t met before; rows and knowledge count by themselves. */
  readonly greatestSeen?: number;
  /** Trainer -> highest batch whose effect the rows hold. */
  readonly applied?: ReadonlyMap<string, number>;
  /** To tell it of rows left early. */
  readonly primary?: Primary | undefined;
  readonly limits?: SyncLimits;
}

/** A replica after a start: a new writer with a new shard version. */
export function createReplica({
  writer,
  store,
  knowledge = new Map(),
  horizon = NO_HORIZON,
  greatestSeen = 0,
  applied = new Map(),
  primary,
  limits = SYNC_LIMITS,
}: ReplicaStart): Replica {
  const replica: Replica = {
    store,
    limits,
    writer,
    self: store.writerIndex(writer),
    declaration: declarationDigest(store.declared),
    knowledge: new Map(knowledge),
    horizon,
    follows: horizon.epoch,
    copyFrom: new Set(),
    survey: undefined,
    rounds: 0,
    asked: undefined,
    stamper: createStamper(greatestSeen),
    counter: 1,
    version: { counter: 1, generator: writer },
    early: new SlotSet(),
    cache: createUpdateCache(knownTimes(store, { epoch: horizon.epoch, settled: horizon.settled, knowledge }), limits),
    applied: new Map(applied),
    answers: new Map(),
    answersOpened: 0,
    isSweeping: false,
    held: new Map(),
    over: new Map(),
    pull: undefined,
    unfinished: new Map(),
    slow: new Map(),
    strays: new Map(),
    urgent: createUrgentList(limits.urgentRowsMax),
    cursors: new Map(),
    primary,
    orphans: { isWatching: false, noted: new Map(), settled: 0 },
  };
  for (const t of [latestOf(horizon), ...knowledge.values()]) observe(replica.stamper, t);
  // Rows ahead of the knowledge are early and cached again, so that the cache's floor, which is the knowledge, covers all others;
  // every row's t counts as seen.
  const known = knownTimes(store, knownOf(replica));
  const early = store.collect(known);
  const rows = store.versionsAt(early.slots);
  for (const t of rows.t) observe(replica.stamper, t);
  const before = { t: new Float64Array(rows.t.length), writers: rows.writers };
  fileRows(replica.cache, { ...rows, before }, { known, early: replica.early });
  boundCache(replica.cache, replica, known);
  store.release(early);
  return replica;
}

/** Takes one event and returns what is to be done, in order. Bad messages change nothing and come back as `refused`. */
export function stepReplica(replica: Replica, event: ReplicaEvent, nowMs: number): ReplicaEffect[] {
  turnCache(replica.cache, { nowMs, known: () => knownTimes(replica.store, knownOf(replica)) });
  const { version } = replica;
  const effects = take(replica, event, nowMs);
  if (replica.version !== version) effects.push(...answerHeld(replica));
  effects.push(...watchEarly(replica));
  return effects;
}

function take(replica: Replica, event: ReplicaEvent, nowMs: number): ReplicaEffect[] {
  switch (event.kind) {
    case "write":
      return write(replica, event, nowMs);
    case "urge":
      return urge(replica, event);
    case "pull":
      return startPull(replica, event);
    case "grant":
      return grantFrames(replica, event);
    case "hurry":
      return hurryPull(replica, event);
    case "give-up":
      return giveUpPull(replica, event);
    case "settle":
      return [...settle(replica, event, nowMs), ...recover(replica)];
    case "expire":
      return expire(replica, event);
    case "evict":
      return evict(replica, event);
    case "succeed":
      return succeed(replica, event);
    case "lead":
      return lead(replica, event, nowMs);
    case "timer":
      if (event.name === SWEEP_TIMER) return sweepAnswers(replica);
      return event.name === ORPHAN_TIMER ? sweepEarly(replica, nowMs) : timePull(replica, event.name);
    case "message":
      try {
        return receive(replica, event, nowMs);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        return [{ kind: "refused", reason: "undecodable", from: event.from, detail: error.message }];
      }
  }
}

function receive(replica: Replica, event: ReplicaEvent & { kind: "message" }, nowMs: number): ReplicaEffect[] {
  const { from, message, body } = event;
  switch (message) {
    case "pull":
      return openAnswer(replica, { from, body, nowMs });
    case "more":
      return sendMore(replica, { from, body });
    case "release":
      return releaseAnswer(replica, { from, body });
    case "refuse":
      return acceptRefusal(replica, { from, body });
    case "frame":
      return acceptFrame(replica, { from, body, nowMs });
    case "orphans":
      return takeOrphans(replica, { from, body, nowMs });
    case "survey":
      return takeSurvey(replica, { from, body });
    case "report":
      return [...takeReport(replica, { from, body, nowMs }), ...recover(replica)];
  }
}

function write(replica: Replica, event: ReplicaEvent & { kind: "write" }, nowMs: number): ReplicaEffect[] {
  const { store, stamper, knowledge, applied } = replica;
  const { writes, batch } = event;
  if (batch !== undefined && !isBatch(batch)) {
    throw new RangeError(
      `Cannot apply batch ${batch.id} of trainer ${JSON.stringify(batch.trainer)}: ids count from 0, names are printable ASCII up to ${TRAINER_CHARS_MAX} characters`,
    );
  }
  if (batch !== undefined && batch.id <= (applied.get(batch.trainer) ?? -1)) {
    return [{ kind: "written", rows: 0, refused: 0, urgent: 0, duplicate: true }];
  }
  if (isSuperseded(replica)) {
    return [{ kind: "refused", reason: "epoch", from: undefined, detail: "another primary writes in a later epoch" }];
  }
  const rowsMax = writes.reduce((sum, { keys }) => sum + keys.length, 0);
  if (!canStamp(stamper, { nowMs, count: rowsMax })) {
    return [{ kind: "refused", reason: "time", from: undefined, detail: "this machine's clock leaves no t to stamp" }];
  }
  if (batch !== undefined && !applied.has(batch.trainer) && applied.size >= replica.limits.trainersMax) {
    // By no config: a model has few trainers, whatever their number was.
    const detail = `it holds positions of ${applied.size} trainers, which a peer must have made up, and takes none of '${batch.trainer}': have another region train by force, or restore a backup`;
    return [{ kind: "refused", reason: "full", from: undefined, detail }];
  }

  const effects: ReplicaEffect[] = [];
  const outcomes: UpdateOutcome[] = [];
  let rows = 0;
  let refused = 0;
  let urgentRows = 0;
  const urgent: UrgentRows[] = [];
  for (const change of writes) {
    const { table, keys, isUrgent } = change;
    const firstT = nextTime(stamper, nowMs);
    const request = { table, keys, writer: replica.self, firstT };
    const outcome =
      "steps" in change
        ? store.learn({ ...request, steps: change.steps })
        : "values" in change
          ? putRows(store, { ...request, values: change.values })
          : store.update({ ...request, mutate: change.mutate });
    noteStamped(stamper, { first: firstT, count: outcome.stamped });
    rows += outcome.keys.length;
    refused += outcome.refused;
    if (outcome.keys.length > 0) {
      outcomes.push(outcome);
      effects.push({ kind: "applied", table, keys: outcome.keys, t: outcome.t, origin: "local" });
      const slots = isUrgent === undefined ? [] : urgentOf(outcome, isUrgent);
      urgentRows += slots.length;
      if (slots.length > 0) urgent.push({ slots, bytes: rowBytesMax(store.tables[table]) });
    }
  }
  if (rows > 0) {
    // Before the slots are noted: our own rows are never early.
    join(knowledge, ownKnowledge(replica));
    noteRows(replica, ...outcomes);
    noteUrgent(replica.urgent, ...urgent);
  }
  if (batch !== undefined) applied.set(batch.trainer, batch.id);
  if (rows > 0) effects.push({ kind: "changed", version: newVersion(replica) });
  effects.push({ kind: "written", rows, refused, urgent: urgentRows, duplicate: false });
  return effects;
}

/** The digest of the rows with their versions, and what the horizon says of those that are gone. */
export function contentOf({ store, horizon: { epoch, settled, expired } }: Replica): string {
  const ages = [...expired].toSorted(([left], [right]) => left - right);
  return [store.digest(), epoch, settled, ...ages.map(([table, t]) => `${table}:${t}`)].join(" ");
}

/** Rows of the same versions are the same, so the positions that were true of the others are true of these. Known they must be: a primary pulls no more. */
function succeed(replica: Replica, event: ReplicaEvent & { kind: "succeed" }): ReplicaEffect[] {
  const { applied, early } = replica;
  if (early.size > 0 || contentOf(replica) !== event.content) {
    return [{ kind: "refused", reason: "differs", from: undefined, detail: "the rows are not the same" }];
  }
  applied.clear();
  for (const [trainer, batch] of event.applied) applied.set(trainer, batch);
  return [{ kind: "written", rows: 0, refused: 0, urgent: 0, duplicate: false }];
}

/** The slots of the urgent ones of the rows just written. */
function urgentOf({ slots, indexes }: UpdateOutcome, isUrgent: (index: number) => boolean): Slot[] {
  const urgent: Slot[] = [];
  for (let at = 0; at < slots.length; at += 1) if (isUrgent(indexes[at] ?? 0)) urgent.push(slots[at] ?? 0);
  return urgent;
}

/** Rows become urgent some time after they were written: they travel first from now on. */
function urge({ store, urgent }: Replica, { table, keys }: ReplicaEvent & { kind: "urge" }): ReplicaEffect[] {
  const slots = [...keys].flatMap((key) => store.slotOf(table, key) ?? []);
  noteUrgent(urgent, { slots, bytes: rowBytesMax(store.tables[table]) });
  return [{ kind: "written", rows: 0, refused: 0, urgent: slots.length, duplicate: false }];
}

function isBatch({ trainer, id }: { readonly trainer: string; readonly id: number }): boolean {
  return Number.isSafeInteger(id) && id >= 0 && trainer.length <= TRAINER_CHARS_MAX && /^[ -~]+$/.test(trainer);
}

function ownKnowledge({ writer, stamper }: Replica): Knowledge {
  return new Map([[writer, stamper.last]]);
}

export { type Primary, type Replica, type ReplicaEffect, type ReplicaEvent, type TableWrite };
