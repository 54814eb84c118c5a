/*
 * Control messages from anywhere (I1): each parser gives a message or a DecodeError, and takes what the core sends.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { EPOCH_MAX, POLL_LIMITS, T_MAX } from "../protocols/limits.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { buildOrphans, parseOrphans } from "../protocols/wire/orphans.ts";
import { encodePoll, parseChanges, parsePoll } from "../protocols/wire/poll.ts";
import { parseReport, parseSurvey } from "../protocols/wire/survey.ts";
import { buildPull, drawPullId, parseMore, parsePull, parseRefuse, parseRelease } from "../protocols/wire/pull.ts";

const WRITER = parseWriterId("0.a.n.x");

test("a pull's parsing is what was built, after JSON", () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.tuple(fc.integer({ min: 1, max: T_MAX }), fc.nat(EPOCH_MAX)),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      fc.option(fc.record({ writer: fc.constant(WRITER), number: fc.nat() }), { nil: undefined }),
      (wantsState, [t, epoch], dice, cursor) => {
        const urgent = cursor === undefined ? {} : { urgent: cursor };
        const pullId = drawPullId(() => Number(dice.next().value));
        const pull = {
          pullId,
          declaration: "0123456789abcdef",
          wantsState,
          epoch,
          settled: t - 1,
          knowledge: new Map([[WRITER, t]]),
          ...urgent,
        };
        expect(parsePull(JSON.parse(JSON.stringify(buildPull(pull))))).toEqual(pull);
      },
    ),
  );
});

test("a report's parsing is what was built, after JSON; keys and tables beyond their bounds are refused", () => {
  const orphan = fc.record({
    table: fc.nat(63),
    key: fc.bigInt(0n, 2n ** 64n - 1n),
    t: fc.integer({ min: 1, max: 2 ** 53 - 2 ** 20 }),
    writer: fc.constant(WRITER),
  });
  fc.assert(
    fc.property(fc.array(orphan, { minLength: 1, maxLength: 256 }), (orphans) => {
      const built = buildOrphans("0123456789abcdef", orphans);
      expect(parseOrphans(JSON.parse(JSON.stringify(built)))).toEqual({ declaration: "0123456789abcdef", orphans });
    }),
    { numRuns: 50 },
  );
  const row = [0, "7", 1, WRITER];
  for (const rows of [
    [],
    Array.from({ length: 257 }, () => row),
    [[64, "7", 1, WRITER]],
    [[0, "18446744073709551616", 1, WRITER]],
    [[0, "07", 1, WRITER]],
    [[0, "7", 0, WRITER]],
    [[0, "7", 1, "me"]],
    [[0, "7", 1, WRITER, 1]],
  ]) {
    expect(() => parseOrphans({ declaration: "0123456789abcdef", rows })).toThrow(DecodeError);
  }
});

test("a poll's parsing is what was encoded, after JSON, and its answer of nothing is its id", () => {
  const count = fc.nat(2 ** 31);
  fc.assert(
    fc.property(count, fc.nat(POLL_LIMITS.waitMs), fc.option(count, { nil: undefined }), (pollId, waitMs, change) => {
      const poll = { pollId, waitMs, ...(change === undefined ? {} : { cursor: { writer: WRITER, change } }) };
      expect(parsePoll(JSON.parse(JSON.stringify(encodePoll(poll))))).toEqual(poll);
      expect(parseChanges(pollId)).toEqual({ pollId, more: false, shards: [] });
    }),
  );
});

test("control messages from anywhere parse or end in a DecodeError", () => {
  const parsers = [
    parsePull,
    parseMore,
    parseRelease,
    parseRefuse,
    parsePoll,
    parseChanges,
    parseOrphans,
    parseSurvey,
    parseReport,
  ];
  const field = fc.constantFrom(
    "pullId",
    "answer",
    "frames",
    "knowledge",
    "declaration",
    "wantsState",
    "reason",
    "cursor",
    "shards",
    "more",
    "waitMs",
    "urgent",
    "rows",
    "asker",
    "round",
    "writer",
    "upTo",
    "strays",
    "settled",
    "before",
    "graveyard",
    "expired",
  );
  const value = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(
      field,
      fc.oneof(fc.jsonValue(), fc.constant("0".repeat(32)), fc.constant({ responder: "0.a.n.x", number: 1 })),
    ),
  );
  fc.assert(
    fc.property(value, (given) => void parsers.map((parse) => parseOrRefuse(() => parse(given)))),
    { numRuns: 500 },
  );
});

function parseOrRefuse(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
}
