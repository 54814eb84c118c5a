/*
 * What the joiner remembers: impressions that are open, impressions that are finished, feedback that waits for its impression, and
 * positives that are held to be spread.
 * What a restart can rebuild decides what may be forgotten: open and waiting ones come from the events, finished ones from the
 * published samples (joiner-resume.ts).
 */
import { type Feedback, type Impression } from "../feedback.ts";
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
  /** Open impressions; beyond it the oldest becomes a negative early. */
  readonly pendingMax: number;
  /** Feedback that waits for its impression; beyond it the oldest is dropped. */
  readonly heldMax: number;
  /** Finished impressions remembered for duplicates and corrections. It should exceed the events of a window and its correction time. */
  readonly settledMax: number;
}

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
  /** Negatives that came early because too many impressions were open. They are among `negatives`. */
  overflows: number;
  duplicates: number;
  /** Feedback that came when its impression could not be corrected any more. */
  tooLate: number;
  heldDropped: number;
  /** Positives that were held to be spread. They are among `positives` and `corrections` once they are given. */
  scattered: number;
}

/** An impression and what became of it. */
export interface Entry {
  readonly key: string;
  readonly impression: Shown;
  /** The event that brought it; sequence 0 when it was recalled from a published sample. */
  readonly origin: Origin;
  /** When its negative is given, by its source's clock. */
  readonly dueMs: number;
  label: 0 | 1 | undefined;
  /** Feedback came, and its sample is held to be spread. */
  positive: Positive | undefined;
  /** Samples published when it was finished; its own comes after them. */
  after: number;
  /** The last event of each source that told of it. */
  readonly touched: Map<string, number>;
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
export interface Held {
  readonly feedback: Feedback;
  readonly origin: Origin;
  readonly touched: Map<string, number>;
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
  /** Finished and beyond it: known as long as this joiner lives. */
  readonly past: Map<string, 0 | 1>;
  readonly held: Map<string, Held>;
  /** A heap of the positives that are held to be spread, the next to be given first. */
  readonly scattered: Entry[];
  readonly bursts: BurstMeter;
  readonly counts: JoinerCounts;
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
    heldDropped: 0,
    scattered: 0,
  };
  return {
    options,
    sources: new Map(),
    pending: new Map(),
    settled: new Map(),
    past: new Map(),
    held: new Map(),
    scattered: [],
    bursts: createBurstMeter(),
    counts,
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

/** Notes that an event told of something. */
export function touch(touched: Map<string, number>, { source, sequence }: Origin): void {
  touched.set(source, Math.max(sequence, touched.get(source) ?? -Infinity));
}

/** Whether feedback may still turn this negative into a positive, by the clock of the source that brought it. */
export function isCorrectable(state: JoinerState, { impression, origin }: Entry): boolean {
  return !isOver(state, { source: origin.source, time: impression.time });
}

/** Whether feedback waited as long as it may, by the clock of the source that brought it. */
export function isStale(state: JoinerState, { feedback, origin }: Held): boolean {
  return isOver(state, { source: origin.source, time: feedback.time });
}

/** Finishes an impression, or finishes it anew. The oldest finished one gives way. */
export function settle(state: JoinerState, entry: Entry, label: 0 | 1): void {
  entry.label = label;
  entry.positive = undefined;
  entry.after = state.publishedSeq;
  state.pending.delete(entry.key);
  // Out and in again, so that the order stays that of the samples.
  state.settled.delete(entry.key);
  state.settled.set(entry.key, entry);
  shrink(state);
}

/** Per source, the smallest number of an event that made something still open. Feedback nobody can use any more is dropped first. */
export function oldestNeeded(state: JoinerState): Map<string, number> {
  const needed = new Map<string, number>();
  function need({ source, sequence }: Origin): void {
    if (sequence < (needed.get(source) ?? Infinity)) needed.set(source, sequence);
  }
  for (const { origin } of state.pending.values()) need(origin);
  for (const { positive } of state.scattered) if (positive !== undefined) need(positive.origin);
  for (const [key, held] of state.held) {
    if (isStale(state, held)) {
      state.held.delete(key);
      state.counts.heldDropped += 1;
    } else need(held.origin);
  }
  return needed;
}

/**
 * The clock that a next joiner must begin with for a source, so that it judges the feedback of positives that are held now as this one did: it
 * reads their events again, and all that came after.
 */
export function clockToKeep(state: JoinerState, source: string): number {
  let clock = state.sources.get(source)?.newestTime ?? -Infinity;
  for (const { origin, positive } of state.scattered) {
    if (origin.source === source && positive !== undefined) clock = Math.min(clock, positive.clockMs);
  }
  return clock;
}

/**
 * The first published sample that a next joiner must know: those that can be corrected, and those it would read an event of again.
 * What lies before is remembered by name alone. `isReadAgain` says whether an event would be.
 */
export function oldestSampleNeeded(state: JoinerState, isReadAgain: (origin: Origin) => boolean): number {
  for (const [key, entry] of state.settled) {
    const isTouched = [...entry.touched].some(([source, sequence]) => isReadAgain({ source, sequence }));
    if (isTouched || isCorrectable(state, entry)) return entry.after + 1;
    state.settled.delete(key);
    if (entry.label !== undefined) state.past.set(key, entry.label);
  }
  return state.publishedSeq + 1;
}

function shrink({ settled, past, options }: JoinerState): void {
  for (const oldest of past.keys()) {
    if (settled.size + past.size <= options.settledMax) return;
    past.delete(oldest);
  }
  for (const oldest of settled.keys()) {
    if (settled.size <= options.settledMax) return;
    settled.delete(oldest);
  }
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
