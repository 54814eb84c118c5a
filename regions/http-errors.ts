import { type Context } from "hono";
import { type EventProblem } from "../protocols/feedback.ts";

/** Why a request is refused: stable, and the `reason` label of `freshet_http_refused_total`. */
export type RefusalCode =
  | "bad-json"
  | "bad-events"
  | "bad-query"
  | "unknown-model"
  | "unauthorised"
  | "cross-site"
  | "wrong-host"
  | "unknown-route"
  | "wrong-method"
  | "too-large"
  | "url-too-long"
  | "wrong-type"
  | "too-many-requests"
  | "busy"
  | "stopping"
  | "bad-member"
  | "not-changed"
  | "bad-region"
  | "not-promoted"
  | "not-stored"
  | "no-answer"
  | "failed";

/** Thrown where a request cannot be served; becomes the answer `{error: {code, message, problems?}}`. */
export class HttpRefusal extends Error {
  override readonly name = "HttpRefusal";
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 414 | 415 | 421 | 429 | 500 | 503;
  readonly code: RefusalCode;
  readonly problems: readonly EventProblem[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: HttpRefusal["status"],
    code: RefusalCode,
    message: string,
    more: {
      readonly problems?: readonly EventProblem[];
      readonly headers?: Readonly<Record<string, string>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: more.cause });
    this.status = status;
    this.code = code;
    this.problems = more.problems;
    this.headers = more.headers ?? {};
  }
}

/** The answer that a refusal is. */
export function refusalResponse(context: Context, refusal: HttpRefusal): Response {
  const { status, code, message, problems, headers } = refusal;
  return context.json({ error: { code, message, ...(problems === undefined ? {} : { problems }) } }, status, {
    ...headers,
  });
}
