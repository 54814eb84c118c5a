/*
 * What goes over each link at once, over all shards. A pull opens with its first answer, which says how many frames there are. As much may
 * come unasked as there is room for, by what answers took lately; where there is no room, `openingBytes`. So every pull may open soon,
 * whatever else runs, and what is small is over with that. The rest is asked for frame by frame, as the link's window and byte budget allow, each pull in turn. A long one (a catch-up) needs a place,
 * of which a link has few; where none is free it is put off, and waits in the order of coming. Hence:
 *   1. What is in flight on a link is bounded by its window, openings and standing pulls aside, of which there are `pullsMax` and
 *      `standingMax` at most, however many shards there are.
 *   2. Nothing small waits for a catch-up, and each catch-up with a place gets one frame in every `pullsMax + longMax`.
 *   3. One link's state never looks at another's.
 */
import { type LinkLimits } from "../limits.ts";
import { type ByteBudget, createByteBudget, debtMs, spend } from "./byte-budget.ts";
import {
  createLinkWindow,
  framesAllowed,
  type LinkWindow,
  noteFrame,
  noteLatency,
  noteLoss,
  noteSize,
} from "./link-window.ts";

/** One link and the pulls that run over it. */
export interface Link {
  readonly name: string;
  readonly limits: LinkLimits;
  readonly window: LinkWindow;
  readonly budget: ByteBudget | undefined;
  /** By shard, the one whose turn it is first. */
  readonly pulls: Map<string, LinkPull>;
  /** By shard: pulls that stand at the other end, the longest there first. */
  readonly standing: Map<string, Pick<LinkPull, "weight" | "burst"> & { readonly sinceMs: number }>;
  /** Bytes that may come unasked at most: some times what came lately within `openingMs`. */
  quickBytes: number;
  /** What the answer to a pull is expected to take, long ones aside: rises at once, falls slowly. */
  expectedBytes: number;
  /** A `wake` is under way. */
  isWaking: boolean;
}

interface LinkPull {
  isLong: boolean;
  /** Of the answer, once its first frame told. */
  frames: number | undefined;
  /** Frames below this may be asked for. */
  upTo: number;
  received: number;
  /** When those in flight were allowed, the oldest first. */
  readonly asks: number[];
  /** What its opening is expected to take, in frames; the window itself counts what was asked for beyond that. */
  readonly weight: number;
  readonly burst: number;
  /** Frames to come that were not paid for when they were allowed. */
  unpaid: number;
}

export type LinkEffect =
  /** The shard's pull may ask for all frames below `upTo`. */
  | { readonly kind: "grant"; readonly shard: string; readonly upTo: number }
  /** The shard's pull is long and there is no place for it now: it is to end, and to be begun again as a long one. */
  | { readonly kind: "postpone"; readonly shard: string }
  /** Turn this link again then. */
  | { readonly kind: "wake"; readonly link: string; readonly delayMs: number };

export function createLink(
  name: string,
  { limits, bytesPerSecond, nowMs }: { limits: LinkLimits; bytesPerSecond?: number | undefined; nowMs: number },
): Link {
  const budget =
    bytesPerSecond === undefined ? undefined : createByteBudget(bytesPerSecond, { bytesMin: limits.frameBytes, nowMs });
  return {
    name,
    limits,
    window: createLinkWindow(limits),
    budget,
    pulls: new Map(),
    standing: new Map(),
    quickBytes: limits.unknownBytes,
    expectedBytes: limits.frameBytes,
    isWaking: false,
  };
}

/** Begins a pull: gives the bytes that may come unasked, or nothing when it has to wait. */
export function openPull(
  link: Link,
  { shard, isLong, nowMs }: { readonly shard: string; readonly isLong: boolean; readonly nowMs: number },
): number | undefined {
  const { limits, pulls, budget } = link;
  const long = longPulls(link);
  if (isLong ? long >= limits.longMax : pulls.size - long >= limits.pullsMax) return undefined;
  // What opens is small, and waits only where even openings have overdrawn the budget.
  if (budget !== undefined && debtMs(budget, { nowMs, debtMax: budget.bytesMax }) > 0) return undefined;
  const burst = burstOf(link);
  const upTo = Math.max(1, Math.floor(burst / limits.frameBytes));
  const asks = Array.from({ length: upTo }, () => nowMs);
  const weight = Math.min(burst, link.expectedBytes) / limits.frameBytes;
  pulls.set(shard, { isLong, frames: undefined, upTo, received: 0, asks, weight, burst, unpaid: upTo });
  return burst;
}

/**
 * Leaves a pull standing at the other end: gives the bytes that may come of it unasked, at any time, and the shards whose pulls, of those that
 * have stood for `standMs` the longest there, give way to it; nothing where there is no room. What all of them may bring together is bounded by
 * the window, or by what openings may take where that is more, and by what the budget saves up.
 */
