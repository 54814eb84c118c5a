// From impressions and feedback to labelled samples, as a window join in event time. Pure: the shell passes time in and publishes the
// samples (joiner-resume.ts).
//
// What holds:
// 1. Every accepted impression becomes a sample: positive at once when its feedback arrives, negative when its window ends.
// 2. A sample's id is a function of request, item and label, and is given once.
// 3. A positive is never also a negative, unless the negative came first; then the positive is marked as its correction.
// 4. Memory is bounded by the options; what a bound cost is counted.
//
// Each source (a region's stream of events) has its own clock: the newest event time it has shown. A region that was cut off brings its old
// impressions and feedback together later, and they join as if it had never been away.
import { popHeap, pushHeap } from "../binary-heap.ts";
import { type Feedback, type FeedbackEvent, type Impression } from "../feedback.ts";
import {
  clockOf,
  type Entry,
  type Held,
  impressionKey,
  isCorrectable,
  isStale,
  type JoinerState,
  type Origin,
  type Sample,
  settle,
  type SourceClock,
  touch,
} from "./joiner-state.ts";

/** An event and where it came from. */
export interface Input extends Origin {
  readonly event: FeedbackEvent;
  /** When the event was stored: it moves its source's clock no further than `futureMsMax` past this. Absent: it may move it anywhere. */
  readonly storedMs?: number;
}

/** Takes one event in and returns the samples it completes. An event at or below its source's last applied number has no effect. */
export function step(state: JoinerState, input: Input, nowMs: number): Sample[] {
  const { source, sequence, event, storedMs = Infinity } = input;
  const clock = clockOf(state, source);
  if (sequence <= clock.applied) {
    state.counts.duplicates += 1;
    return [];
  }
  clock.applied = sequence;
  clock.heardMs = nowMs;
  const origin = { source, sequence };
  const samples =
    event.type === "impression" ? takeImpression(state, event, origin) : takeFeedback(state, event, origin);
  // Only now, so that whether feedback is too late is the same for an open window and for one that silence closed just before.
  clock.newestTime = Math.max(clock.newestTime, Math.min(event.time, storedMs + state.options.futureMsMax));
  closeWindows(state, { clock, until: clock.newestTime - state.options.latenessMs, into: samples });
  return samples;
}

/**
 * Lets processing time pass: closes the windows of sources that have been silent, and returns those negatives. `isAway` names sources whose
 * silence says nothing.
 */
export function tick(state: JoinerState, nowMs: number, isAway: (source: string) => boolean = () => false): Sample[] {
  const samples: Sample[] = [];
  const { idleAfterMs, latenessMs } = state.options;
  for (const [source, clock] of state.sources) {
    const silentMs = nowMs - clock.heardMs;
    // The source's own clock stays: when it speaks again, what it brings is judged by its own time.
    if (silentMs <= idleAfterMs || isAway(source)) continue;
    closeWindows(state, { clock, until: clock.newestTime - latenessMs + silentMs, into: samples });
  }
  return samples;
}

/** The order in which a source's windows end; equal times by key, so that it is the same on every run. */
function endsBefore(a: Entry, b: Entry): boolean {
  return a.impression.time < b.impression.time || (a.impression.time === b.impression.time && a.key < b.key);
}

function takeImpression(state: JoinerState, impression: Impression, origin: Origin): Sample[] {
  const key = impressionKey(impression);
  const known = state.pending.get(key) ?? state.settled.get(key);
  if (known !== undefined || state.past.has(key)) {
    state.counts.duplicates += 1;
    if (known !== undefined) touch(known.touched, origin);
    return [];
  }
  const { request, user, item, time, features, dense } = impression;
  const shown = { request, user, item, time, features, dense };
  const entry: Entry = { key, impression: shown, origin, label: undefined, after: 0, touched: new Map() };
  touch(entry.touched, origin);
  const waiting = state.held.get(key);
  if (waiting !== undefined) {
    state.held.delete(key);
    for (const [by, last] of waiting.touched) touch(entry.touched, { source: by, sequence: last });
    if (!isStale(state, waiting)) return [settlePositive(state, entry, waiting.feedback)];
    state.counts.tooLate += 1;
  }
  state.pending.set(key, entry);
  const { windows } = clockOf(state, origin.source);
  pushHeap(windows, entry, endsBefore);
  // Positives leave before their window ends and stay behind in the heap: sweep them out once they are the most of it.
  if (windows.length > 2 * state.pending.size + 64) sweep(windows);
  return state.pending.size > state.options.pendingMax ? overflow(state) : [];
}

function takeFeedback(state: JoinerState, feedback: Feedback, origin: Origin): Sample[] {
  const key = impressionKey(feedback);
  const entry = state.pending.get(key) ?? state.settled.get(key);
  const label = entry === undefined ? state.past.get(key) : entry.label;
  if (entry !== undefined) touch(entry.touched, origin);
  else if (label === undefined) {
    hold(state, { feedback, origin, touched: new Map() });
    return [];
  }
  if (label === 1) state.counts.duplicates += 1;
  else if (entry === undefined || (label === 0 && !isCorrectable(state, entry))) state.counts.tooLate += 1;
  else return [settlePositive(state, entry, feedback)];
  return [];
}

function hold(state: JoinerState, waiting: Held): void {
  const { held, counts, options } = state;
  const key = impressionKey(waiting.feedback);
  const known = held.get(key);
  touch((known ?? waiting).touched, waiting.origin);
  if (known !== undefined && !isStale(state, known)) {
    counts.duplicates += 1;
    return;
  }
  held.delete(key);
  held.set(key, waiting);
  for (const oldest of held.keys()) {
    if (held.size <= options.heldMax) break;
    held.delete(oldest);
    counts.heldDropped += 1;
  }
}

function settlePositive(state: JoinerState, entry: Entry, feedback: Feedback): Sample {
  const correction = entry.label === 0;
  if (correction) state.counts.corrections += 1;
  else state.counts.positives += 1;
  settle(state, entry, 1);
  const { key, impression, origin } = entry;
  return { id: `${key}:1`, label: 1, correction, cause: "feedback", impression, source: origin.source, feedback };
}

function settleNegative(state: JoinerState, entry: Entry, cause: "window" | "overflow"): Sample {
  state.counts.negatives += 1;
  settle(state, entry, 0);
  const { key, impression, origin } = entry;
  return { id: `${key}:0`, label: 0, correction: false, cause, impression, source: origin.source };
}

function closeWindows(
  state: JoinerState,
  options: { readonly clock: SourceClock; readonly until: number; readonly into: Sample[] },
): void {
  const { windows } = options.clock;
  for (let first = windows[0]; first !== undefined; first = windows[0]) {
    if (first.label === undefined && first.impression.time + state.options.windowMs > options.until) return;
    popHeap(windows, endsBefore);
    if (first.label === undefined) options.into.push(settleNegative(state, first, "window"));
  }
}

/** Closes the oldest open impression of all sources. */
function overflow(state: JoinerState): Sample[] {
  let oldest: Entry | undefined;
  for (const { windows } of state.sources.values()) {
    while (windows[0]?.label !== undefined) popHeap(windows, endsBefore);
    const entry = windows[0];
    if (entry !== undefined && (oldest === undefined || endsBefore(entry, oldest))) oldest = entry;
  }
  if (oldest === undefined) return [];
  state.counts.overflows += 1;
  return [settleNegative(state, oldest, "overflow")];
}

function sweep(windows: Entry[]): void {
  const open = windows.filter(({ label }) => label === undefined);
  windows.length = 0;
  for (const entry of open) pushHeap(windows, entry, endsBefore);
}
