// Programs that no architecture would make, and batches for them: whatever a builder gives, a backend must compute.
import fc from "fast-check";
import { type CompiledProgram } from "../protocols/compute/backend.ts";
import { programBuilder, type ProgramBuilder } from "../protocols/compute/program-builder.ts";
import { DENSE_FEATURES, EMBEDDINGS, type Operation, type Program, type Tensor } from "../protocols/compute/program.ts";
import { createRandom, nextBelow, nextFloat, nextNormal, type Random } from "../protocols/random.ts";

/** All that a backend is given. */
export interface Batch {
  readonly size: number;
  readonly parameters: readonly Float32Array[];
  readonly dense: Float32Array;
  readonly embeddings: Float32Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
}

const kinds: readonly Operation["kind"][] = [
  "dense",
  "cross",
  "bias",
  "concat",
  "columns",
  "dot-interaction",
  "factorization-machine",
  "sum",
  "column-sum",
  "dot-product",
];

/** Up to eight operations over whatever there is, each kind alike often; then layers to a logit over some of what nobody read. */
export const drawnPrograms: fc.Arbitrary<Program> = fc
  .record({
    tables: fc.integer({ min: 0, max: 6 }),
    dim: fc.integer({ min: 1, max: 17 }),
    denseFeatures: fc.integer({ min: 0, max: 9 }),
    kinds: fc.array(fc.constantFrom(...kinds), { maxLength: 8, size: "max" }),
    seed: fc.integer(),
  })
  .filter(({ tables, denseFeatures }) => tables + denseFeatures > 0)
  .map(({ kinds: wanted, seed, ...inputs }) => {
    const random = createRandom(seed);
    const builder = programBuilder(inputs);
    const tensors: Tensor[] = [];
    if (inputs.denseFeatures > 0) tensors.push(DENSE_FEATURES);
    if (inputs.tables > 0) tensors.push(EMBEDDINGS);
    const unread = new Set(tensors);
    for (const kind of wanted) {
      const made = addOperation(builder, { kind, tensors, random, dim: inputs.dim });
      if (made === undefined) continue;
      for (const read of made.read) unread.delete(read);
      tensors.push(made.tensor);
      unread.add(made.tensor);
    }
    // Now and then something is computed that nobody reads: its gradient is 0.
    const last = [...unread].filter((_, at) => at === 0 || nextFloat(random) < 0.9);
    const logit = builder.dense(builder.concat(last), { group: "head", width: 1, relu: false });
    const outputs = tensors.filter((tensor) => tensor !== DENSE_FEATURES && nextFloat(random) < 0.2);
    return builder.build({ logit, outputs });
  });

/** A batch with weights, some of them 0, and parameters that keep numbers near 1. */
export function drawBatch(program: Program, { size, seed }: { readonly size: number; readonly seed: number }): Batch {
  const random = createRandom(seed);
  function normal(length: number, scale: number): Float32Array {
    return Float32Array.from({ length }, () => scale * nextNormal(random));
  }
  return {
    size,
    parameters: program.groups.map(({ floats }) => normal(floats, 0.4)),
    dense: normal(size * program.denseFeatures, 1),
    embeddings: normal(size * program.tables * program.dim, 0.6),
    labels: Float32Array.from({ length: size }, () => (nextFloat(random) < 0.5 ? 1 : 0)),
    weights: Float32Array.from({ length: size }, () => (nextFloat(random) < 0.1 ? 0 : 0.25 + 2 * nextFloat(random))),
  };
}

/** Puts a batch where a compiled program reads it. */
export function fill({ parameters, inputs }: CompiledProgram, batch: Batch): void {
  for (const [at, group] of batch.parameters.entries()) parameters[at]?.set(group);
  inputs.dense.set(batch.dense);
  inputs.embeddings.set(batch.embeddings);
  inputs.labels.set(batch.labels);
  inputs.weights.set(batch.weights);
}

function addOperation(
  builder: ProgramBuilder,
  options: {
    readonly kind: Operation["kind"];
    readonly tensors: readonly Tensor[];
    readonly random: Random;
    readonly dim: number;
  },
): { readonly tensor: Tensor; readonly read: readonly Tensor[] } | undefined {
  const { kind, tensors, random, dim } = options;
  function pick(from: readonly Tensor[]): Tensor {
    return from[nextBelow(random, from.length)] ?? EMBEDDINGS;
  }
  const input = pick(tensors);
  const width = builder.width(input);
  const group = `group ${nextBelow(random, 2)}`;
  const alike = tensors.filter((tensor) => builder.width(tensor) === width);
  const vectors = tensors.filter((tensor) => builder.width(tensor) % dim === 0 && builder.width(tensor) <= 6 * dim);
  switch (kind) {
    case "dense": {
      const layer = { group, width: 1 + nextBelow(random, 19), relu: nextFloat(random) < 0.6 };
      return { tensor: builder.dense(input, layer), read: [input] };
    }
    case "cross": {
      const first = pick(alike);
      return { tensor: builder.cross(input, { group, first }), read: [first, input] };
    }
    case "bias":
      return { tensor: builder.bias(input, { group }), read: [input] };
    case "concat": {
      const inputs = [input, pick(tensors), pick(tensors)].slice(0, 1 + nextBelow(random, 3));
      const columns = inputs.reduce((sum, each) => sum + builder.width(each), 0);
      return columns > 120 ? undefined : { tensor: builder.concat(inputs), read: inputs };
    }
    case "columns": {
      const every = width % dim === 0 && nextFloat(random) < 0.5 ? dim : width;
      const from = nextBelow(random, every);
      const to = from + 1 + nextBelow(random, every - from);
      return { tensor: builder.columns(input, { every, from, to }), read: [input] };
    }
    case "dot-interaction":
    case "factorization-machine": {
      if (vectors.length === 0) return undefined;
      const inputs = [pick(vectors), pick(vectors)].slice(0, 1 + nextBelow(random, 2));
      if (kind === "factorization-machine") return { tensor: builder.factorizationMachine(inputs), read: inputs };
      const count = inputs.reduce((sum, each) => sum + builder.width(each) / dim, 0);
      return count < 2 ? undefined : { tensor: builder.dotInteraction(inputs), read: inputs };
    }
    case "sum": {
      const inputs = [input, pick(alike), pick(alike)].slice(0, 1 + nextBelow(random, 3));
      return { tensor: builder.sum(inputs), read: inputs };
    }
    case "column-sum":
      return { tensor: builder.columnSum(input), read: [input] };
    case "dot-product": {
      const right = pick(alike);
      return { tensor: builder.dotProduct(input, right), read: [input, right] };
    }
  }
}
