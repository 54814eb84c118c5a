// A DLRM over flat batches: bottom layers over dense features, pairwise dots with one embedding per table, top layers to a
// logit, sigmoid. This is the reference that faster engines are checked against; it allocates nothing per batch.
import { type ModelDeclaration } from "../model.ts";
import {
  backwardInteraction,
  forwardInteraction,
  type InteractionWorkspace,
  interactionWorkspace,
  pairCount,
} from "./interaction.ts";
import { backwardMlp, forwardMlp, type MlpShape, mlpShape, type MlpWorkspace, mlpWorkspace } from "./mlp.ts";

/** Sizes of a DLRM. A model without dense features has no bottom: its interaction is between embeddings alone. */
export interface DlrmShape {
  readonly tables: number;
  readonly dim: number;
  readonly denseFeatures: number;
  readonly bottom: MlpShape | undefined;
  readonly top: MlpShape;
  /** The dense parameters, in the order of every list of dense parameters or gradients. */
  readonly groups: readonly { readonly name: "bottom" | "top"; readonly floats: number; readonly mlp: MlpShape }[];
}

/** Samples to predict: `dense` is size x denseFeatures, `embeddings` is size x tables x dim. The arrays may be longer. */
export interface Batch {
  readonly size: number;
  readonly dense: Float32Array;
  readonly embeddings: Float32Array;
}

/** Samples to learn from: labels in [0, 1] and weights of at least 0, one a sample. */
export interface LabelledBatch extends Batch {
  readonly labels: Float32Array;
  readonly weights: Float32Array;
}

/** Memory for batches of up to `batchMax`. Results lie in it until the next call. */
export interface DlrmWorkspace {
  readonly batchMax: number;
  readonly probabilities: Float32Array;
  readonly bottom: MlpWorkspace | undefined;
  readonly top: MlpWorkspace;
  readonly interaction: InteractionWorkspace;
  /** Gradients of the mean loss by the dense parameters, one array a group. */
  readonly denseGradients: readonly Float32Array[];
  /** Gradients by the embeddings, size x tables x dim, each of its own sample's weighted loss. */
  readonly embeddingGradients: Float32Array;
}

/** What a batch cost: the weighted sum of the samples' log losses in nats, the sum of the weights, and their quotient (0 without weight). */
export interface BatchLoss {
  readonly lossSum: number;
  readonly weightSum: number;
  readonly loss: number;
}

/** The layout that follows from a declaration. `bottom` and `top` name hidden layers; the embedding's size and 1 are added as last ones. */
export function dlrmShape(model: Pick<ModelDeclaration, "architecture" | "tables" | "dense">): DlrmShape {
  const { embedding: dim, bottom: bottomHidden, top: topHidden } = model.architecture;
  const tables = model.tables.length;
  const denseFeatures = model.dense.length;
  for (const size of [dim, ...bottomHidden, ...topHidden]) {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new RangeError(`Cannot lay out a model: a layer has size ${size}`);
    }
  }
  const vectors = tables + (denseFeatures > 0 ? 1 : 0);
  const topInputs = pairCount(vectors) + (denseFeatures > 0 ? dim : 0);
  if (topInputs === 0) throw new RangeError("Cannot lay out a model: it has neither dense features nor two tables");
  const bottom =
    denseFeatures > 0 ? mlpShape([denseFeatures, ...bottomHidden, dim], { activateLast: true }) : undefined;
  const top = mlpShape([topInputs, ...topHidden, 1], { activateLast: false });
  const groups = [
    ...(bottom === undefined ? [] : [{ name: "bottom" as const, floats: bottom.floats, mlp: bottom }]),
    { name: "top" as const, floats: top.floats, mlp: top },
  ];
  return { tables, dim, denseFeatures, bottom, top, groups };
}

export function dlrmWorkspace(shape: DlrmShape, batchMax: number): DlrmWorkspace {
  const bottom = shape.bottom === undefined ? undefined : mlpWorkspace(shape.bottom, batchMax);
  const top = mlpWorkspace(shape.top, batchMax);
  return {
    batchMax,
    probabilities: new Float32Array(batchMax),
    bottom,
    top,
    interaction: interactionWorkspace(shape.tables + (bottom === undefined ? 0 : 1), shape.dim),
    denseGradients: bottom === undefined ? [top.gradient] : [bottom.gradient, top.gradient],
    embeddingGradients: new Float32Array(batchMax * shape.tables * shape.dim),
  };
}

/** Predicts a batch; the result is a view of the workspace, one probability a sample. `parameters` are in the order of `shape.groups`. */
export function forward(
  shape: DlrmShape,
  run: { readonly parameters: readonly Float32Array[]; readonly batch: Batch; readonly work: DlrmWorkspace },
): Float32Array {
  const { batch, work } = run;
  const { size } = batch;
  checkSizes(shape, run);
  const [bottomOut, topIn, logits] = [
    work.bottom?.activations.at(-1),
    work.top.activations[0],
    work.top.activations.at(-1),
  ];
  if (shape.bottom !== undefined && work.bottom !== undefined) {
    copyFloats(batch.dense, { to: work.bottom.activations[0], count: size * shape.denseFeatures });
    forwardMlp(shape.bottom, { parameters: run.parameters[0] ?? NONE, size, work: work.bottom });
  }
  if (topIn === undefined || logits === undefined) return NONE;
  const topInputs = shape.top.sizes[0] ?? 0;
  for (let sample = 0; sample < size; sample += 1) {
    const at = sample * topInputs;
    loadVectors(shape, { batch, work, bottomOut, sample });
    if (bottomOut !== undefined) {
      for (let d = 0; d < shape.dim; d += 1) topIn[at + d] = bottomOut[sample * shape.dim + d] ?? 0;
    }
    forwardInteraction(work.interaction, topIn, bottomOut === undefined ? at : at + shape.dim);
  }
  forwardMlp(shape.top, { parameters: run.parameters.at(-1) ?? NONE, size, work: work.top });
  for (let sample = 0; sample < size; sample += 1) work.probabilities[sample] = sigmoid(logits[sample] ?? 0);
  return work.probabilities.subarray(0, size);
}

