import { type Tensor } from "./program.ts";

/** What the steps of one compiled program share. */
export interface PlainMemory {
  readonly batchMax: number;
  width(tensor: Tensor): number;
  /** Samples x width. */
  values(tensor: Tensor): Float32Array;
  /** Gradients of the batch's weighted loss by the same; undefined where nobody asks for them. A step reads those of its result, adds to those of its inputs. */
  deltas(tensor: Tensor): Float32Array | undefined;
  /** One array a group. */
  readonly parameters: readonly Float32Array[];
  readonly gradients: readonly Float32Array[];
  clearDeltas(size: number): void;
}

/** One operation, bound to its memory. */
export interface PlainStep {
  forward(size: number): void;
  backward(size: number): void;
}

/** The columns of several tensors side by side, one sample at a time, in 64 bits. */
export interface SideBySide {
  readonly width: number;
  readonly row: Float64Array;
  readonly delta: Float64Array;
  /** Fills `row` from one sample. */
  load(sample: number): void;
  /** Adds `delta` to the inputs' gradients of one sample. */
  addDeltas(sample: number): void;
}

export function sideBySide(memory: PlainMemory, tensors: readonly Tensor[]): SideBySide {
  const parts = tensors.map((tensor) => ({
    width: memory.width(tensor),
    values: memory.values(tensor),
    deltas: memory.deltas(tensor),
  }));
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  const row = new Float64Array(width);
  const delta = new Float64Array(width);
  return {
    width,
    row,
    delta,
    load(sample) {
      let to = 0;
      for (const { width: columns, values } of parts) {
        const from = sample * columns;
        for (let i = 0; i < columns; i += 1) row[to + i] = values[from + i] ?? 0;
        to += columns;
      }
    },
    addDeltas(sample) {
      let from = 0;
      for (const { width: columns, deltas } of parts) {
        const to = sample * columns;
        if (deltas !== undefined) {
          for (let i = 0; i < columns; i += 1) deltas[to + i] = (deltas[to + i] ?? 0) + (delta[from + i] ?? 0);
        }
        from += columns;
      }
    },
  };
}
