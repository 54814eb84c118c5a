// Goal: the joiner loses no impression, invents no sample, gives each id once and stays within its bounds. Method: two sources' events in
// any order, with duplicates and jitter, against the plain definition of the join. Crashes are in learning-joiner-resume.property.ts.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { memoryOf } from "../protocols/learning/joiner-memory.ts";
import { oldestNeeded } from "../protocols/learning/joiner-forgetting.ts";
import {
  createJoiner,
  EVENTS_PER_MESSAGE,
  impressionKey,
  type JoinerOptions,
  type JoinerState,
  type Origin,
  type Sample,
} from "../protocols/learning/joiner-state.ts";
import { step, tick } from "../protocols/learning/joiner.ts";

type Delivery = Origin & { readonly event: FeedbackEvent };

const roomy: JoinerOptions = {
  windowMs: 100,
  latenessMs: 20,
  idleAfterMs: 1000,
  correctionMs: 1e9,
  futureMsMax: 1e12,
  memoryBytesMax: 1e9,
  heldMax: 1000,
  scatterMsMax: 0,
  scatteredMax: 100,
};
const sources = ["amsterdam", "osaka"];

const deliveries: fc.Arbitrary<Delivery[]> = fc
  .array(
    fc.record({
      impression: fc.boolean(),
      source: fc.constantFrom(...sources),
      request: fc.constantFrom("r0", "r1", "r:2", "r%3"),
      item: fc.constantFrom("1", "2", "3", "x:"),
      jitter: fc.integer({ min: -90, max: 90 }),
      kind: fc.constantFrom("click", "like"),
    }),
    { maxLength: 60, size: "max" },
  )
  .map((rows) => {
    const sequences = new Map<string, number>();
    const pace = 12;
    return rows.map(({ impression, source, request, item, jitter, kind }, at) => {
      const sequence = (sequences.get(source) ?? 0) + (1 + (at % 3)) * EVENTS_PER_MESSAGE;
      sequences.set(source, sequence);
      const time = 1000 + at * pace + jitter;
      const event: FeedbackEvent = impression
        ? { type: "impression", request, user: "7", item, position: at, time, features: {}, dense: {} }
        : { type: "feedback", kind, request, item, time };
      return { source, sequence, event };
    });
  });

function play(state: JoinerState, events: readonly Delivery[]): Sample[] {
  return events.flatMap((delivery) => step(state, delivery, delivery.event.time));
}

function end(state: JoinerState): Sample[] {
  return tick(state, 1e7);
}

function ids(samples: readonly Sample[]): string[] {
  return samples.map(({ id }) => id);
}
function sorted(values: Iterable<string>): string[] {
  return [...new Set(values)].sort();
}

test("nothing lost, nothing invented: one sample for each impression, positive where there is feedback, negative first only as a correction", () => {
  fc.assert(
    fc.property(deliveries, (events) => {
      const state = createJoiner(roomy);
      const samples = [...play(state, events), ...end(state)];
      const impressions = events.filter(({ event }) => event.type === "impression");
      const clicked = new Set(
        events.filter(({ event }) => event.type === "feedback").map(({ event }) => impressionKey(event)),
      );
      expect(new Set(ids(samples)).size).toBe(samples.length);
      expect(sorted(samples.map(({ impression }) => impressionKey(impression)))).toEqual(
        sorted(impressions.map(({ event }) => impressionKey(event))),
      );
      const seen = new Set<string>();
      for (const { id, label, correction, impression, feedback } of samples) {
        const key = impressionKey(impression);
        expect(id).toBe(`${key}:${label}`);
        if (label === 1) {
          expect(clicked.has(key)).toBe(true);
          expect(feedback === undefined ? "" : impressionKey(feedback)).toBe(key);
          expect(correction).toBe(seen.has(key));
        } else expect(correction || seen.has(key)).toBe(false);
        seen.add(key);
      }
      for (const key of clicked) if (seen.has(key)) expect(ids(samples)).toContain(`${key}:1`);
      expect(sorted(state.held.keys())).toEqual(sorted([...clicked].filter((key) => !seen.has(key))));
    }),
    { numRuns: 500 },
  );
});

