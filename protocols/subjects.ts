/*
 * The NATS subject grammar, six tokens always:
 *   freshet.<to region>.<actor kind>.<actor id>.<message>.<from region>
 * The last token is the sender's region. A server lets each region's user publish with its own name there and no other,
 * so it can be trusted as far as the server can.
 */

/** The longest region, kind, id or message name. */
const TOKEN_CHARS_MAX = 64;

/** A token as a part of a regular expression. */
export const TOKEN_PATTERN = "[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?";

const TOKEN = new RegExp(`^${TOKEN_PATTERN}$`);

/** Whether a text may stand as one token: lower-case letters, digits, `-` and `_` inside, 1 to 64 characters. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** A text is not a token of the grammar. */
class InvalidToken extends Error {
  override readonly name = "InvalidToken";

  constructor(what: string, text: string) {
    super(
      `Cannot use ${JSON.stringify(text.slice(0, 80))} as ${what}: it must be 1 to ${TOKEN_CHARS_MAX} lower-case letters, digits, '-' or '_', ` +
        "and begin and end with a letter or digit",
    );
  }
}

/** A parsed subject. */
export interface SubjectParts {
  readonly toRegion: string;
  readonly kind: string;
  readonly id: string;
  readonly message: string;
  readonly fromRegion: string;
}

/** Builds a subject; throws `InvalidToken` on a part that is no token, so a name can never widen a subject. */
export function buildSubject(parts: SubjectParts): string {
  checkTokens(parts);
  return `freshet.${parts.toRegion}.${parts.kind}.${parts.id}.${parts.message}.${parts.fromRegion}`;
}

/** The parts of a subject, or undefined when it is not of the grammar. */
export function parseSubject(subject: string): SubjectParts | undefined {
  const tokens = subject.split(".");
  const [prefix, toRegion = "", kind = "", id = "", message = "", fromRegion = ""] = tokens;
  if (tokens.length !== 6 || prefix !== "freshet") return undefined;
  if (![toRegion, kind, id, message, fromRegion].every(isToken)) return undefined;
  return { toRegion, kind, id, message, fromRegion };
}

/** The subscription that receives every message to one actor, from any region. */
export function actorSubscription(to: { readonly region: string; readonly kind: string; readonly id: string }): string {
  const { region, kind, id } = to;
  checkTokens({ region, kind, id });
  return `freshet.${region}.${kind}.${id}.*.*`;
}

function checkTokens(parts: object): void {
  for (const [what, text] of Object.entries(parts)) {
    if (typeof text !== "string" || !isToken(text)) throw new InvalidToken(what, String(text));
  }
}
