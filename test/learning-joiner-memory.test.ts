/*
 * A joiner's memory as it counts it, against the heap: where the estimate is too low a bound in bytes is none.
 */
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { decodeEvents } from "../protocols/learning/event-message.ts";
import { createJoiner, type JoinerState } from "../protocols/learning/joiner-state.ts";
import { step } from "../protocols/learning/joiner.ts";
import { heapBytes } from "./heap-bytes.ts";

const DAY_MS = 86_400_000;
/** Just above a power of two, where the map has just doubled. */
const COUNT = 8_500;

interface Kind {
  readonly features: number;
  readonly wide: boolean;
  /** What becomes of all: they stay open, get a positive, are finished as negatives, or only feedback comes. */
  readonly end: "open" | "positive" | "negative" | "feedback";
  /** Bytes of one; the README has them. */
  readonly about: number;
}

/** A joiner that took in impressions as they come from a stream. */
function filled({ features, wide, end }: Kind): JoinerState {
  const joiner = createJoiner({
    windowMs: DAY_MS,
    latenessMs: 0,
    idleAfterMs: DAY_MS,
    correctionMs: DAY_MS,
    futureMsMax: DAY_MS,
    memoryBytesMax: 1e12,
    heldMax: 1e9,
    scatterMsMax: 0,
    scatteredMax: 0,
  });
  const names = Array.from({ length: features }, (_, at) => `feature-${at}`);
  function take(sequence: number, event: FeedbackEvent): void {
    const [read = event] = decodeEvents(Buffer.from(JSON.stringify([event])));
    step(joiner, { source: "here", sequence, event: read }, 0);
  }
  for (let at = 0; at < COUNT; at += 1) {
    const request = `0193b2c7-5a1e-7cc3-98c4-${String(at).padStart(12, "0")}`;
    const item = `item-${at}`;
    const texts = names.map((name, column) => [name, `${wide ? "ж" : "v"}alue-${at}-${column}`] as const);
    const time = 1e12 + at;
    const event = { type: "impression", request, user: `user-${at}`, item, position: 1, time } as const;
    const shown = { ...event, features: Object.fromEntries(texts), dense: features === 3 ? { price: at + 0.5 } : {} };
    if (end !== "feedback") take(2 * at * 1024, shown);
    if (end === "positive" || end === "feedback") {
      take((2 * at + 1) * 1024, { type: "feedback", kind: "click", request, item, time });
    }
  }
  if (end === "negative") {
    take(1e12, { type: "feedback", kind: "click", request: "last", item: "none", time: 1e12 + 1.5 * DAY_MS });
  }
  return joiner;
}

test.each<Kind>([
  { features: 0, wide: false, end: "open", about: 600 },
  { features: 0, wide: false, end: "positive", about: 400 },
  { features: 0, wide: false, end: "feedback", about: 440 },
  { features: 3, wide: false, end: "negative", about: 880 },
  { features: 26, wide: false, end: "open", about: 1770 },
  { features: 26, wide: true, end: "negative", about: 2100 },
])("a joiner's count of its memory is not below the heap's, and not far above: %o", async (kind) => {
  const before = await heapBytes();
  const joiner = filled(kind);
  const heap = (await heapBytes()) - before;
  expect(joiner.pending.size + joiner.settled.size + joiner.held.size).toBeGreaterThanOrEqual(COUNT);
  expect(heap).toBeLessThanOrEqual(joiner.bytes);
  expect(joiner.bytes).toBeLessThan(1.3 * heap);
  expect(Math.abs(joiner.bytes / COUNT / kind.about - 1)).toBeLessThan(0.03);
});
