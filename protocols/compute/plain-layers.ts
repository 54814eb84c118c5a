// Operations with parameters.
import { multiplyTransposed, transpose } from "./matrix.ts";
import { type PlainMemory, type PlainStep } from "./plain-memory.ts";
import { type Affine, type Bias, type CrossLayer, type DenseLayer, type Tensor } from "./program.ts";

const NONE = new Float32Array(0);

export function denseStep(layer: DenseLayer, memory: PlainMemory, result: Tensor): PlainStep {
  const { width, relu } = layer;
  const out = memory.values(result);
  const delta = memory.deltas(result) ?? NONE;
  const map = affineMap(layer, { memory, input: layer.input, width });
  return {
    forward(size) {
      map.forward(size, out);
      if (!relu) return;
      // Written so that NaN passes through.
      for (let i = 0; i < size * width; i += 1) if ((out[i] ?? 0) < 0) out[i] = 0;
    },
    backward(size) {
      if (relu) for (let i = 0; i < size * width; i += 1) if ((out[i] ?? 0) <= 0) delta[i] = 0;
      map.backward(size, delta);
    },
  };
}

export function crossStep(layer: CrossLayer, memory: PlainMemory, result: Tensor): PlainStep {
  const { width } = layer;
  const [first, x, out] = [memory.values(layer.first), memory.values(layer.input), memory.values(result)];
  const [firstDelta, xDelta] = [memory.deltas(layer.first), memory.deltas(layer.input)];
  const delta = memory.deltas(result) ?? NONE;
  const mapped = new Float32Array(memory.batchMax * width);
  const mappedDelta = new Float32Array(memory.batchMax * width);
  const map = affineMap(layer, { memory, input: layer.input, width });
  return {
    forward(size) {
      map.forward(size, mapped);
      for (let i = 0; i < size * width; i += 1) out[i] = (first[i] ?? 0) * (mapped[i] ?? 0) + (x[i] ?? 0);
    },
    backward(size) {
      for (let i = 0; i < size * width; i += 1) {
        const d = delta[i] ?? 0;
        mappedDelta[i] = d * (first[i] ?? 0);
        if (firstDelta !== undefined) firstDelta[i] = (firstDelta[i] ?? 0) + d * (mapped[i] ?? 0);
        if (xDelta !== undefined) xDelta[i] = (xDelta[i] ?? 0) + d;
      }
      map.backward(size, mappedDelta);
    },
  };
}

export function biasStep({ input, group, biasesAt, width }: Bias, memory: PlainMemory, result: Tensor): PlainStep {
  const [x, out, delta] = [memory.values(input), memory.values(result), memory.deltas(result) ?? NONE];
  const inputDelta = memory.deltas(input);
  const [parameters, gradient] = [memory.parameters[group] ?? NONE, memory.gradients[group] ?? NONE];
  return {
    forward(size) {
      for (let i = 0; i < size * width; i += 1) out[i] = (x[i] ?? 0) + (parameters[biasesAt + (i % width)] ?? 0);
    },
    backward(size) {
      for (let column = 0; column < width; column += 1) {
        let sum = 0;
        for (let i = column; i < size * width; i += width) sum += delta[i] ?? 0;
        gradient[biasesAt + column] = sum;
      }
      if (inputDelta === undefined) return;
      for (let i = 0; i < size * width; i += 1) inputDelta[i] = (inputDelta[i] ?? 0) + (delta[i] ?? 0);
    },
  };
}

/** W x + b over a batch. `backward` writes the parameters' gradients and adds to those of the input. */
function affineMap(
  { group, weightsAt, biasesAt }: Affine,
  of: { readonly memory: PlainMemory; readonly input: Tensor; readonly width: number },
): { forward(size: number, out: Float32Array): void; backward(size: number, delta: Float32Array): void } {
  const { memory, input: tensor, width: outputs } = of;
  const inputs = memory.width(tensor);
  const [input, inputDelta] = [memory.values(tensor), memory.deltas(tensor)];
  const [parameters, gradient] = [memory.parameters[group] ?? NONE, memory.gradients[group] ?? NONE];
  const weightsTurned = new Float32Array(inputs * outputs);
  const inputsTurned = new Float32Array(memory.batchMax * inputs);
  const deltasTurned = new Float32Array(memory.batchMax * outputs);
  return {
    forward(size, out) {
      multiplyTransposed(input, parameters, { m: size, n: outputs, k: inputs, bAt: weightsAt, out });
      for (let sample = 0; sample < size; sample += 1) {
        const at = sample * outputs;
        for (let o = 0; o < outputs; o += 1) out[at + o] = (out[at + o] ?? 0) + (parameters[biasesAt + o] ?? 0);
      }
    },
    backward(size, delta) {
      transpose(delta, { rows: size, columns: outputs, out: deltasTurned });
      transpose(input, { rows: size, columns: inputs, out: inputsTurned });
      multiplyTransposed(deltasTurned, inputsTurned, {
        m: outputs,
        n: inputs,
        k: size,
        out: gradient,
        outAt: weightsAt,
      });
      for (let o = 0; o < outputs; o += 1) {
        let sum = 0;
        for (let i = o * size; i < (o + 1) * size; i += 1) sum += deltasTurned[i] ?? 0;
        gradient[biasesAt + o] = sum;
      }
      if (inputDelta === undefined) return;
      transpose(parameters, { rows: outputs, columns: inputs, out: weightsTurned, at: weightsAt });
      multiplyTransposed(delta, weightsTurned, { m: size, n: inputs, k: outputs, out: inputDelta, adds: true });
    },
  };
}
