/*
 * Spreads positives that come in bursts, as conversions do that are reported in batches: each is held for a random share of the time from one
 * burst to the next. Spread over just that, equal bursts come out even, whatever a burst looks like. Where there are no bursts nothing
 * is held.
 */

/** What is known of the bursts. Times are of the processing clock. */
export interface BurstMeter {
  lastMs: number;
  /** Mean distance of two positives, forgetting. */
  gapMs: number;
  seen: number;
  startedMs: number;
  /** Of bursts: mean distance of their starts, and mean length. */
  intervalMs: number;
  lengthMs: number;
  bursts: number;
}

/** A pause begins a new burst when it is so many mean distances long; of evenly random positives one distance in 150 is. */
const PAUSE = 5;
const FORGET = 1 / 64;
const FORGET_BURST = 1 / 4;
/** Bursts before anything is held. */
const BURSTS_MIN = 3;
/** Bursts that fill more than this of the time are none. */
const FILL_MAX = 0.5;

export function createBurstMeter(): BurstMeter {
  return { lastMs: -Infinity, gapMs: 0, seen: 0, startedMs: -Infinity, intervalMs: 0, lengthMs: 0, bursts: 0 };
}

/** A positive came. */
export function notePositive(meter: BurstMeter, nowMs: number): void {
  const { lastMs } = meter;
  meter.seen += 1;
  if (!Number.isFinite(lastMs)) {
    meter.lastMs = nowMs;
    meter.startedMs = nowMs;
    return;
  }
  const gapMs = Math.max(0, nowMs - lastMs);
  if (meter.seen > 8 && gapMs > PAUSE * meter.gapMs) {
    const share = Math.max(FORGET_BURST, 1 / (meter.bursts + 1));
    meter.intervalMs += share * (nowMs - meter.startedMs - meter.intervalMs);
    meter.lengthMs += share * (lastMs - meter.startedMs - meter.lengthMs);
    meter.bursts += 1;
    meter.startedMs = nowMs;
  }
  meter.gapMs += Math.max(FORGET, 1 / (meter.seen - 1)) * (gapMs - meter.gapMs);
  meter.lastMs = nowMs;
}

/** Over how long a positive is spread now: 0 where positives come evenly. */
export function scatterWidth({ bursts, lengthMs, intervalMs, startedMs, lastMs }: BurstMeter, maxMs: number): number {
  if (bursts < BURSTS_MIN || lengthMs > FILL_MAX * intervalMs) return 0;
  // A burst that goes on for longer than bursts are apart is none any more.
  return lastMs - startedMs > intervalMs ? 0 : Math.min(maxMs, intervalMs);
}
