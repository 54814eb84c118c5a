// Goal: what is written to the streams is read back as it was, and bytes that are something else are refused with the one error for it.
// Method: round trips; damaged, cut and foreign bytes; the log replayed with repeats and in parts.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeedbackEvent, parseEvent } from "../protocols/feedback.ts";
import { decodeEvents } from "../protocols/learning/event-message.ts";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { memberName, presentMembers } from "../protocols/model-state/members.ts";
import {
  applyEntry,
  decodeEntry,
  EMPTY_LOG,
  encodeEntry,
  type LogEntry,
  skipEntry,
} from "../protocols/model-state/region-log.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";

const text = fc.string({ unit: "grapheme" });
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const whole = fc.maxSafeNat();
const name = text.filter((each) => each !== "__proto__");
const batches: fc.Arbitrary<SampleBatch> = fc.record({
  keepFrom: whole,
  positions: fc.array(
    fc.record(
      { source: text, applied: whole, needed: whole, newestTime: number },
      { requiredKeys: ["source", "applied", "needed"] },
    ),
  ),
  samples: fc.array(
    fc.record({
      id: text,
      source: text,
      user: text,
      item: text,
      label: fc.constantFrom(0, 0.5, 1),
      weight: fc.constantFrom(0, 1, 2.5),
      time: number,
      correction: fc.boolean(),
      features: fc.dictionary(name, text, { noNullPrototype: true }),
      dense: fc.dictionary(name, number, { noNullPrototype: true }),
    }),
  ),
});
const token = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const verdict = fc.constantFrom("healthy" as const, "uncertain" as const, "corrupted" as const);
const entries: fc.Arbitrary<LogEntry> = fc.oneof(
  fc
    .tuple(number, fc.uniqueArray(token, { minLength: 1, maxLength: 5 }), fc.nat())
    .map(([atMs, regions, at]): LogEntry => ({
      kind: "membership",
      atMs,
      regions,
      training: regions[at % regions.length] ?? "",
    })),
  fc.record({
    kind: fc.constant("verdict" as const),
    atMs: number,
    model: token,
    from: verdict,
    to: verdict,
    cause: text,
  }),
  fc.record({
    kind: fc.constant("member" as const),
    atMs: number,
    act: fc.constantFrom("add" as const, "retire" as const),
    region: fc.constantFrom("oregon", "frankfurt"),
    node: fc.constantFrom("a", "b", "c"),
  }),
  fc.record({ kind: fc.constant("promote" as const), atMs: number, to: token, term: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    kind: fc.constant("training" as const),
    atMs: number,
    region: token,
    term: fc.integer({ min: 1, max: 4 }),
  }),
);

function bytesOf(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
const foreign = fc.oneof(fc.uint8Array(), fc.string().map(bytesOf), fc.json().map(bytesOf));
/** Good bytes with a piece cut out and another put in. */
function damaged(good: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(good, fc.nat(), fc.nat(4), fc.uint8Array({ maxLength: 3 })).map(([bytes, at, cut, piece]) => {
    const from = at % (bytes.length + 1);
    return Uint8Array.from([...bytes.subarray(0, from), ...piece, ...bytes.subarray(from + cut)]);
  });
}

function refusedOr<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    return undefined;
  }
}

