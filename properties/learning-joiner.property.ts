// Goal: the joiner loses no impression, invents no sample, gives each id once and stays within its bounds. Method: two sources' events in
// any order, with duplicates and jitter, against the plain definition of the join. Crashes are in learning-joiner-resume.property.ts.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import {
  createJoiner,
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
  pendingMax: 1000,
  heldMax: 1000,
  scatterMsMax: 0,
  scatteredMax: 100,
  settledMax: 1000,
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
      const sequence = (sequences.get(source) ?? 0) + 1 + (at % 3);
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
      const copies = events.map((delivery) => ({ ...delivery, sequence: delivery.sequence + 10_000 }));
      const late = ids([...play(state, copies), ...end(state)]);
      const once = createJoiner(roomy);
      expect(sorted([...ids(play(createJoiner(roomy), events)), ...late])).toEqual(
        sorted(ids([...play(once, events), ...end(once)])),
      );
    }),
    { numRuns: 200 },
  );
});

test("memory stays within every bound, and an impression pushed out early is still a sample", () => {
  const tight = { ...roomy, pendingMax: 3, heldMax: 2, settledMax: 200 };
  fc.assert(
    fc.property(deliveries, (events) => {
      const state = createJoiner(tight);
      const samples: Sample[] = [];
      for (const delivery of events) {
        samples.push(...step(state, delivery, delivery.event.time));
        expect(state.pending.size).toBeLessThanOrEqual(tight.pendingMax);
        expect(state.held.size).toBeLessThanOrEqual(tight.heldMax);
        for (const { windows } of state.sources.values()) {
          expect(windows.length).toBeLessThanOrEqual(2 * tight.pendingMax + 65);
        }
      }
      samples.push(...end(state));
      const shown = events.filter(({ event }) => event.type === "impression").map(({ event }) => impressionKey(event));
      expect(sorted(samples.map(({ impression }) => impressionKey(impression)))).toEqual(sorted(shown));
      expect(new Set(ids(samples)).size).toBe(samples.length);
      expect(state.counts.overflows).toBe(samples.filter(({ cause }) => cause === "overflow").length);
      expect(state.counts.negatives).toBe(samples.filter(({ label }) => label === 0).length);
    }),
    { numRuns: 300 },
  );
});
