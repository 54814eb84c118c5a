/*
 * What the joiner remembers: impressions that are open, impressions that are finished, feedback that waits for its impression, and
 * positives that are held to be spread.
 * What a restart can rebuild decides what may be forgotten: open and waiting ones come from the events, finished ones from the
 * published samples (joiner-resume.ts).
 */
import { type Feedback, type Impression } from "../feedback.ts";
import { entryBytes, heldBytes } from "./joiner-memory.ts";
import { createDelayModel, type DelayCounts, type DelayModel } from "./delay-model.ts";
import { type BurstMeter, createBurstMeter } from "./scatter.ts";

export interface JoinerOptions {
  /** How long after an impression its feedback makes a positive without a negative first. */
  readonly windowMs: number;
  /**
   * Fast Emit: a negative is given as soon as this share of positives has come, by the delays learned; a positive that comes later corrects it.
   * Absent: negatives are given when their window ends. Never later than that.
   */
  readonly emitAfterShare?: number;
  /** Positives that come in bursts are spread over the time between these, at most over so long; 0 for not. */
  readonly scatterMsMax: number;
  /** Positives that are held for that; beyond it they are given at once. */
  readonly scatteredMax: number;
  /** How far a source's events may come out of order. */
  readonly latenessMs: number;
  /** A source silent for this long has its pending windows closed by the processing clock. */
  readonly idleAfterMs: number;
  /**
   * How long after its window, in event time, an impression outlives a restart: a negative can be corrected, a copy is known as one.
   * Feedback waits as long for its impression.
   */
  readonly correctionMs: number;
  /** How far ahead of the time it was stored an event may move its source's clock. */
  readonly futureMsMax: number;
  /**
   * Bytes of memory, by estimate (joiner-memory.ts), for impressions that are open, those that are finished and remembered for duplicates and
   * corrections, and feedback that waits. Beyond it what came first is let go of: what is open becomes a negative early, what is finished cannot
   * be corrected any more. While events are read again after a restart it may be twice as much.
   */
  readonly memoryBytesMax: number;
  /** Feedback that waits for its impression; beyond it the oldest is dropped. */
  readonly heldMax: number;
}

/** Events of one stream message are numbered within it; 1,024 leaves room for the most that one may hold. Messages are read again whole. */
export const EVENTS_PER_MESSAGE = 1024;

/** Where an event came from: a stream's name and the event's number in it. Numbers rise; gaps are fine. */
export interface Origin {
  readonly source: string;
  readonly sequence: number;
}

/** What a sample needs of its impression. */
export type Shown = Omit<Impression, "type" | "position">;

/** A labelled impression. A correction follows a negative of the same impression that was published before. */
export interface Sample {
  /** `request:item:label`, with `:` and `%` in the parts written as `%3A` and `%25`. */
  readonly id: string;
  readonly label: 0 | 1;
  readonly correction: boolean;
  readonly cause: "feedback" | "window" | "overflow";
  /** Of a negative: the share of positives that come later than this one was given, by the delays learned. Absent where it is not known, or 0. */
  readonly late?: number;
  readonly impression: Shown;
  /** The source that brought the impression: its clock says how long the sample can be corrected. */
  readonly source: string;
  readonly feedback?: Feedback;
}

export interface JoinerCounts {
  positives: number;
  negatives: number;
  corrections: number;
  /** Negatives that came early because memory was full. They are among `negatives`. */
  overflows: number;
  duplicates: number;
  /** Feedback that came when its impression could not be corrected any more. */
  tooLate: number;
  /** Negatives that memory had no room for before their time to be corrected was over: a positive that comes later is lost. */
  forgotten: number;
  heldDropped: number;
  /** Positives that were held to be spread. They are among `positives` and `corrections` once they are given. */
  scattered: number;
}

/** Who told of something. Most are told of by one source alone. */
export interface Told {
  /** The event that brought it; sequence 0 when it was recalled from a published sample. */
  readonly source: string;
  readonly sequence: number;
  /** The last event of that source that told of it. */
  last: number;
  /** The last event of each other source that did. */
  others: Map<string, number> | undefined;
  /** How many messages this joiner had taken in with that event's. */
  readonly firstMessage: number;
}

