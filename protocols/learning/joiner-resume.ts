/*
 * A joiner that forgets everything with its process, and yet publishes every sample once. What is finished is told by the samples
 * themselves: a new joiner recalls them from the stream. What was still open it rebuilds by reading the events again from `needed` on.
 * As no outcome is ever guessed, the sources may be read again in any order, a region may stay away meanwhile, and silences and
 * overflows need no record.
 */
import { EVENT_LIMITS, type FeedbackEvent } from "../feedback.ts";
import { step, tick } from "./joiner.ts";
import {
  First,
  forgetNumbers,
  forgetOldest,
  forgettable,
  isOverfull,
  clockToKeep,
  oldestNeeded,
  oldestSampleNeeded,
} from "./joiner-forgetting.ts";
import {
  clockOf,
  createJoiner,
  type Entry,
  entryOf,
  EVENTS_PER_MESSAGE,
  type JoinerOptions,
  type JoinerState,
  requestOf,
  restoreClock,
  type Sample,
  settle,
  toldBy,
  toShown,
} from "./joiner-state.ts";
import { storedDelays } from "./delay-model.ts";
import { sampleBytesMax } from "./sample-frame.ts";
import { type PublishedSample, type SampleBatch, type SampleMove, type SourcePosition } from "./sample-batch.ts";

if (EVENT_LIMITS.eventsPerRequestMax > EVENTS_PER_MESSAGE) {
  throw new RangeError("Cannot number events: a message may hold too many");
}

/** Samples of one message: a trainer's step takes whole messages. */
const BATCH_SAMPLES_MAX = 128;
/** And their bytes at most: with positions, a message stays below NATS's 1 MiB. One sample alone has less, as the features of an event are bounded. */
const BATCH_BYTES_MAX = 600_000;

/** A joiner, what the one before it published, and what it has to publish. */
export interface ResumedJoiner {
  readonly joiner: JoinerState;
  /** The regions whose events are joined. */
  readonly sources: readonly string[];
  readonly before: Map<string, SourcePosition>;
  /** The last message of each source that was taken in. */
  readonly taken: Map<string, number>;
  /** The last message of each source that its stream has dropped, as far as we were told. */
  readonly gone: Map<string, number>;
  /** Of each source whose stream begins anew, until when what it stored may have been taken in before, by the source's clock. */
  readonly anew: Map<string, number>;
  readonly waiting: Sample[];
  readonly batchMax: number;
  /** Messages were taken in since the positions below were true. */
  moved: boolean;
  /** What the events gave did not fit one message, and the positions below have a next joiner take them in again. */
  isInRun: boolean;
  positions: readonly SourcePosition[];
  keepFrom: number;
}

/** One message of a region's stream of events. */
export interface EventMessage {
  readonly source: string;
  readonly seq: number;
  /** When the stream stored it. */
  readonly storedMs: number;
  readonly events: readonly FeedbackEvent[];
}

/** A new joiner. `last` is the last message of the stream of samples; every one from its `keepFrom` to it must then be recalled, in order. */
export function resumeJoiner(
  options: JoinerOptions,
  found: { readonly sources: readonly string[]; readonly last?: SampleBatch; readonly batchMax?: number },
): ResumedJoiner {
  const { sources, last = { keepFrom: 1, positions: [] }, batchMax = BATCH_SAMPLES_MAX } = found;
  const { positions, keepFrom } = last;
  const joiner = createJoiner(options);
  for (const { source, newestTime, delays = {} } of positions) {
    if (newestTime !== undefined) restoreClock(joiner, source, { newestTime, delays });
  }
  const before = new Map(positions.map((position) => [position.source, position]));
  const resumed: ResumedJoiner = {
    joiner,
    sources,
    before,
    taken: new Map(),
    gone: new Map(),
    anew: new Map(),
    waiting: [],
    batchMax,
    moved: false,
    isInRun: false,
    positions,
    keepFrom,
  };
  allowMemory(resumed);
  return resumed;
}

/**
 * While events are read again there is as much room again: what was finished may not be let go of before its events were seen, and would leave
 * none to what is open.
 */
function allowMemory(resumed: ResumedJoiner): void {
  const { joiner, sources } = resumed;
  joiner.isReading = sources.some((source) => isReplaying(resumed, source));
  joiner.bytesMax = (joiner.isReading ? 2 : 1) * joiner.options.memoryBytesMax;
}

