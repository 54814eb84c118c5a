import { medianAges } from "../protocols/learning/delay-model.ts";
import { type JoinerState } from "../protocols/learning/joiner-state.ts";
import { waitOf } from "../protocols/learning/joiner.ts";
import { type Logger, type Metrics } from "../runtime/actor.ts";

/**
 * Tells what a joiner holds, how far the watermark of each source is behind this clock, how long it lets impressions wait, how late half of the positives come, and what it
 * counted since the last time; and says when its memory is full.
 */
export function createJoinerMeter({
  metrics,
  log,
}: {
  readonly metrics: Metrics;
  readonly log: Logger;
}): (joiner: JoinerState, nowMs: number) => void {
  let saidFull = false;
  const counted = new Map<string, number>();
  return ({ pending, scattered, sources, counts, bytes, ...rest }, nowMs) => {
    metrics.gauge("freshet_joiner_pending", pending.size);
    metrics.gauge("freshet_joiner_memory_bytes", bytes);
    metrics.gauge("freshet_joiner_scattered_now", scattered.length);
    for (const [source, { delays, newestTime }] of sources) {
      const behindMs = nowMs - (newestTime - rest.options.latenessMs);
      if (Number.isFinite(behindMs)) {
        metrics.gauge("freshet_joiner_watermark_behind_seconds", behindMs / 1000, { source });
      }
      metrics.gauge("freshet_joiner_wait_seconds", waitOf({ ...rest, sources }, source) / 1000, { source });
      for (const [kind, ageMs] of medianAges(delays)) {
        metrics.gauge("freshet_joiner_delay_median_seconds", ageMs / 1000, { source, kind });
      }
    }
    // Once a life: what it costs from then on is counted.
    if (!saidFull && counts.forgotten + counts.overflows > 0) {
      saidFull = true;
      log.warn(
        "The joiner's memory is full: what came first is let go of; raise joiner.memory, or shorten window and correctionWindow",
        { memoryBytesMax: rest.options.memoryBytesMax },
      );
    }
    const all: Readonly<Record<string, number>> = { ...counts };
    for (const [name, count] of Object.entries(all)) {
      const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      metrics.count(`freshet_joiner_${snake}_total`, count - (counted.get(name) ?? 0));
      counted.set(name, count);
    }
  };
}
