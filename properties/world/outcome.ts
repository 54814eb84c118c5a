import { type Random } from "../../protocols/random.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { Violation } from "./judge.ts";

export interface WorldOptions {
  readonly trace?: (line: string) => void;
  /** Look at these properties alone. */
  readonly only?: readonly string[];
  /** Damages a replica behind the core's back, once: asked before each event of its node until it says that it did. */
  readonly tamper?: (replica: Replica, random: Random) => boolean;
}

export interface WorldOutcome {
  readonly seed: number;
  readonly failure:
    | { readonly property: string; readonly message: string; /** What happened last. */ readonly last: string }
    | undefined;
  readonly events: number;
  readonly simulatedMs: number;
  /** Of everything that happened, in order. */
  readonly hash: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** What a run that threw has found. */
export function failureOf(error: unknown, last: string): WorldOutcome["failure"] {
  if (!(error instanceof Error)) throw error;
  if (error instanceof Violation) return { property: error.property, message: error.message, last };
  return { property: error.name, message: error.stack ?? error.message, last };
}
