// From a program to the steps that compute it and, backward, its gradients.
import { DENSE_FEATURES, FIRST_RESULT, type Program, type Tensor } from "../../protocols/compute/program.ts";
import { type KernelLayout } from "./kernel-layout.ts";
import { lowerOperation, type Lowering } from "./kernel-operations.ts";
import { ADD, lossStep, REPLACE, sigmoidStep, type Step } from "./kernel-steps.ts";

/** Both ways of a program, and what must stand in memory for them. */
export interface KernelProgram {
  readonly forward: readonly Step[];
  readonly backward: readonly Step[];
  readonly records: readonly { readonly address: number; readonly words: Int32Array }[];
}

export function lowerProgram(program: Program, layout: KernelLayout): KernelProgram {
  const records: { readonly address: number; readonly words: Int32Array }[] = [];
  const written = new Set<Tensor>([program.logit]);
  const lowering: Lowering = {
    layout,
    deltaOf: (tensor) => (tensor === DENSE_FEATURES ? undefined : layout.deltas(tensor)),
    modeFor(tensor) {
      if (written.has(tensor)) return ADD;
      written.add(tensor);
      return REPLACE;
    },
    record(words) {
      const { address } = layout.take(words.length);
      records.push({ address, words });
      return address;
    },
  };
  const lowered = program.operations.map((operation, at) =>
    lowerOperation(operation, { lowering, result: FIRST_RESULT + at }),
  );
  const logits = layout.values(program.logit);
  const backward: Step[] = [
    lossStep(
      { logits, delta: layout.deltas(program.logit) },
      { labels: layout.labels.address, weights: layout.weights.address, sums: layout.sums.address },
    ),
  ];
  for (let at = lowered.length - 1; at >= 0; at -= 1) {
    // What the logit does not depend on has no gradient, and its parameters' stay 0.
    if (written.has(FIRST_RESULT + at)) backward.push(...(lowered[at]?.backward() ?? []));
  }
  return {
    forward: [...lowered.flatMap(({ forward }) => forward), sigmoidStep(logits, layout.probabilities.address)],
    backward,
    records,
  };
}