/**
 * The loss of a batch and its gradients, left in the workspace. `forward` must have been the last call on this workspace, with the same
 * batch and parameters: each sample is predicted before it is learned from. Dense gradients are of the mean loss. An embedding's is of its own
 * sample's weighted loss, so that a row's step does not depend on what else was in the batch.
 */
export function backward(
  shape: DlrmShape,
  run: { readonly parameters: readonly Float32Array[]; readonly batch: LabelledBatch; readonly work: DlrmWorkspace },
): BatchLoss {
  const { batch, work } = run;
  const { size, labels, weights } = batch;
  const [logits, delta, topInDelta] = [work.top.activations.at(-1), work.top.deltas.at(-1), work.top.deltas[0]];
  if (logits === undefined || delta === undefined || topInDelta === undefined) {
    return { lossSum: 0, weightSum: 0, loss: 0 };
  }
  let lossSum = 0;
  let weightSum = 0;
  for (let sample = 0; sample < size; sample += 1) {
    const weight = weights[sample] ?? 0;
    const label = labels[sample] ?? 0;
    const logit = logits[sample] ?? 0;
    lossSum += weight * logLoss(logit, label);
    weightSum += weight;
    delta[sample] = weight * (sigmoid(logit) - label);
  }
  backwardMlp(shape.top, { parameters: run.parameters.at(-1) ?? NONE, size, work: work.top });
  const topInputs = shape.top.sizes[0] ?? 0;
  const [bottomOut, bottomDelta] = [work.bottom?.activations.at(-1), work.bottom?.deltas.at(-1)];
  const { gradients } = work.interaction;
  const { dim, tables } = shape;
  const skip = bottomOut === undefined ? 0 : dim;
  for (let sample = 0; sample < size; sample += 1) {
    const at = sample * topInputs;
    loadVectors(shape, { batch, work, bottomOut, sample });
    backwardInteraction(work.interaction, topInDelta, at + skip);
    if (bottomDelta !== undefined) {
      for (let d = 0; d < dim; d += 1) bottomDelta[sample * dim + d] = (topInDelta[at + d] ?? 0) + (gradients[d] ?? 0);
    }
    const to = sample * tables * dim;
    for (let i = 0; i < tables * dim; i += 1) work.embeddingGradients[to + i] = gradients[skip + i] ?? 0;
  }
  if (shape.bottom !== undefined && work.bottom !== undefined) {
    backwardMlp(shape.bottom, { parameters: run.parameters[0] ?? NONE, size, work: work.bottom });
  }
  const scale = weightSum > 0 ? 1 / weightSum : 0;
  for (const gradient of work.denseGradients) {
    for (let i = 0; i < gradient.length; i += 1) gradient[i] = (gradient[i] ?? 0) * scale;
  }
  return { lossSum, weightSum, loss: lossSum * scale };
}

/** 1 / (1 + e^-logit), without overflow. */
export function sigmoid(logit: number): number {
  if (logit >= 0) return 1 / (1 + Math.exp(-logit));
  const e = Math.exp(logit);
  return e / (1 + e);
}

/** The log loss of a logit in nats: finite for every finite logit, however wrong. */
export function logLoss(logit: number, label: number): number {
  return Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit)));
}

const NONE = new Float32Array(0);

function checkSizes(
  shape: DlrmShape,
  {
    parameters,
    batch,
    work,
  }: { readonly parameters: readonly Float32Array[]; readonly batch: Batch; readonly work: DlrmWorkspace },
): void {
  const { size, dense, embeddings } = batch;
  if (size > work.batchMax) {
    throw new RangeError(`Cannot predict ${size} samples: the workspace holds ${work.batchMax}`);
  }
  if (dense.length < size * shape.denseFeatures || embeddings.length < size * shape.tables * shape.dim) {
    throw new RangeError(
      `Cannot predict ${size} samples: the batch holds ${dense.length} dense and ${embeddings.length} embedding floats`,
    );
  }
  for (const [at, group] of shape.groups.entries()) {
    const given = parameters[at]?.length ?? 0;
    if (given !== group.floats) {
      throw new RangeError(`Cannot predict: group ${group.name} has ${given} floats, not ${group.floats}`);
    }
  }
}

function loadVectors(
  { tables, dim }: DlrmShape,
  from: {
    readonly batch: Batch;
    readonly work: DlrmWorkspace;
    readonly bottomOut: Float32Array | undefined;
    readonly sample: number;
  },
): void {
  const { batch, bottomOut, sample } = from;
  const { values } = from.work.interaction;
  let to = 0;
  if (bottomOut !== undefined) for (; to < dim; to += 1) values[to] = bottomOut[sample * dim + to] ?? 0;
  const at = sample * tables * dim;
  for (let i = 0; i < tables * dim; i += 1) values[to + i] = batch.embeddings[at + i] ?? 0;
}

function copyFloats(
  from: Float32Array,
  { to, count }: { readonly to: Float32Array | undefined; readonly count: number },
): void {
  if (to === undefined) return;
  for (let i = 0; i < count; i += 1) to[i] = from[i] ?? 0;
}
