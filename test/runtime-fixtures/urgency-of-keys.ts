import { type UrgencyInput } from "../../actors/urgency-scores.ts";

const LATE = 666n;
const THROWS = 667n;
const NONSENSE = 668n;

/** What an operator may bring: urgent are large keys, and some others are trouble. */
export function urgency({ keys, norms }: UrgencyInput): unknown {
  if (keys.includes(THROWS)) throw new RangeError("no such key");
  if (keys.includes(NONSENSE)) return ["much"];
  // Until its worker is replaced.
  while (keys.includes(LATE));
  return norms.map((_, row) => ((keys[row] ?? 0n) >= 1_000_000n ? 100 : 1));
}
