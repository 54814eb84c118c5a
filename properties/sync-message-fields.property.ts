/*
 * Control messages, field by field (I1): with one field wrong, everything else right, a message is refused; at each bound it is taken.
 */
import { expect, test } from "vitest";
import { EPOCH_MAX, SYNC_LIMITS, T_MAX } from "../protocols/limits.ts";
import { parseOrphans } from "../protocols/wire/orphans.ts";
import { parseMore, parsePull, parseRefuse, parseRelease } from "../protocols/wire/pull.ts";
import { parseReport, parseSurvey } from "../protocols/wire/survey.ts";
import {
  type Message,
  misreadings,
  WRITER,
  ID,
  DECLARATION,
  NO_TEXT,
  NO_COUNT,
  NO_WRITER,
  NO_OBJECT,
  NO_ID,
  NO_DECLARATION,
  NO_FLAG,
  NO_TIME,
  NO_TIME_NOR_NONE,
  NO_LIST,
} from "./wrong-fields.ts";

const ORPHAN = [0, "7", 1, WRITER];

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
      epoch: 2,
      wantsCopy: true,
      burst: 1,
      urgent,
      stands: { counter: 1, generator: WRITER },
    },
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["pullId"], NO_ID],
      [["declaration"], NO_DECLARATION],
      [["wantsState"], NO_FLAG],
      [["knowledge"], NO_LIST],
      [["settled"], NO_TIME_NOR_NONE],
      [["epoch"], [...NO_COUNT.slice(1), 0, EPOCH_MAX + 1]],
      [["wantsCopy"], [null, false, 1, "true"]],
      [["burst"], [...NO_COUNT.slice(1), 0]],
      ...wrongUrgent,
      [["stands"], [null, 1, "s", true, []]],
      [
        ["stands", "counter"],
        [...NO_COUNT, 0],
      ],
      [["stands", "generator"], NO_WRITER],
    ],
    right: [
      [["stands"], [undefined]],
      [["wantsState"], [false]],
      [["knowledge"], [[]]],
      [["settled"], [T_MAX]],
      [["epoch"], [undefined, 1, EPOCH_MAX]],
      [["wantsCopy"], [undefined]],
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
    wrong: [
      [[], [...NO_OBJECT, []]],
      [["pullId"], NO_ID],
      [["answer"], NO_OBJECT.filter((value) => value !== undefined)],
      ...wrongAnswer.slice(1),
    ],
    right: [[["answer"], [undefined]]],
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
    what: "survey of a primary that pulls from nobody",
    parse: parseSurvey,
    good: { asker: WRITER, round: 1, settled: 5, knowledge: [[WRITER, 9]] },
    wrong: [
      [["settled"], [undefined, -1, 0.5, "5", T_MAX + 1]],
      [["knowledge"], [undefined, null, {}, [[WRITER, 0]]]],
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
      strays: 2,
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

test.each(MESSAGES)("$what: with one field wrong it is refused, at each bound it is taken", (message) => {
  expect(misreadings(message)).toEqual([]);
});
