/*
 * What messages in JSON are read with. Nothing is taken for what it is called: each field is looked at before it is used.
 */
import { DecodeError } from "./decode-error.ts";

/** The fields of an object; throws `DecodeError`. Lists are no objects here. */
export function record(what: string, value: unknown): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new DecodeError(what, "it is not an object");
  return value;
}

/** Whether a value is a whole number that doubles count exactly, and at least `min`. No count is -0: JSON can say it, but never writes it. */
export function isCount(value: unknown, min = 0): value is number {
  return Number.isSafeInteger(value) && Number(value) >= min && !Object.is(value, -0);
}

/** Whether a value can be the digest of a declaration: sixteen hex digits. */
export function isDeclaration(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{16}$/.test(value);
}

/** Whether a value is an object with fields. Lists are none. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
