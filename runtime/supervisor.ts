/** One failure of an actor or a worker, as data. */
export interface Failure {
  readonly atMs: number;
  /** The error's class: `ShardFull`, `TypeError`, ... */
  readonly name: string;
  readonly message: string;
}

/** How often something may be restarted, and how long to wait before each time. */
export interface RestartPolicy {
  /** So many restarts are tried within `withinMs`; the next failure spends the budget. 0: none. */
  readonly restartsMax: number;
  readonly withinMs: number;
  /** The first wait. Each further one within `withinMs` is twice as long, up to `delayMaxMs`. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** Failures of these classes will not go away by trying again: stopped at once. */
  readonly stopOn?: readonly string[];
  /** What happens once the budget is spent. Default: escalate. */
  readonly whenSpent?: "escalate" | "stop";
}

/** What becomes of something that failed. Data, so that it crosses threads and prints in a failing test. */
export type Directive =
  | { readonly kind: "restart"; readonly delayMs: number }
  | { readonly kind: "stop" }
  | { readonly kind: "escalate" };

/** For whoever names no policy: five restarts a minute, 50 ms to 5 s apart. */
export const defaultRestart: RestartPolicy = { restartsMax: 5, withinMs: 60_000, delayMinMs: 50, delayMaxMs: 5_000 };

/** Decides from the failures so far, oldest first, of which the last has just happened. */
export function decide(failures: readonly [Failure, ...Failure[]], policy: RestartPolicy): Directive {
  const latest = failures.at(-1) ?? failures[0];
  if (policy.stopOn?.includes(latest.name) === true) return { kind: "stop" };
  const recent = recentFailures(failures, policy);
  if (recent.length > policy.restartsMax) return { kind: policy.whenSpent ?? "escalate" };
  return { kind: "restart", delayMs: Math.min(policy.delayMaxMs, policy.delayMinMs * 2 ** (recent.length - 1)) };
}

/** Those that count against the budget; the others may be forgotten. At most `restartsMax + 1` are ever needed. */
export function recentFailures(
  failures: readonly [Failure, ...Failure[]],
  policy: RestartPolicy,
): readonly [Failure, ...Failure[]] {
  const latest = failures.at(-1) ?? failures[0];
  // A clock that was set back must not make old failures count for ever, so what lies in the future does not count either.
  const earlier = failures
    .slice(0, -1)
    .filter(({ atMs }) => atMs > latest.atMs - policy.withinMs && atMs <= latest.atMs);
  const [first, ...rest] = [...earlier, latest].slice(-(policy.restartsMax + 1));
  return first === undefined ? [latest] : [first, ...rest];
}

/** A failure from whatever was thrown. The message is cut to a bounded length. */
export function failureOf(thrown: unknown, atMs: number): Failure {
  if (thrown instanceof Error) return { atMs, name: thrown.name, message: thrown.message.slice(0, 1000) };
  return { atMs, name: "NotAnError", message: String(thrown).slice(0, 1000) };
}
