/*
 * The algebra of versions, knowledge, clocks and shard versions (V1-V3, V6-V8, V10).
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { T_MAX } from "../protocols/limits.ts";
import {
  dominates,
  equalKnowledge,
  join,
  type Knowledge,
  knowledgeToJson,
  parseKnowledge,
} from "../protocols/sync/knowledge.ts";
import { coversVersion, greaterVersion, sameVersion } from "../protocols/sync/shard-version.ts";
import {
  canStamp,
  createStamper,
  isPlausible,
  observe,
  seenBeforeLoss,
  stamp,
  TimeExhausted,
} from "../protocols/sync/stamper.ts";
import { buildWriterId, compareVersions, epochOf, isWriterId, parseWriterId } from "../protocols/sync/version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";

const writer = fc.constantFrom(...["0.a.n.x", "0.b.n.x", "1.a.n.x", "10.a.n.x"].map(parseWriterId));
const version = fc.record({ t: fc.integer({ min: 1, max: 4 }), writer });
const knowledge = fc
  .array(fc.tuple(writer, fc.integer({ min: 1, max: 4 })), { maxLength: 5 })
  .map((entries): Knowledge => new Map(entries));
const shardVersion = fc.record({ counter: fc.integer({ min: 1, max: 3 }), generator: writer });

test("compareVersions() is a strict total order: epoch, then t, then writer", () => {
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      const order = Math.sign(compareVersions(a, b));
      expect(Math.sign(compareVersions(b, a)) + order).toBe(0);
      expect(order === 0).toBe(a.t === b.t && a.writer === b.writer);
      if (order > 0 && compareVersions(b, c) > 0) expect(compareVersions(a, c)).toBeGreaterThan(0);
      if (epochOf(a.writer) > epochOf(b.writer)) expect(order).toBe(1);
      else if (epochOf(a.writer) === epochOf(b.writer) && a.t > b.t) expect(order).toBe(1);
    }),
  );
});

test("join() gives the least upper bound, and says whether it changed anything", () => {
  fc.assert(
    fc.property(knowledge, knowledge, knowledge, (a, b, c) => {
      const joined = new Map(a);
      expect(join(joined, b)).toBe(!dominates(a, b));
      expect(dominates(joined, a) && dominates(joined, b)).toBe(true);
      if (dominates(c, a) && dominates(c, b)) expect(dominates(c, joined)).toBe(true);
      expect(join(joined, b)).toBe(false);
      const mirrored = new Map(b);
      join(mirrored, a);
      expect(equalKnowledge(joined, mirrored)).toBe(true);
      expect(knowledgeToJson(joined)).toEqual(knowledgeToJson(mirrored));
    }),
  );
});

test("dominates() is a partial order in which an absent writer counts as nothing", () => {
  fc.assert(
    fc.property(knowledge, knowledge, knowledge, (a, b, c) => {
      expect(dominates(a, a) && dominates(a, new Map())).toBe(true);
      expect(dominates(new Map(), a)).toBe(a.size === 0);
      if (dominates(a, b) && dominates(b, c)) expect(dominates(a, c)).toBe(true);
      if (dominates(a, b) && dominates(b, a)) expect(knowledgeToJson(a)).toEqual(knowledgeToJson(b));
    }),
  );
});

test("parseKnowledge() gives back what knowledgeToJson() wrote, and refuses anything else with DecodeError", () => {
  fc.assert(
    fc.property(knowledge, (written) => {
      const text: unknown = JSON.parse(JSON.stringify(knowledgeToJson(written)));
      expect(knowledgeToJson(parseKnowledge(text))).toEqual(knowledgeToJson(written));
    }),
  );
  const bad: readonly unknown[] = [
    null,
    {},
    [1],
    [["0.a.n.x"]],
    [["0.a.n.x", 0]],
    [["0.a.n.x", 1.5]],
    [["0.a.n.x", 2 ** 53]],
    [["x", 1]],
    Array.from({ length: 2 }, () => ["0.a.n.x", 1]),
  ];
  for (const value of bad) expect(() => parseKnowledge(value)).toThrow(DecodeError);
  fc.assert(fc.property(fc.jsonValue(), (value) => onlyDecodeError(() => parseKnowledge(value))));
});

test("stamp() rises strictly and passes all that was seen, whatever the clock does", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ nowMs: fc.double({ min: 0, max: 1e6, noNaN: true }), seen: fc.nat(1e9) }), {
        maxLength: 30,
      }),
      (steps) => {
        const stamper = createStamper(0);
        let last = 0;
        for (const { nowMs, seen } of steps) {
          observe(stamper, seen);
          const t = stamp(stamper, nowMs);
          expect(Number.isInteger(t) && t > last && t > seen && t >= Math.floor(nowMs * 1000)).toBe(true);
          last = t;
        }
      },
    ),
  );
});

test("seenBeforeLoss(): what is stamped again after a crash is newer than what the image lacks, wherever the clock stands", () => {
  const lostMs = 1_000;
  fc.assert(
    fc.property(
      fc.record({
        // The clock runs on from the image to the crash, perhaps after it was set back before, and then stands anywhere.
        setBackMs: fc.nat(7_200_000),
        stamps: fc.array(fc.nat(100), { minLength: 1, maxLength: 10 }),
        restartMs: fc.nat(8_000_000),
      }),
      ({ setBackMs, stamps, restartMs }) => {
        const before = createStamper(0);
        const image = stamp(before, 7_200_000);
        let nowMs = 7_200_000 - setBackMs;
        const lost = stamps.map((passedMs) => stamp(before, (nowMs += passedMs)));
        const after = createStamper(seenBeforeLoss(image, { lostMs }));
        expect(stamp(after, restartMs)).toBeGreaterThan(lost.at(-1) ?? Infinity);
      },
    ),
  );
  // A replica that never stamped has lost nothing.
  expect(seenBeforeLoss(0, { lostMs })).toBe(0);
  expect(seenBeforeLoss(T_MAX - 1, { lostMs })).toBe(T_MAX);
});

test("stamp() refuses to go where doubles lose count, and isPlausible() keeps others from taking us there", () => {
  const stamper = createStamper(T_MAX - 1);
  expect(stamp(stamper, 0)).toBe(T_MAX);
  expect(() => stamp(stamper, 0)).toThrow(TimeExhausted);
  expect([canStamp(stamper, { nowMs: 0, count: 1 }), canStamp(createStamper(0), { nowMs: 1e12, count: 1e6 })]).toEqual([
    false,
    true,
  ]);
  const clock = { nowMs: 1.76e12, jumpMs: 8.64e7 };
  expect([isPlausible(1.76e15 + 8.64e10, clock), isPlausible(1.76e15 + 8.64e10 + 1, clock)]).toEqual([true, false]);
});

test("shard versions: covering is a partial order, and both of a pair choose the same greater one", () => {
  fc.assert(
    fc.property(shardVersion, shardVersion, shardVersion, (a, b, c) => {
      expect(coversVersion(a, a)).toBe(true);
      if (coversVersion(a, b) && coversVersion(b, c)) expect(coversVersion(a, c)).toBe(true);
      if (coversVersion(a, b) && coversVersion(b, a)) expect(sameVersion(a, b)).toBe(true);
      expect(sameVersion(greaterVersion(a, b), greaterVersion(b, a))).toBe(true);
      if (coversVersion(a, b)) expect(greaterVersion(a, b)).toEqual(a);
    }),
  );
});

test("isWriterId() takes what buildWriterId() makes and nothing that reads as another id", () => {
  expect(buildWriterId({ epoch: 3, region: "fra", node: "n1", nonce: "7f" })).toBe("3.fra.n1.7f");
  for (const text of [
    "",
    "0.a.b",
    "0.a.b.c.d",
    "00.a.b.c",
    "-1.a.b.c",
    "1e3.a.b.c",
    "0.A.b.c",
    "0..b.c",
    "0.a.b.c ",
    `0.a.b.${"c".repeat(64)}${"d".repeat(64)}`,
    7,
  ]) {
    expect(isWriterId(text)).toBe(false);
  }
});

function onlyDecodeError(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    return error instanceof DecodeError;
  }
}
