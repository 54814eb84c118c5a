// Horizons, and writers of three epochs, for the tests of both.
import { type Horizon, NO_HORIZON } from "../protocols/sync/horizon.ts";
import { parseWriterId } from "../protocols/sync/version.ts";

export const A = parseWriterId("0.a.n.x");
export const B = parseWriterId("0.b.n.x");
export const NEXT = parseWriterId("1.b.n.x");
export const LAST = parseWriterId("2.b.n.x");

export function horizonOf(change: Partial<Horizon>): Horizon {
  return { ...NO_HORIZON, ...change };
}
