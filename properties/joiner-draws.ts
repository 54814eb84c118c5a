// Drawn streams of events, and what may become of a joiner that reads them, for the laws about its restarts.
import fc from "fast-check";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { type JoinerWorld, type Stored } from "./joiner-world.ts";

export const REGIONS = ["amsterdam", "osaka", "quito"];

export interface Row {
  readonly impression: boolean;
  readonly source: number;
  readonly request: number;
  readonly jitter: number;
  readonly joined: boolean;
}

export const rows: fc.Arbitrary<Row[]> = fc.array(
  fc.record({
    impression: fc.boolean(),
    source: fc.nat(2),
    request: fc.nat(7),
    jitter: fc.integer({ min: -150, max: 80 }),
    joined: fc.boolean(),
  }),
  { maxLength: 40, size: "max" },
);

/** Messages of one or two events. A little of the time an event lies far ahead of its clock, or is there twice. */
export function streamsOf(all: readonly Row[], sources: readonly string[]): Map<string, Stored[]> {
  const streams = new Map<string, Stored[]>(sources.map((source) => [source, []]));
  for (const [at, { impression, source, request: number, jitter, joined }] of all.entries()) {
    const messages = streams.get(sources[source % sources.length] ?? "") ?? [];
    const [storedMs, time] = [storedAt(at), timeOf(at, jitter)];
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

/** When the event of a row is stored. */
export function storedAt(at: number): number {
  return 1000 + at * 15;
}

/** When it happened. */
export function timeOf(at: number, jitter: number): number {
  return storedAt(at) + (jitter === 80 ? 10_000 : jitter);
}

/** How negatives are given and positives held: as in a window join, early, late, or both. */
export const ways = fc.constantFrom<Partial<JoinerOptions>>(
  {},
  { emitAfterShare: 0.5 },
  { emitAfterShare: 0 },
  { scatterMsMax: 200 },
  { emitAfterShare: 0.5, scatterMsMax: 200 },
);

const take = fc.record({
  act: fc.constant("take" as const),
  source: fc.nat(2),
  count: fc.integer({ min: 1, max: 6 }),
});
const publish = fc.record({
  act: fc.constant("publish" as const),
  dies: fc.constantFrom("not" as const, "not" as const, "before" as const, "after" as const),
});
const pass = fc.record({ act: fc.constant("pass" as const), ms: fc.constantFrom(10, 150, 250, 1000) });
const crash = fc.record({ act: fc.constant("crash" as const) });
const move = fc.record({ act: fc.constant("move" as const) });
const toggle = fc.record({ act: fc.constant("toggle" as const), source: fc.nat(2) });
const drop = fc.record({
  act: fc.constant("drop" as const),
  source: fc.nat(2),
  count: fc.constantFrom(1, 3, 40),
});

const ofJoiner = [
  { weight: 8, arbitrary: take },
  { weight: 5, arbitrary: publish },
  { weight: 2, arbitrary: pass },
  { weight: 2, arbitrary: crash },
  { weight: 1, arbitrary: move },
  { weight: 1, arbitrary: toggle },
];
export const acts = fc.array(fc.oneof(...ofJoiner), { maxLength: 60, size: "max" });
/** The same, where streams of events drop messages by their limits. */
export const actsAndDrops = fc.array(fc.oneof(...ofJoiner, { weight: 2, arbitrary: drop }), {
  maxLength: 60,
  size: "max",
});
type Act = typeof actsAndDrops extends fc.Arbitrary<(infer T)[]> ? T : never;

/** Does all of this, and looks at the joiner before each. At the end all is read and every window closed. */
export function play(world: JoinerWorld, all: readonly Act[], look: () => void): void {
  for (const each of all) {
    look();
    const source = "source" in each ? (world.sources[each.source % world.sources.length] ?? "") : "";
    if (each.act === "publish") world.publish(each.dies);
    else if (each.act === "pass") world.pass(each.ms);
    else if (each.act === "crash") world.crash();
    else if (each.act === "move") world.move();
    else if (each.act === "take") world.take(source, each.count);
    else if (each.act === "toggle") world.toggle(source);
    else world.drop(source, each.count);
  }
  world.finish();
  look();
}
