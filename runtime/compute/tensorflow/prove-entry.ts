/* Loads what was set up, computes a little with it, and prints what it is. A process of its own: a native library that fails takes its process along. */
import { programBuilder } from "../../../protocols/compute/program-builder.ts";
import { plain } from "../../../protocols/compute/plain.ts";
import { type Backend } from "../../../protocols/compute/backend.ts";
import { DENSE_FEATURES, EMBEDDINGS } from "../../../protocols/compute/program.ts";
import { createRandom, nextFloat } from "../../../protocols/random.ts";
import { tensorflowBackend } from "./backend.ts";
import { loadTensorflow } from "./load.ts";

const SIZE = 8;
const WITHIN = 1e-3;

const builder = programBuilder({ tables: 3, dim: 4, denseFeatures: 4 });
const bottom = builder.dense(DENSE_FEATURES, { group: "bottom", width: 4, relu: true });
const pairs = builder.dotInteraction([bottom, EMBEDDINGS]);
const program = builder.build({
  logit: builder.dense(builder.concat([bottom, pairs]), { group: "top", width: 1, relu: false }),
});

/** Predictions and gradients of one drawn batch. */
function compute(backend: Backend): number[] {
  using compiled = backend.compile(program, { batchMax: SIZE });
  const random = createRandom(1);
  const { dense, embeddings, labels, weights } = compiled.inputs;
  for (const array of [...compiled.parameters, dense, embeddings]) {
    for (const i of array.keys()) array[i] = nextFloat(random) - 0.5;
  }
  for (const i of labels.keys()) labels[i] = i % 2;
  weights.fill(1);
  const predictions = [...compiled.forward(SIZE)];
  compiled.backward();
  return [...predictions, ...compiled.gradients.flatMap((group) => [...group]), ...compiled.embeddingGradients];
}

const tensorflow = loadTensorflow(process.argv[2] ?? "");
const given = compute(tensorflowBackend(tensorflow));
for (const [at, expected] of compute(plain).entries()) {
  if (!(Math.abs((given[at] ?? Number.NaN) - expected) <= WITHIN)) {
    throw new Error(`Cannot trust TensorFlow: it computes ${given[at]} where ${expected} is right`);
  }
}
const { device, version, packageVersion } = tensorflow;
process.stdout.write(`${JSON.stringify({ device, version, packageVersion })}\n`);
