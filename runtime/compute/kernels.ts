import { type Build, loadSubject, type SharedMemory } from "./load.ts";

/** What assembly/kernels.ts exports. Addresses are in bytes. */
interface Kernels {
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
  /** out[r] = query . row r. */
  readonly innerProducts: (...values: [query: number, matrix: number, rows: number, dim: number, out: number]) => void;
}

export function loadKernels(memory: SharedMemory, build?: Build): Kernels {
  return loadSubject<Kernels>("kernels", {
    memory,
    arities: { runSteps: 4, runBackward: 7, innerProducts: 5 },
    ...(build === undefined ? {} : { build }),
  });
}
