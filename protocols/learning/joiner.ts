// From impressions and feedback to labelled samples, as a join in event time. Pure: the shell passes time in and publishes the samples
// (joiner-resume.ts).
//
// What holds:
// 1. Every accepted impression becomes a sample: positive when its feedback arrives, negative when its wait ends, which is the window or,
//    with Fast Emit, as long as it takes a share of positives to come (delay-model.ts). A positive that came in a burst may be held for a
//    while (scatter.ts); it is then no negative any more.
// 2. A sample's id is a function of request, item and label, and is given once.
// 3. A positive is never also a negative, unless the negative came first; then the positive is marked as its correction.
//    A negative says which share of positives comes after it, so that who learns can weigh it (label-weights.ts).
// 4. Memory is bounded by the options; what a bound cost is counted.
//
// Each source (a region's stream of events) has its own clock: the newest event time it has shown. A region that was cut off brings its old
// impressions and feedback together later, and they join as if it had never been away.
import { popHeap, pushHeap } from "../binary-heap.ts";
import { type Feedback, type FeedbackEvent, type Impression } from "../feedback.ts";
import { hashText } from "../keys.ts";
import { ageOfShare, completeSlices, noteDelay, shareAfter } from "./delay-model.ts";
import { First, forgetNames, forgetOldest, forgettable, isOverfull } from "./joiner-forgetting.ts";
import { heldBytes } from "./joiner-memory.ts";
import {
  clockOf,
  dropHeld,
  type Entry,
  entryOf,
  EVENTS_PER_MESSAGE,
  type Held,
  impressionKey,
  isCorrectable,
  isStale,
  type JoinerState,
  type Origin,
  type Positive,
  type Sample,
  settle,
  type Shown,
  type SourceClock,
  toldBy,
  toShown,
  touch,
  weigh,
} from "./joiner-state.ts";
import { notePositive, scatterWidth } from "./scatter.ts";

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
  if (messageOf(sequence) !== messageOf(clock.applied)) state.messages += 1;
  clock.applied = sequence;
  clock.heardMs = nowMs;
  const origin = { source, sequence };
  const samples = releaseScattered(state, nowMs);
  if (event.type === "impression") samples.push(...takeImpression(state, event, { origin, nowMs }));
  else samples.push(...takeFeedback(state, event, { origin, nowMs }));
  // Only now, so that whether feedback is too late is the same for an open window and for one that silence closed just before.
  clock.newestTime = Math.max(clock.newestTime, Math.min(event.time, storedMs + state.options.futureMsMax));
  completeSlices(clock.delays, clock.newestTime);
  closeWindows(state, { clock, until: clock.newestTime - state.options.latenessMs, into: samples });
  samples.push(...makeRoom(state));
  return samples;
}

/**
 * Lets processing time pass: closes the windows of sources that have been silent, and returns those negatives. `isAway` names sources whose
 * silence says nothing.
 */
export function tick(state: JoinerState, nowMs: number, isAway: (source: string) => boolean = () => false): Sample[] {
  const samples = releaseScattered(state, nowMs);
  const { idleAfterMs, latenessMs } = state.options;
  for (const [source, clock] of state.sources) {
    const silentMs = nowMs - clock.heardMs;
    // The source's own clock stays: when it speaks again, what it brings is judged by its own time.
    if (silentMs <= idleAfterMs || isAway(source)) continue;
    closeWindows(state, { clock, until: clock.newestTime - latenessMs + silentMs, into: samples });
  }
  return samples;
}

function messageOf(sequence: number): number {
  return Math.floor(sequence / EVENTS_PER_MESSAGE);
}

/** An event's number, and when it is taken in. */
interface Taking {
  readonly origin: Origin;
  readonly nowMs: number;
}

/** The order in which a source's windows end; equal times by key, so that it is the same on every run. */
function endsBefore(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.key < b.key);
}

function isReleasedBefore(a: Entry, b: Entry): boolean {
  const [one, other] = [a.positive?.releaseMs ?? 0, b.positive?.releaseMs ?? 0];
  return one < other || (one === other && a.key < b.key);
}

