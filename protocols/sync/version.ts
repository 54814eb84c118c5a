/*
 * A version names one content of one row, for ever: when it was stamped and by whom. Writer ids are new at each start of a
 * process and belong to one epoch, which comes first in the order (horizon.ts).
 */
import { T_MAX } from "../limits.ts";
import { TOKEN_PATTERN } from "../subjects.ts";

declare const writerBrand: unique symbol;

/** `<epoch>.<region>.<node>.<nonce>`: who stamps, unique per start of a process. */
export type WriterId = string & { readonly [writerBrand]: true };

/** t is whole microseconds since the epoch (1970), 1 to `T_MAX`. */
export interface Version {
  readonly t: number;
  readonly writer: WriterId;
}

/** The longest writer id. */
export const WRITER_CHARS_MAX = 96;

const WRITER_ID = new RegExp(`^(?:0|[1-9][0-9]{0,9})(?:\\.${TOKEN_PATTERN}){3}$`);

/** Whether a value is a well-formed writer id. */
export function isWriterId(value: unknown): value is WriterId {
  return typeof value === "string" && value.length <= WRITER_CHARS_MAX && WRITER_ID.test(value);
}

/** A text that is no writer id. */
class InvalidWriterId extends Error {
  override readonly name = "InvalidWriterId";

  constructor(text: string) {
    super(
      `Cannot use ${JSON.stringify(text.slice(0, 80))} as a writer id: it must be <epoch>.<region>.<node>.<nonce>, a whole number and three tokens`,
    );
  }
}

/** Builds a writer id; throws `InvalidWriterId`. The nonce must never have been used by this node before. */
export function buildWriterId(parts: { epoch: number; region: string; node: string; nonce: string }): WriterId {
  return parseWriterId(`${parts.epoch}.${parts.region}.${parts.node}.${parts.nonce}`);
}

/** The text as a writer id; throws `InvalidWriterId`. */
export function parseWriterId(text: string): WriterId {
  if (!isWriterId(text)) throw new InvalidWriterId(text);
  return text;
}

/** The epoch a writer belongs to. */
export function epochOf(writer: WriterId): number {
  // Of nearly all, and every pull and frame comes through here.
  if (writer.startsWith("0.")) return 0;
  return Number(writer.slice(0, writer.indexOf(".")));
}

/** Whether a number can be a version's t. NaN, fractions and what lies beyond exact counting are not. */
export function isTime(t: unknown): t is number {
  return typeof t === "number" && Number.isInteger(t) && t >= 1 && t <= T_MAX;
}

/** A strict total order: epoch of the writer, then t, then the writer's text. Above 0 when `a` is the newer. */
export function compareVersions(a: Version, b: Version): number {
  if (a.writer === b.writer) return a.t - b.t;
  const epochs = epochOf(a.writer) - epochOf(b.writer);
  if (epochs !== 0) return epochs;
  if (a.t !== b.t) return a.t - b.t;
  return a.writer < b.writer ? -1 : 1;
}
