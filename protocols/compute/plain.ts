// The reference backend: every operation as its formula says, over typed arrays, with sums in 64-bit floats.
import { type Backend, type BatchInputs, type BatchLoss, type CompiledProgram } from "./backend.ts";
import { batchLoss, sigmoid } from "./loss.ts";
import { columnsStep, columnSumStep, concatStep, sumStep } from "./plain-columns.ts";
import { biasStep, crossStep, denseStep } from "./plain-layers.ts";
import { type PlainMemory, type PlainStep } from "./plain-memory.ts";
import { dotInteractionStep, dotProductStep, factorizationMachineStep } from "./plain-products.ts";
import { plainPooling } from "./pooling.ts";
import { DENSE_FEATURES, EMBEDDINGS, FIRST_RESULT, type Operation, type Program, widthOf } from "./program.ts";

export const plain: Backend = { name: "plain", compile };

function compile(program: Program, { batchMax }: { readonly batchMax: number }): CompiledProgram {
  if (!Number.isSafeInteger(batchMax) || batchMax < 1) throw new RangeError(`Cannot compile for ${batchMax} samples`);
  const memory = memoryFor(program, batchMax);
  const inputs: BatchInputs = {
    dense: memory.values(DENSE_FEATURES),
    embeddings: memory.values(EMBEDDINGS),
    labels: new Float32Array(batchMax),
    weights: new Float32Array(batchMax),
  };
  const steps = program.operations.map((operation, at) => stepOf(operation, { memory, result: FIRST_RESULT + at }));
  const logits = memory.values(program.logit);
  const embeddingGradients = memory.deltas(EMBEDDINGS) ?? new Float32Array(0);
  const probabilities = new Float32Array(batchMax);
  let predicted = 0;

  function forward(size: number): Float32Array {
    if (!Number.isSafeInteger(size) || size < 0 || size > batchMax) {
      throw new RangeError(`Cannot predict ${size} samples: the program is compiled for ${batchMax}`);
    }
    for (const step of steps) step.forward(size);
    for (let sample = 0; sample < size; sample += 1) probabilities[sample] = sigmoid(logits[sample] ?? 0);
    predicted = size;
    return probabilities.subarray(0, size);
  }

  function backward(): BatchLoss {
    const size = predicted;
    memory.clearDeltas(size);
    const loss = batchLoss(logits.subarray(0, size), inputs, memory.deltas(program.logit));
    for (let at = steps.length - 1; at >= 0; at -= 1) steps[at]?.backward(size);
    const scale = loss.weightSum > 0 ? 1 / loss.weightSum : 0;
    for (const gradient of memory.gradients) {
      for (let i = 0; i < gradient.length; i += 1) gradient[i] = (gradient[i] ?? 0) * scale;
    }
    return loss;
  }

  return {
    program,
    batchMax,
    parameters: memory.parameters,
    inputs,
    forward,
    backward,
    gradients: memory.gradients,
    embeddingGradients,
    pooling: plainPooling(program, { embeddings: inputs.embeddings, gradients: embeddingGradients }),
    outputs: program.outputs.map((tensor) => memory.values(tensor)),
    [Symbol.dispose]() {
      // Memory of the engine's own: nothing is held beside it.
    },
  };
}

function stepOf(operation: Operation, at: { readonly memory: PlainMemory; readonly result: number }): PlainStep {
  const { memory, result } = at;
  switch (operation.kind) {
    case "dense":
      return denseStep(operation, memory, result);
    case "cross":
      return crossStep(operation, memory, result);
    case "bias":
      return biasStep(operation, memory, result);
    case "concat":
      return concatStep(operation, memory, result);
    case "columns":
      return columnsStep(operation, memory, result);
    case "dot-interaction":
      return dotInteractionStep(operation, memory, result);
    case "factorization-machine":
      return factorizationMachineStep(operation, memory, result);
    case "sum":
      return sumStep(operation, memory, result);
    case "column-sum":
      return columnSumStep(operation, memory, result);
    case "dot-product":
      return dotProductStep(operation, memory, result);
  }
}

function memoryFor(program: Program, batchMax: number): PlainMemory {
  const widths = Array.from({ length: FIRST_RESULT + program.operations.length }, (_, tensor) =>
    widthOf(program, tensor),
  );
  const values = widths.map((width) => new Float32Array(batchMax * width));
  // Nobody learns from the gradient by what a sample says, so none is computed.
  const deltas = widths.map((width, tensor) =>
    tensor === DENSE_FEATURES ? undefined : new Float32Array(batchMax * width),
  );
  return {
    batchMax,
    width: (tensor) => widths[tensor] ?? 0,
    values: (tensor) => values[tensor] ?? new Float32Array(0),
    deltas: (tensor) => deltas[tensor],
    parameters: program.groups.map(({ floats }) => new Float32Array(floats)),
    gradients: program.groups.map(({ floats }) => new Float32Array(floats)),
    clearDeltas(size) {
      for (const [tensor, delta] of deltas.entries()) delta?.fill(0, 0, size * (widths[tensor] ?? 0));
    },
  };
}
