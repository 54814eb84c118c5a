/*
 * What a joiner publishes: how samples are cut into messages, what each says of where it stands, and what a next one takes up.
 */
import { expect, test } from "vitest";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import {
  lastBatch,
  mayTake,
  nextBatch,
  noteAnew,
  noteAppended,
  noteGone,
  passTime,
  readFrom,
  recall,
  type ResumedJoiner,
  resumeJoiner,
  takeMessage,
} from "../protocols/learning/joiner-resume.ts";

const OPTIONS: JoinerOptions = {
  windowMs: 100,
  latenessMs: 20,
  idleAfterMs: 200,
  correctionMs: 1_000,
  futureMsMax: 50,
  memoryBytesMax: 1e9,
  heldMax: 1000,
  scatterMsMax: 0,
  scatteredMax: 100,
};

function shown(request: string, time: number, feature = ""): FeedbackEvent {
  return { type: "impression", request, user: "7", item: "i", position: 0, time, features: { feature }, dense: {} };
}

function clicked(request: string, time: number): FeedbackEvent {
  return { type: "feedback", kind: "click", request, item: "i", time };
}

function take(resumed: ResumedJoiner, seq: number, events: readonly FeedbackEvent[], source = "a"): void {
  takeMessage(resumed, { source, seq, storedMs: 1_000, events }, 1_000);
}

/** So many positives of one message. */
function positives(resumed: ResumedJoiner, seq: number, count: number, feature = ""): void {
  const requests = Array.from({ length: count }, (_, at) => `${seq}-${at}`);
  take(
    resumed,
    seq,
    requests.flatMap((request) => [shown(request, 1_000, feature), clicked(request, 1_000)]),
  );
}

test("nothing is said where nothing moved; with a message taken in, where its source stands", () => {
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"] });
  expect(nextBatch(resumed)).toBeUndefined();
  take(resumed, 1, [shown("r", 1_000)]);
  const batch = nextBatch(resumed);
  expect(batch).toEqual({
    keepFrom: 1,
    positions: [{ source: "a", applied: 1, needed: 1, newestTime: 1_000, delays: {} }],
    samples: [],
  });
  noteAppended(resumed, 1);
  expect(nextBatch(resumed)).toBeUndefined();
  // Taken again it changes nothing.
  take(resumed, 1, [shown("other", 1_000)]);
  expect(nextBatch(resumed)).toBeUndefined();
});

test("samples go in messages of so many; until the last of them positions stay those of before, and nothing more is taken in", () => {
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"], batchMax: 2 });
  expect(mayTake(resumed)).toBe(true);
  positives(resumed, 1, 5);
  expect(mayTake(resumed)).toBe(false);
  const batches = [];
  for (let seq = 1; seq <= 3; seq += 1) {
    const batch = nextBatch(resumed);
    expect(resumed.isInRun).toBe(seq < 3);
    if (seq < 3) {
      expect(mayTake(resumed)).toBe(false);
      // No window is closed meanwhile.
      passTime(resumed, 1e9);
    }
    noteAppended(resumed, seq);
    batches.push(batch);
  }
  expect(batches.map((batch) => batch?.samples.length)).toEqual([2, 2, 1]);
  expect(batches.map((batch) => batch?.positions)).toMatchObject([
    [{ applied: 1, needed: 1 }],
    [{ applied: 1, needed: 1 }],
    [{ applied: 1, needed: 2 }],
  ]);
  expect(nextBatch(resumed)).toBeUndefined();
  expect(mayTake(resumed)).toBe(true);
});

test("after a joiner that died within a run the next gives the rest of it, however little it may remember", () => {
  const little = { ...OPTIONS, memoryBytesMax: 1_300 };
  const first = resumeJoiner(OPTIONS, { sources: ["a"], batchMax: 4 });
  positives(first, 1, 6);
  const batch = nextBatch(first);
  expect(batch?.samples.map(({ id }) => id)).toEqual(["1-0:i:1", "1-1:i:1", "1-2:i:1", "1-3:i:1"]);

  const next = resumeJoiner(little, { sources: ["a"], ...(batch && { last: batch }) });
  if (batch !== undefined) recall(next, 1, batch);
  expect(next.joiner.bytes).toBeGreaterThan(1_300);
  positives(next, 1, 6);
  expect(nextBatch(next)?.samples.map(({ id }) => id)).toEqual(["1-4:i:1", "1-5:i:1"]);
  noteAppended(next, 2);
  // All was read again, and what is remembered is within the bound.
  take(next, 2, []);
  positives(next, 3, 1);
  expect(next.joiner.bytes).toBeLessThan(1_300);
});

test("as many samples wait as fit one message", () => {
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"], batchMax: 2 });
  positives(resumed, 1, 1);
  expect(mayTake(resumed)).toBe(true);
  positives(resumed, 2, 1);
  expect(mayTake(resumed)).toBe(false);
});

test("a message has no more bytes than it may, but one sample in any case", () => {
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"] });
  // Each counts 200,000 bytes and a little.
  positives(resumed, 1, 4, "x".repeat(100_000));
  expect([1, 2].map(() => nextBatch(resumed)?.samples.length)).toEqual([2, 2]);
  const large = resumeJoiner(OPTIONS, { sources: ["a"] });
  positives(large, 1, 2, "x".repeat(400_000));
  expect([1, 2].map(() => nextBatch(large)?.samples.length)).toEqual([1, 1]);
  const many = resumeJoiner(OPTIONS, { sources: ["a"] });
  positives(many, 1, 130);
  expect([1, 2].map(() => nextBatch(many)?.samples.length)).toEqual([128, 2]);
});