/** An impression and what became of it. */
export interface Entry extends Told {
  readonly key: string;
  /** When it was shown. */
  readonly shownMs: number;
  /** How many messages this joiner had taken in with the last one that showed it: it may be sent again. */
  shownMessage: number;
  /** Absent once it is a positive: nothing corrects it. */
  impression: Shown | undefined;
  /** When its negative is given, by its source's clock. */
  readonly dueMs: number;
  label: 0 | 1 | undefined;
  /** Feedback came, and its sample is held to be spread. */
  positive: Positive | undefined;
  /** Samples published when it was finished; its own comes after them. */
  after: number;
  /** What it takes of the memory. */
  bytes: number;
}

/** What made an impression a positive. */
export interface Positive {
  readonly feedback: Feedback;
  readonly origin: Origin;
  /** The clock of the impression's source when it came. */
  readonly clockMs: number;
  /** When its sample is given, by the processing clock. */
  readonly releaseMs: number;
}

/** Feedback whose impression has not come. */
export interface Held extends Told {
  readonly feedback: Feedback;
}

/** One source's clock. `windows` is a heap of its open impressions, with finished ones left in it until they surface. */
export interface SourceClock {
  applied: number;
  newestTime: number;
  heardMs: number;
  readonly windows: Entry[];
  readonly delays: DelayModel;
}

/** The joiner's whole memory. Change it through the functions of joiner.ts and joiner-resume.ts alone. */
export interface JoinerState {
  readonly options: JoinerOptions;
  readonly sources: Map<string, SourceClock>;
  readonly pending: Map<string, Entry>;
  /** Finished and within reach of a restart, in the order of their samples. */
  readonly settled: Map<string, Entry>;
  /** Of these, what was recalled and events may tell of that are still to be read again: until they were, none is let go of. */
  readonly recalled: Map<string, Entry>;
  /** Finished and beyond it: known as long as this joiner lives. */
  readonly past: Map<string, 0 | 1>;
  readonly held: Map<string, Held>;
  /** A heap of the positives that are held to be spread, the next to be given first. */
  readonly scattered: Entry[];
  readonly bursts: BurstMeter;
  readonly counts: JoinerCounts;
  /** Bytes of all of the above, by estimate, and the most that they may be now. */
  bytes: number;
  bytesMax: number;
  /** Events are being read again. */
  isReading: boolean;
  /** Messages taken in. */
  messages: number;
  /** The position in the stream of samples of the last one published. */
  publishedSeq: number;
}

export function createJoiner(options: JoinerOptions): JoinerState {
  const counts = {
    positives: 0,
    negatives: 0,
    corrections: 0,
    overflows: 0,
    duplicates: 0,
    tooLate: 0,
    forgotten: 0,
    heldDropped: 0,
    scattered: 0,
  };
  return {
    options,
    sources: new Map(),
    pending: new Map(),
    settled: new Map(),
    recalled: new Map(),
    past: new Map(),
    held: new Map(),
    scattered: [],
    bursts: createBurstMeter(),
    counts,
    bytes: 0,
    bytesMax: options.memoryBytesMax,
    isReading: false,
    messages: 0,
    publishedSeq: 0,
  };
}

/** The clock of a source, made at its first mention. */
export function clockOf(state: JoinerState, source: string): SourceClock {
  let clock = state.sources.get(source);
  if (clock === undefined) {
    const delays = createDelayModel(horizonOf(state.options));
    clock = { applied: -Infinity, newestTime: -Infinity, heardMs: -Infinity, windows: [], delays };
    state.sources.set(source, clock);
  }
  return clock;
}

/** Gives a source the clock and the delays that a joiner before this one knew. */
export function restoreClock(
  state: JoinerState,
  source: string,
  known: { readonly newestTime: number; readonly delays: DelayCounts },
): void {
  const { options, sources } = state;
  const { newestTime, delays: counts } = known;
  // What was shown before may have had its first positives before.
  const fromMs = newestTime + options.scatterMsMax;
  const delays = createDelayModel(horizonOf(options), { counts, fromMs });
  sources.set(source, { applied: -Infinity, newestTime, heardMs: -Infinity, windows: [], delays });
}

