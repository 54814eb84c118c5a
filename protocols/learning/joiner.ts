// From impressions and feedback to labelled samples, as a window join in event time. Pure: the shell passes time in, publishes the
// samples and stores positions.
//
// What holds:
// 1. Every accepted impression becomes a sample: positive at once when its feedback arrives, negative when its window ends.
// 2. A sample's id is a function of request, item and label. Whatever is replayed yields ids that were already published, so that
//    de-duplication by id makes the effect of each sample exactly once.
// 3. A positive is never also a negative, unless the negative came first; then the positive is marked as its correction.
// 4. Memory is bounded by the options; what a bound cost is counted.
//
// Each source (a region's stream of events) has its own clock: the newest event time it has shown. A region that was cut off brings its old
// impressions and feedback together later, and they join as if it had never been away.
import { popHeap, pushHeap } from "../binary-heap.ts";
import { type Feedback, type FeedbackEvent, type Impression } from "../feedback.ts";

export interface JoinerOptions {
  /** How long after an impression its feedback makes a positive without a negative first. */
  readonly windowMs: number;
  /** How far a source's events may come out of order. */
  readonly latenessMs: number;
  /** A source silent for this long has its pending windows closed by the processing clock. */
  readonly idleAfterMs: number;
  /** How long after its window, in event time, an impression is remembered over a restart: a negative can be corrected, a copy is known as one. */
  readonly correctionMs: number;
  /** How far ahead of the processing clock an event may move its source's clock. */
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

/** A labelled impression. A correction follows a negative of the same impression that was published before. */
export interface Sample {
  /** `request:item:label`, with `:` and `%` in the parts written as `%3A` and `%25`. */
  readonly id: string;
  readonly label: 0 | 1;
  readonly correction: boolean;
  readonly cause: "feedback" | "window" | "overflow";
  readonly impression: Impression;
  readonly feedback?: Feedback;
  /** The event that brought the impression, and the one that brought its feedback. A shell that replays knows by them what it published before. */
  readonly origin: Origin;
  readonly feedbackOrigin?: Origin;
}

/** Windows up to a time were closed, of all impressions up to an event, by something else than the source's own clock. */
export interface Closing {
  readonly sequence: number;
  readonly until: number;
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
}

/** An impression and what became of it. `origins` are all the events that told of it. */
export interface Entry {
  readonly key: string;
  readonly impression: Impression;
  readonly origins: Origin[];
  label: 0 | 1 | undefined;
  feedbackOrigin: Origin | undefined;
}

/** One source's clock. `windows` is a heap of its open impressions, with finished ones left in it until they surface. */
export interface SourceClock {
  applied: number;
  newestTime: number;
  newestSequence: number;
  heardMs: number;
  /** What silence or overflow closed. A replay cannot know it from the events, so whoever stores positions stores this too. */
  closings: readonly Closing[];
  readonly windows: Entry[];
}

/** The joiner's whole memory. Change it through `step` and `tick` alone; store it through `joiner-snapshot.ts`. */
export interface JoinerState {
  readonly options: JoinerOptions;
  readonly sources: Map<string, SourceClock>;
  readonly pending: Map<string, Entry>;
  readonly settled: Map<string, Entry>;
  readonly held: Map<string, { readonly feedback: Feedback; readonly origin: Origin }>;
  readonly counts: JoinerCounts;
}

export function createJoiner(options: JoinerOptions): JoinerState {
  const counts = { positives: 0, negatives: 0, corrections: 0, overflows: 0, duplicates: 0, tooLate: 0, heldDropped: 0 };
  return { options, sources: new Map(), pending: new Map(), settled: new Map(), held: new Map(), counts };
}

/** Takes one event in and returns the samples it completes. An event at or below its source's last applied number has no effect. */
export function step(state: JoinerState, input: Origin & { readonly event: FeedbackEvent }, nowMs: number): Sample[] {
  const { source, sequence, event } = input;
  const clock = clockOf(state, source);
  if (sequence <= clock.applied) {
    state.counts.duplicates += 1;
    return [];
  }
  clock.applied = sequence;
  clock.heardMs = nowMs;
  const time = Math.min(event.time, nowMs + state.options.futureMsMax);
  if (time > clock.newestTime) {
    clock.newestTime = time;
    clock.newestSequence = sequence;
  }
  const origin = { source, sequence };
  const samples = event.type === "impression" ? takeImpression(state, event, origin) : takeFeedback(state, event, origin);
  closeWindows(state, { clock, until: clock.newestTime - state.options.latenessMs, into: samples });
  return samples;
}

/** Lets processing time pass: closes the windows of sources that have been silent, and returns those negatives. */
export function tick(state: JoinerState, nowMs: number): Sample[] {
  const samples: Sample[] = [];
  const { idleAfterMs, latenessMs } = state.options;
  for (const clock of state.sources.values()) {
    const silentMs = nowMs - clock.heardMs;
    // The source's own clock stays: when it speaks again, what it brings is judged by its own time.
    if (silentMs <= idleAfterMs) continue;
    const until = clock.newestTime - latenessMs + silentMs;
    const before = samples.length;
    closeWindows(state, { clock, until, into: samples });
    if (samples.length > before) noteClosing(clock, until);
  }
  return samples;
}

/** Repeats a closing that a replayed source had at this point, and returns its negatives again. */
export function closeAgain(state: JoinerState, source: string, closing: Closing): Sample[] {
  const samples: Sample[] = [];
  const clock = clockOf(state, source);
  closeWindows(state, { clock, until: closing.until, into: samples });
  noteClosing(clock, closing.until);
  return samples;
}

/**
 * Per source, the smallest sequence that a new, empty joiner would have to be given again; everything below may be acknowledged. Besides open
 * impressions, finished ones within their correction time and waiting feedback, that is the event that set the source's clock and, for every finished impression of which
 * any copy would be read again, all its copies and the feedback that finished it: without them, the replay would make a negative of a
 * positive (2, 3). The law holds for a replay that interleaves the sources as before; another order may add a negative and its correction.
 */
export function oldestNeeded(state: JoinerState): Map<string, number> {
  const needed = new Map<string, number>();
  for (const [source, clock] of state.sources) needed.set(source, clock.newestSequence);
  const need = ({ source, sequence }: Origin): boolean => {
    if (sequence >= (needed.get(source) ?? Infinity)) return false;
    needed.set(source, sequence);
    return true;
  };
  for (const { origins } of state.pending.values()) origins.forEach(need);
  for (const { origin } of state.held.values()) need(origin);
  // Positives too: the empty joiner must know a copy of them that comes later.
  for (const entry of state.settled.values()) if (isCorrectable(state, entry)) entry.origins.forEach(need);
  const isReadAgain = ({ source, sequence }: Origin): boolean => sequence >= (needed.get(source) ?? Infinity);
  for (let grew = true; grew; ) {
    grew = false;
    for (const { origins, feedbackOrigin } of state.settled.values()) {
      if (!origins.some(isReadAgain)) continue;
      for (const origin of feedbackOrigin === undefined ? origins : [...origins, feedbackOrigin]) if (need(origin)) grew = true;
    }
  }
  return needed;
}

/** The identity of an impression: request and item, joined without ambiguity. */
export function impressionKey({ request, item }: { readonly request: string; readonly item: string }): string {
  return `${escapePart(request)}:${escapePart(item)}`;
}

/** The order in which a source's windows end; equal times by key, so that it is the same on every run. */
export function endsBefore(a: Entry, b: Entry): boolean {
  return a.impression.time < b.impression.time || (a.impression.time === b.impression.time && a.key < b.key);
}

function takeImpression(state: JoinerState, impression: Impression, origin: Origin): Sample[] {
  const key = impressionKey(impression);
  const known = state.pending.get(key) ?? state.settled.get(key);
  if (known !== undefined) {
    state.counts.duplicates += 1;
    known.origins.push(origin);
    // A flood of copies must not grow the entry: the first and the last of a source stand for those between.
    if (known.origins.length > 8) known.origins.splice(4, 1);
    return [];
  }
  const entry: Entry = { key, impression, origins: [origin], label: undefined, feedbackOrigin: undefined };
  const waiting = state.held.get(key);
  if (waiting !== undefined) {
    state.held.delete(key);
    return [settlePositive(state, entry, waiting)];
  }
  state.pending.set(key, entry);
  const clock = clockOf(state, origin.source);
  pushHeap(clock.windows, entry, endsBefore);
  // Positives leave before their window ends and stay behind in the heap: sweep them out once they are the most of it.
  if (clock.windows.length > 2 * state.pending.size + 64) sweep(clock.windows);
  return state.pending.size > state.options.pendingMax ? overflow(state) : [];
}

function takeFeedback(state: JoinerState, feedback: Feedback, origin: Origin): Sample[] {
  const key = impressionKey(feedback);
  const entry = state.pending.get(key) ?? state.settled.get(key);
  if (entry === undefined) {
    if (state.held.has(key)) state.counts.duplicates += 1;
    else state.held.set(key, { feedback, origin });
    for (const oldest of state.held.keys()) {
      if (state.held.size <= state.options.heldMax) break;
      state.held.delete(oldest);
      state.counts.heldDropped += 1;
    }
    return [];
  }
  if (entry.label === 1) state.counts.duplicates += 1;
  else if (entry.label === 0 && !isCorrectable(state, entry)) state.counts.tooLate += 1;
  else return [settlePositive(state, entry, { feedback, origin })];
  return [];
}

function settlePositive(state: JoinerState, entry: Entry, by: { readonly feedback: Feedback; readonly origin: Origin }): Sample {
  const correction = entry.label === 0;
  const origin = entry.origins[0] ?? by.origin;
  entry.feedbackOrigin = by.origin;
  if (correction) state.counts.corrections += 1;
  else state.counts.positives += 1;
  settle(state, entry, 1);
  return { id: `${entry.key}:1`, label: 1, correction, cause: "feedback", impression: entry.impression, feedback: by.feedback, origin, feedbackOrigin: by.origin };
}

function settleNegative(state: JoinerState, entry: Entry, cause: "window" | "overflow"): Sample {
  state.counts.negatives += 1;
  settle(state, entry, 0);
  const origin = entry.origins[0] ?? NOWHERE;
  return { id: `${entry.key}:0`, label: 0, correction: false, cause, impression: entry.impression, origin };
}

function settle(state: JoinerState, entry: Entry, label: 0 | 1): void {
  entry.label = label;
  state.pending.delete(entry.key);
  state.settled.set(entry.key, entry);
  for (const oldest of state.settled.keys()) {
    if (state.settled.size <= state.options.settledMax) break;
    state.settled.delete(oldest);
  }
}

function closeWindows(state: JoinerState, options: { readonly clock: SourceClock; readonly until: number; readonly into: Sample[] }): void {
  const { windows } = options.clock;
  for (let first = windows[0]; first !== undefined; first = windows[0]) {
    if (first.label === undefined && first.impression.time + state.options.windowMs > options.until) return;
    popHeap(windows, endsBefore);
    if (first.label === undefined) options.into.push(settleNegative(state, first, "window"));
  }
}

/** Closes the oldest open impression of all sources. */
function overflow(state: JoinerState): Sample[] {
  let oldest: { readonly entry: Entry; readonly clock: SourceClock } | undefined;
  for (const clock of state.sources.values()) {
    const { windows } = clock;
    while (windows[0]?.label !== undefined) popHeap(windows, endsBefore);
    const entry = windows[0];
    if (entry !== undefined && (oldest === undefined || endsBefore(entry, oldest.entry))) oldest = { entry, clock };
  }
  if (oldest === undefined) return [];
  state.counts.overflows += 1;
  noteClosing(oldest.clock, oldest.entry.impression.time + state.options.windowMs);
  return [settleNegative(state, oldest.entry, "overflow")];
}

/** A closing covers every earlier one that did not reach further, so the list falls in `until` and is nearly always of length 1. */
function noteClosing(clock: SourceClock, until: number): void {
  clock.closings = [...clock.closings.filter((each) => each.until > until), { sequence: clock.applied, until }].slice(-CLOSINGS_MAX);
}

const CLOSINGS_MAX = 64;
const NOWHERE: Origin = { source: "", sequence: 0 };

function sweep(windows: Entry[]): void {
  const open = windows.filter(({ label }) => label === undefined);
  windows.length = 0;
  for (const entry of open) pushHeap(windows, entry, endsBefore);
}

function isCorrectable(state: JoinerState, { impression, origins }: Entry): boolean {
  const { windowMs, correctionMs, latenessMs } = state.options;
  const newest = state.sources.get(origins[0]?.source ?? "")?.newestTime ?? -Infinity;
  return impression.time + windowMs + correctionMs > newest - latenessMs;
}

function clockOf(state: JoinerState, source: string): SourceClock {
  let clock = state.sources.get(source);
  if (clock === undefined) {
    clock = { applied: -Infinity, newestTime: -Infinity, newestSequence: Infinity, heardMs: -Infinity, closings: [], windows: [] };
    state.sources.set(source, clock);
  }
  return clock;
}

function escapePart(part: string): string {
  return part.replaceAll("%", "%25").replaceAll(":", "%3A");
}
