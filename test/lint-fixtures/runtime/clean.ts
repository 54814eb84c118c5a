import { setTimeout } from "node:timers/promises";

export { DecodeError } from "../protocols/wire/decode-error.ts";
export { rowsMax } from "../protocols/limits.ts";
export { seeded } from "../protocols/random.ts";

/** The runtime is where time and chance come from. */
export async function pause(): Promise<number> {
  await setTimeout(Math.random());
  return Date.now();
}
export { subjectOf } from "../protocols/subjects.ts";
