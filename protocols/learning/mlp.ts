// A stack of fully connected layers with ReLU between them, forward and backward over a batch.
import { multiplyTransposed, transpose } from "./matrix.ts";

/** Sizes of a stack: `sizes` runs from the input to the output. ReLU follows each layer, the last one only if `activateLast`. */
export interface MlpShape {
  readonly sizes: readonly number[];
  readonly activateLast: boolean;
  readonly layers: readonly LayerShape[];
  /** Floats of all parameters: layer by layer the weights, `outputs` x `inputs`, then the `outputs` biases. */
  readonly floats: number;
}

/** One layer's sizes, and where in the group's parameters its weights and biases stand. */
export interface LayerShape {
  readonly inputs: number;
  readonly outputs: number;
  readonly weightsAt: number;
  readonly biasesAt: number;
}

/** Everything a stack writes while it works, for batches of up to `batchMax`. Made once and used again. */
export interface MlpWorkspace {
  /** Per size, batch x size: the input first, the output last. */
  readonly activations: readonly Float32Array[];
  /** Gradients of the loss by the activations, in the same layout. `backwardMlp` reads the last and fills the others. */
  readonly deltas: readonly Float32Array[];
  readonly gradient: Float32Array;
  readonly weightsTurned: Float32Array;
  readonly inputsTurned: Float32Array;
  readonly deltasTurned: Float32Array;
}

/** The layout of a stack of layers with the given sizes, input first. */
export function mlpShape(sizes: readonly number[], { activateLast }: { readonly activateLast: boolean }): MlpShape {
  const layers: LayerShape[] = [];
  let floats = 0;
  for (let layer = 0; layer + 1 < sizes.length; layer += 1) {
    const inputs = sizes[layer] ?? 0;
    const outputs = sizes[layer + 1] ?? 0;
    layers.push({ inputs, outputs, weightsAt: floats, biasesAt: floats + inputs * outputs });
    floats += (inputs + 1) * outputs;
  }
  return { sizes, activateLast, layers, floats };
}

/** Memory for batches of up to `batchMax` samples. */
export function mlpWorkspace({ sizes, layers, floats }: MlpShape, batchMax: number): MlpWorkspace {
  const widest = Math.max(0, ...sizes);
  const weightsMost = layers.reduce((most, { inputs, outputs }) => Math.max(most, inputs * outputs), 0);
  return {
    activations: sizes.map((size) => new Float32Array(batchMax * size)),
    deltas: sizes.map((size) => new Float32Array(batchMax * size)),
    gradient: new Float32Array(floats),
    weightsTurned: new Float32Array(weightsMost),
    inputsTurned: new Float32Array(batchMax * widest),
    deltasTurned: new Float32Array(batchMax * widest),
  };
}

/** Fills the workspace's activations from its first one. */
export function forwardMlp(
  shape: MlpShape,
  run: { readonly parameters: Float32Array; readonly size: number; readonly work: MlpWorkspace },
): void {
  const { parameters, size, work } = run;
  for (const [at, layer] of shape.layers.entries()) {
    const input = work.activations[at];
    const out = work.activations[at + 1];
    if (input === undefined || out === undefined) return;
    multiplyTransposed(input, parameters, { m: size, n: layer.outputs, k: layer.inputs, bAt: layer.weightsAt, out });
    addBiases(out, { parameters, layer, size, activate: shape.activateLast || at + 1 < shape.layers.length });
  }
}

/** From the last of the workspace's deltas, fills its gradient and all earlier deltas. Needs the activations of `forwardMlp` on the same batch. */
export function backwardMlp(
  shape: MlpShape,
  run: { readonly parameters: Float32Array; readonly size: number; readonly work: MlpWorkspace },
): void {
  const { parameters, size, work } = run;
  const { gradient, weightsTurned, inputsTurned, deltasTurned } = work;
  for (let at = shape.layers.length - 1; at >= 0; at -= 1) {
    const layer = shape.layers[at];
    const input = work.activations[at];
    const output = work.activations[at + 1];
    const delta = work.deltas[at + 1];
    const before = work.deltas[at];
    if (
      layer === undefined ||
      input === undefined ||
      output === undefined ||
      delta === undefined ||
      before === undefined
    ) {
      return;
    }
    const { inputs, outputs, weightsAt, biasesAt } = layer;
    if (shape.activateLast || at + 1 < shape.layers.length) {
      for (let i = 0; i < size * outputs; i += 1) if ((output[i] ?? 0) <= 0) delta[i] = 0;
    }
    transpose(delta, { rows: size, columns: outputs, out: deltasTurned });
    transpose(input, { rows: size, columns: inputs, out: inputsTurned });
    multiplyTransposed(deltasTurned, inputsTurned, { m: outputs, n: inputs, k: size, out: gradient, outAt: weightsAt });
    for (let o = 0; o < outputs; o += 1) {
      let sum = 0;
      for (let i = o * size; i < (o + 1) * size; i += 1) sum += deltasTurned[i] ?? 0;
      gradient[biasesAt + o] = sum;
    }
    transpose(parameters, { rows: outputs, columns: inputs, out: weightsTurned, at: weightsAt });
    multiplyTransposed(delta, weightsTurned, { m: size, n: inputs, k: outputs, out: before });
  }
}

function addBiases(
  out: Float32Array,
  options: {
    readonly parameters: Float32Array;
    readonly layer: LayerShape;
    readonly size: number;
    readonly activate: boolean;
  },
): void {
  const { parameters, size, activate } = options;
  const { outputs, biasesAt } = options.layer;
  for (let sample = 0; sample < size; sample += 1) {
    const at = sample * outputs;
    for (let o = 0; o < outputs; o += 1) {
      const sum = (out[at + o] ?? 0) + (parameters[biasesAt + o] ?? 0);
      // Written so that NaN passes through: a broken model must show, not hide behind a ReLU.
      out[at + o] = activate && sum < 0 ? 0 : sum;
    }
  }
}
