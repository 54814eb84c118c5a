/*
 * How many frames one link has in flight. The rule is that of FAST TCP (Wei, Jin, Low and Hegde, 2006), with the queue to keep counted
 * in time: after each round of answers
 *
 *     frames <- frames x (base + slack) / round trip
 *
 * where base is the round trip of a frame that met no queue. It doubles where nothing queues on a short way, settles where frames queue
 * for `slack` whatever the link's rate and length, and halves where answers stop. A queue of our own making would in time pass for the
 * way's length; so the base is measured anew now and then, with the queue let go.
 */
import { type LinkLimits } from "../limits.ts";

/** What is measured of a link, and the window that follows from it. Times are of a clock that never jumps. */
export interface LinkWindow {
  readonly limits: LinkLimits;
  /** Frames that may be in flight, with a fraction: what is beyond the whole number counts as growth only. */
  frames: number;
  /** Round trip of a small answer, smoothed, milliseconds; undefined before the first. */
  latencyMs: number | undefined;
  /** Bytes a second that came while the window was in use, smoothed; undefined before the first round. */
  bytesPerSecond: number | undefined;
  /** Bytes of a frame, smoothed. */
  frameBytes: number;
  base: { readonly ms: number; readonly atMs: number } | undefined;
  round: Round;
  /** Rounds left in which the queue is let go and the base measured anew. */
  probing: number;
}

/** A round ends when as many frames have come as its window had, all asked for since its beginning. */
interface Round {
  readonly beganMs: number;
  readonly frames: number;
  came: number;
  /** Of these, how many came while as many were in flight as may be. */
  limited: number;
  /** Of the later half: the first ones may meet no queue where they were asked for together. */
  rttMsMin: number;
  bytes: number;
  isLossy: boolean;
}

/** The window of a link of which nothing is known. */
export function createLinkWindow(limits: LinkLimits): LinkWindow {
  return {
    limits,
    frames: limits.framesAtFirst,
    latencyMs: undefined,
    bytesPerSecond: undefined,
    frameBytes: limits.frameBytes,
    base: undefined,
    round: newRound(0, limits.framesAtFirst),
    probing: 0,
  };
}

/** Whole frames that may be in flight now. */
export function framesAllowed({ frames, probing, base, limits }: LinkWindow): number {
  if (probing === 0 || base === undefined) return Math.floor(frames);
  return Math.max(limits.framesMin, Math.floor((frames * base.ms * 0.75) / (base.ms + slackMs(base.ms, limits))));
}

/** An answer so small that its size does not matter came so long after it was asked for. */
export function noteLatency(window: LinkWindow, ms: number): void {
  window.latencyMs = smooth(window.latencyMs, ms);
}

/** A frame came of which nobody knows when it was sent for. */
export function noteSize(window: LinkWindow, bytes: number): void {
  window.frameBytes = smooth(window.frameBytes, bytes);
}

/** A frame came. `inFlight` counts those asked for and not come yet, this one included. */
export function noteFrame(
  window: LinkWindow,
  frame: { readonly askedMs: number; readonly nowMs: number; readonly bytes: number; readonly inFlight: number },
): void {
  const { askedMs, nowMs, bytes, inFlight } = frame;
  const { round } = window;
  round.bytes += bytes;
  const isOfRound = askedMs >= round.beganMs;
  if (isOfRound) round.came += 1;
  if (isOfRound && inFlight >= framesAllowed(window)) round.limited += 1;
  // The last frame of an answer may be short, and says nothing of how long whole ones take.
  if (bytes * 2 >= window.frameBytes) {
    const rttMs = Math.max(nowMs - askedMs, RTT_MS_MIN);
    if (isOfRound && round.came > round.frames >> 1) round.rttMsMin = Math.min(round.rttMsMin, rttMs);
    if (window.base === undefined || rttMs <= window.base.ms) window.base = { ms: rttMs, atMs: nowMs };
  }
  noteSize(window, bytes);
  if (round.came >= round.frames) endRound(window, nowMs);
}

/** Nothing came for a time-out. */
export function noteLoss(window: LinkWindow): void {
  if (window.round.isLossy) return;
  window.round.isLossy = true;
  window.frames = Math.max(window.limits.framesMin, window.frames / 2);
}

function endRound(window: LinkWindow, nowMs: number): void {
  const { round, limits } = window;
  window.round = newRound(nowMs, framesAllowed(window));
  const spanMs = nowMs - round.beganMs;
  const isLimited = round.limited * 2 > round.came;
  if (isLimited && spanMs > 0 && round.beganMs > 0) {
    window.bytesPerSecond = smooth(window.bytesPerSecond, (round.bytes / spanMs) * 1000);
  }
  const { base } = window;
  if (base === undefined || round.rttMsMin === Infinity) return;
  if (window.probing > 0) {
    window.probing -= 1;
    // The first of these rounds still met the queue.
    if (window.probing === 0) window.base = { ms: round.rttMsMin, atMs: nowMs };
    return;
  }
  if (round.isLossy || !isLimited) return;
  const factor = (base.ms + slackMs(base.ms, limits)) / round.rttMsMin;
  window.frames = Math.min(
    limits.framesMax,
    Math.max(limits.framesMin, window.frames * Math.min(2, Math.max(0.5, factor))),
  );
  if (nowMs - base.atMs > limits.baseMs) window.probing = 2;
}

function slackMs(baseMs: number, { slackMs: least, slackShare }: LinkLimits): number {
  return Math.max(least, baseMs * slackShare);
}

function newRound(beganMs: number, frames: number): Round {
  return { beganMs, frames, came: 0, limited: 0, rttMsMin: Infinity, bytes: 0, isLossy: false };
}

function smooth(old: number | undefined, value: number): number {
  return old === undefined ? value : old + (value - old) / 4;
}

const RTT_MS_MIN = 0.01;
