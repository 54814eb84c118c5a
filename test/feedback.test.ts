import { expect, test } from "vitest";
import {
  EVENT_LIMITS,
  type EventProblem,
  FEATURE_RULE,
  featureText,
  type FeedbackEvent,
  isId,
  isItemId,
  parseEvent,
} from "../protocols/feedback.ts";

const NOW = 1_760_000_000_000;
const SHOWN = { type: "impression", request: "r", item: "i", user: "u" };
const CLICKED = { type: "feedback", request: "r", item: "i" };
const ID = "a text of 1 to 128 characters without control characters";
const ITEM = "a text of 1 to 46 bytes without control characters";
const TIME = "milliseconds since the epoch, not more than a minute in the future";
const NUMBER = "a finite 32-bit number, under a name of 1 to 64 characters";
const TEXT = `${FEATURE_RULE}, under a name of 1 to 64 characters`;

function eventOf(value: unknown): FeedbackEvent | undefined {
  const parsed = parseEvent(value, { nowMs: NOW, path: "events[3]" });
  return parsed.kind === "event" ? parsed.event : undefined;
}

function problemOf(value: unknown): EventProblem | undefined {
  const parsed = parseEvent(value, { nowMs: NOW, path: "events[3]" });
  return parsed.kind === "problem" ? parsed.problem : undefined;
}

test("what an event leaves out is a click, the first place, now, and no features", () => {
  expect(eventOf(CLICKED)).toEqual({ ...CLICKED, kind: "click", time: NOW });
  expect(eventOf(SHOWN)).toEqual({ ...SHOWN, position: 0, time: NOW, features: {}, dense: {} });
  const whole = { ...SHOWN, position: 3, time: 5, features: { colour: "red" }, dense: { age: 1.5 } };
  expect(eventOf(whole)).toEqual(whole);
  expect(eventOf({ ...CLICKED, kind: "buy", time: 5 })).toEqual({ ...CLICKED, kind: "buy", time: 5 });
});

test("an event just within its bounds is taken", () => {
  const names = Array.from({ length: EVENT_LIMITS.featuresMax }, (_, at) => `f${at}`);
  for (const change of [
    { time: NOW + 60_000 },
    { time: 0 },
    { position: 100_000 },
    { features: Object.fromEntries(names.map((name) => [name, "x"])) },
    { dense: Object.fromEntries(names.map((name) => [name, 1])) },
    { features: { ["n".repeat(64)]: "x".repeat(256) }, dense: { ["n".repeat(64)]: 3.4e38 } },
    { request: "r".repeat(128), user: "u".repeat(128) },
    { features: { empty: "" } },
  ]) {
    expect(eventOf({ ...SHOWN, ...change })).toMatchObject(change);
  }
  expect(eventOf({ ...CLICKED, kind: "k".repeat(128) })).toMatchObject({ kind: "k".repeat(128) });
});

const TOO_MANY = Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`f${at}`, "x"]));

/** Where an impression is wrong, what it says there, and what is said of it. */
const WRONG: readonly (readonly [path: string, change: unknown, given: string, allowed: string])[] = [
  [".type", { type: "click" }, '"click"', '"impression" or "feedback"'],
  [".type", { type: undefined }, "nothing", '"impression" or "feedback"'],
  [".kind", { kind: "click" }, '"kind"', "one of type, request, user, item, position, time, features, dense"],
  [".request", { request: "" }, '""', ID],
  [".request", { request: "r".repeat(129) }, `"${"r".repeat(79)}...`, ID],
  [".request", { request: 7 }, "7", ID],
  [".item", { item: "a\n" }, String.raw`"a\n"`, ITEM],
  [".item", { item: "\u007f" }, '"\u007f"', ITEM],
  [".item", { item: "a".repeat(47) }, `"${"a".repeat(47)}"`, ITEM],
  [".item", { item: undefined }, "nothing", ITEM],
  [".time", { time: NOW + 60_001 }, String(NOW + 60_001), TIME],
  [".time", { time: -1 }, "-1", TIME],
  [".time", { time: Number.NaN }, "NaN", TIME],
  [".time", { time: "1" }, '"1"', TIME],
  [".user", { user: true }, "true", ID],
  [".user", { user: undefined }, "nothing", ID],
  [".position", { position: -1 }, "-1", "an integer from 0 to 100000"],
  [".position", { position: 100_001 }, "100001", "an integer from 0 to 100000"],
  [".position", { position: 1.5 }, "1.5", "an integer from 0 to 100000"],
  [".position", { position: "1" }, '"1"', "an integer from 0 to 100000"],
  [".features", { features: [] }, "a list of 0", "an object of at most 64 texts"],
  [".features", { features: "x" }, '"x"', "an object of at most 64 texts"],
  [".features", { features: TOO_MANY }, "an object of 65 fields", "an object of at most 64 texts"],
  [".dense", { dense: [1, 2] }, "a list of 2", "an object of at most 64 numbers"],
  [".dense", { dense: 5 }, "5", "an object of at most 64 numbers"],
  [".dense", { dense: TOO_MANY }, "an object of 65 fields", "an object of at most 64 numbers"],
  [".features.a", { features: { a: null } }, "null", TEXT],
  [".features.a", { features: { a: 7 } }, "7", TEXT],
  [".features.a", { features: { a: "x".repeat(257) } }, `"${"x".repeat(79)}...`, TEXT],
  [".features.", { features: { "": "x" } }, '"x"', TEXT],
  [`.features.${"n".repeat(65)}`, { features: { ["n".repeat(65)]: "x" } }, '"x"', TEXT],
  [`.features.${"n".repeat(80)}...`, { features: { ["n".repeat(81)]: "x" } }, '"x"', TEXT],
  [".features.__proto__", { features: { ["__proto__"]: "x" } }, '"x"', TEXT],
  [".dense.a", { dense: { a: "1" } }, '"1"', NUMBER],
  [".dense.a", { dense: { a: Number.NaN } }, "NaN", NUMBER],
  [".dense.a", { dense: { a: 3.5e38 } }, "3.5e+38", NUMBER],
  [".dense.a", { dense: { a: {} } }, "an object of 0 fields", NUMBER],
  [".dense.", { dense: { "": 1 } }, "1", NUMBER],
  [`.dense.${"n".repeat(65)}`, { dense: { ["n".repeat(65)]: 1 } }, "1", NUMBER],
  [
    `.${"x".repeat(80)}`,
    { ["x".repeat(80)]: 1 },
    `"${"x".repeat(79)}...`,
    "one of type, request, user, item, position, time, features, dense",
  ],
];