/**
 * Makes the samples of a message known that a joiner before this one published. Events that tell of them again give nothing new, and until these
 * were read none is let go of: all that this message's positions do not lie before.
 */
export function recall(
  resumed: ResumedJoiner,
  seq: number,
  { samples, positions }: Pick<SampleBatch, "samples" | "positions">,
): void {
  const { joiner, sources } = resumed;
  const appliedTo = new Map(positions.map(({ source, applied }) => [source, applied]));
  function isReadAgain(source: string): boolean {
    return isReplaying(resumed, source) && (appliedTo.get(source) ?? Infinity) >= readFrom(resumed, source);
  }
  const again = new Set(sources.filter(isReadAgain));
  for (const sample of samples) {
    const key = sample.id.slice(0, sample.id.lastIndexOf(":"));
    const entry = entryOf(joiner, key) ?? toEntry(joiner, key, sample);
    if (again.has(sample.source)) joiner.recalled.set(key, entry);
    settle(joiner, entry, sample.label > 0 ? 1 : 0);
    entry.after = seq - 1;
  }
  if (isOverfull(joiner)) {
    const [finished, waiting] = [forgettable(joiner), new First([joiner.held])];
    while (isOverfull(joiner, true) && forgetOldest(joiner, finished, waiting));
  }
  joiner.publishedSeq = seq;
}

function toEntry(joiner: JoinerState, key: string, sample: PublishedSample): Entry {
  const { id, source, user, item, time, features, dense } = sample;
  return {
    key,
    impression: toShown({ request: requestOf(id), user, item, time, features, dense }),
    shownMs: time,
    shownMessage: joiner.messages,
    dueMs: time,
    ...toldBy(joiner, { source, sequence: 0 }),
    label: undefined,
    positive: undefined,
    after: 0,
    bytes: 0,
  };
}

/** The stream sequence from which a source must be read: where the last joiner's memory began, or the beginning. */
export function readFrom({ before }: ResumedJoiner, source: string): number {
  return before.get(source)?.needed ?? 1;
}

/** Takes one message in. Messages of one source come in order; one that was taken before has no effect. */
export function takeMessage(resumed: ResumedJoiner, message: EventMessage, nowMs: number): void {
  const { joiner, taken, waiting, anew } = resumed;
  const { source, seq, storedMs } = message;
  if (seq <= (taken.get(source) ?? 0)) return;
  allowMemory(resumed);
  const events = storedMs > (anew.get(source) ?? -Infinity) ? message.events : [];
  for (const [index, event] of events.entries()) {
    waiting.push(...step(joiner, { source, sequence: seq * EVENTS_PER_MESSAGE + index, event, storedMs }, nowMs));
  }
  taken.set(source, seq);
  resumed.moved = true;
}

/** Notes that a source's stream holds nothing before `firstSeq` any more: there is nothing to wait for. */
export function noteGone({ gone }: ResumedJoiner, source: string, firstSeq: number): void {
  gone.set(source, firstSeq - 1);
}

/**
 * Notes that a source's stream counts from 1 again, as its region lost its disk, or has an older copy of it back. It is read from there; what
 * was stored before the source's clock is passed over. What is open here stays so; after a restart it is lost, as its events are.
 */
export function noteAnew(resumed: ResumedJoiner, source: string): void {
  const { joiner, before, taken, gone, anew } = resumed;
  const clock = clockOf(joiner, source);
  forgetNumbers(joiner, source);
  clock.applied = -Infinity;
  before.set(source, { ...before.get(source), source, applied: 0, needed: 1 });
  taken.delete(source);
  gone.delete(source);
  anew.set(source, clock.newestTime);
}

/** Lets processing time pass. Sources that are still being read again keep their windows open: their silence is ours. */
export function passTime(resumed: ResumedJoiner, nowMs: number): void {
  if (resumed.isInRun) return;
  resumed.waiting.push(...tick(resumed.joiner, nowMs, (source) => isReplaying(resumed, source)));
}

/** Whether to take more in now: not while samples wait that will not fit the next message, so that positions are never far behind. */
export function mayTake({ waiting, isInRun, batchMax }: ResumedJoiner): boolean {
  return !isInRun && waiting.length < batchMax;
}

