/*
 * Programs on TensorFlow, for dense towers that outgrow a core, and for GPUs. Parameters and inputs are the caller's own arrays; they are
 * handed over anew for each batch, which costs a copy where the device is a GPU.
 */
import {
  type Backend,
  type BatchInputs,
  type BatchLoss,
  type CompiledProgram,
} from "../../../protocols/compute/backend.ts";
import { plainPooling } from "../../../protocols/compute/pooling.ts";
import { batchLoss, sigmoid } from "../../../protocols/compute/loss.ts";
import { DENSE_FEATURES, EMBEDDINGS, FIRST_RESULT, type Program, widthOf } from "../../../protocols/compute/program.ts";
import { type Tensorflow } from "./load.ts";
import { type Batch, stepOf } from "./operations.ts";
import { type Tensor, type Tfjs } from "./tfjs.ts";

export function tensorflowBackend({ tf }: Pick<Tensorflow, "tf">): Backend {
  return { name: "tensorflow", compile: (program, options) => compile(tf, program, options) };
}

function compile(tf: Tfjs, program: Program, { batchMax }: { readonly batchMax: number }): CompiledProgram {
  if (!Number.isSafeInteger(batchMax) || batchMax < 1) throw new RangeError(`Cannot compile for ${batchMax} samples`);
  const widths = Array.from({ length: FIRST_RESULT + program.operations.length }, (_, at) => widthOf(program, at));
  function floatsOf(tensor: number): Float32Array {
    return new Float32Array(batchMax * (widths[tensor] ?? 0));
  }
  const inputs: BatchInputs = {
    dense: floatsOf(DENSE_FEATURES),
    embeddings: floatsOf(EMBEDDINGS),
    labels: new Float32Array(batchMax),
    weights: new Float32Array(batchMax),
  };
  const parameters = program.groups.map(({ floats }) => new Float32Array(floats));
  const gradients = program.groups.map(({ floats }) => new Float32Array(floats));
  const embeddingGradients = floatsOf(EMBEDDINGS);
  const outputs = program.outputs.map(floatsOf);
  const logits = new Float32Array(batchMax);
  const delta = new Float32Array(batchMax);
  const probabilities = new Float32Array(batchMax);
  const steps = program.operations.map((operation) => stepOf(operation, tf));
  /** Values of all tensors of the last batch, which `backward` reads. */
  let values: readonly Tensor[] = [];
  let predicted = 0;
  let isDisposed = false;

  /** Gradients are kept only while `backward` runs; `deltas` has those by tensors. */
  function batchOf(known: readonly Tensor[], deltas: Map<number, Tensor>): Batch {
    return {
      tf,
      size: predicted,
      width: (tensor) => widths[tensor] ?? 0,
      value(tensor) {
        const value = known[tensor];
        if (value === undefined) throw new RangeError(`Cannot read tensor ${tensor}: it is computed later`);
        return value;
      },
      // Nobody learns from the gradient by what a sample says.
      wants: (tensor) => tensor !== DENSE_FEATURES && (widths[tensor] ?? 0) > 0,
      give(tensor, gradient) {
        if (tensor === DENSE_FEATURES) return;
        const held = deltas.get(tensor);
        deltas.set(tensor, held === undefined ? gradient : tf.add(held, gradient));
      },
      parameters: (group, at, shape) => tensorOf(parameters[group]?.subarray(at, at + sizeOf(shape)), shape),
      giveParameters: (group, at, gradient) => gradients[group]?.set(gradient.dataSync(), at),
    };
  }

  function tensorOf(array: Float32Array | undefined, shape: readonly number[]): Tensor {
    return tf.tensor(array ?? new Float32Array(0), shape, "float32");
  }

  function forward(size: number): Float32Array {
    if (isDisposed) throw new TypeError("Cannot predict: the program was disposed of");
    if (!Number.isSafeInteger(size) || size < 0 || size > batchMax) {
      throw new RangeError(`Cannot predict ${size} samples: the program is compiled for ${batchMax}`);
    }
    tf.dispose(values);
    values = [];
    predicted = size;
    if (size === 0) return probabilities.subarray(0, 0);
    values = tf.tidy(() => {
      const known: Tensor[] = [inputs.dense, inputs.embeddings].map((array, tensor) =>
        tensorOf(array.subarray(0, size * (widths[tensor] ?? 0)), [size, widths[tensor] ?? 0]),
      );
      const batch = batchOf(known, new Map());
      for (const step of steps) known.push(step.forward(batch));
      return known;
    });
    read(program.logit, logits);
    for (const [at, tensor] of program.outputs.entries()) read(tensor, outputs[at]);
    for (let sample = 0; sample < size; sample += 1) probabilities[sample] = sigmoid(logits[sample] ?? 0);
    return probabilities.subarray(0, size);
  }

  function read(tensor: number, into: Float32Array | undefined): void {
    const value = values[tensor];
    if (value !== undefined) into?.set(value.dataSync());
  }

  function backward(): BatchLoss {
    const size = predicted;
    const loss = batchLoss(logits.subarray(0, size), inputs, delta);
    for (const gradient of gradients) gradient.fill(0);
    embeddingGradients.fill(0);
    if (size === 0) return loss;
    tf.tidy(() => {
      const deltas = new Map([[program.logit, tensorOf(delta.subarray(0, size), [size, 1])]]);
      const batch = batchOf(values, deltas);
      for (let at = steps.length - 1; at >= 0; at -= 1) {
        const given = deltas.get(FIRST_RESULT + at);
        // What the logit does not depend on has no gradient.
        if (given !== undefined) steps[at]?.backward(batch, given, batch.value(FIRST_RESULT + at));
      }
      const byEmbeddings = deltas.get(EMBEDDINGS);
      if (byEmbeddings !== undefined) embeddingGradients.set(byEmbeddings.dataSync());
      return [];
    });
    const scale = loss.weightSum > 0 ? 1 / loss.weightSum : 0;
    for (const gradient of gradients) {
      for (let i = 0; i < gradient.length; i += 1) gradient[i] = (gradient[i] ?? 0) * scale;
    }
    return loss;
  }

  return {
    program,
    batchMax,
    parameters,
    inputs,
    forward,
    backward,
    gradients,
    embeddingGradients,
    pooling: plainPooling(program, { embeddings: inputs.embeddings, gradients: embeddingGradients }),
    outputs,
    [Symbol.dispose]() {
      tf.dispose(values);
      values = [];
      isDisposed = true;
    },
  };
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, each) => size * each, 1);
}