test("decodeSampleBatch() gives back what was encoded, and refuses the rest or takes it for what it says", () => {
  fc.assert(
    fc.property(batches, (batch) => {
      expect(decodeSampleBatch(encodeSampleBatch(batch))).toEqual(batch);
    }),
  );
  fc.assert(
    fc.property(fc.oneof(foreign, damaged(batches.map(encodeSampleBatch))), (bytes) => {
      const batch = refusedOr(decodeSampleBatch, bytes);
      if (batch === undefined) return;
      expect(decodeSampleBatch(encodeSampleBatch(batch))).toEqual(batch);
      for (const { label, weight } of batch.samples) expect(label >= 0 && label <= 1 && weight >= 0).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("decodeEntry() gives back what was encoded, and refuses the rest or takes it for what it says", () => {
  fc.assert(
    fc.property(entries, (entry) => {
      expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
    }),
  );
  fc.assert(
    fc.property(fc.oneof(foreign, damaged(entries.map(encodeEntry))), (bytes) => {
      const entry = refusedOr(decodeEntry, bytes);
      if (entry !== undefined) expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
    }),
    { numRuns: 2000 },
  );
});

test("the log gives the same state wherever it is replayed: entries again, or from any earlier state, change nothing", () => {
  const logs = fc.array(fc.option(entries), { maxLength: 20 });
  fc.assert(
    fc.property(logs, fc.array(fc.nat(20)), (log, again) => {
      function replay(from = EMPTY_LOG, at = 0, to = log.length): typeof EMPTY_LOG {
        let state = from;
        for (const [index, entry] of log.slice(at, to).entries()) {
          const seq = at + index + 1;
          state = entry === null ? skipEntry(state, seq) : applyEntry(state, seq, entry);
        }
        return state;
      }
      const full = replay();
      expect(full.applied).toBe(log.length);
      expect(full.membership).toEqual(log.findLast((entry) => entry?.kind === "membership"));
      for (const [model, found] of full.verdicts) {
        expect(found).toEqual(log.findLast((entry) => entry?.kind === "verdict" && entry.model === model));
      }
      let state = EMPTY_LOG;
      for (const to of again) state = replay(state, 0, Math.max(to, state.applied));
      expect(replay(state)).toEqual(full);
      const said = new Map<string, string>();
      for (const entry of log) if (entry?.kind === "member") said.set(`${entry.region}/${entry.node}`, entry.act);
      // A node is a member when that was the last word on it; whom nobody added cannot retire.
      expect(presentMembers(full.members).map(memberName)).toEqual(
        [...said].flatMap(([node, act]) => (act === "add" ? [node] : [])).toSorted(),
      );
      expect(EMPTY_LOG).toEqual({ applied: 0, members: new Map(), verdicts: new Map() });
    }),
  );
});

test("decodeEvents() takes a message whole, the same whatever the time, or refuses it", () => {
  const events: fc.Arbitrary<FeedbackEvent[]> = fc.array(
    fc.record({ type: fc.constant("feedback" as const), kind: token, request: token, item: token, time: fc.nat() }),
  );
  function encode(list: readonly unknown[]): Uint8Array {
    return bytesOf(JSON.stringify(list));
  }
  fc.assert(
    fc.property(events, fc.oneof(foreign, damaged(events.map(encode))), (list, bytes) => {
      expect(decodeEvents(encode(list))).toEqual(list);
      refusedOr(decodeEvents, bytes);
    }),
  );
  const one = { type: "feedback", kind: "click", request: "r", item: "i", time: 1e15 };
  expect(decodeEvents(encode([one]))).toEqual([one]);
  expect(() => decodeEvents(encode([one, { ...one, item: "" }]))).toThrow(DecodeError);
  expect(() => decodeEvents(encode(Array.from({ length: 1001 }, () => one)))).toThrow("1001 events");
});

test("parseEvent() accepts no negative zero, reserved name or endless nesting as it stands", () => {
  const nowMs = 1e12;
  const shown = { type: "impression", request: "r", item: "i", user: "u" };
  const zero = parseEvent({ ...shown, time: -0, position: -0, dense: { a: -0 } }, { nowMs, path: "event" });
  expect(zero).toMatchObject({ event: { time: 0, position: 0, dense: { a: 0 } } });
  let deep: unknown = 1;
  for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];
  for (const field of ["type", "request", "item", "user", "time", "position", "features", "dense", "x"]) {
    expect(parseEvent({ ...shown, [field]: deep }, { nowMs, path: "event" }).kind).toBe("problem");
  }
  const reserved: unknown = JSON.parse('{"__proto__":"x"}');
  expect(parseEvent({ ...shown, features: reserved }, { nowMs, path: "event" }).kind).toBe("problem");
  expect(parseEvent({ ...shown, item: "é".repeat(23) }, { nowMs, path: "event" }).kind).toBe("event");
  expect(parseEvent({ ...shown, item: `${"é".repeat(23)}a` }, { nowMs, path: "event" }).kind).toBe("problem");
});

test("parseEvent() holds a list as a line for each entry, and takes what it holds again", () => {
  const nowMs = 1_000;
  const shown = { type: "impression", request: "r", user: "u", item: "i", time: nowMs };
  function featuresOf(recent: unknown): unknown {
    const parsed = parseEvent({ ...shown, features: { recent } }, { nowMs, path: "event" });
    return parsed.kind === "event" && parsed.event.type === "impression" ? parsed.event.features["recent"] : undefined;
  }
  const long = Array.from({ length: 100 }, (_, at) => `item-${at}`);
  for (const list of [[], ["a"], ["a", "b c", "a"], long]) {
    expect(featuresOf(list)).toBe(list.join("\n"));
    expect(featuresOf(list.join("\n"))).toBe(list.join("\n"));
  }
  const refused = [[...long, "one more"], ["a", ""], ["a\nb"], ["a", 7], ["x".repeat(129)], "x".repeat(257)];
  for (const value of [...refused, Array.from({ length: 40 }, () => "x".repeat(128)), { a: 1 }]) {
    expect(featuresOf(value)).toBeUndefined();
  }
});

test("parseEvent() is total; what it accepts survives JSON and parses to itself", () => {
  const options = { nowMs: 1e12, path: "event" };
  const near = fc.record(
    {
      type: fc.constantFrom("impression", "feedback", "x", 1),
      kind: fc.oneof(text, fc.jsonValue()),
      request: fc.oneof(text, fc.jsonValue()),
      user: fc.oneof(text, fc.jsonValue()),
      item: fc.oneof(text, fc.string({ unit: "binary" }), fc.jsonValue()),
      time: fc.oneof(fc.nat(), fc.double(), fc.jsonValue()),
      position: fc.oneof(fc.nat(), fc.double()),
      features: fc.oneof(
        fc.dictionary(
          fc.oneof(text, fc.constantFrom("__proto__", "constructor", "")),
          fc.oneof(text, fc.string({ unit: "binary" })),
        ),
        fc.jsonValue(),
      ),
      dense: fc.oneof(fc.dictionary(fc.oneof(text, fc.constantFrom("__proto__", "a")), fc.double()), fc.jsonValue()),
    },
    { requiredKeys: ["type", "request", "item"] },
  );
  fc.assert(
    fc.property(fc.oneof(near, fc.jsonValue(), fc.anything()), (value) => {
      const result = parseEvent(value, options);
      if (result.kind === "problem") {
        expect(result.problem.path.length).toBeLessThan(200);
        expect(result.problem.given.length).toBeLessThan(100);
        return;
      }
      const again = parseEvent(JSON.parse(new TextDecoder().decode(bytesOf(JSON.stringify(result.event)))), options);
      expect(again).toEqual(result);
    }),
    { numRuns: 2000 },
  );
});
