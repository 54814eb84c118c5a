import { apply, coldStart, initialState, type Optimizer } from "../learning/optimizer.ts";
import { type Mutate, type RowEdit } from "./row-store.ts";

/** One gradient for each key of a write, in order. */
export interface GradientSteps {
  readonly optimizer: Optimizer;
  /** keys x dim */
  readonly gradients: Float32Array;
  /** The values at which the gradients were computed, keys x dim: each gradient is corrected by how far its row has moved since. */
  readonly delay?: { readonly lambda: number; readonly valuesRead: Float32Array };
  /** What a row that nobody has trained starts from. */
  readonly initial: (key: bigint) => Float32Array;
  /** Filled in by index: the sum of what a row's values changed by, and 1 where the row is new. */
  readonly norms: Float64Array;
  readonly created: Uint8Array;
}

/** What these steps do to each row: the reference for stores that step all of them at once. */
export function mutateBySteps({ optimizer, gradients, delay, initial, norms, created }: GradientSteps): Mutate {
  let before = new Float32Array();
  return ({ index, key, isNew, floats, state }: RowEdit) => {
    const dim = floats.length;
    if (isNew) {
      floats.set(initial(key));
      state.set(initialState(optimizer, floats).subarray(0, state.length));
    } else if (isBlank(state)) {
      // The row came from a replica that holds no optimizer state. No optimizer leaves its state at zero.
      state.set(coldStart(optimizer, floats));
    }
    before = before.length === dim ? before : new Float32Array(dim);
    before.set(floats);
    const [from, to] = [index * dim, (index + 1) * dim];
    apply(optimizer, {
      values: floats,
      state,
      // A correction is written over the gradient.
      gradient: delay === undefined ? gradients.subarray(from, to) : gradients.slice(from, to),
      ...(delay && { delay: { lambda: delay.lambda, valuesRead: delay.valuesRead.subarray(from, to) } }),
    });
    norms[index] = floats.reduce((sum, value, at) => sum + Math.abs(value - (before[at] ?? 0)), 0);
    created[index] = isNew ? 1 : 0;
  };
}

function isBlank(state: Float32Array): boolean {
  return state.length > 0 && state.every((value) => value === 0);
}
