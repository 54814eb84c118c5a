import {
  type Affine,
  FIRST_RESULT,
  type Operation,
  type ParameterGroup,
  type Program,
  type Tensor,
  widthOf,
} from "./program.ts";

/** Builds one program, operation by operation. Each method gives the tensor it makes, or throws where no program could be. */
export interface ProgramBuilder {
  width(tensor: Tensor): number;
  /** A layer of `width` outputs; its parameters go to the end of `group`, which it makes where there is none yet. */
  dense(input: Tensor, layer: { readonly group: string; readonly width: number; readonly relu: boolean }): Tensor;
  cross(input: Tensor, layer: { readonly group: string; readonly first: Tensor }): Tensor;
  bias(input: Tensor, layer: { readonly group: string }): Tensor;
  concat(inputs: readonly Tensor[]): Tensor;
  columns(input: Tensor, which: { readonly every?: number; readonly from: number; readonly to: number }): Tensor;
  dotInteraction(inputs: readonly Tensor[]): Tensor;
  factorizationMachine(inputs: readonly Tensor[], dim?: number): Tensor;
  sum(inputs: readonly Tensor[]): Tensor;
  columnSum(input: Tensor): Tensor;
  dotProduct(left: Tensor, right: Tensor): Tensor;
  build(result: { readonly logit: Tensor; readonly outputs?: readonly Tensor[] }): Program;
}

export function programBuilder(inputs: Pick<Program, "tables" | "dim" | "denseFeatures">): ProgramBuilder {
  const { tables, dim, denseFeatures } = inputs;
  const groups: { name: string; floats: number }[] = [];
  const operations: Operation[] = [];
  for (const [name, count] of Object.entries({ tables, dim, "dense features": denseFeatures })) {
    if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`Cannot build a program: ${count} ${name}`);
  }

  function width(tensor: Tensor): number {
    return widthOf({ tables, dim, denseFeatures, operations }, tensor);
  }

  function add(operation: Operation): Tensor {
    if (!Number.isSafeInteger(operation.width) || operation.width < 1) {
      throw new RangeError(`Cannot build a program: ${operation.kind} of ${operation.width} columns`);
    }
    operations.push(operation);
    return FIRST_RESULT + operations.length - 1;
  }

  function takeFloats(name: string, floats: number): { readonly group: number; readonly at: number } {
    let group = groups.findIndex((each) => each.name === name);
    if (group < 0) group = groups.push({ name, floats: 0 }) - 1;
    const held = groups[group];
    if (held === undefined) throw new RangeError(`Cannot build a program: no group ${name}`);
    const at = held.floats;
    held.floats += floats;
    return { group, at };
  }

  function affine(name: string, { columns, rows }: { readonly columns: number; readonly rows: number }): Affine {
    if (!(columns > 0 && rows > 0)) {
      throw new RangeError(`Cannot build a program: a layer from ${columns} columns to ${rows}`);
    }
    const { group, at } = takeFloats(name, (columns + 1) * rows);
    return { group, weightsAt: at, biasesAt: at + columns * rows };
  }

  function equallyWide(kind: Operation["kind"], tensors: readonly Tensor[]): number {
    const widths = tensors.map(width);
    const [first = 0] = widths;
    if (widths.some((each) => each !== first)) {
      throw new RangeError(`Cannot build a program: ${kind} of tensors that are ${widths.join(", ")} columns wide`);
    }
    return first;
  }

  function vectorsOf(kind: Operation["kind"], { tensors, of }: { tensors: readonly Tensor[]; of: number }): number {
    const widths = tensors.map(width);
    if (widths.some((each) => each % of !== 0)) {
      throw new RangeError(`Cannot build a program: ${kind} of vectors of ${of} in ${widths.join(", ")} columns`);
    }
    return widths.reduce((sum, each) => sum + each, 0) / of;
  }

  return {
    width,
    dense: (input, { group, width: outputs, relu }) =>
      add({ kind: "dense", input, relu, width: outputs, ...affine(group, { columns: width(input), rows: outputs }) }),
    cross(input, { group, first }) {
      const columns = equallyWide("cross", [first, input]);
      return add({ kind: "cross", first, input, width: columns, ...affine(group, { columns, rows: columns }) });
    },
    bias(input, { group: name }) {
      const { group, at } = takeFloats(name, width(input));
      return add({ kind: "bias", input, group, biasesAt: at, width: width(input) });
    },
    concat: (tensors) =>
      add({ kind: "concat", inputs: tensors, width: tensors.reduce((sum, tensor) => sum + width(tensor), 0) }),
    columns(input, { every = width(input), from, to }) {
      if (!(from >= 0 && from < to && to <= every) || width(input) % every !== 0) {
        throw new RangeError(
          `Cannot build a program: columns ${from} to ${to} of every ${every} in ${width(input)} columns`,
        );
      }
      return add({ kind: "columns", input, every, from, to, width: (width(input) / every) * (to - from) });
    },
    dotInteraction(tensors) {
      const vectors = vectorsOf("dot-interaction", { tensors, of: dim });
      return add({ kind: "dot-interaction", inputs: tensors, dim, width: (vectors * (vectors - 1)) / 2 });
    },
    factorizationMachine(tensors, of = dim) {
      vectorsOf("factorization-machine", { tensors, of });
      return add({ kind: "factorization-machine", inputs: tensors, dim: of, width: 1 });
    },
    sum: (tensors) => add({ kind: "sum", inputs: tensors, width: equallyWide("sum", tensors) }),
    columnSum: (input) => add({ kind: "column-sum", input, width: 1 }),
    dotProduct(left, right) {
      equallyWide("dot-product", [left, right]);
      return add({ kind: "dot-product", left, right, width: 1 });
    },
    build({ logit, outputs = [] }) {
      if (width(logit) !== 1) throw new RangeError(`Cannot build a program: its logit has ${width(logit)} columns`);
      for (const output of outputs) width(output);
      const made: readonly ParameterGroup[] = groups.map((group) => ({ ...group }));
      return { tables, dim, denseFeatures, groups: made, operations: [...operations], logit, outputs };
    },
  };
}
