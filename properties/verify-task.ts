/** What a thread is asked: seeds `start` to `start + seeds - 1`. */
export interface VerifyTask {
  readonly start: number;
  readonly seeds: number;
  readonly mutant?: string;
  /** Look at these properties alone. */
  readonly only?: readonly string[];
  /** Explore every schedule up to so many states, instead of worlds. */
  readonly exploreStates?: number;
  /** Give the decoders so many hostile inputs a seed, instead of worlds. */
  readonly fuzzInputs?: number;
  /** And count what they cost, of the first so many seeds. */
  readonly costSeeds?: number;
  /** Run each seed twice and compare; report failures by throwing them together. */
  readonly twice: boolean;
  readonly stopAtFailure: boolean;
  /** The first seed is known to fail: it runs before what has no seed. */
  readonly seedFirst?: boolean;
  /** Threads given the same memory share these seeds, `seeds` at a time, and count here what was taken. Else one thread does all. */
  readonly shared?: { readonly taken: SharedArrayBuffer; readonly seeds: number };
}

export interface VerifyFailure {
  readonly seed: number;
  readonly property: string;
  readonly message: string;
  /** What happened last in that world; empty for a directed situation. */
  readonly last: string;
}

/** What it answers for each part of its seeds, as messages `{ report }`. The first has no seeds: what is looked at once. */
export interface VerifyReport {
  readonly start: number;
  readonly seeds: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly failures: readonly VerifyFailure[];
  readonly counts: Readonly<Record<string, number>>;
}
