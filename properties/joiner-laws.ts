/*
 * What must hold over restarts of the joiner: each law says it. The worlds have several sources whose messages come in any order, regions that go
 * away, silences, tiny bounds and batches; a crash throws the joiner away before or after its message was stored, a move says so in a last
 * message. The samples before `keepFrom` and the events before `needed` are deleted at once, so that a position that promises too much shows.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { memoryOf } from "../protocols/learning/joiner-memory.ts";
import { createJoiner, impressionKey, type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { step } from "../protocols/learning/joiner.ts";
import {
  acts,
  actsAndDrops,
  play,
  REGIONS,
  type Row,
  rows,
  storedAt,
  streamsOf,
  timeOf,
  ways,
} from "./joiner-draws.ts";
import { JoinerWorld, type Stored } from "./joiner-world.ts";

export const OPTIONS: JoinerOptions = {
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

const SHORT = { ...OPTIONS, correctionMs: 60 };

export function checkLaws(): void {
  checkLittleMemory();
  checkEachOnce();
  checkTooLateStaysSo();
  checkDroppedEvents();
  checkCopiesAreKnown();
}

/** Whatever dies when: every impression becomes a sample once, positive exactly where there is feedback. */
export function checkEachOnce(numRuns = 500): void {
  fc.assert(
    fc.property(rows, acts, ways, (all, played, way) => {
      const world = new JoinerWorld(streamsOf(all, REGIONS), { ...OPTIONS, ...way });
      play(world, played, () => soundMemory(world));
      const labels = labelsOf(world);
      assertSame(labels.keys(), keysOf(world.streams, "impression"));
      const clicked = keysOf(world.streams, "feedback");
      for (const [key, label] of labels) assert.deepEqual([key, label], [key, clicked.has(key) ? 1 : 0]);
    }),
    { numRuns },
  );
}

/** A copy that comes before the time to correct its impression is over has no effect, whatever dies. */
export function checkCopiesAreKnown(numRuns = 300): void {
  fc.assert(
    fc.property(rows, acts, ways, (all, played, way) => {
      const streams = streamsOf(copiedInTime(all), ["quito"]);
      const world = new JoinerWorld(streams, { ...SHORT, ...way });
      play(world, played, () => soundMemory(world));
      assertSame(labelsOf(world).keys(), keysOf(streams, "impression"));
    }),
    { numRuns },
  );
}

/** What is shown again too late for that is something else. */
function copiedInTime(all: readonly Row[]): Row[] {
  const firstMs = new Map<number, number>();
  let clockMs = -Infinity;
  return all.map((row, at) => {
    const { jitter, impression } = row;
    const timeMs = timeOf(at, jitter);
    const knownUntilMs = (firstMs.get(row.request) ?? timeMs) + SHORT.windowMs + SHORT.correctionMs + SHORT.latenessMs;
    const isLate = impression && knownUntilMs <= clockMs;
    const request = isLate ? 100 + at : row.request;
    if (impression && !firstMs.has(request)) firstMs.set(request, timeMs);
    clockMs = Math.max(clockMs, Math.min(timeMs, storedAt(at) + SHORT.futureMsMax));
    return { ...row, request };
  });
}

/** With a short correction time, feedback that is too late stays so over every crash. */
export function checkTooLateStaysSo(numRuns = 300): void {
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
      const world = new JoinerWorld(streamsOf(distinct, ["quito"]), { ...SHORT, ...way });
      play(world, played, () => soundMemory(world));
      const never = createJoiner(SHORT);
      const expected = new Map<string, number>([...keysOf(world.streams, "impression")].map((key) => [key, 0]));
      for (const { seq, storedMs, events } of world.streams.get("quito") ?? []) {
        for (const [index, event] of events.entries()) {
          const input = { source: "quito", sequence: seq * 1024 + index, event, storedMs };
          for (const { id, label } of step(never, input, storedMs)) expected.set(id.slice(0, -2), label);
        }
      }
      assert.deepEqual(labelsOf(world), expected);
    }),
    { numRuns },
  );
}

/** Memory for some five impressions or more, and runs of one sample a message or more. */
const TIGHT = {
  memoryBytesMax: fc.integer({ min: 3_000, max: 12_000 }),
  batchMax: fc.constantFrom(1, 2, 5, 100),
  sources: fc.constantFrom(["quito"], REGIONS),
};

