import { setTimeout } from "node:timers/promises";

/** What a stream's pace goes by. */
export interface Learning {
  /** How long ago what is learned now was sent. */
  readonly behindMs: number;
  /** Samples a second, over the last seconds. */
  readonly samplesPerSecond: number;
}

/**
 * Holds a stream back to the speed of learning. Each look at the learning allows as many events as about two such looks learn,
 * and none while learning is more than `BEHIND_MS_MAX` behind: so it always has work, and never much of it waits.
 */
export class Pace {
  #allowed = ALLOWED_MIN;
  #lookedMs = performance.now();

  /** Takes in how learning stands. */
  look({ behindMs, samplesPerSecond }: Learning): void {
    const now = performance.now();
    const seconds = (now - this.#lookedMs) / 1_000;
    this.#lookedMs = now;
    // What an earlier look allowed and nobody used is not added: a feed that was slow for a while must not burst.
    this.#allowed = behindMs > BEHIND_MS_MAX ? 0 : Math.max(ALLOWED_MIN, 2 * seconds * samplesPerSecond);
  }

  /** Waits until these events may go. A batch larger than what is allowed goes whole. */
  async take(events: number, signal: AbortSignal): Promise<void> {
    while (this.#allowed <= 0 && !signal.aborted) {
      await setTimeout(WAIT_MS, undefined, { signal }).catch(() => undefined); // the loop sees the signal
    }
    this.#allowed -= events;
  }
}

const BEHIND_MS_MAX = 500;
// Enough to find out that a region learns faster than it could show so far.
const ALLOWED_MIN = 500;
const WAIT_MS = 10;
