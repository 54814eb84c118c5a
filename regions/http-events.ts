import { createHash } from "node:crypto";
import { EVENT_LIMITS, type EventProblem, type FeedbackEvent, isId, parseEvent } from "../protocols/feedback.ts";
import { messageOf } from "../protocols/wire/error-message.ts";
import { HttpRefusal } from "./http-errors.ts";
import { HTTP_LIMITS, type HttpOptions, type HttpPorts } from "./http-ports.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** What became of a list of events. */
export interface StoredEvents {
  readonly accepted: number;
  /** The message in the region's stream EVENTS that holds them. */
  readonly sequence: number;
  /** Whether the same body under the same Idempotency-Key had stored them before: they are counted then already. */
  readonly duplicate: boolean;
}

/** Takes the body of `POST /v1/events`: all of it is stored, or none. Resolves only once it is. */
export async function storeEvents(
  request: Request,
  options: { readonly http: HttpOptions; readonly ports: HttpPorts },
): Promise<StoredEvents> {
  const { http, ports } = options;
  checkType(request.headers);
  const key = request.headers.get("idempotency-key") ?? undefined;
  if (key !== undefined && !isId(key)) {
    throw new HttpRefusal(
      400,
      "bad-events",
      `Idempotency-Key must be 1 to ${EVENT_LIMITS.idCharsMax} characters, none a control character`,
    );
  }
  const given = await readBody(request, http.bodyBytesMax);
  const events = parseEvents(given, ports.nowMs());
  const body = encoder.encode(JSON.stringify(events));
  if (body.length > HTTP_LIMITS.storedBytesMax) {
    throw new HttpRefusal(
      413,
      "too-large",
      `These events take ${body.length} bytes as they are stored, and ${HTTP_LIMITS.storedBytesMax} go together; send them in parts`,
    );
  }
  try {
    const signal = AbortSignal.timeout(HTTP_LIMITS.appendWithinMs);
    const outcome = await ports.append(body, {
      signal,
      ...(key === undefined ? {} : { msgId: messageId(key, given) }),
    });
    if (outcome.kind === "appended") {
      return { accepted: events.length, sequence: outcome.seq, duplicate: outcome.duplicate };
    }
    throw new Error("another writer came first");
  } catch (error) {
    ports.log.warn("events not stored", {
      why: messageOf(error),
      events: events.length,
    });
    throw new HttpRefusal(
      503,
      "not-stored",
      "The events could not be stored now; send them again, with the same Idempotency-Key so that they count once",
      {
        headers: { "Retry-After": "1" },
        cause: error,
      },
    );
  }
}

/** The same for the same body under the same key, and else another: a key that is used again by mistake must not swallow events. */
function messageId(key: string, body: Uint8Array): string {
  return `http-${createHash("sha256").update(key).update("\n").update(body).digest("hex")}`;
}

/** Refuses a body that is no plain JSON. */
export function checkType(headers: Headers): void {
  const type = (headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json") throw new HttpRefusal(415, "wrong-type", "Send the body as application/json");
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") throw new HttpRefusal(415, "wrong-type", "Send the body without Content-Encoding");
}

/** Reads a body while counting: what a client says of its length is not relied on. */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = new HttpRefusal(413, "too-large", `A body may have ${bytesMax} bytes; send the events in parts`, {
    headers: { Connection: "close" },
  });
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > bytesMax) throw tooLarge;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (request.body !== null) {
    // The lib types of a fetch body lack its async iterator in one of two places; the element is bytes in both.
    const body: ReadableStream<Uint8Array> = request.body;
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > bytesMax) throw tooLarge;
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks, bytes);
}

/** One event, a list of them or `{events: []}`. Every one that is wrong is listed. */
function parseEvents(body: Uint8Array, nowMs: number): readonly FeedbackEvent[] {
  const list = listOf(parseJson(body));
  const max = EVENT_LIMITS.eventsPerRequestMax;
  if (list.values.length === 0) throw new HttpRefusal(400, "bad-events", "There is no event in this body");
  if (list.values.length > max) {
    throw new HttpRefusal(
      400,
      "bad-events",
      `At most ${max} events go in one request, and these are ${list.values.length}`,
    );
  }
  const events: FeedbackEvent[] = [];
  const problems: EventProblem[] = [];
  for (const [index, value] of list.values.entries()) {
    const parsed = parseOne(value, { nowMs, path: list.path(index) });
    if (parsed.kind === "event") events.push(parsed.event);
    else problems.push(parsed.problem);
  }
  if (problems.length === 0) return events;
  throw new HttpRefusal(
    400,
    "bad-events",
    `${problems.length} of ${list.values.length} events are not what they should be; none was stored`,
    {
      problems: problems.slice(0, HTTP_LIMITS.problemsMax),
    },
  );
}

function parseOne(
  value: unknown,
  options: { readonly nowMs: number; readonly path: string },
): ReturnType<typeof parseEvent> {
  try {
    return parseEvent(value, options);
  } catch (error) {
    // Showing what was given may overflow the stack when it is nested a hundred thousand deep.
    if (!(error instanceof RangeError)) throw error;
    return {
      kind: "problem",
      problem: { path: options.path, given: "something nested very deeply", allowed: "an event" },
    };
  }
}

/** The JSON of a body, or a refusal. */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(body));
  } catch (error) {
    throw new HttpRefusal(
      400,
      "bad-json",
      `The body is no JSON in UTF-8: ${error instanceof Error ? error.message.slice(0, 120) : "unreadable"}`,
    );
  }
}

function listOf(value: unknown): { readonly values: readonly unknown[]; path(index: number): string } {
  if (Array.isArray(value)) return { values: value, path: (index) => `[${index}]` };
  if (
    typeof value === "object" &&
    value !== null &&
    "events" in value &&
    Array.isArray(value.events) &&
    Object.keys(value).length === 1
  ) {
    return { values: value.events, path: (index) => `events[${index}]` };
  }
  return { values: [value], path: () => "event" };
}
