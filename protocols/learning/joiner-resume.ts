/*
 * A joiner that forgets everything with its process, and yet publishes every sample once. What it published tells where it stood
 * (`SourcePosition`); a new one reads each source again from `needed` to `applied` without publishing, and is then the old one.
 * The events decide everything but what silence and overflow closed, and that is in the positions.
 */
import { EVENT_LIMITS, type FeedbackEvent } from "../feedback.ts";
import {
  closeAgain,
  createJoiner,
  type JoinerOptions,
  type JoinerState,
  oldestNeeded,
  type Sample,
  step,
  tick,
} from "./joiner.ts";
import { type SourcePosition } from "./sample-batch.ts";

/** Events of one stream message are numbered within it; 1,024 leaves room for the most that one may hold. */
const EVENTS_PER_MESSAGE = 1024;
if (EVENT_LIMITS.eventsPerRequestMax > EVENTS_PER_MESSAGE) throw new RangeError("Cannot number events: a message may hold too many");

/** The joiner, and what the one before it published. */
export interface ResumedJoiner {
  readonly joiner: JoinerState;
  readonly before: ReadonlyMap<string, SourcePosition>;
}

/** One message of a region's stream of events. */
export interface EventMessage {
  readonly source: string;
  readonly seq: number;
  readonly events: readonly FeedbackEvent[];
}

export function resumeJoiner(options: JoinerOptions, positions: readonly SourcePosition[]): ResumedJoiner {
  return { joiner: createJoiner(options), before: new Map(positions.map((position) => [position.source, position])) };
}

/** The stream sequence from which a source must be read: where the last joiner's memory began, or the beginning. */
export function readFrom({ before }: ResumedJoiner, source: string): number {
  return before.get(source)?.needed ?? 1;
}

/** Takes one message in; gives the samples that were not published before. A message taken before has no effect. */
export function takeMessage(resumed: ResumedJoiner, message: EventMessage, nowMs: number): Sample[] {
  const { joiner, before } = resumed;
  const { source, seq } = message;
  const position = before.get(source);
  const samples: Sample[] = [];
  for (const [index, event] of message.events.entries()) {
    const sequence = seq * EVENTS_PER_MESSAGE + index;
    const made = step(joiner, { source, sequence, event }, nowMs);
    const isReplay = position !== undefined && seq <= position.applied;
    for (const sample of made) if (!wasPublished(before, sample, isReplay)) samples.push(sample);
    const closing = isReplay ? position.closings.find((each) => each.sequence === sequence) : undefined;
    if (closing !== undefined) closeAgain(joiner, source, closing);
  }
  return samples;
}

/** Lets processing time pass. Sources that are still being read again keep their windows open: their silence is ours. */
export function passTime(resumed: ResumedJoiner, nowMs: number): Sample[] {
  return isReplaying(resumed) ? [] : tick(resumed.joiner, nowMs);
}

/** What to publish together with the samples: where a next joiner would have to begin. */
export function positionsOf(resumed: ResumedJoiner, taken: ReadonlyMap<string, number>): SourcePosition[] {
  const { joiner, before } = resumed;
  const needed = oldestNeeded(joiner);
  const positions = new Map(before);
  for (const [source, applied] of taken) {
    const last = before.get(source);
    // Not yet back where the last one stood: its position is still the true one.
    if (last !== undefined && applied < last.applied) continue;
    const oldest = needed.get(source) ?? Number.POSITIVE_INFINITY;
    const from = Math.min(applied + 1, Number.isFinite(oldest) ? Math.floor(oldest / EVENTS_PER_MESSAGE) : applied + 1);
    const closings = (joiner.sources.get(source)?.closings ?? []).filter(({ sequence }) => sequence >= from * EVENTS_PER_MESSAGE);
    positions.set(source, { source, applied, needed: from, closings });
  }
  return [...positions.values()];
}

function isReplaying({ joiner, before }: ResumedJoiner): boolean {
  for (const { source, applied, needed } of before.values()) {
    if (needed > applied) continue;
    const reached = joiner.sources.get(source)?.applied ?? 0;
    if (reached < applied * EVENTS_PER_MESSAGE) return true;
  }
  return false;
}

/** Whether the last joiner had all that makes this sample, and so published it. */
function wasPublished(before: ReadonlyMap<string, SourcePosition>, sample: Sample, isReplay: boolean): boolean {
  const known = ({ source, sequence }: { source: string; sequence: number }): boolean => {
    const applied = before.get(source)?.applied;
    return applied !== undefined && Math.floor(sequence / EVENTS_PER_MESSAGE) <= applied;
  };
  if (!known(sample.origin)) return false;
  if (sample.feedbackOrigin !== undefined) return known(sample.feedbackOrigin);
  if (sample.cause !== "overflow") return isReplay;
  // A replay may overflow where the first run did not, or the other way round: only what was noted was published.
  const { source, sequence } = sample.origin;
  return before.get(source)?.closings.some((each) => each.sequence >= sequence && each.until >= sample.impression.time) ?? false;
}
