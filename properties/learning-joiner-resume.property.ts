// Goal: whatever dies when, every impression's outcome is published, no sample twice, and the last label of each is the one that a joiner
// that never died would have given. Method: several sources whose messages come in any order, regions that go away, silences, tiny
// bounds and batches; a crash throws the joiner away before or after its message was stored; the samples before `keepFrom` and the
// events before `needed` are deleted at once, so that a position that promises too much shows.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import {
  mayTake,
  nextBatch,
  noteAppended,
  noteGone,
  passTime,
  readFrom,
  recall,
  type ResumedJoiner,
  resumeJoiner,
  takeMessage,
} from "../protocols/learning/joiner-resume.ts";
import { createJoiner, impressionKey, type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { step } from "../protocols/learning/joiner.ts";
import { decodeSampleBatch, encodeSampleBatch, type PublishedSample } from "../protocols/learning/sample-batch.ts";

interface Stored {
  readonly seq: number;
  readonly storedMs: number;
  readonly events: readonly FeedbackEvent[];
}

const options: JoinerOptions = {
  windowMs: 100,
  latenessMs: 20,
  idleAfterMs: 200,
  correctionMs: 1e9,
  futureMsMax: 50,
  pendingMax: 1000,
  heldMax: 1000,
  settledMax: 1000,
};
const regions = ["amsterdam", "osaka", "quito"];

/** Three streams, the stream of samples, and a joiner that may die. */
class World {
  readonly streams: ReadonlyMap<string, readonly Stored[]>;
  readonly options: JoinerOptions;
  readonly sources: readonly string[];
  readonly published: { readonly seq: number; readonly samples: readonly PublishedSample[] }[] = [];
  readonly #firstSeqs = new Map<string, number>();
  readonly #away = new Set<string>();
  #log: { readonly seq: number; readonly body: Uint8Array }[] = [];
  #next = new Map<string, number>();
  #now = 1000;
  #joiner: ResumedJoiner;

  constructor(streams: ReadonlyMap<string, readonly Stored[]>, options_: JoinerOptions) {
    this.streams = streams;
    this.options = options_;
    this.sources = [...streams.keys()];
    this.#joiner = this.#begin();
  }

  #begin(): ResumedJoiner {
    const last = this.#log.at(-1);
    const found = { sources: this.sources, batchMax: 2 };
    const joiner =
      last === undefined
        ? resumeJoiner(this.options, found)
        : resumeJoiner(this.options, { ...found, last: decodeSampleBatch(last.body) });
    for (const { seq, body } of this.#log) recall(joiner, seq, decodeSampleBatch(body).samples);
    this.#next = new Map(this.sources.map((source) => [source, readFrom(joiner, source)]));
    return joiner;
  }

  take(source: string, count: number): void {
    for (let taken = 0; taken < count && !this.#away.has(source) && mayTake(this.#joiner); taken += 1) {
      const firstSeq = this.#firstSeqs.get(source) ?? 1;
      const from = Math.max(this.#next.get(source) ?? 1, firstSeq);
      const message = this.streams.get(source)?.[from - 1];
      if (message === undefined) {
        noteGone(this.#joiner, source, firstSeq);
        return;
      }
      this.#now += 1;
      takeMessage(this.#joiner, { source, ...message }, this.#now);
      this.#next.set(source, from + 1);
    }
  }

  pass(ms: number): void {
    this.#now += ms;
    passTime(this.#joiner, this.#now);
  }

  toggle(source: string): void {
    if (!this.#away.delete(source)) this.#away.add(source);
  }

  /** One message, unless the joiner dies before it is stored; it may also die before it hears that it was. */
  publish(dies: "not" | "before" | "after" = "not"): boolean {
    const batch = nextBatch(this.#joiner);
    if (batch !== undefined && dies !== "before") {
      const seq = (this.#log.at(-1)?.seq ?? 0) + 1;
      if (batch.keepFrom > seq) throw new RangeError(`keepFrom ${batch.keepFrom} is after its message ${seq}`);
      this.published.push({ seq, samples: batch.samples });
      this.#log.push({ seq, body: encodeSampleBatch(batch) });
      this.#log = this.#log.filter((message) => message.seq >= batch.keepFrom);
      for (const { source, needed } of batch.positions) this.#firstSeqs.set(source, needed);
      if (dies === "not") noteAppended(this.#joiner, seq);
    }
    if (dies !== "not") this.#joiner = this.#begin();
    return batch !== undefined;
  }

  crash(): void {
    this.#joiner = this.#begin();
  }

  /** Messages that a new joiner would read. */
  kept(): { readonly samples: number; readonly events: number } {
    let events = 0;
    for (const [source, messages] of this.streams) events += messages.length + 1 - (this.#firstSeqs.get(source) ?? 1);
    return { samples: this.#log.length, events };
  }

  finish(): void {
    this.#away.clear();
    const total = [...this.streams.values()].reduce((sum, messages) => sum + messages.length, 0);
    for (let round = 0; round <= total; round += 1) {
      for (const source of this.sources) this.take(source, 1);
      while (this.publish());
    }
    this.pass(1e7);
    while (this.publish());
    if (this.#joiner.joiner.pending.size > 0) throw new Error("An impression stayed open");
  }
}

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
    { weight: 1, arbitrary: fc.record({ act: fc.constant("toggle" as const), source: fc.nat(2) }) },
  ),
  { maxLength: 60, size: "max" },
);
type Act = (typeof acts extends fc.Arbitrary<infer T> ? T : never)[number];

function play(world: World, all: readonly Act[]): void {
  for (const each of all) {
    if (each.act === "publish") world.publish(each.dies === "before" || each.dies === "after" ? each.dies : "not");
    else if (each.act === "pass") world.pass(each.ms);
    else if (each.act === "crash") world.crash();
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
function labelsOf(world: World): Map<string, number> {
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

test("whatever dies when: every impression once, positive exactly where there is feedback", () => {
  fc.assert(
    fc.property(rows, acts, fc.constantFrom(1, 2, 1000), (all, played, pendingMax) => {
      const world = new World(streamsOf(all, regions), { ...options, pendingMax });
      play(world, played);
      const clicked = keysOf(world.streams, "feedback");
      for (const [key, label] of labelsOf(world)) expect([key, label]).toEqual([key, clicked.has(key) ? 1 : 0]);
    }),
    { numRuns: 3000 },
  );
});

test("with a short correction time, feedback that is too late stays so over every crash", () => {
  const short = { ...options, correctionMs: 60 };
  fc.assert(
    fc.property(rows, acts, (all, played) => {
      const seen = new Set<number>();
      // One source has one order, so a joiner that never died is known. No copies, which a short memory need not recognise, and no
      // feedback before its impression: a joiner that died within a run may use what had waited too long.
      const distinct = all.filter(({ impression, request, jitter }) => {
        if (!impression) return jitter > -140 && seen.has(request);
        if (seen.has(request) || jitter <= -140) return false;
        seen.add(request);
        return true;
      });
      const world = new World(streamsOf(distinct, ["quito"]), short);
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

test("what a joiner must read again is only what is still open, and the samples of the correction time", () => {
  const shortened = { ...options, correctionMs: 100 };
  const all = Array.from({ length: 300 }, (_, at): Row => ({
    impression: true,
    source: 0,
    request: at,
    jitter: 0,
    joined: false,
  }));
  const world = new World(streamsOf(all, ["quito"]), shortened);
  for (let at = 0; at < 300; at += 1) {
    world.take("quito", 1);
    while (world.publish());
  }
  const { samples, events } = world.kept();
  expect(samples).toBeLessThan(40);
  expect(events).toBeLessThan(20);
});
