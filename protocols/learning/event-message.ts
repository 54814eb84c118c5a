/*
 * One message of a region's EVENTS stream: a JSON list of events, as they were accepted together.
 */
import { EVENT_LIMITS, type FeedbackEvent, parseEvent } from "../feedback.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { readJson } from "../read-json.ts";

/**
 * Decodes or throws `DecodeError`; a message is taken whole or not at all. Of the events' times it accepts any: a replay must
 * judge a message as its first reader did, so nothing here depends on the clock.
 */
export function decodeEvents(bytes: Uint8Array): readonly FeedbackEvent[] {
  const parsed = readJson(WHAT, bytes);
  if (!Array.isArray(parsed)) throw new DecodeError(WHAT, "it is no list");
  if (parsed.length > EVENT_LIMITS.eventsPerRequestMax) {
    throw new DecodeError(WHAT, `it holds ${parsed.length} events, more than ${EVENT_LIMITS.eventsPerRequestMax}`);
  }
  return parsed.map((value: unknown): FeedbackEvent => {
    const result = parseEvent(value, { nowMs: Number.MAX_SAFE_INTEGER, path: "event" });
    if (result.kind === "event") return result.event;
    throw new DecodeError(WHAT, `${result.problem.path} is ${result.problem.given}, not ${result.problem.allowed}`);
  });
}

const WHAT = "a message of events";
