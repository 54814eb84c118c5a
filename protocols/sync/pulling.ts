import { type Pending } from "./poll-neighbours.ts";
import { type PollEffect, type Poller } from "./poll.ts";

/** A pull that runs. */
export interface Pulling {
  readonly pending: Pending;
  readonly pullId: string;
  /** Tells its timers from those of other pulls. */
  readonly number: number;
  /** Something came since its timer last ran out. */
  isAlive: boolean;
  /** Periods of its timer that it has lasted. */
  periods: number;
  /** Why it was told to end. */
  ending: "postponed" | "abandoned" | undefined;
  /** It waits at its peer for a change: since nothing is listed, or since something was. */
  standing: "quiet" | "expected" | undefined;
}

/** Comes back to see whether a pull is alive. */
export function pullTimer({ limits }: Poller, { pending, number }: Pulling): PollEffect {
  return { kind: "timer", name: `pull ${number} ${pending.shard}`, delayMs: limits.pullMs };
}

/** Something is listed of a shard whose pull runs. One that stands has its answer on its way, if it has one. */
export function expectAnswer({ limits }: Poller, pulling: Pulling): PollEffect[] {
  if (pulling.standing !== "quiet") return [];
  pulling.standing = "expected";
  return [{ kind: "timer", name: `hurry ${pulling.number} ${pulling.pending.shard}`, delayMs: limits.standPatienceMs }];
}