test.each(WRONG)(
  "an impression is refused at events[3]%s, with what was given and what is allowed: %j",
  (path, change, given, allowed) => {
    expect(problemOf({ ...SHOWN, ...Object(change) })).toEqual({ path: `events[3]${path}`, given, allowed });
  },
);

test("a reaction is refused with a field of an impression, or a kind that is no id", () => {
  expect(problemOf({ ...CLICKED, user: "u" })).toEqual({
    path: "events[3].user",
    given: '"user"',
    allowed: "one of type, kind, request, item, time",
  });
  expect(problemOf({ ...CLICKED, kind: "" })).toEqual({ path: "events[3].kind", given: '""', allowed: ID });
});

test("what is no object is no event, and is told in short", () => {
  for (const [value, given] of [
    [undefined, "nothing"],
    [null, "null"],
    [[1, 2, 3], "a list of 3"],
    ["x", '"x"'],
    ["x".repeat(200), `"${"x".repeat(79)}...`],
    [1, "1"],
    [false, "false"],
    [1n, "bigint"],
    [Symbol.iterator, "symbol"],
    [() => 1, "function"],
  ] as const) {
    expect(problemOf(value)).toEqual({ path: "events[3]", given, allowed: "an object with type, request, item" });
  }
});

test("featureText(): a text of 256 characters, or lines for a list of 100 ids of 128, 4,096 in all, and no more", () => {
  const id = "x".repeat(128);
  const full = [...Array.from({ length: 31 }, () => id), "x".repeat(4096 - 31 * 129)];
  const many = Array.from({ length: 100 }, (_, at) => `item-${at}`);
  for (const list of [[id], many, full, ["a".repeat(9)]]) {
    expect(featureText(list)).toBe(list.join("\n"));
    expect(featureText(list.join("\n"))).toBe(list.join("\n"));
  }
  expect(featureText(full.join("\n"))).toHaveLength(4096);
  for (const value of [
    [...full.slice(0, -1), `${full.at(-1)}x`],
    [...many, "one more"],
    [`${id}x`],
    ["a", 7],
    "x".repeat(257),
    `${"x".repeat(257)}\na`,
    [...full.slice(0, -1), `${full.at(-1)}x`].join("\n"),
    [...many, "one more"].join("\n"),
    7,
    null,
  ]) {
    expect(featureText(value)).toBeUndefined();
  }
  // As a line of a text, not as an id, it may have as many as a text.
  expect(featureText(`${"x".repeat(256)}\na`)).toBe(`${"x".repeat(256)}\na`);
});

test("isItemId() counts bytes of UTF-8: one, two, three or four a character, 46 at most", () => {
  for (const [character, bytes] of [
    ["\u007e", 1],
    ["\u0080", 2],
    ["\u07ff", 2],
    ["\u0800", 3],
    ["\uffff", 3],
    ["\u{10000}", 4],
    ["\u{10ffff}", 4],
  ] as const) {
    const most = Math.floor(46 / bytes);
    const filled = character.repeat(most) + "a".repeat(46 - most * bytes);
    expect(isItemId(filled)).toBe(true);
    expect(isItemId(`${filled}a`)).toBe(false);
  }
  // Half of a pair is no character.
  expect([isItemId("\ud800"), isId("\ud800")]).toEqual([false, true]);
  expect(["", "\u0000", "\u001f", "\u007f", "a\tb", 7, null, ["a"]].map(isId)).toEqual(
    Array.from({ length: 8 }, () => false),
  );
});
