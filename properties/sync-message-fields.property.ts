/*
 * Control messages, field by field (I1): with one field wrong, everything else right, a message is refused; at each bound it is taken.
 */
import { describe, expect, test } from "vitest";
import { POLL_LIMITS, SYNC_LIMITS, T_MAX } from "../protocols/limits.ts";
import { parseKnowledge } from "../protocols/sync/knowledge.ts";
import { parseShardVersion } from "../protocols/sync/shard-version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { parseOrphans } from "../protocols/wire/orphans.ts";
import { parseChanges, parsePoll } from "../protocols/wire/poll.ts";
import { parseMore, parsePull, parseRefuse, parseRelease } from "../protocols/wire/pull.ts";
import { parseReport, parseSurvey } from "../protocols/wire/survey.ts";

const WRITER = "0.oregon.a.x1";
const ID = "0123456789abcdef0123456789abcdef";
const DECLARATION = "0123456789abcdef";
const NO_TEXT = [undefined, null, 7, true, [], {}];
const NO_COUNT = [undefined, null, "1", -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, true, [1], {}];
const NO_WRITER = [
  ...NO_TEXT,
  "",
  "me",
  "0.a.b",
  "0.a.b.c.d",
  "x.a.b.c",
  "00.a.b.c",
  "0.A.b.c",
  `0.a.b.${"c".repeat(96)}`,
];
const NO_OBJECT = [undefined, null, 1, "object", true];
const NO_ID = [...NO_TEXT, "", ID.slice(1), `${ID}0`, `x${ID.slice(1)}`, ID.toUpperCase()];
const NO_DECLARATION = [...NO_TEXT, "", DECLARATION.slice(1), `${DECLARATION}0`, `x${DECLARATION.slice(1)}`];
const NO_FLAG = [undefined, null, 0, 1, "true", []];
const NO_TIME = [undefined, null, "1", 0, -1, 1.5, Number.NaN, T_MAX + 1, [1]];
const NO_TIME_NOR_NONE = NO_TIME.filter((value) => value !== 0);
const NO_LIST = [undefined, null, 1, "list", true, {}];
const NO_SHARD = [...NO_TEXT, "", "-a", "a b", "A", "a\n", "a".repeat(POLL_LIMITS.shardNameCharsMax + 1)];

const CHANGE = { shard: "clicks-0", counter: 1, generator: WRITER };
const ORPHAN = [0, "7", 1, WRITER];

type Path = readonly (string | number)[];

interface Message {
  readonly what: string;
  readonly parse: (value: unknown) => unknown;
  readonly good: unknown;
  /** What must be refused at each place. An empty path is the message itself. */
  readonly wrong: readonly (readonly [path: Path, values: readonly unknown[]])[];
  /** What must be taken there. */
  readonly right?: readonly (readonly [path: Path, values: readonly unknown[]])[];
}

const answer = { responder: WRITER, number: 1 };
const urgent = { writer: WRITER, number: 0 };
const wrongAnswer = [
  [["answer"], NO_OBJECT],
  [["answer", "responder"], NO_WRITER],
  [
    ["answer", "number"],
    [...NO_COUNT, 0],
  ],
] as const;
const wrongUrgent = [
  [["urgent"], [null, 1, "u", true, []]],
  [["urgent", "writer"], NO_WRITER],
  [["urgent", "number"], NO_COUNT],
] as const;