export function openStanding(
  link: Link,
  { shard, nowMs }: { readonly shard: string; readonly nowMs: number },
): { readonly burst: number; readonly giveWay: readonly string[] } | undefined {
  const { limits, standing, budget, window, quickBytes, expectedBytes } = link;
  const { frameBytes, openingBytes, pullsMax, standingMax, standMs } = limits;
  if (budget !== undefined && debtMs(budget, { nowMs }) > 0) return undefined;
  const burst = Math.max(openingBytes, Math.min(frameBytes, quickBytes, Math.ceil(BURST_SHARE * expectedBytes)));
  const weight = Math.min(burst, expectedBytes) / frameBytes;
  const room = Math.max(framesAllowed(window), (pullsMax * openingBytes) / frameBytes);
  let left = standing.size;
  let frames = weight;
  let bytes = burst;
  for (const stood of standing.values()) {
    frames += stood.weight;
    bytes += stood.burst;
  }
  function isTooMuch(): boolean {
    return left >= standingMax || (left > 0 && frames > room) || bytes > (budget?.bytesMax ?? Infinity);
  }
  const giveWay: string[] = [];
  for (const [other, stood] of standing) {
    if (!isTooMuch() || nowMs - stood.sinceMs < standMs) break;
    giveWay.push(other);
    left -= 1;
    frames -= stood.weight;
    bytes -= stood.burst;
  }
  if (isTooMuch()) return undefined;
  for (const other of giveWay) standing.delete(other);
  standing.set(shard, { weight, burst, sinceMs: nowMs });
  return { burst, giveWay };
}

/** A standing pull is to be answered now, or is: it takes part like any other. How long it takes tells nothing of the link. */
export function wakeStanding({ standing, pulls, limits }: Link, shard: string): void {
  const stood = standing.get(shard);
  if (stood === undefined) return;
  standing.delete(shard);
  const upTo = Math.max(1, Math.floor(stood.burst / limits.frameBytes));
  const { weight, burst } = stood;
  pulls.set(shard, { isLong: false, frames: undefined, upTo, received: 0, asks: [], weight, burst, unpaid: upTo });
}

/** Bytes that may come unasked: a few frames where nothing else runs, what fits, no more than the link is known to carry soon, and in any case a little. */
function burstOf({ limits, pulls, window, budget, quickBytes, expectedBytes }: Link): number {
  const frames = framesAllowed(window);
  let used = expectedBytes / limits.frameBytes;
  for (const pull of pulls.values()) used += pull.frames === undefined ? pull.weight : pull.asks.length;
  const idle = Math.min(limits.openingFramesMax, frames) * limits.frameBytes;
  const fitting = used > frames ? 0 : Math.min(limits.frameBytes, Math.ceil(BURST_SHARE * expectedBytes));
  const affordable = budget === undefined ? Infinity : Math.max(0, Math.floor(budget.bytes));
  return Math.max(limits.openingBytes, Math.min(affordable, quickBytes, pulls.size === 0 ? idle : fitting));
}

/** Notes a frame of a shard's pull that was applied; tells what that changes. */
export function notePullFrame(
  link: Link,
  frame: { readonly shard: string; readonly bytes: number; readonly frames: number; readonly nowMs: number },
): LinkEffect[] {
  const { shard, bytes, frames, nowMs } = frame;
  wakeStanding(link, shard);
  const pull = link.pulls.get(shard);
  // Urgent rows come unasked and wait for nothing; what they take is taken from the rest.
  if (frames === 0 && link.budget !== undefined) spend(link.budget, bytes, nowMs);
  if (pull === undefined || frames === 0) return [];
  const inFlight = framesInFlight(link);
  const askedMs = pull.asks.shift();
  const isFirst = pull.frames === undefined;
  pull.frames = frames;
  pull.received += 1;
  // What opens an answer that is asked for anew comes unasked.
  pull.upTo = Math.max(pull.upTo, pull.received);
  if (isFirst) {
    pull.upTo = Math.min(pull.upTo, frames);
    pull.asks.length = Math.min(pull.asks.length, pull.upTo - 1);
    pull.unpaid = pull.upTo;
    expect(link, pull, { bytes, frames });
  }
  // What was allowed one by one has been paid for by what a frame usually takes.
  const paid = pull.unpaid > 0 ? 0 : link.window.frameBytes;
  pull.unpaid = Math.max(0, pull.unpaid - 1);
  if (link.budget !== undefined) spend(link.budget, bytes - paid, nowMs);
  if (askedMs !== undefined) noteQuickness(link, { bytes, ms: nowMs - askedMs });
  if (askedMs === undefined) noteSize(link.window, bytes);
  else if (bytes <= link.limits.openingBytes && isFirst) noteLatency(link.window, nowMs - askedMs);
  else noteFrame(link.window, { askedMs, nowMs, bytes, inFlight });
  // Also later: after the rest of an answer all is asked for anew, and may be long where that was not.
  if (pull.isLong || frames - pull.received <= link.limits.shortFramesMax) return [];
  if (longPulls(link) < link.limits.longMax) {
    pull.isLong = true;
    return [];
  }
  return [{ kind: "postpone", shard }];
}

