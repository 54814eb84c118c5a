// Goal: whatever dies when, every impression's outcome is published, no sample twice, and the last label of each is the one that a joiner
// that never died would have given. Method: several sources whose messages come in any order, regions that go away, silences, tiny
// bounds and batches; a crash throws the joiner away before or after its message was stored, a move says so in a last message; the samples before `keepFrom` and the
// events before `needed` are deleted at once, so that a position that promises too much shows.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { createJoiner, impressionKey, type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { step } from "../protocols/learning/joiner.ts";
import { JoinerWorld, type Stored } from "./joiner-world.ts";

const options: JoinerOptions = {
  windowMs: 100,
  latenessMs: 20,
  idleAfterMs: 200,
  correctionMs: 1e9,
  futureMsMax: 50,
  memoryBytesMax: 1e9,
  heldMax: 1000,
  scatterMsMax: 0,
  scatteredMax: 100,
};
const regions = ["amsterdam", "osaka", "quito"];

interface Row {
  readonly impression: boolean;
  readonly source: number;
  readonly request: number;
  readonly jitter: number;
  readonly joined: boolean;
}

const rows = fc.array(
  fc.record({
    impression: fc.boolean(),
    source: fc.nat(2),
    request: fc.nat(7),
    jitter: fc.integer({ min: -150, max: 80 }),
    joined: fc.boolean(),
  }),
  { maxLength: 40, size: "max" },
);

/** Messages of one or two events. A little of the time an event lies far ahead of its clock. */
function streamsOf(all: readonly Row[], sources: readonly string[]): Map<string, Stored[]> {
  const streams = new Map<string, Stored[]>(sources.map((source) => [source, []]));
  for (const [at, { impression, source, request: number, jitter, joined }] of all.entries()) {
    const messages = streams.get(sources[source % sources.length] ?? "") ?? [];
    const storedMs = 1000 + at * 15;
    const time = jitter === 80 ? storedMs + 10_000 : storedMs + jitter;
    const request = `r${number}:%`;
    const event: FeedbackEvent = impression
      ? {
          type: "impression",
          request,
          user: "7",
          item: "4:2",
          position: at,
          time,
          features: { a: "b" },
          dense: { c: 1 },
        }
      : { type: "feedback", kind: "click", request, item: "4:2", time };
    const last = messages.at(-1);
    if (joined && last?.events.length === 1) {
      messages[messages.length - 1] = { ...last, events: [...last.events, event] };
    } else {
      const events = joined || jitter > -140 ? [event] : [event, event];
      messages.push({ seq: messages.length + 1, storedMs, events });
    }
  }
  return streams;
}

const acts = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        act: fc.constant("take" as const),
        source: fc.nat(2),
        count: fc.integer({ min: 1, max: 6 }),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        act: fc.constant("publish" as const),
        dies: fc.constantFrom("not", "not", "before", "after"),
      }),
    },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("pass" as const), ms: fc.constantFrom(10, 150, 250, 1000) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("crash" as const) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("move" as const) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("toggle" as const), source: fc.nat(2) }) },
  ),
  { maxLength: 60, size: "max" },
);
type Act = (typeof acts extends fc.Arbitrary<infer T> ? T : never)[number];

function play(world: JoinerWorld, all: readonly Act[]): void {
  for (const each of all) {
    if (each.act === "publish") world.publish(each.dies === "before" || each.dies === "after" ? each.dies : "not");
    else if (each.act === "pass") world.pass(each.ms);
    else if (each.act === "crash") world.crash();
    else if (each.act === "move") world.move();
    else {
      const source = world.sources[each.source % world.sources.length] ?? "";
      if (each.act === "take") world.take(source, each.count);
      else world.toggle(source);
    }
  }
  world.finish();
}

function keysOf(streams: ReadonlyMap<string, readonly Stored[]>, type: FeedbackEvent["type"]): Set<string> {
  const events = [...streams.values()].flat().flatMap((message) => message.events);
  return new Set(events.filter((event) => event.type === type).map((event) => impressionKey(event)));
}

/** The last label of each impression, after the checks that hold always. */
function labelsOf(world: JoinerWorld): Map<string, number> {
  const samples = world.published.flatMap((message) => message.samples);
  const ids = samples.map(({ id }) => id);
  expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  const labels = new Map<string, number>();
  for (const { id, label, correction, user, item, features, dense } of samples) {
    expect({ user, item, features, dense }).toEqual({ user: "7", item: "4:2", features: { a: "b" }, dense: { c: 1 } });
    const key = id.slice(0, -2);
    expect(correction).toBe(labels.has(key));
    expect(label).toBeGreaterThanOrEqual(labels.get(key) ?? 0);
    labels.set(key, label);
  }
  expect(new Set(labels.keys())).toEqual(keysOf(world.streams, "impression"));
  return labels;
}