/** Each is shown once, as a copy of what was let go of is not known for one; feedback is of one of the last eight. */
function shownOnce(all: readonly Row[]): Row[] {
  let shown = 0;
  return all.map((row) => {
    if (row.impression) shown += 1;
    const request = row.impression ? shown : Math.max(0, shown - row.request);
    return { ...row, request, jitter: Math.max(-139, row.jitter) };
  });
}

/** With little memory: every impression once, a positive only where there is feedback, and none lost but by what was let go of. */
export function checkLittleMemory(numRuns = 500): void {
  fc.assert(
    fc.property(rows, acts, fc.record(TIGHT), ways, (all, played, { memoryBytesMax, batchMax, sources }, way) => {
      const streams = streamsOf(shownOnce(all), sources);
      const world = new JoinerWorld(streams, { ...OPTIONS, memoryBytesMax, ...way }, batchMax);
      play(world, played, () => soundMemory(world));
      const labels = labelsOf(world);
      assertSame(labels.keys(), keysOf(streams, "impression"));
      const clicked = keysOf(streams, "feedback");
      let lost = 0;
      for (const [key, label] of labels) {
        if (label === 1) assert(clicked.has(key), `${key} was never clicked`);
        else if (clicked.has(key)) lost += 1;
      }
      assert(lost <= world.letGo, `${lost} were lost, ${world.letGo} let go of`);
    }),
    { numRuns },
  );
}

/** Where streams drop events by their limits, read or not: no sample twice, and none lost but of what was dropped. */
export function checkDroppedEvents(numRuns = 500): void {
  fc.assert(
    fc.property(
      rows,
      actsAndDrops,
      fc.record({ ...TIGHT, isRoomy: fc.boolean() }),
      ways,
      (all, played, { memoryBytesMax, batchMax, sources, isRoomy }, way) => {
        const streams = streamsOf(isRoomy ? all : shownOnce(all), sources);
        const options = { ...OPTIONS, ...(!isRoomy && { memoryBytesMax }), ...way };
        const world = new JoinerWorld(streams, options, batchMax);
        play(world, played, () => soundMemory(world));
        const labels = labelsOf(world);
        const gone = keysOf(world.dropped, "impression", "feedback");
        const clicked = keysOf(streams, "feedback");
        let lost = 0;
        for (const key of keysOf(streams, "impression")) {
          const label = labels.get(key);
          if (label === 1) assert(clicked.has(key), `${key} was never clicked`);
          else if (!gone.has(key)) {
            assert.equal(label, 0, `${key} was lost`);
            if (clicked.has(key)) lost += 1;
          }
        }
        assert(lost <= world.letGo, `${lost} were lost, ${world.letGo} let go of`);
      },
    ),
    { numRuns },
  );
}

/** Memory is counted as what it is, and within its bounds but for what must be kept until its events were read again. */
function soundMemory({ joiner }: JoinerWorld): void {
  assert.equal(joiner.bytes, memoryOf(joiner));
  let recalled = 0;
  for (const { bytes } of joiner.recalled.values()) recalled += bytes;
  assert(joiner.bytes <= 2 * joiner.options.memoryBytesMax + recalled, "more is remembered than there is room for");
}

function keysOf(
  streams: ReadonlyMap<string, readonly Stored[]>,
  ...types: readonly FeedbackEvent["type"][]
): Set<string> {
  const events = [...streams.values()].flat().flatMap((message) => message.events);
  return new Set(events.filter(({ type }) => types.includes(type)).map((event) => impressionKey(event)));
}

function assertSame(some: Iterable<string>, others: Iterable<string>): void {
  assert.deepEqual([...some].toSorted(), [...others].toSorted());
}

/** The last label of each impression, after the checks that hold always. */
export function labelsOf(world: JoinerWorld): Map<string, number> {
  const samples = world.published.flatMap((message) => message.samples);
  const ids = samples.map(({ id }) => id);
  const repeated = ids.filter((id, at) => ids.indexOf(id) !== at);
  assert.deepEqual(repeated, [], "samples were published twice");
  const labels = new Map<string, number>();
  for (const { id, label, correction, user, item, features, dense } of samples) {
    assert.deepEqual(
      { user, item, features, dense },
      { user: "7", item: "4:2", features: { a: "b" }, dense: { c: 1 } },
    );
    const key = id.slice(0, -2);
    assert.equal(correction, labels.has(key));
    assert(label >= (labels.get(key) ?? 0));
    labels.set(key, label);
  }
  return labels;
}
