/*
 * Messages, field by field: what each field can be instead of what it should be, and whether a parser sees it.
 */
import { POLL_LIMITS, T_MAX } from "../protocols/limits.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";

export const WRITER = "0.oregon.a.x1";
export const ID = "0123456789abcdef0123456789abcdef";
export const DECLARATION = "0123456789abcdef";
export const NO_TEXT: readonly unknown[] = [undefined, null, 7, true, [], {}];
export const NO_COUNT: readonly unknown[] = [
  undefined,
  null,
  "1",
  -1,
  -0,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  true,
  [1],
  {},
];
export const NO_WRITER: readonly unknown[] = [
  ...NO_TEXT,
  "",
  "me",
  "0.a.b",
  "0.a.b.c.d",
  "x.a.b.c",
  "00.a.b.c",
  "0.A.b.c",
  `0.a.b.${"c".repeat(96)}`,
  // What looks right as a text and is none.
  [WRITER],
];
export const NO_OBJECT: readonly unknown[] = [undefined, null, 1, "object", true];
export const NO_ID: readonly unknown[] = [
  ...NO_TEXT,
  "",
  ID.slice(1),
  `${ID}0`,
  `x${ID.slice(1)}`,
  ID.toUpperCase(),
  [ID],
];
export const NO_DECLARATION: readonly unknown[] = [
  ...NO_TEXT,
  "",
  DECLARATION.slice(1),
  `${DECLARATION}0`,
  `x${DECLARATION.slice(1)}`,
  [DECLARATION],
];
export const NO_FLAG: readonly unknown[] = [undefined, null, 0, 1, "true", []];
export const NO_TIME: readonly unknown[] = [undefined, null, "1", 0, -1, 1.5, Number.NaN, T_MAX + 1, [1]];
export const NO_TIME_NOR_NONE: readonly unknown[] = NO_TIME.filter((value) => value !== 0);
export const NO_LIST: readonly unknown[] = [undefined, null, 1, "list", true, {}];
export const NO_SHARD: readonly unknown[] = [
  ...NO_TEXT,
  "",
  "-a",
  "a b",
  "A",
  "a\n",
  "a".repeat(POLL_LIMITS.shardNameCharsMax + 1),
  ["a"],
];

/** A place in a message: names of fields and indexes of lists. Empty: the message itself. */
export type Path = readonly (string | number)[];

/** A message, and what of it must be refused and taken. */
export interface Message {
  readonly what: string;
  readonly parse: (value: unknown) => unknown;
  readonly good: unknown;
  /** What must be refused at each place. An empty path is the message itself. */
  readonly wrong: readonly (readonly [path: Path, values: readonly unknown[]])[];
  /** What must be taken there. */
  readonly right?: readonly (readonly [path: Path, values: readonly unknown[]])[];
}

/** What a parser does with a message that it should not: takes what is wrong, refuses what is right, throws something else. */
export function misreadings({ parse, good, wrong, right = [] }: Message): readonly string[] {
  const places = [
    ...wrong.map((place) => [...place, true] as const),
    ...right.map((place) => [...place, false] as const),
  ];
  return [
    ...(outcomeOf(() => parse(good)) === "taken" ? [] : ["as it is sent: not taken"]),
    ...places.flatMap(([path, values, isWrong]) =>
      values.flatMap((value) => {
        const outcome = outcomeOf(() => parse(withField(good, path, value)));
        if (outcome === (isWrong ? "refused" : "taken")) return [];
        return [`${path.join(".")} = ${typeof value} ${JSON.stringify(value)?.slice(0, 80) ?? ""}: ${outcome}`];
      }),
    ),
  ];
}

function outcomeOf(parse: () => unknown): string {
  try {
    parse();
    return "taken";
  } catch (error) {
    return error instanceof DecodeError ? "refused" : String(error);
  }
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
