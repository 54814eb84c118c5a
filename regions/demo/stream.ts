import { setTimeout } from "node:timers/promises";
import { type EventSender } from "./event-sender.ts";
import { type Feed } from "./feed.ts";
import { type Pace } from "./pace.ts";
import { regionOf } from "./region-of.ts";

/** How far a stream got. */
export interface StreamProgress {
  /** Events handed to the senders. */
  events: number;
  /** The feed's position after them. */
  requests: number;
}

/**
 * Streams a feed to the regions of its users until it ends or the signal says so: at its `pace`, at `speed` times the speed of its
 * own times, or with neither as fast as the regions take it. Returns when all that was handed over is acknowledged.
 */
export async function streamFeed(
  feed: Feed,
  options: {
    readonly senders: readonly EventSender[];
    readonly speed: number | undefined;
    readonly pace?: Pace;
    readonly signal: AbortSignal;
    readonly progress: StreamProgress;
  },
): Promise<void> {
  const { senders, speed, pace, signal, progress } = options;
  const startedMs = performance.now();
  let firstTime: number | undefined;
  for await (const { events, requests } of feed.batches(signal)) {
    const time = events[0]?.event.time;
    firstTime ??= time;
    if (speed !== undefined && time !== undefined && firstTime !== undefined) {
      const aheadMs = startedMs + (time - firstTime) / speed - performance.now();
      if (aheadMs > 1) await pause(aheadMs, signal);
    }
    await pace?.take(events.length, signal);
    if (signal.aborted) break;
    for (const { user, event } of events) senders[regionOf(user, senders.length)]?.push(event);
    progress.events += events.length;
    progress.requests = requests;
    for (const sender of senders) if (sender.full) await sender.room();
    if (signal.aborted) break;
  }
  await Promise.all(senders.map((sender) => sender.flush()));
}

// A timer holds at most 2^31 ms; a gap in old data at low speed may be longer.
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + ms;
  while (!signal.aborted && performance.now() < end) {
    await setTimeout(Math.min(end - performance.now(), 86_400_000), undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
