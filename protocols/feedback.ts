/*
 * What applications send in: impressions (an item was shown) and feedback (somebody reacted to one).
 * Parsed once, where it enters; everything behind may rely on it.
 */
import { isRecord } from "./wire/json-fields.ts";

/** An item was shown to a user in answer to a request. `features` are categories, or lists of them, a line each; `dense` are numbers, by the names the model declares. */
export interface Impression {
  readonly type: "impression";
  readonly request: string;
  readonly user: string;
  readonly item: string;
  readonly position: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly features: Readonly<Record<string, string>>;
  readonly dense: Readonly<Record<string, number>>;
}

/** A user reacted to an item of a request. Repeating one has no effect: request, item and kind name it. */
export interface Feedback {
  readonly type: "feedback";
  readonly kind: string;
  readonly request: string;
  readonly item: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

export type FeedbackEvent = Impression | Feedback;

/** What one event may hold. */
export const EVENT_LIMITS = {
  idCharsMax: 128,
  /** An item's id stands whole in its catalogue row. */
  itemIdBytesMax: 46,
  featuresMax: 64,
  featureCharsMax: 64,
  valueCharsMax: 256,
  /** A list of texts is held as one, with a line for each. */
  listEntriesMax: 100,
  listCharsMax: 4_096,
  positionMax: 100_000,
  eventsPerRequestMax: 1_000,
  /** How far an event's time may lie after the receiver's clock. */
  futureMsMax: 60_000,
} as const;

/** One event that is not what it should be: where in it, what was given, what is allowed. */
export interface EventProblem {
  readonly path: string;
  readonly given: string;
  readonly allowed: string;
}

export type ParsedEvent =
  | { readonly kind: "event"; readonly event: FeedbackEvent }
  | { readonly kind: "problem"; readonly problem: EventProblem };

/** Checks one event from outside. A missing time is `nowMs`; missing features are none. Unknown fields are refused, so that a typing error is seen. */
export function parseEvent(value: unknown, options: { readonly nowMs: number; readonly path: string }): ParsedEvent {
  const { nowMs, path } = options;
  if (!isRecord(value)) return problem(path, value, "an object with type, request, item");
  const type = value["type"];
  if (type !== "impression" && type !== "feedback") return problem(`${path}.type`, type, '"impression" or "feedback"');
  const allowed = type === "impression" ? IMPRESSION_FIELDS : FEEDBACK_FIELDS;
  for (const field of Object.keys(value)) {
    if (!allowed.includes(field)) return problem(`${path}.${clip(field)}`, field, `one of ${allowed.join(", ")}`);
  }

  const request = value["request"];
  if (!isId(request)) return problem(`${path}.request`, request, ID_RULE);
  const item = value["item"];
  if (!isItemId(item)) return problem(`${path}.item`, item, ITEM_RULE);
  const given = value["time"] ?? nowMs;
  if (!isTime(given, nowMs)) {
    return problem(`${path}.time`, given, "milliseconds since the epoch, not more than a minute in the future");
  }
  // JSON has no negative zero: adding 0 makes it the plain one, here and below.
  const time = given + 0;

  if (type === "feedback") {
    const kind = value["kind"] ?? "click";
    if (!isId(kind)) return problem(`${path}.kind`, kind, ID_RULE);
    return { kind: "event", event: { type, kind, request, item, time } };
  }

  const user = value["user"];
  if (!isId(user)) return problem(`${path}.user`, user, ID_RULE);
  const position = value["position"] ?? 0;
  if (
    typeof position !== "number" ||
    !Number.isInteger(position) ||
    position < 0 ||
    position > EVENT_LIMITS.positionMax
  ) {
    return problem(`${path}.position`, position, `an integer from 0 to ${EVENT_LIMITS.positionMax}`);
  }
  const features = value["features"] ?? {};
  if (!isRecord(features) || Object.keys(features).length > EVENT_LIMITS.featuresMax) {
    return problem(`${path}.features`, features, `an object of at most ${EVENT_LIMITS.featuresMax} texts`);
  }
  const dense = value["dense"] ?? {};
  if (!isRecord(dense) || Object.keys(dense).length > EVENT_LIMITS.featuresMax) {
    return problem(`${path}.dense`, dense, `an object of at most ${EVENT_LIMITS.featuresMax} numbers`);
  }
  const texts = new Map<string, string>();
  for (const [name, feature] of Object.entries(features)) {
    const text = featureText(feature);
    if (!isFeatureName(name) || text === undefined) {
      return problem(`${path}.features.${clip(name)}`, feature, `${FEATURE_RULE}, under a name of 1 to 64 characters`);
    }
    texts.set(name, text);
  }
  const numbers = new Map<string, number>();
  for (const [name, number] of Object.entries(dense)) {
    if (!isFeatureName(name) || typeof number !== "number" || !Number.isFinite(Math.fround(number))) {
      return problem(
        `${path}.dense.${clip(name)}`,
        number,
        "a finite 32-bit number, under a name of 1 to 64 characters",
      );
    }
    numbers.set(name, number + 0);
  }
  return {
    kind: "event",
    event: {
      type,
      request,
      user,
      item,
      position: position + 0,
      time,
      features: Object.fromEntries(texts),
      dense: Object.fromEntries(numbers),
    },
  };
}

/**
 * A feature's value as it is held: a text, or a list of texts, newest last, a line for each. Undefined where it is neither, or too long. What is held
 * is taken as a value again, for what it was.
 */
export function featureText(value: unknown): string | undefined {
  if (typeof value === "string") return isListed(value.split("\n"), value) ? value : undefined;
  if (!Array.isArray(value)) return undefined;
  const entries = value.filter(isId);
  const text = entries.join("\n");
  return entries.length === value.length && isListed(entries, text) ? text : undefined;
}

function isListed(entries: readonly string[], text: string): boolean {
  const { valueCharsMax, listEntriesMax, listCharsMax } = EVENT_LIMITS;
  if (text.length <= valueCharsMax) return true;
  return (
    text.length <= listCharsMax &&
    entries.length <= listEntriesMax &&
    entries.every((entry) => entry.length <= valueCharsMax)
  );
}

/** What `featureText` takes, in words. */
export const FEATURE_RULE = `a text of at most ${EVENT_LIMITS.valueCharsMax} characters, or a list of at most ${EVENT_LIMITS.listEntriesMax} ids, ${EVENT_LIMITS.listCharsMax} characters in all`;

/** Whether a text may name a user, a request or a kind of feedback: 1 to 128 characters, none of them a control character. */
export function isId(value: unknown): value is string {
  return (
    typeof value === "string" && value.length > 0 && value.length <= EVENT_LIMITS.idCharsMax && !CONTROL.test(value)
  );
}

/** Whether a text may name an item: an id of at most 46 bytes of UTF-8. */
export function isItemId(value: unknown): value is string {
  return isId(value) && value.isWellFormed() && utf8Bytes(value) <= EVENT_LIMITS.itemIdBytesMax;
}

const IMPRESSION_FIELDS = ["type", "request", "user", "item", "position", "time", "features", "dense"];
const FEEDBACK_FIELDS = ["type", "kind", "request", "item", "time"];
const ID_RULE = `a text of 1 to ${EVENT_LIMITS.idCharsMax} characters without control characters`;
const ITEM_RULE = `a text of 1 to ${EVENT_LIMITS.itemIdBytesMax} bytes without control characters`;
// oxlint-disable-next-line no-control-regex -- control characters are just what is refused here
const CONTROL = /[\u0000-\u001f\u007f]/;

function isFeatureName(name: string): boolean {
  // "__proto__" would be lost on the way through an object.
  return isId(name) && name.length <= EVENT_LIMITS.featureCharsMax && name !== "__proto__";
}

function isTime(value: unknown, nowMs: number): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 && value <= nowMs + EVENT_LIMITS.futureMsMax;
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function problem(path: string, given: unknown, allowed: string): ParsedEvent {
  return { kind: "problem", problem: { path, given: describe(given), allowed } };
}

/** In short, and never by walking into it: it may be nested without end. */
function describe(given: unknown): string {
  if (given === undefined) return "nothing";
  if (typeof given === "string") return clip(JSON.stringify(given.slice(0, 100)));
  if (Array.isArray(given)) return `a list of ${given.length}`;
  if (given === null || typeof given === "number" || typeof given === "boolean") return String(given);
  return typeof given === "object" ? `an object of ${Object.keys(given).length} fields` : typeof given;
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
