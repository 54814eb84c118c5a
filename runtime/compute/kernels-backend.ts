/*
 * Computes programs with the WebAssembly kernels: a program becomes two lists of steps in a memory of its own, and a batch is one call. What
 * callers fill and read are views of that memory.
 */
import { type Backend, type CompiledProgram } from "../../protocols/compute/backend.ts";
import { EMBEDDINGS, DENSE_FEATURES, type Program } from "../../protocols/compute/program.ts";
import { layOut } from "./kernel-layout.ts";
import { kernelKeys } from "./kernel-keys.ts";
import { kernelPooling, placePooling } from "./kernel-pooling.ts";
import { lowerProgram } from "./kernel-program.ts";
import { BATCH_PART, type Region, type Step, stepWords } from "./kernel-steps.ts";
import { type Build, createMemory } from "./load.ts";
import { loadKernels } from "./kernels.ts";

/** The default backend. `build` chooses one of the two that were compiled, where not the fastest that runs here. */
export function kernelsBackend({ build }: { readonly build?: Build } = {}): Backend {
  return {
    name: "kernels",
    compile: (program, { batchMax }) => compile(program, { batchMax, build }),
    keys: kernelKeys,
  };
}

function compile(
  program: Program,
  { batchMax, build }: { readonly batchMax: number; readonly build: Build | undefined },
): CompiledProgram {
  if (!Number.isSafeInteger(batchMax) || batchMax < 1) throw new RangeError(`Cannot compile for ${batchMax} samples`);
  const layout = layOut(program, batchMax);
  const lowered = lowerProgram(program, layout);
  const records = [...lowered.records];
  function place(steps: readonly Step[]): number {
    const words = stepWords(steps);
    const { address } = layout.take(words.length);
    records.push({ address, words });
    return address;
  }
  const lists = { forward: place(lowered.forward), backward: place(lowered.backward) };
  const places = placePooling(program, layout);
  const memory = createMemory({ bytes: layout.bytes, bytesMax: layout.bytes });
  const kernels = loadKernels(memory, build);
  const { buffer } = memory;
  for (const { address, words } of records) new Int32Array(buffer, address, words.length).set(words);

  function view({ address, floats }: Region): Float32Array {
    return new Float32Array(buffer, address, floats);
  }
  const probabilities = view(layout.probabilities);
  const sums = new Float64Array(buffer, layout.sums.address, 2);
  const gradientsFrom = layout.gradients[0]?.address ?? 0;
  const embeddings = view({
    address: layout.values(EMBEDDINGS).address,
    floats: batchMax * program.tables * program.dim,
  });
  const embeddingGradients = view({
    address: layout.deltas(EMBEDDINGS).address,
    floats: batchMax * program.tables * program.dim,
  });
  const gradientFloats = layout.gradients.reduce((all, { floats }) => all + floats, 0);
  let predicted = 0;

  return {
    program,
    batchMax,
    parameters: layout.parameters.map(view),
    inputs: {
      dense: view({ address: layout.values(DENSE_FEATURES).address, floats: batchMax * program.denseFeatures }),
      embeddings,
      labels: view(layout.labels),
      weights: view(layout.weights),
    },
    forward(size) {
      if (!Number.isSafeInteger(size) || size < 0 || size > batchMax) {
        throw new RangeError(`Cannot predict ${size} samples: the program is compiled for ${batchMax}`);
      }
      kernels.runSteps(lists.forward, lowered.forward.length, size, BATCH_PART);
      predicted = size;
      return probabilities.subarray(0, size);
    },
    backward() {
      kernels.runBackward(
        lists.backward,
        lowered.backward.length,
        predicted,
        BATCH_PART,
        layout.sums.address,
        gradientsFrom,
        gradientFloats,
      );
      const [lossSum = 0, weightSum = 0] = sums;
      return { lossSum, weightSum, loss: weightSum > 0 ? lossSum / weightSum : 0 };
    },
    gradients: layout.gradients.map(view),
    embeddingGradients,
    pooling: kernelPooling(program, { buffer, kernels, layout, places, embeddings, gradients: embeddingGradients }),
    outputs: program.outputs.map((tensor) =>
      view({ address: layout.values(tensor).address, floats: batchMax * layout.width(tensor) }),
    ),
    [Symbol.dispose]() {
      // The memory goes with the last view of it.
    },
  };
}
