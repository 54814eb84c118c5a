import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { type Address, type AskFailure } from "../actor.ts";
import { isToken, parseSubject } from "../../protocols/subjects.ts";
import { bodyBytes } from "./compression.ts";
import { type Envelope, type WireError } from "./transport.ts";

/** Names the message whose frame a binary payload is; without it a payload is JSON, or nothing at all when it is empty. */
const TYPE_HEADER = "Freshet-Type";
/** `kind.id` of the sender; its region is the subject's last token. */
export const FROM_HEADER = "Freshet-From";
/** An answer's code when it is a failure. */
const ERROR_HEADER = "Freshet-Error";
/** A copy for whoever inspects; its value is what was copied: `sent`, `reply` or `error`. */
export const MIRROR_HEADER = "Freshet-Mirror";

/** A body that JSON would change on the way. Nothing has been sent. */
export class NotPlainData extends Error {
  override readonly name = "NotPlainData";

  constructor(what: string) {
    super(`Cannot send ${what} to another process: send plain data, or all of it as one Uint8Array`);
  }
}

/** A payload and its headers. Bytes are sent as they are, anything else as JSON. */
export interface NatsPayload {
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const EMPTY = new Uint8Array(0);

/** Throws `NotPlainData`. */
export function encodeBody(body: unknown, message: string): NatsPayload {
  const made = headers();
  if (body === undefined) return { payload: EMPTY, headers: made };
  if (body instanceof Uint8Array) {
    made.set(TYPE_HEADER, message);
    return { payload: body, headers: made };
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(body, checkValue);
  } catch (error) {
    if (error instanceof NotPlainData) throw error;
    throw new NotPlainData(error instanceof Error ? error.message : "a value without a JSON form");
  }
  if (text === undefined) throw new NotPlainData("a function or symbol");
  return { payload: encoder.encode(text), headers: made };
}

/** The payload of a mirror. */
export function encodeMirror({ of, text }: Envelope & { kind: "mirror" }): NatsPayload {
  const made = headers();
  made.set(MIRROR_HEADER, of);
  return { payload: encoder.encode(text), headers: made };
}

/** What JSON.stringify would silently turn into something else. */
function checkValue(this: unknown, key: string, rendered: unknown): unknown {
  // A Date has been turned into text already; what it was is still in its place.
  const value: unknown = typeof this === "object" && this !== null ? Reflect.get(this, key) : rendered;
  if (typeof value === "number" && !Number.isFinite(value)) throw new NotPlainData(String(value));
  if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint") {
    throw new NotPlainData(`a ${typeof value}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new NotPlainData(`a ${Object.prototype.toString.call(value).slice(8, -1)}`);
  }
  return value;
}

/** Whether a payload is a body of bytes. */
export function isBytes(of: MsgHdrs): boolean {
  return of.has(TYPE_HEADER);
}

/** The body, or undefined for bytes that are no JSON or not packed as they say. Bytes are copied: a payload is a view of what the socket read. */
export function decodeBody({
  data,
  headers: received,
}: Pick<Msg, "data" | "headers">): { readonly body: unknown } | undefined {
  if (received !== undefined && isBytes(received)) {
    const body = bodyBytes(data, received);
    return body && { body };
  }
  if (data.length === 0) return { body: undefined };
  try {
    const body: unknown = JSON.parse(decoder.decode(data));
    return { body };
  } catch {
    return undefined; // not UTF-8, not JSON, or nested deeper than the parser goes
  }
}

export function encodeError({ code, why, data }: WireError): NatsPayload {
  const coded = { why: why.slice(0, 2000) };
  let encoded: NatsPayload;
  try {
    encoded = encodeBody(data === undefined ? coded : { ...coded, data }, "error");
  } catch (error) {
    if (!(error instanceof NotPlainData)) throw error;
    encoded = encodeBody(coded, "error");
  }
  encoded.headers.set(ERROR_HEADER, code);
  return encoded;
}

const CODES: ReadonlySet<string> = new Set<AskFailure>([
  "deadline",
  "mailbox-full",
  "no-actor",
  "ended",
  "refused",
  "unknown-message",
  "failed",
]);

function isCode(text: string): text is AskFailure {
  return CODES.has(text);
}

/** What an answer says: a body, or why there is none. */
export function decodeAnswer(
  msg: Pick<Msg, "data" | "headers">,
): { readonly body: unknown } | { readonly error: WireError } {
  // The server's own answer when nobody is subscribed.
  if (msg.data.length === 0 && msg.headers?.code === 503) {
    return { error: { code: "no-actor", why: "nobody is subscribed at that address" } };
  }
  const decoded = decodeBody(msg);
  const code = msg.headers?.get(ERROR_HEADER) ?? "";
  if (code === "") return decoded ?? { error: { code: "failed", why: "its answer cannot be decoded" } };
  const fields = typeof decoded?.body === "object" && decoded.body !== null ? decoded.body : {};
  const why = "why" in fields && typeof fields.why === "string" ? fields.why.slice(0, 2000) : "it did not say why";
  return { error: { code: isCode(code) ? code : "failed", why, ...("data" in fields ? { data: fields.data } : {}) } };
}

/** From whom, to whom and what, as the subject and headers say; undefined when they are not of the grammar. */
export function decodeAddressing(
  msg: Pick<Msg, "subject" | "headers">,
): { readonly to: Address; readonly from: Address; readonly message: string } | undefined {
  const parts = parseSubject(msg.subject);
  if (parts === undefined) return undefined;
  const [kind = "", id = "", ...more] = (msg.headers?.get(FROM_HEADER) ?? "").split(".");
  const named = more.length === 0 && isToken(kind) && isToken(id);
  return {
    to: { region: parts.toRegion, kind: parts.kind, id: parts.id },
    // A person with the command line has no address, and is answered by the request's own inbox.
    from: named ? { region: parts.fromRegion, kind, id } : { region: parts.fromRegion, kind: "client", id: "unnamed" },
    message: parts.message,
  };
}
