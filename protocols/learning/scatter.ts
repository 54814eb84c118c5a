/*
 * Spreads positives that come in bursts, as conversions do that are reported in batches: each is held for a random share of the time from one
 * burst to the next. Spread over just that, equal bursts come out even, whatever a burst looks like. Where there are no bursts nothing
 * is held.
 */

/** What is known of the bursts. Times are of the processing clock. */
export interface BurstMeter {
  lastMs: number;
  /** Positives, and the time in which they came, both forgetting over several of the longest intervals that are of interest. */
  count: number;
  timeMs: number;
  startedMs: number;
  /** Of bursts: mean distance of their starts, and mean length. */
  intervalMs: number;
  lengthMs: number;
  bursts: number;
}

/** A pause begins a new burst when it is so many mean distances long; of evenly random positives one distance in 150 is. */
const PAUSE = 5;
/** In intervals of the greatest width. Over many bursts, or one that is long and dense would make its own short pauses look like long ones. */
const MEMORY = 4;
const COUNT_MIN = 8;
const FORGET_BURST = 1 / 4;
/** Bursts before anything is held. */
const BURSTS_MIN = 3;
/** Bursts that fill more than this of the time are none. */
const FILL_MAX = 0.5;

export function createBurstMeter(): BurstMeter {
  return { lastMs: -Infinity, count: 0, timeMs: 0, startedMs: -Infinity, intervalMs: 0, lengthMs: 0, bursts: 0 };
}

/** A positive came. `maxMs` is the greatest width that is of interest. */
export function notePositive(meter: BurstMeter, nowMs: number, maxMs: number): void {
  const { lastMs } = meter;
  if (!Number.isFinite(lastMs)) {
    meter.startedMs = nowMs;
    meter.lastMs = nowMs;
    return;
  }
  const gapMs = Math.max(0, nowMs - lastMs);
  if (meter.count > COUNT_MIN && gapMs > PAUSE * (meter.timeMs / meter.count)) {
    const share = Math.max(FORGET_BURST, 1 / (meter.bursts + 1));
    meter.intervalMs += share * (nowMs - meter.startedMs - meter.intervalMs);
    meter.lengthMs += share * (lastMs - meter.startedMs - meter.lengthMs);
    meter.bursts += 1;
    meter.startedMs = nowMs;
  }
  const memoryMs = MEMORY * maxMs;
  const left = Math.exp(-gapMs / memoryMs);
  meter.count = meter.count * left + 1;
  meter.timeMs = meter.timeMs * left + memoryMs * (1 - left);
  meter.lastMs = nowMs;
}

/** Over how long a positive is spread now: 0 where positives come evenly. */
export function scatterWidth({ bursts, lengthMs, intervalMs, startedMs, lastMs }: BurstMeter, maxMs: number): number {
  if (bursts < BURSTS_MIN || lengthMs > FILL_MAX * intervalMs) return 0;
  // A burst that goes on for longer than bursts are apart is none any more.
  return lastMs - startedMs > intervalMs ? 0 : Math.min(maxMs, intervalMs);
}
