/*
 * Control messages from anywhere (I1): each parser gives a message or a DecodeError, and takes what the core sends.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { POLL_LIMITS } from "../protocols/limits.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { encodePoll, parseChanges, parsePoll } from "../protocols/wire/poll.ts";
import { buildPull, drawPullId, parseMore, parsePull, parseRefuse, parseRelease } from "../protocols/wire/pull.ts";

const WRITER = parseWriterId("0.a.n.x");

test("a pull's parsing is what was built, after JSON", () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.integer({ min: 1, max: 2 ** 53 - 2 ** 20 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (wantsState, t, dice) => {
        const pullId = drawPullId(() => Number(dice.next().value));
        const built = buildPull({
          pullId,
          declaration: "0123456789abcdef",
          wantsState,
          knowledge: new Map([[WRITER, t]]),
        });
        const parsed = parsePull(JSON.parse(JSON.stringify(built)));
        expect(parsed).toEqual({
          pullId,
          declaration: "0123456789abcdef",
          wantsState,
          knowledge: new Map([[WRITER, t]]),
        });
      },
    ),
  );
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
  const parsers = [parsePull, parseMore, parseRelease, parseRefuse, parsePoll, parseChanges];
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
