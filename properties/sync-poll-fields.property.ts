/*
 * Messages of the poll, and what stands in many messages, field by field (I1).
 */
import { expect, test } from "vitest";
import { POLL_LIMITS, SYNC_LIMITS, T_MAX } from "../protocols/limits.ts";
import { parseKnowledge } from "../protocols/sync/knowledge.ts";
import { parseShardVersion } from "../protocols/sync/shard-version.ts";
import { parseChanges, parsePoll } from "../protocols/wire/poll.ts";
import {
  type Message,
  misreadings,
  NO_COUNT,
  NO_FLAG,
  NO_LIST,
  NO_OBJECT,
  NO_SHARD,
  NO_TIME,
  NO_WRITER,
  WRITER,
} from "./wrong-fields.ts";

const CHANGE = { shard: "clicks-0", counter: 1, generator: WRITER };

const MESSAGES: readonly Message[] = [
  {
    what: "poll with a cursor",
    parse: parsePoll,
    good: [1, 5, 3, WRITER],
    wrong: [
      [[], [...NO_LIST, [], [1], [1, 5, 3], [1, 5, 3, WRITER, 1]]],
      [[0], NO_COUNT],
      [[1], [...NO_COUNT, POLL_LIMITS.waitMs + 1]],
      [[2], NO_COUNT],
      [[3], NO_WRITER],
    ],
    right: [
      [[], [[0, 0]]],
      [[0], [0, Number.MAX_SAFE_INTEGER]],
      [[1], [0, POLL_LIMITS.waitMs]],
      [[2], [0]],
    ],
  },
  {
    what: "changes",
    parse: parseChanges,
    good: {
      pollId: 1,
      cursor: { writer: WRITER, change: 2 },
      more: false,
      shards: [{ shard: "clicks-0", counter: 1, generator: WRITER }],
    },
    wrong: [
      [[], [undefined, null, "object", true, [], -1, 1.5]],
      [["pollId"], NO_COUNT],
      [["cursor"], NO_OBJECT],
      [["cursor", "writer"], NO_WRITER],
      [["cursor", "change"], NO_COUNT],
      [["more"], NO_FLAG],
      [["shards"], [...NO_LIST, Array.from({ length: POLL_LIMITS.changesMax + 1 }, () => CHANGE)]],
      [
        ["shards", 0],
        [...NO_OBJECT, []],
      ],
      [["shards", 0, "shard"], NO_SHARD],
    ],
    right: [
      [[], [0, 7]],
      [["more"], [true]],
      [["shards"], [[], Array.from({ length: POLL_LIMITS.changesMax }, () => CHANGE)]],
      [
        ["shards", 0, "shard"],
        ["a", "a".repeat(POLL_LIMITS.shardNameCharsMax), "0a_b.c/d-e"],
      ],
    ],
  },
  {
    what: "shard version",
    parse: parseShardVersion,
    good: { counter: 1, generator: WRITER },
    wrong: [
      [[], NO_OBJECT],
      [["counter"], [...NO_COUNT, 0]],
      [["generator"], NO_WRITER],
    ],
  },
  {
    what: "knowledge",
    parse: parseKnowledge,
    good: [[WRITER, 1]],
    wrong: [
      [
        [],
        [
          ...NO_LIST,
          [
            [WRITER, 1],
            [WRITER, 2],
          ],
          Array.from({ length: SYNC_LIMITS.writersMax + 1 }, named),
        ],
      ],
      [[0], [...NO_LIST, [], [WRITER], [WRITER, 1, 1]]],
      [[0, 0], NO_WRITER],
      [[0, 1], NO_TIME],
    ],
    right: [
      [[], [[], Array.from({ length: SYNC_LIMITS.writersMax }, named)]],
      [[0, 1], [T_MAX]],
    ],
  },
];

test.each(MESSAGES)("$what: with one field wrong it is refused, at each bound it is taken", (message) => {
  expect(misreadings(message)).toEqual([]);
});

function named(_: unknown, index: number): [string, number] {
  return [`0.a.b.n${index}`, 1];
}