function takeImpression(state: JoinerState, impression: Impression, { origin, nowMs }: Taking): Sample[] {
  const key = impressionKey(impression);
  const known = entryOf(state, key);
  if (known !== undefined || state.past.has(key)) {
    state.counts.duplicates += 1;
    if (known !== undefined) {
      tellAgain(state, known, origin);
      known.shownMessage = state.messages;
    }
    return [];
  }
  const { time } = impression;
  const dueMs = time + waitOf(state, origin.source);
  const entry: Entry = {
    key,
    impression: toShown(impression),
    shownMs: time,
    dueMs,
    ...toldBy(state, origin),
    shownMessage: state.messages,
    label: undefined,
    positive: undefined,
    after: 0,
    bytes: 0,
  };
  weigh(state, entry);
  const waiting = state.held.get(key);
  if (waiting !== undefined) {
    state.held.delete(key);
    state.bytes -= heldBytes(waiting);
    const { source, last, others = [] } = waiting;
    for (const [by, sequence] of [[source, last] as const, ...others]) touch(entry, { source: by, sequence });
    weigh(state, entry);
    const { feedback } = waiting;
    if (!isStale(state, waiting)) return takePositive(state, entry, { feedback, origin: waiting, nowMs });
    state.counts.tooLate += 1;
  }
  state.pending.set(key, entry);
  const { windows } = clockOf(state, origin.source);
  pushHeap(windows, entry, endsBefore);
  // Positives leave before their window ends and stay behind in the heap: sweep them out once they are the most of it.
  if (windows.length > 2 * state.pending.size + 64) sweep(windows);
  return [];
}

function takeFeedback(state: JoinerState, feedback: Feedback, { origin, nowMs }: Taking): Sample[] {
  const key = impressionKey(feedback);
  const entry = entryOf(state, key);
  const label = entry === undefined ? state.past.get(key) : entry.label;
  if (entry !== undefined) tellAgain(state, entry, origin);
  else if (label === undefined) {
    hold(state, { feedback, ...toldBy(state, origin) });
    return [];
  }
  if (label === 1 || entry?.positive !== undefined) state.counts.duplicates += 1;
  else if (entry === undefined || (label === 0 && !isCorrectable(state, entry))) state.counts.tooLate += 1;
  else return takePositive(state, entry, { feedback, origin, nowMs });
  return [];
}

function tellAgain(state: JoinerState, entry: Entry, origin: Origin): void {
  touch(entry, origin);
  weigh(state, entry);
}

/** Gives the sample, or holds it for a while where positives come in bursts. */
function takePositive(
  state: JoinerState,
  entry: Entry,
  { feedback, origin, nowMs }: Taking & { readonly feedback: Feedback },
): Sample[] {
  const { options, bursts, scattered, pending } = state;
  const clockMs = clockOf(state, entry.source).newestTime;
  const { scatterMsMax } = options;
  if (scatterMsMax > 0) notePositive(bursts, nowMs, scatterMsMax);
  const widthMs = scatterMsMax > 0 ? scatterWidth(bursts, scatterMsMax) : 0;
  const releaseMs = nowMs + widthMs * (hashText(entry.key, SCATTER) / 0x1_0000_0000);
  entry.positive = { feedback, origin: { source: origin.source, sequence: origin.sequence }, clockMs, releaseMs };
  const isNew = entry.label === undefined && !pending.has(entry.key);
  if (widthMs === 0 || scattered.length >= options.scatteredMax) return [settlePositive(state, entry, entry.positive)];
  if (isNew) pending.set(entry.key, entry);
  weigh(state, entry);
  pushHeap(scattered, entry, isReleasedBefore);
  state.counts.scattered += 1;
  return [];
}

/** The seed of the random share of the width that each positive is held for: the same after a restart. */
const SCATTER = 0x73636174;

function releaseScattered(state: JoinerState, nowMs: number): Sample[] {
  const { scattered } = state;
  const samples: Sample[] = [];
  while ((scattered[0]?.positive?.releaseMs ?? Infinity) <= nowMs) {
    const sample = giveHeld(state);
    if (sample !== undefined) samples.push(sample);
  }
  return samples;
}

/** How long an impression waits for feedback before it is a negative. */
export function waitOf({ options, sources }: Pick<JoinerState, "options" | "sources">, source: string): number {
  const { emitAfterShare, windowMs } = options;
  const clock = sources.get(source);
  if (emitAfterShare === undefined || clock === undefined) return windowMs;
  return Math.min(windowMs, ageOfShare(clock.delays, emitAfterShare, clock.newestTime) ?? windowMs);
}

