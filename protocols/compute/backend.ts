/*
 * What computes programs. `plain.ts` is the reference; faster backends are checked against it. A backend knows tensors, not recommenders.
 */
import { type PlanKeys } from "./key-plan.ts";
import { type RowPooling } from "./pooling.ts";
import { type Program } from "./program.ts";

export interface Backend {
  readonly name: string;
  /** Makes all the memory that batches of up to `batchMax` samples need. */
  compile(program: Program, options: { readonly batchMax: number }): CompiledProgram;
  /** Makes what plans the keys of batches; without, the reference does. */
  readonly keys?: () => PlanKeys;
}

/**
 * A program ready to run. Its arrays are the backend's own memory, the same from `compile` to disposal: callers fill them in place and read
 * them in place, and nothing is allocated per batch. Each is for `batchMax` samples; a batch of fewer uses the first ones.
 */
export interface CompiledProgram extends Disposable {
  readonly program: Program;
  readonly batchMax: number;
  /** One array a group, in the program's order. Filled by the caller before `forward`, which reads them anew; `backward` leaves them as they are. */
  readonly parameters: readonly Float32Array[];
  readonly inputs: BatchInputs;
  /**
   * Predicts the first `size` samples of the inputs: one probability a sample, a view that lasts until the next call. Each sample's is the same
   * whatever else is in the batch, up to rounding.
   */
  forward(size: number): Float32Array;
  /**
   * The loss and the gradients of the batch that `forward` predicted last, with the same inputs and parameters and by its own labels and
   * weights: each sample is predicted before it is learned from.
   */
  backward(): BatchLoss;
  /** After `backward`: gradients of the batch's mean loss by the parameters, one array a group; all 0 where no sample has weight. */
  readonly gradients: readonly Float32Array[];
  /**
   * After `backward`: size x tables x dim. An embedding's gradient is of its own sample's weighted loss, so that a row's step does not depend on
   * what else was in the batch.
   */
  readonly embeddingGradients: Float32Array;
  /** Moves distinct rows to `inputs.embeddings`, and `embeddingGradients` back to them. */
  readonly pooling: RowPooling;
  /** After `forward`: the program's outputs, size x width each. */
  readonly outputs: readonly Float32Array[];
}

/** What a caller fills. */
export interface BatchInputs {
  /** Size x dense features. */
  readonly dense: Float32Array;
  /** Size x tables x dim. */
  readonly embeddings: Float32Array;
  /** In [0, 1], one a sample; read by `backward` alone, as weights are. */
  readonly labels: Float32Array;
  /** At least 0, one a sample. */
  readonly weights: Float32Array;
}

/** What a batch cost: the weighted sum of the samples' log losses in nats, the sum of the weights, and their quotient (0 without weight). */
export interface BatchLoss {
  readonly lossSum: number;
  readonly weightSum: number;
  readonly loss: number;
}
