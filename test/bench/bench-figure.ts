import { type ScreenOutput } from "../../regions/demo/screen.ts";

/** One figure that a bench measured. What there is none of is absent. */
export interface BenchFigure {
  readonly bench: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  /** What it is set beside, with its value in the same unit. */
  readonly compared?: string;
  /** This value through the other one. */
  readonly ratio?: number;
  /** What the README promises, such as "<= 2000". */
  readonly target?: string;
  readonly met?: boolean;
}

/** What a bench may be told. */
export interface BenchOptions {
  /** A folder of real clicks; benches that need none ignore it. */
  readonly data: string | undefined;
  /** A folder in which peers are installed; benches that measure none ignore it. */
  readonly peers: string | undefined;
  /** How long the measured part may take; each bench has its own default. */
  readonly forMs: number | undefined;
  /** How many processes to kill, where that is what a bench does. */
  readonly kills: number | undefined;
  /** How many reads look for torn rows, where a bench does. */
  readonly reads: number | undefined;
  readonly seed: number;
  /** Less of everything, where a bench has a way to do less. */
  readonly quick: boolean;
  /** Where a bench that draws a chart leaves it, as SVG. */
  readonly chart: string | undefined;
  /** Where a bench that can be profiled leaves CPU profiles. */
  readonly profile: string | undefined;
  /** Where progress goes; standard output is for figures. */
  readonly progress: ScreenOutput;
  readonly signal: AbortSignal;
}

/** A bench: measures and gives its figures as they come. */
export type Bench = (options: BenchOptions) => AsyncIterable<BenchFigure>;
