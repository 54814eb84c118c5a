/*
 * A model's arithmetic as data: what is computed from a sample's features and embeddings to one logit, in which order, with which
 * parameters. A backend (backend.ts) compiles it. Every tensor is a batch of rows of 32-bit floats, row-major.
 *
 * What holds of each program that a builder gives (program-builder.ts), so that a backend need not check it:
 * 1. An operation reads inputs and results of operations before it, and makes one tensor, of its `width`.
 * 2. The parameters of operations do not overlap, and together they fill every group: a backend may write a gradient instead of adding.
 * 3. The logit is one column wide. A tensor may be read by several operations, and twice by one: gradients by it add up.
 */

/**
 * A tensor by number: 0 is the dense features, 1 the embeddings (table by table, `dim` columns each), and from `FIRST_RESULT` on the results
 * of the operations in their order.
 */
export type Tensor = number;

export const DENSE_FEATURES: Tensor = 0;
export const EMBEDDINGS: Tensor = 1;
export const FIRST_RESULT: Tensor = 2;

export interface Program {
  /** Embeddings of a sample, and the columns of each. */
  readonly tables: number;
  readonly dim: number;
  readonly denseFeatures: number;
  readonly groups: readonly ParameterGroup[];
  readonly operations: readonly Operation[];
  readonly logit: Tensor;
  /** What can be read after a prediction beside the probabilities. */
  readonly outputs: readonly Tensor[];
}

/** Parameters that are stored, sent and seen as one row. */
export interface ParameterGroup {
  readonly name: string;
  readonly floats: number;
}

/** An affine map's parameters within a group, by index: weights, `width` rows of one column an input, and `width` biases. */
export interface Affine {
  readonly group: number;
  readonly weightsAt: number;
  readonly biasesAt: number;
}

export type Operation =
  | DenseLayer
  | CrossLayer
  | Bias
  | Concat
  | Columns
  | DotInteraction
  | FactorizationMachine
  | Sum
  | ColumnSum
  | DotProduct;

/** W x + b, with negative numbers made 0 where `relu` is set. NaN passes through: a broken model must show, not hide behind a ReLU. */
export interface DenseLayer extends Affine {
  readonly kind: "dense";
  readonly input: Tensor;
  readonly relu: boolean;
  readonly width: number;
}

/** x0 * (W x + b) + x, the product by element: a cross layer of DCN-v2 (Wang et al. 2021). All three tensors are equally wide. */
export interface CrossLayer extends Affine {
  readonly kind: "cross";
  readonly first: Tensor;
  readonly input: Tensor;
  readonly width: number;
}

/** x + b. */
export interface Bias {
  readonly kind: "bias";
  readonly input: Tensor;
  readonly group: number;
  readonly biasesAt: number;
  readonly width: number;
}

/** Its inputs side by side. */
export interface Concat {
  readonly kind: "concat";
  readonly inputs: readonly Tensor[];
  readonly width: number;
}

/** Of each `every` columns those from `from` to before `to`; `every` divides the input's width. A plain slice has `every` equal to it. */
export interface Columns {
  readonly kind: "columns";
  readonly input: Tensor;
  readonly every: number;
  readonly from: number;
  readonly to: number;
  readonly width: number;
}

/**
 * The inputs side by side are vectors of `dim` columns; the result is the dots of the pairs (1, 0), (2, 0), (2, 1), (3, 0)... (DLRM, Naumov et al.
 * 2019). Each input's width is a multiple of `dim`, and there are at least two vectors.
 */
export interface DotInteraction {
  readonly kind: "dot-interaction";
  readonly inputs: readonly Tensor[];
  readonly dim: number;
  readonly width: number;
}

/** The sum of the same dots, in time linear in the vectors: half of what the square of the sum has over the sum of squares (Rendle 2010). */
export interface FactorizationMachine {
  readonly kind: "factorization-machine";
  readonly inputs: readonly Tensor[];
  readonly dim: number;
  readonly width: 1;
}

/** The sum of equally wide tensors. */
export interface Sum {
  readonly kind: "sum";
  readonly inputs: readonly Tensor[];
  readonly width: number;
}

/** The sum of a tensor's columns. */
export interface ColumnSum {
  readonly kind: "column-sum";
  readonly input: Tensor;
  readonly width: 1;
}

/** The inner product of two equally wide tensors. */
export interface DotProduct {
  readonly kind: "dot-product";
  readonly left: Tensor;
  readonly right: Tensor;
  readonly width: 1;
}

/** The columns of a tensor. */
export function widthOf(
  program: Pick<Program, "tables" | "dim" | "denseFeatures" | "operations">,
  tensor: Tensor,
): number {
  if (tensor === DENSE_FEATURES) return program.denseFeatures;
  if (tensor === EMBEDDINGS) return program.tables * program.dim;
  const operation = program.operations[tensor - FIRST_RESULT];
  if (operation === undefined) throw new RangeError(`Cannot find tensor ${tensor}: the program has no such one`);
  return operation.width;
}

/** The tensors that an operation reads, in its own order. */
export function inputsOf(operation: Operation): readonly Tensor[] {
  switch (operation.kind) {
    case "concat":
    case "dot-interaction":
    case "factorization-machine":
    case "sum":
      return operation.inputs;
    case "cross":
      return [operation.first, operation.input];
    case "dot-product":
      return [operation.left, operation.right];
    case "dense":
    case "bias":
    case "columns":
    case "column-sum":
      return [operation.input];
  }
}