test("a sample says all that was shown, and what is known of it", () => {
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"] });
  take(resumed, 1, [shown("r", 1_000, "red"), clicked("r", 1_001)]);
  const batch = nextBatch(resumed);
  // A next joiner begins with what this one learned of delays.
  expect(batch?.positions).toMatchObject([{ delays: { click: [1] } }]);
  expect(batch?.samples).toEqual([
    {
      id: "r:i:1",
      source: "a",
      label: 1,
      correction: false,
      weight: 1,
      user: "7",
      item: "i",
      time: 1_000,
      features: { feature: "red" },
      dense: {},
    },
  ]);
});

test("time that passes closes windows, but for those of a source that is being read again", () => {
  const last = { keepFrom: 1, positions: [{ source: "a", applied: 3, needed: 2, newestTime: 1_000 }] };
  const resumed = resumeJoiner(OPTIONS, { sources: ["a", "b"], last: { ...last, samples: [] } });
  expect([readFrom(resumed, "a"), readFrom(resumed, "b")]).toEqual([2, 1]);
  take(resumed, 2, [shown("r", 1_000)]);
  take(resumed, 1, [shown("s", 1_000)], "b");
  passTime(resumed, 2_000);
  expect(resumed.waiting.map(({ id }) => id)).toEqual(["s:i:0"]);
  // Not yet where the last one stood: its position is the true one.
  expect(nextBatch(resumed)?.positions).toEqual([
    last.positions[0],
    { source: "b", applied: 1, needed: 2, newestTime: 1_000, delays: {} },
  ]);
  take(resumed, 3, []);
  passTime(resumed, 3_000);
  expect(resumed.waiting.map(({ id }) => id)).toEqual(["r:i:0"]);
  expect(nextBatch(resumed)?.positions[0]).toMatchObject({ source: "a", applied: 3, needed: 4 });
});

test("a source whose stream has nothing more of what is to be read again is not waited for", () => {
  const positions = [{ source: "a", applied: 3, needed: 2, newestTime: 1_000 }];
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"], last: { keepFrom: 1, positions, samples: [] } });
  take(resumed, 2, [shown("r", 1_000)]);
  noteGone(resumed, "a", 3);
  passTime(resumed, 2_000);
  expect(resumed.waiting).toEqual([]);
  noteGone(resumed, "a", 4);
  passTime(resumed, 2_000);
  expect(resumed.waiting.map(({ id }) => id)).toEqual(["r:i:0"]);
});

test("a stream that counts from 1 again is taken in from there, but for what was stored before the source's clock", () => {
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"] });
  take(resumed, 8, [shown("r", 1_000), shown("s", 1_010), clicked("s", 1_010)]);
  expect(nextBatch(resumed)?.positions).toMatchObject([{ applied: 8, needed: 8 }]);
  noteAppended(resumed, 1);
  noteAnew(resumed, "a");
  // An older copy was restored: this is not all new.
  takeMessage(
    resumed,
    { source: "a", seq: 1, storedMs: 1_010, events: [shown("old", 1_000), clicked("old", 1_000)] },
    0,
  );
  expect(resumed.waiting).toEqual([]);
  const events = [shown("new", 1_020), clicked("new", 1_020), clicked("r", 1_020), shown("s", 1_010)];
  takeMessage(resumed, { source: "a", seq: 2, storedMs: 1_020, events }, 0);
  expect(resumed.waiting.map(({ id }) => id)).toEqual(["new:i:1", "r:i:1"]);
  expect(nextBatch(resumed)?.positions).toMatchObject([{ applied: 2, needed: 3, newestTime: 1_020 }]);
});

test("samples that were published are known again: told of once more they give nothing, and a negative can be corrected", () => {
  const first = resumeJoiner(OPTIONS, { sources: ["a"] });
  take(first, 1, [shown("r:%", 1_000), shown("s", 1_000), clicked("s", 1_000)]);
  passTime(first, 2_000);
  const batch = nextBatch(first);
  expect(batch?.samples.map(({ id }) => id)).toEqual(["s:i:1", "r%3A%25:i:0"]);
  expect(batch?.keepFrom).toBe(1);

  const next = resumeJoiner(OPTIONS, { sources: ["a"], ...(batch && { last: batch }) });
  if (batch !== undefined) recall(next, 4, batch);
  expect(next.joiner.publishedSeq).toBe(4);
  take(next, 2, [shown("s", 1_000), clicked("s", 1_000), shown("r:%", 1_000), clicked("r:%", 1_010)]);
  expect(next.waiting).toMatchObject([
    { id: "r%3A%25:i:1", correction: true, impression: { request: "r:%", user: "7" } },
  ]);
  // It is kept from the message on that has what may be corrected.
  expect(nextBatch(next)?.keepFrom).toBe(4);
});

test("the message that ends a stream says where it goes on, and what was not published is taken in again there", () => {
  const resumed = resumeJoiner(OPTIONS, { sources: ["a"] });
  take(resumed, 1, [shown("r", 1_000)]);
  const batch = nextBatch(resumed);
  positives(resumed, 2, 1);
  expect(lastBatch(resumed, { region: "tokyo", term: 2 })).toEqual({
    keepFrom: 1,
    positions: batch?.positions,
    samples: [],
    movedTo: { region: "tokyo", term: 2 },
  });
});
