import { type Build, loadSubject, type SharedMemory } from "./load.ts";

/** What assembly/kernels.ts exports. Addresses are in bytes. */
export interface Kernels {
  /** Runs a list of steps over a batch, a part at a time. */
  readonly runSteps: (...values: [steps: number, count: number, size: number, part: number]) => void;
  /** The same, then divides the parameters' gradients by the sum of the weights. */
  readonly runBackward: (
    ...values: [
      steps: number,
      count: number,
      size: number,
      part: number,
      sums: number,
      gradients: number,
      floats: number,
    ]
  ) => void;
  /** Puts rows where samples are read; what the choice of rows is, assembly/kernels/pool.ts says. */
  readonly spreadRows: (
    ...values: [
      size: number,
      dim: number,
      rows: number,
      rowOf: number,
      starts: number,
      pooling: number,
      to: number,
      toRow: number,
    ]
  ) => void;
  /** Sums samples' gradients into those by rows; gives about the sum of their squares. */
  readonly sumRows: (
    ...values: [
      size: number,
      dim: number,
      count: number,
      rows: number,
      rowOf: number,
      starts: number,
      pooling: number,
      from: number,
      fromRow: number,
      sums: number,
      share: number,
    ]
  ) => number;
  /** Makes 7-bit codes of a row; `about` is a 32-bit scale and, 8 and 16 bytes on, in 64 bits the row's length and the length of what is lost. */
  readonly encodeRow: (...values: [row: number, dim: number, codes: number, about: number]) => void;
  /** Looks through rows of codes for those that may have one of the `k` largest inner products. */
  readonly scanCodes: (
    ...values: [
      rows: number,
      width: number,
      codes: number,
      scales: number,
      query: number,
      queryScale: number,
      error: number,
      first: number,
      k: number,
      noted: number,
    ]
  ) => void;
  /** Scores the best `k` of the rows that were noted, ties included, and gives how many they are. */
  readonly scoreNoted: (
    ...values: [k: number, noted: number, query: number, dim: number, values: number, scores: number]
  ) => number;
}

export function loadKernels(memory: SharedMemory, build?: Build): Kernels {
  return loadSubject<Kernels>("kernels", {
    memory,
    arities: { runSteps: 4, runBackward: 7, spreadRows: 8, sumRows: 11, encodeRow: 4, scanCodes: 10, scoreNoted: 6 },
    ...(build === undefined ? {} : { build }),
  });
}