/** How negatives are given and positives held: as in a window join, early, late, or both. */
const ways = fc.constantFrom<Partial<JoinerOptions>>(
  {},
  { emitAfterShare: 0.5 },
  { emitAfterShare: 0 },
  { scatterMsMax: 200 },
  { emitAfterShare: 0.5, scatterMsMax: 200 },
);

test("whatever dies when: every impression once, positive exactly where there is feedback", () => {
  fc.assert(
    fc.property(rows, acts, ways, (all, played, way) => {
      const world = new JoinerWorld(streamsOf(all, regions), { ...options, ...way });
      play(world, played);
      const clicked = keysOf(world.streams, "feedback");
      for (const [key, label] of labelsOf(world)) expect([key, label]).toEqual([key, clicked.has(key) ? 1 : 0]);
    }),
    { numRuns: 2000 },
  );
});

test("with a short correction time, feedback that is too late stays so over every crash", () => {
  const short = { ...options, correctionMs: 60 };
  fc.assert(
    fc.property(rows, acts, ways, (all, played, way) => {
      const seen = new Set<number>();
      // One source has one order, so a joiner that never died is known. No copies, which a short memory need not recognise, and no
      // feedback before its impression: a joiner that died within a run may use what had waited too long.
      const distinct = all.filter(({ impression, request, jitter }) => {
        if (!impression) return jitter > -140 && seen.has(request);
        if (seen.has(request) || jitter <= -140) return false;
        seen.add(request);
        return true;
      });
      const world = new JoinerWorld(streamsOf(distinct, ["quito"]), { ...short, ...way });
      play(world, played);
      const never = createJoiner(short);
      const expected = new Map<string, number>([...keysOf(world.streams, "impression")].map((key) => [key, 0]));
      for (const { seq, storedMs, events } of world.streams.get("quito") ?? []) {
        for (const [index, event] of events.entries()) {
          const input = { source: "quito", sequence: seq * 1024 + index, event, storedMs };
          for (const { id, label } of step(never, input, storedMs)) expected.set(id.slice(0, -2), label);
        }
      }
      expect(labelsOf(world)).toEqual(expected);
    }),
    { numRuns: 1500 },
  );
});

test("with little memory and whatever dies: every impression once, a positive only where there is feedback, and none lost but by what was let go of", () => {
  fc.assert(
    fc.property(rows, acts, fc.integer({ min: 3_000, max: 12_000 }), ways, (all, played, memoryBytesMax, way) => {
      // Each is shown once, as a copy of what was let go of is not known for one; feedback is of one of the last eight.
      let shown = 0;
      const distinct = all.map((row): Row => {
        if (row.impression) shown += 1;
        const request = row.impression ? shown : Math.max(0, shown - row.request);
        return { ...row, request, jitter: Math.max(-139, row.jitter) };
      });
      // All that an event gives in one message: one that dies within a run may give samples again where its memory is full.
      const world = new JoinerWorld(streamsOf(distinct, ["quito"]), { ...options, memoryBytesMax, ...way }, 100);
      play(world, played);
      const clicked = keysOf(world.streams, "feedback");
      let lost = 0;
      for (const [key, label] of labelsOf(world)) {
        if (label === 1) expect(clicked).toContain(key);
        else if (clicked.has(key)) lost += 1;
      }
      expect(lost).toBeLessThanOrEqual(world.letGo);
    }),
    { numRuns: 500 },
  );
});

test("what a joiner must read again is only what is still open, and the samples of the correction time", () => {
  const shortened = { ...options, correctionMs: 100 };
  const all = Array.from({ length: 300 }, (_, at): Row => ({
    impression: true,
    source: 0,
    request: at,
    jitter: 0,
    joined: false,
  }));
  const world = new JoinerWorld(streamsOf(all, ["quito"]), shortened);
  for (let at = 0; at < 300; at += 1) {
    world.take("quito", 1);
    while (world.publish());
  }
  const { samples, events } = world.kept();
  expect(samples).toBeLessThan(40);
  expect(events).toBeLessThan(20);
});

test("while a source has not been read again, no sample that its events may tell of is forgotten", () => {
  function shown(request: string, time: number): FeedbackEvent {
    return {
      type: "impression",
      request,
      user: "7",
      item: "4:2",
      position: 0,
      time,
      features: { a: "b" },
      dense: { c: 1 },
    };
  }
  // The first stays open and keeps all after it in reach; the second is finished, and too old to be corrected.
  const events: readonly FeedbackEvent[] = [shown("open", 5000), shown("done", 1000), shown("next", 1500)];
  const quito = events.map((event, at): Stored => ({ seq: at + 1, storedMs: 1000 + at * 250, events: [event] }));
  const osaka = [{ seq: 1, storedMs: 1000, events: [shown("other", 1000)] }];
  const world = new JoinerWorld(
    new Map([
      ["quito", quito],
      ["osaka", osaka],
    ]),
    { ...options, correctionMs: 60 },
  );
  world.take("quito", 3);
  while (world.publish());
  world.crash();
  world.take("osaka", 1);
  while (world.publish());
  world.crash();
  world.finish();
  expect(labelsOf(world).size).toBe(4);
});