/** How old an impression may be, by its source's clock, for feedback to count. */
function horizonOf({ windowMs, correctionMs, latenessMs }: JoinerOptions): number {
  return windowMs + correctionMs + latenessMs;
}

/** The identity of an impression: request and item, joined without ambiguity. */
export function impressionKey({ request, item }: { readonly request: string; readonly item: string }): string {
  return `${escapePart(request)}:${escapePart(item)}`;
}

/** The request that a key or a sample's id begins with. */
export function requestOf(id: string): string {
  return id.slice(0, id.indexOf(":")).replaceAll("%3A", ":").replaceAll("%25", "%");
}

/** What a sample needs of an impression. */
export function toShown({ request, user, item, time, features, dense }: Shown): Shown {
  return { request, user, item, time, features: orNone(features), dense: orNone(dense) };
}

/** An object without fields takes as much memory as a text of 40 characters: all that have none share one. */
function orNone<T>(fields: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.keys(fields).length === 0 ? NONE : fields;
}

const NONE: Readonly<Record<string, never>> = {};

/** The beginning of something that this event is the first to tell of. */
export function toldBy({ messages }: JoinerState, { source, sequence }: Origin): Told {
  return { source, sequence, last: sequence, others: undefined, firstMessage: messages };
}

/** Notes that an event told of something, again. */
export function touch(told: Told, { source, sequence }: Origin): void {
  if (source === told.source) told.last = Math.max(told.last, sequence);
  else (told.others ??= new Map()).set(source, Math.max(sequence, told.others.get(source) ?? -Infinity));
}

/** Counts anew what an entry takes of the memory. */
export function weigh(state: JoinerState, entry: Entry): void {
  const bytes = entryBytes(entry);
  state.bytes += bytes - entry.bytes;
  entry.bytes = bytes;
}

/** Whether feedback may still turn this negative into a positive, by the clock of the source that brought it. */
export function isCorrectable(state: JoinerState, { shownMs, source }: Entry): boolean {
  return !isOver(state, { source, time: shownMs });
}

/** Whether feedback waited as long as it may, by the clock of the source that brought it. */
export function isStale(state: JoinerState, { feedback, source }: Held): boolean {
  return isOver(state, { source, time: feedback.time });
}

/** What is known of an impression, but for those known by name alone. */
export function entryOf({ pending, settled, recalled }: JoinerState, key: string): Entry | undefined {
  return pending.get(key) ?? settled.get(key) ?? recalled.get(key);
}

/** Finishes an impression, or finishes it anew. */
export function settle(state: JoinerState, entry: Entry, label: 0 | 1): void {
  entry.label = label;
  entry.positive = undefined;
  if (label === 1) entry.impression = undefined;
  entry.after = state.publishedSeq;
  state.pending.delete(entry.key);
  // Out and in again, so that the order stays that of the samples.
  const wasRecalled = state.recalled.delete(entry.key);
  state.settled.delete(entry.key);
  (wasRecalled && state.isReading ? state.recalled : state.settled).set(entry.key, entry);
  weigh(state, entry);
}

/** Lets go of feedback that waits. */
export function dropHeld(state: JoinerState, key: string, held: Held): void {
  state.held.delete(key);
  state.bytes -= heldBytes(held);
  state.counts.heldDropped += 1;
}

/** Whether a source's clock passed the window and the correction time of something that happened at `time`. */
function isOver(
  { options, sources }: JoinerState,
  { source, time }: { readonly source: string; readonly time: number },
): boolean {
  const newest = sources.get(source)?.newestTime ?? -Infinity;
  return time + options.windowMs + options.correctionMs <= newest - options.latenessMs;
}

function escapePart(part: string): string {
  return part.replaceAll("%", "%25").replaceAll(":", "%3A");
}
