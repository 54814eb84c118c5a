import { DecodeError } from "./wire/decode-error.ts";

/** What bytes say as JSON; throws `DecodeError` where they are none, or no UTF-8. */
export function readJson(what: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) throw new DecodeError(what, "it is no JSON");
    throw error;
  }
}
