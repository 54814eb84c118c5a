import { T_MAX } from "../limits.ts";

/** No later t is left. Only a poisoned clock gets here. */
export class TimeExhausted extends Error {
  override readonly name = "TimeExhausted";
  readonly t: number;

  constructor(t: number) {
    super(`Cannot stamp a version: its t would be ${t}, beyond ${T_MAX}. Check this machine's clock`);
    this.t = t;
  }
}

/** A hybrid logical clock: what it stamps grows strictly, and is later than everything it has seen. Plain data. */
export interface Stamper {
  /** The t stamped last, 0 before the first. */
  last: number;
  /** The greatest t met in rows or knowledge, 0 before the first. */
  greatestSeen: number;
}

/** A clock for a new writer that has seen everything up to `greatestSeen`. */
export function createStamper(greatestSeen: number): Stamper {
  return { last: 0, greatestSeen };
}

/** Intervals between images that a crash may undo: the last turn to write one may have come to nothing. */
export const LOST_SNAPSHOTS = 2;

/**
 * What a primary that restarts must take for seen, when its image knows no t beyond `greatest` and is of a moment up to `lostMs` before the
 * end. What was stamped after it is lost here and held elsewhere; it is written again, and must then be the newer. The clock alone does not
 * see to that: it may have been set back.
 */
export function seenBeforeLoss(greatest: number, { lostMs }: { readonly lostMs: number }): number {
  return greatest === 0 ? 0 : Math.min(T_MAX, greatest + Math.ceil(lostMs * 1000));
}

/** What comes next: max(clock, last + 1, greatest seen + 1), in microseconds. Throws `TimeExhausted` instead of losing exactness. */
export function nextTime(stamper: Stamper, nowMs: number): number {
  const t = Math.max(Math.floor(nowMs * 1000), stamper.last + 1, stamper.greatestSeen + 1);
  if (!(t <= T_MAX)) throw new TimeExhausted(t);
  return t;
}

/** Notes that so many times from `first`, which was next, were stamped. `canStamp` has said that there are so many. */
export function noteStamped(
  stamper: Stamper,
  { first, count }: { readonly first: number; readonly count: number },
): void {
  if (count > 0) stamper.last = first + count - 1;
}

/** Stamps one version. */
export function stamp(stamper: Stamper, nowMs: number): number {
  const t = nextTime(stamper, nowMs);
  stamper.last = t;
  return t;
}

/** Notes a t met from outside, which `isPlausible` has accepted. */
export function observe(stamper: Stamper, t: number): void {
  if (t > stamper.greatestSeen) stamper.greatestSeen = t;
}

/** Whether an incoming t is not so far ahead of our clock that accepting it would drag every later stamp along. */
export function isPlausible(t: number, clock: { readonly nowMs: number; readonly jumpMs: number }): boolean {
  return t <= (clock.nowMs + clock.jumpMs) * 1000;
}

/** Whether `count` more versions can be stamped. */
export function canStamp(
  stamper: Stamper,
  { nowMs, count }: { readonly nowMs: number; readonly count: number },
): boolean {
  return Math.max(nowMs * 1000, stamper.last, stamper.greatestSeen) + count + 1 <= T_MAX;
}