const MESSAGES: readonly Message[] = [
  {
    what: "pull",
    parse: parsePull,
    good: {
      pullId: ID,
      declaration: DECLARATION,
      wantsState: true,
      knowledge: [[WRITER, 1]],
      settled: 0,
      burst: 1,
      urgent,
    },
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["pullId"], NO_ID],
      [["declaration"], NO_DECLARATION],
      [["wantsState"], NO_FLAG],
      [["knowledge"], NO_LIST],
      [["settled"], NO_TIME_NOR_NONE],
      [["burst"], [...NO_COUNT.slice(1), 0]],
      ...wrongUrgent,
    ],
    right: [
      [["wantsState"], [false]],
      [["knowledge"], [[]]],
      [["settled"], [T_MAX]],
      [["burst"], [undefined]],
      [["urgent"], [undefined]],
    ],
  },
  {
    what: "more",
    parse: parseMore,
    good: { pullId: ID, answer, frames: [0], urgent },
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["pullId"], NO_ID],
      ...wrongAnswer,
      [["frames"], [...NO_LIST, Array.from({ length: SYNC_LIMITS.windowFrames + 1 }, () => 0)]],
      [["frames", 0], NO_COUNT],
      ...wrongUrgent,
    ],
    right: [
      [["frames"], [[], Array.from({ length: SYNC_LIMITS.windowFrames }, (_, index) => index)]],
      [["urgent"], [undefined]],
    ],
  },
  {
    what: "release",
    parse: parseRelease,
    good: { pullId: ID, answer },
    wrong: [[[], [...NO_OBJECT, []]], [["pullId"], NO_ID], ...wrongAnswer],
  },
  {
    what: "refuse",
    parse: parseRefuse,
    good: { pullId: ID, reason: "gone" },
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["pullId"], NO_ID],
      [["reason"], [...NO_TEXT, "", "because"]],
    ],
    right: [[["reason"], ["declaration", "serving", "gone", "full"]]],
  },
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
  {
    what: "orphans",
    parse: parseOrphans,
    good: { declaration: DECLARATION, rows: [[0, "7", 1, WRITER]] },
    wrong: [
      [[], NO_OBJECT],
      [["declaration"], NO_DECLARATION],
      [["rows"], [...NO_LIST, [], Array.from({ length: SYNC_LIMITS.orphansMax + 1 }, () => ORPHAN)]],
      [
        ["rows", 0],
        [...NO_LIST, [], [0, "7", 1], [0, "7", 1, WRITER, 1]],
      ],
      [
        ["rows", 0, 0],
        [...NO_COUNT, SYNC_LIMITS.tablesMax],
      ],
      [
        ["rows", 0, 1],
        [...NO_TEXT, "", "07", "-1", "1.5", "0x1", "a1", "1a", "18446744073709551616", "1".repeat(21)],
      ],
      [["rows", 0, 2], NO_TIME],
      [["rows", 0, 3], NO_WRITER],
    ],
    right: [
      [["rows"], [Array.from({ length: SYNC_LIMITS.orphansMax }, () => ORPHAN)]],
      [["rows", 0, 0], [SYNC_LIMITS.tablesMax - 1]],
      [
        ["rows", 0, 1],
        ["0", "18446744073709551615"],
      ],
      [["rows", 0, 2], [T_MAX]],
    ],
  },
  {
    what: "survey",
    parse: parseSurvey,
    good: { asker: WRITER, round: 1 },
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["asker"], NO_WRITER],
      [["round"], [...NO_COUNT, 0]],
    ],
  },
  {
    what: "report",
    parse: parseReport,
    good: {
      asker: WRITER,
      round: 1,
      writer: WRITER,
      knowledge: [[WRITER, 9]],
      upTo: 9,
      settled: 5,
      before: 2,
      graveyard: [[WRITER, 4]],
      expired: [[0, 3]],
    },
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["asker"], NO_WRITER],
      [["round"], [...NO_COUNT, 0]],
      [["writer"], NO_WRITER],
      [["knowledge"], NO_LIST],
      [["upTo"], NO_TIME_NOR_NONE],
      [["settled"], [...NO_TIME_NOR_NONE, 1, 3]],
      [["before"], [...NO_TIME_NOR_NONE, 4, 6]],
      [["graveyard"], [...NO_LIST, [[WRITER, 2]], [[WRITER, 6]]]],
      [
        ["expired"],
        [
          ...NO_LIST,
          Array.from({ length: SYNC_LIMITS.tablesMax + 1 }, () => [0, 1]),
          [
            [0, 3],
            [0, 4],
          ],
        ],
      ],
      [
        ["expired", 0],
        [...NO_LIST, []],
      ],
      [
        ["expired", 0, 0],
        [...NO_COUNT, SYNC_LIMITS.tablesMax],
      ],
      [["expired", 0, 1], NO_TIME],
    ],
    right: [
      [["upTo"], [0, T_MAX]],
      [["settled"], [4, T_MAX]],
      [["before"], [0, 3]],
      [["graveyard"], [[], [[WRITER, 5]]]],
      [["expired"], [[]]],
      [["expired", 0, 0], [SYNC_LIMITS.tablesMax - 1]],
    ],
  },
];

for (const { what, parse, good, wrong, right = [] } of MESSAGES) {
  describe(`the ${what}`, () => {
    test("is taken as it is sent", () => {
      expect(() => parse(good)).not.toThrow();
    });

    test.each(wrong)("%j: what is wrong is refused", (path, values) => {
      for (const value of values) {
        expect(() => parse(withField(good, path, value)), `${typeof value} ${JSON.stringify(value)}`).toThrow(
          DecodeError,
        );
      }
    });

    test.each(right)("%j: what is just right is taken", (path, values) => {
      for (const value of values) expect(() => parse(withField(good, path, value))).not.toThrow();
    });
  });
}

function named(_: unknown, index: number): [string, number] {
  return [`0.a.b.n${index}`, 1];
}

/** A copy of a message with another value in one place. */
function withField(message: unknown, [first, ...rest]: Path, value: unknown): unknown {
  if (first === undefined) return value;
  if (Array.isArray(message)) {
    return message.map((part: unknown, index) => (index === first ? withField(part, rest, value) : part));
  }
  if (typeof message !== "object" || message === null) {
    throw new TypeError(`there is no ${first} in ${String(message)}`);
  }
  return Object.fromEntries(
    Object.entries(message).map(([name, part]) => [name, name === first ? withField(part, rest, value) : part]),
  );
}
