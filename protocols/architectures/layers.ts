import { type ProgramBuilder } from "../compute/program-builder.ts";
import { type Tensor } from "../compute/program.ts";

/** Fully connected layers, hidden ones with ReLU, all in one group. */
export function layers(
  builder: ProgramBuilder,
  input: Tensor,
  stack: {
    readonly group: string;
    readonly hidden: readonly number[];
    readonly last: { readonly width: number; readonly relu: boolean };
  },
): Tensor {
  const { group, hidden, last } = stack;
  let at = input;
  for (const width of hidden) at = builder.dense(at, { group, width, relu: true });
  return builder.dense(at, { group, ...last });
}
