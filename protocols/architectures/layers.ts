import { type ProgramBuilder } from "../compute/program-builder.ts";
import { type Tensor } from "../compute/program.ts";
import { type ModelDeclaration } from "../model.ts";

/** What of a declaration a program follows from. */
export type Declared = Pick<ModelDeclaration, "architecture" | "tables" | "dense">;

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

/** Layers with ReLU, each a group of its own, as wide ones together would not fit a row: `deep-1`, `deep-2`... */
export function deepLayers(
  builder: ProgramBuilder,
  input: Tensor,
  { name, widths }: { readonly name: string; readonly widths: readonly number[] },
): Tensor {
  let at = input;
  for (const [index, width] of widths.entries()) {
    at = builder.dense(at, { group: `${name}-${index + 1}`, width, relu: true });
  }
  return at;
}