function hold(state: JoinerState, waiting: Held): void {
  const { held, counts, options } = state;
  const key = impressionKey(waiting.feedback);
  const known = held.get(key);
  if (known !== undefined) {
    state.bytes -= heldBytes(known);
    if (!isStale(state, known)) {
      touch(known, waiting);
      state.bytes += heldBytes(known);
      counts.duplicates += 1;
      return;
    }
  }
  held.delete(key);
  held.set(key, waiting);
  state.bytes += heldBytes(waiting);
  for (const [oldest, of] of held) {
    if (held.size <= options.heldMax) break;
    dropHeld(state, oldest, of);
  }
}

function settlePositive(state: JoinerState, entry: Entry, { feedback, clockMs }: Positive): Sample {
  const { key, shownMs, source } = entry;
  const impression = shownOf(entry);
  const ageMs = Math.max(clockMs, feedback.time) - shownMs;
  noteDelay(clockOf(state, source).delays, { kind: feedback.kind, shownMs, ageMs });
  const correction = entry.label === 0;
  if (correction) state.counts.corrections += 1;
  else state.counts.positives += 1;
  settle(state, entry, 1);
  return { id: `${key}:1`, label: 1, correction, cause: "feedback", impression, source, feedback };
}

function settleNegative(
  state: JoinerState,
  entry: Entry,
  given: { readonly cause: "window" | "overflow"; readonly atMs: number },
): Sample {
  state.counts.negatives += 1;
  settle(state, entry, 0);
  const { key, shownMs, source } = entry;
  const { delays, newestTime } = clockOf(state, source);
  const late = shareAfter(delays, given.atMs - shownMs, newestTime) ?? 0;
  const impression = shownOf(entry);
  const sample = { id: `${key}:0`, label: 0, correction: false, cause: given.cause, impression } as const;
  return { ...sample, source, ...(late > 0 && { late }) };
}

function shownOf({ key, impression }: Entry): Shown {
  if (impression === undefined) throw new RangeError(`Cannot label '${key}': it is a positive already`);
  return impression;
}

function closeWindows(
  state: JoinerState,
  options: { readonly clock: SourceClock; readonly until: number; readonly into: Sample[] },
): void {
  const { windows } = options.clock;
  for (let first = windows[0]; first !== undefined; first = windows[0]) {
    if (isOpen(first) && first.dueMs > options.until) return;
    popHeap(windows, endsBefore);
    const atMs = options.until + state.options.latenessMs;
    if (isOpen(first)) options.into.push(settleNegative(state, first, { cause: "window", atMs }));
  }
}

/**
 * Lets go of what came first until the rest has room: names nobody needs, then finished impressions in the order of their samples, and before
 * one of these whatever is open since before it was shown. So a next joiner, which reads again from what is open, never reads that something
 * was shown which nobody knows any more. What is held to be spread is given before anything is lost.
 */
function makeRoom(state: JoinerState): Sample[] {
  const samples: Sample[] = [];
  if (!isOverfull(state)) return samples;
  forgetNames(state);
  while (isOverfull(state, true)) {
    const sample = giveHeld(state);
    if (sample === undefined) break;
    samples.push(sample);
  }
  const [open, finished, waiting] = [new First([state.pending]), forgettable(state), new First([state.held])];
  while (isOverfull(state, true)) {
    const sample = giveEarly(state, open, finished);
    if (sample !== undefined) samples.push(sample);
    else if (!forgetOldest(state, finished, waiting)) break;
  }
  return samples;
}

/** Gives the next positive of those that are held to be spread. */
function giveHeld(state: JoinerState): Sample | undefined {
  const entry = popHeap(state.scattered, isReleasedBefore);
  return entry?.positive === undefined ? undefined : settlePositive(state, entry, entry.positive);
}

/** Gives the oldest open impression as a negative, if the oldest finished one was shown since. */
function giveEarly(state: JoinerState, open: First<Entry>, { value: finished }: First<Entry>): Sample | undefined {
  const oldest = open.value;
  if (oldest === undefined || (finished !== undefined && finished.shownMessage < oldest.firstMessage)) return undefined;
  open.next();
  const { newestTime, windows } = clockOf(state, oldest.source);
  const sample = settleNegative(state, oldest, { cause: "overflow", atMs: newestTime });
  while (windows[0] !== undefined && !isOpen(windows[0])) popHeap(windows, endsBefore);
  state.counts.overflows += 1;
  return sample;
}

function isOpen({ label, positive }: Entry): boolean {
  return label === undefined && positive === undefined;
}

function sweep(windows: Entry[]): void {
  const open = windows.filter(isOpen);
  windows.length = 0;
  for (const entry of open) pushHeap(windows, entry, endsBefore);
}
