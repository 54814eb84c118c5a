import { type CrashVerdict, type Deviation } from "../crash-verdict.ts";
import { type Equality } from "./equality.ts";
import { type Agreement } from "./lead.ts";
import { type Harm, type Round } from "./fault-plan.ts";

/** What a run found. Times are milliseconds. */
export interface RealReport {
  readonly seed: number;
  readonly seconds: number;
  readonly rounds: number;
  /** By kind, how many faults there were. */
  readonly faults: Readonly<Partial<Record<Harm["kind"], number>>>;
  /** Promotions that came to their end. */
  readonly promotions: { readonly promote: number; readonly force: number };
  /** The longest that it took, after a round and once all nodes were ready, until all knew the one region that trains. */
  readonly agreedMsMax: number;
  /** How often all nodes became byte-equal after a heal, and how long that took from the pause of the stream. */
  readonly heals: number;
  readonly equalMs?: { readonly median: number; readonly max: number };
  readonly rows: number;
  readonly violations: readonly string[];
  /** Events that were acknowledged, and posts that were sent again. */
  readonly events: number;
  readonly resent: number;
  /** Rows that nodes answered with, versions that were compared, terms of leases that were seen. */
  readonly looks: number;
  readonly compared: number;
  readonly terms: number;
  /** Impressions, clicks and samples whose effects were counted at the end. Absent when the run ended before. */
  readonly effects?: {
    readonly impressions: number;
    readonly clicks: number;
    readonly clicksApplied: number;
    readonly samples: number;
    readonly samplesMissed: number;
  };
  readonly interrupted: boolean;
  /** Where states and logs lie, after a violation. */
  readonly folder?: string;
}

/** Of what went wrong with effects, so many of each sort are told. */
const TOLD_MAX = 5;

/** Counts what happens, and says it. */
export class Tally {
  readonly violations: string[] = [];
  /** Fires at the first violation. */
  readonly failed: AbortSignal;
  rounds = 0;
  onLine: ((line: string) => void) | undefined;
  readonly #say: (line: string) => void;
  readonly #failing = new AbortController();
  readonly #begun = performance.now();
  readonly #faults: Partial<Record<Harm["kind"], number>> = {};
  readonly #equalMs: number[] = [];
  #rows = 0;
  #agreedMsMax = 0;
  #effects: RealReport["effects"];

  constructor(say: (line: string) => void) {
    this.#say = say;
    this.failed = this.#failing.signal;
  }

  say(what: string): void {
    const line = `${((performance.now() - this.#begun) / 1000).toFixed(1).padStart(7)} s  ${what}`;
    this.#say(line);
    this.onLine?.(line);
  }

  wrong(what: string): void {
    this.violations.push(what);
    this.#failing.abort();
    this.say(`WRONG   ${what}`);
  }

  begin(round: Round): void {
    this.rounds += 1;
    for (const { harm } of round) this.#faults[harm.kind] = (this.#faults[harm.kind] ?? 0) + 1;
  }

  compared(equality: Equality, withinMs: number): void {
    if (equality.kind === "unequal") {
      this.wrong(`the nodes do not become equal: ${equality.why}`);
      return;
    }
    const { afterMs, rows } = equality;
    this.#equalMs.push(afterMs);
    this.#rows = rows;
    this.say(`round ${this.rounds}: all equal after ${(afterMs / 1000).toFixed(2)} s, ${rows} rows`);
    if (afterMs > withinMs) this.wrong(`the nodes were equal only after ${(afterMs / 1000).toFixed(1)} s`);
  }

  agreed(agreement: Agreement): void {
    if ("why" in agreement) this.wrong(`the nodes do not agree on who trains: ${agreement.why}`);
    else this.#agreedMsMax = Math.max(this.#agreedMsMax, agreement.afterMs);
  }

  effects(found: CrashVerdict, samplesMissed: number): void {
    const { impressions, clicks, clicksApplied, samples } = found;
    this.#effects = { impressions, clicks, clicksApplied: Math.round(clicksApplied), samples, samplesMissed };
  }

  figures(): Pick<
    RealReport,
    "seconds" | "rounds" | "faults" | "agreedMsMax" | "heals" | "equalMs" | "rows" | "violations" | "effects"
  > {
    const sorted = this.#equalMs.toSorted((one, other) => one - other);
    const [median, max] = [sorted[sorted.length >> 1], sorted.at(-1)];
    return {
      seconds: Math.round((performance.now() - this.#begun) / 1000),
      rounds: this.rounds,
      faults: this.#faults,
      agreedMsMax: Math.round(this.#agreedMsMax),
      heals: sorted.length,
      ...(median === undefined || max === undefined
        ? {}
        : { equalMs: { median: Math.round(median), max: Math.round(max) } }),
      rows: this.#rows,
      violations: this.violations,
      ...(this.#effects === undefined ? {} : { effects: this.#effects }),
    };
  }
}

/**
 * What did not take effect once. Where messages of samples were purged before they were read, nothing is known of samples and steps; the clicks
 * that rows count are known all the same.
 */
export function deviationsIn(found: CrashVerdict, missed: number): string[] {
  const { lostClicks, doubledClicks, lostSamples, doubledSamples, lostSteps, doubledSteps } = found;
  const known: Readonly<Record<string, readonly Deviation[]>> = {
    "clicks lost": lostClicks,
    "clicks doubled": doubledClicks,
    ...(missed > 0
      ? {}
      : {
          "samples lost": lostSamples,
          "samples doubled": doubledSamples,
          "steps lost": lostSteps,
          "steps doubled": doubledSteps,
        }),
  };
  return Object.entries(known).flatMap(([sort, deviations]) =>
    deviations
      .slice(0, TOLD_MAX)
      .map(
        ({ what, expected, found: was }) =>
          `${sort} (${deviations.length}): ${what}: expected ${expected}, found ${was}`,
      ),
  );
}