/** A pull waits for frames that do not come. */
export function noteStall(link: Link, shard: string): void {
  if (!link.pulls.has(shard)) return;
  noteLoss(link.window);
  link.quickBytes = link.limits.openingBytes;
  // Much may have gathered while nothing came.
  link.expectedBytes = link.limits.frameBytes;
}

/** A pull has ended, however. */
export function closePull(link: Link, shard: string): void {
  link.standing.delete(shard);
  link.pulls.delete(shard);
}

/** Gives out what may be asked for now, to each pull in turn. */
export function turnLink(link: Link, nowMs: number): LinkEffect[] {
  const { pulls, window, budget } = link;
  const effects: LinkEffect[] = [];
  // Every step of a poller comes by here, and mostly nothing waits.
  if (nextWaiting(link) === undefined) return effects;
  const granted = new Map<string, number>();
  let room = framesAllowed(window) - framesInFlight(link);
  for (let waiting = nextWaiting(link); waiting !== undefined && room > 0; waiting = nextWaiting(link)) {
    const [shard, pull] = waiting;
    const waitMs = budget === undefined ? 0 : debtMs(budget, { nowMs });
    if (waitMs > 0) {
      if (!link.isWaking) effects.push({ kind: "wake", link: link.name, delayMs: Math.ceil(waitMs) });
      link.isWaking = true;
      break;
    }
    pull.upTo += 1;
    pull.asks.push(nowMs);
    granted.set(shard, pull.upTo);
    if (budget !== undefined) spend(budget, window.frameBytes, nowMs);
    // To the end of the turn.
    pulls.delete(shard);
    pulls.set(shard, pull);
    room -= 1;
  }
  for (const [shard, upTo] of granted) effects.push({ kind: "grant", shard, upTo });
  return effects;
}

/** A `wake` is due. */
export function wakeLink(link: Link, nowMs: number): LinkEffect[] {
  link.isWaking = false;
  return turnLink(link, nowMs);
}

/** Frames in flight that the window counts: all but what opens a pull while others run. */
export function framesInFlight({ pulls, limits }: Link): number {
  let inFlight = 0;
  for (const { frames, burst, asks } of pulls.values()) {
    inFlight += frames === undefined && burst <= limits.frameBytes ? 0 : asks.length;
  }
  return inFlight;
}

/** How long a small answer would take over this link now, milliseconds; 0 for a link not measured yet, which is worth a try. */
export function expectedMs(link: Link): number {
  const { latencyMs = 0, bytesPerSecond, frameBytes } = link.window;
  const queuedMs = bytesPerSecond === undefined ? 0 : (framesInFlight(link) * frameBytes * 1000) / bytesPerSecond;
  return latencyMs + queuedMs;
}

function nextWaiting({ pulls }: Link): readonly [string, LinkPull] | undefined {
  for (const entry of pulls) {
    const [, { frames, upTo }] = entry;
    if (frames !== undefined && upTo < frames) return entry;
  }
  return undefined;
}

function expect(link: Link, { burst }: LinkPull, first: { readonly bytes: number; readonly frames: number }): void {
  const { frameBytes, shortFramesMax } = link.limits;
  if (first.frames - 1 > shortFramesMax) return;
  // Of what was cut short nobody knows how long it is.
  const bytes = Math.min(frameBytes, first.frames === 1 ? first.bytes : 2 * burst);
  link.expectedBytes = bytes > link.expectedBytes ? bytes : link.expectedBytes + (bytes - link.expectedBytes) / 4;
}

/** What comes in time shows what an opening may take: it should be there before it is asked for again, on the slowest link. */
function noteQuickness(link: Link, { bytes, ms }: { readonly bytes: number; readonly ms: number }): void {
  const { openingMs, openingBytes } = link.limits;
  link.quickBytes =
    ms <= openingMs
      ? Math.max(link.quickBytes, BURST_SHARE * bytes)
      : Math.max(openingBytes, Math.floor(link.quickBytes / 2));
}

/** An answer may take so many times what is expected before it is cut. */
const BURST_SHARE = 4;

function longPulls({ pulls }: Link): number {
  let count = 0;
  for (const { isLong } of pulls.values()) count += isLong ? 1 : 0;
  return count;
}