test("a window closes exactly when its own source's clock passes it, and a positive comes with the event that completes it", () => {
  fc.assert(
    fc.property(deliveries, (events) => {
      const state = createJoiner(roomy);
      const newest = new Map<string, number>();
      const open = new Map<string, { source: string; time: number }>();
      for (const delivery of events) {
        const { source, event } = delivery;
        const known = new Set([...state.pending.keys(), ...state.settled.keys()]);
        const samples = step(state, delivery, event.time);
        newest.set(source, Math.max(newest.get(source) ?? -Infinity, event.time));
        const key = impressionKey(event);
        if (event.type === "impression" && !known.has(key)) open.set(key, { source, time: event.time });
        for (const { label, impression } of samples) {
          const of = impressionKey(impression);
          if (label === 1) expect(of).toBe(key);
          open.delete(of);
          if (label === 0) {
            expect(impression.time + roomy.windowMs).toBeLessThanOrEqual(
              (newest.get(source) ?? NaN) - roomy.latenessMs,
            );
          }
        }
        for (const { source: from, time } of open.values()) {
          expect(time + roomy.windowMs).toBeGreaterThan((newest.get(from) ?? NaN) - roomy.latenessMs);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("delivering everything again has no effect, and neither do copies under new numbers", () => {
  fc.assert(
    fc.property(deliveries, (events) => {
      const state = createJoiner(roomy);
      play(state, events);
      expect(play(state, events)).toEqual([]);
      const copies = events.map((delivery) => ({ ...delivery, sequence: delivery.sequence + 1e6 }));
      const late = ids([...play(state, copies), ...end(state)]);
      const once = createJoiner(roomy);
      expect(sorted([...ids(play(createJoiner(roomy), events)), ...late])).toEqual(
        sorted(ids([...play(once, events), ...end(once)])),
      );
    }),
    { numRuns: 200 },
  );
});

/** How negatives are given and positives held: as in a window join, early, or late. */
const ways = fc.constantFrom<Partial<JoinerOptions>>({}, { emitAfterShare: 0 }, { scatterMsMax: 200 });

/** Positives are too few here to show bursts. */
function pretendBursts({ bursts }: JoinerState, nowMs: number): void {
  Object.assign(bursts, { bursts: 9, intervalMs: 200, lengthMs: 0, startedMs: nowMs, lastMs: nowMs });
}

test("memory stays within its bound, is counted as what it is, and an impression pushed out early is still a sample", () => {
  fc.assert(
    fc.property(deliveries, fc.integer({ min: 0, max: 20_000 }), ways, (events, memoryBytesMax, way) => {
      const tight = { ...roomy, memoryBytesMax, heldMax: 2, ...way };
      const state = createJoiner(tight);
      const samples: Sample[] = [];
      let pendingMost = 0;
      for (const delivery of events) {
        const { event } = delivery;
        if (tight.scatterMsMax > 0) pretendBursts(state, event.time);
        samples.push(...step(state, delivery, event.time));
        expect(state.bytes).toBe(memoryOf(state));
        expect(state.bytes).toBeLessThanOrEqual(memoryBytesMax);
        expect(state.held.size).toBeLessThanOrEqual(tight.heldMax);
        pendingMost = Math.max(pendingMost, state.pending.size);
        for (const { windows } of state.sources.values()) {
          expect(windows.length).toBeLessThanOrEqual(2 * pendingMost + 67);
        }
        // No event that a next joiner reads again shows something that this one let go of.
        const needed = oldestNeeded(state);
        const known = new Set([...state.pending.keys(), ...state.settled.keys(), ...state.held.keys()]);
        const given = new Set(samples.map(({ impression }) => impressionKey(impression)));
        for (const { source, sequence, event: told } of events.slice(0, events.indexOf(delivery) + 1)) {
          const key = impressionKey(told);
          const isReadAgain = told.type === "impression" && sequence >= (needed.get(source) ?? Infinity);
          if (isReadAgain && given.has(key)) expect(known).toContain(key);
        }
      }
      samples.push(...end(state));
      expect(state.bytes).toBe(memoryOf(state));
      const shown = events.filter(({ event }) => event.type === "impression").map(({ event }) => impressionKey(event));
      expect(sorted(samples.map(({ impression }) => impressionKey(impression)))).toEqual(sorted(shown));
      expect(state.counts.overflows).toBe(samples.filter(({ cause }) => cause === "overflow").length);
      expect(state.counts.negatives).toBe(samples.filter(({ label }) => label === 0).length);
      // Copies of what was let go of are not known as such. What came once is given once, and a click finds it unless one of the two was let go of.
      const once = new Set(shown.filter((key, at) => !shown.includes(key, at + 1) && shown.indexOf(key) === at));
      const given = samples.filter(({ impression }) => once.has(impressionKey(impression)));
      expect(new Set(ids(given)).size).toBe(given.length);
      const positive = new Set(
        given.filter(({ label }) => label === 1).map(({ impression }) => impressionKey(impression)),
      );
      const clicks = events.filter(({ event }) => event.type === "feedback").map(({ event }) => impressionKey(event));
      const lost = [...new Set(clicks)].filter((key) => once.has(key) && !positive.has(key));
      expect(lost.length).toBeLessThanOrEqual(state.counts.forgotten + state.counts.heldDropped);
    }),
    { numRuns: 200 },
  );
});