/**
 * The next message to append to the stream of samples, or undefined when there is nothing to say. Until `noteAppended` tells that it was
 * stored, nothing else may be asked of this joiner; when that is in doubt, a new joiner must take its place.
 */
export function nextBatch(resumed: ResumedJoiner): SampleBatch | undefined {
  const { waiting } = resumed;
  if (waiting.length === 0 && !resumed.moved) return undefined;
  const samples = takeBatch(resumed);
  resumed.isInRun = waiting.length > 0;
  if (resumed.isInRun) {
    resumed.positions = positionsInRun(resumed);
  } else {
    const positions = positionsOf(resumed);
    resumed.positions = positions;
    resumed.keepFrom = Math.max(resumed.keepFrom, keepFromOf(resumed, positions));
    resumed.moved = false;
  }
  return { keepFrom: resumed.keepFrom, positions: resumed.positions, samples };
}

/**
 * The message that ends the stream here: a joiner of that region resumes from it as from any other, so what was taken in and not
 * published is taken in again there. Nothing may be published after it.
 */
export function lastBatch({ keepFrom, positions }: ResumedJoiner, movedTo: SampleMove): SampleBatch {
  return { keepFrom, positions, samples: [], movedTo };
}

/** The message was stored at this position of the stream of samples. */
export function noteAppended({ joiner }: ResumedJoiner, seq: number): void {
  joiner.publishedSeq = seq;
}

function takeBatch({ waiting, batchMax }: ResumedJoiner): PublishedSample[] {
  const samples: PublishedSample[] = [];
  let bytes = 0;
  for (const sample of waiting) {
    const published = toPublished(sample);
    bytes += sampleBytesMax(published);
    if (samples.length === batchMax || (samples.length > 0 && bytes > BATCH_BYTES_MAX)) break;
    samples.push(published);
  }
  waiting.splice(0, samples.length);
  return samples;
}

/** Those from before the run, but for how far events were taken in. */
function positionsInRun({ positions, taken }: ResumedJoiner): SourcePosition[] {
  const all = new Map(positions.map((position) => [position.source, position]));
  for (const [source, seq] of taken) {
    const position = all.get(source) ?? { source, applied: 0, needed: 1 };
    all.set(source, { ...position, applied: Math.max(position.applied, seq) });
  }
  return [...all.values()];
}

function positionsOf({ joiner, before, taken }: ResumedJoiner): SourcePosition[] {
  const needed = oldestNeeded(joiner);
  const positions = new Map(before);
  for (const [source, applied] of taken) {
    const last = before.get(source);
    // Not yet back where the last one stood: its position is still the true one.
    if (last !== undefined && applied < last.applied) continue;
    const oldest = Math.floor((needed.get(source) ?? Infinity) / EVENTS_PER_MESSAGE);
    const position = { source, applied, needed: Math.min(applied + 1, oldest) };
    const newestTime = clockToKeep(joiner, source);
    const clock = joiner.sources.get(source);
    const delays = clock === undefined ? {} : storedDelays(clock.delays);
    positions.set(source, Number.isFinite(newestTime) ? { ...position, newestTime, delays } : position);
  }
  return [...positions.values()];
}

function keepFromOf(resumed: ResumedJoiner, positions: readonly SourcePosition[]): number {
  // Until all sources were read again, it is not known which of the recalled samples their events tell of.
  if (resumed.sources.some((source) => isReplaying(resumed, source))) return 0;
  const needed = new Map(positions.map((position) => [position.source, position.needed]));
  return oldestSampleNeeded(
    resumed.joiner,
    ({ source, sequence }) => sequence >= (needed.get(source) ?? 0) * EVENTS_PER_MESSAGE,
  );
}

function isReplaying({ before, taken, gone }: ResumedJoiner, source: string): boolean {
  const last = before.get(source);
  const reached = Math.max(taken.get(source) ?? 0, gone.get(source) ?? 0);
  return last !== undefined && last.needed <= last.applied && reached < last.applied;
}

function toPublished({ id, label, correction, late, impression, source }: Sample): PublishedSample {
  const { user, item, time, features, dense } = impression;
  const published = { id, source, label, correction, weight: 1, user, item, time, features, dense };
  return late === undefined ? published : { ...published, late };
}
