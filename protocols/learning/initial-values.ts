// First values of parameters. They depend on a seed alone and use no function whose last bit may differ between engines
// (square root and division are exact by IEEE 754), so every replica makes the same ones and none needs to be sent.
import { createRandom, mixUint32, nextFloat } from "../random.ts";
import { type DlrmShape } from "./dlrm.ts";

/** Half the width of the interval that a new embedding's values are drawn from. */
const INITIAL_EMBEDDING_LIMIT = 0.05;

/** First dense parameters, one array a group: weights uniform within sqrt(6 / inputs) before a ReLU (He 2015), sqrt(6 / (inputs + outputs)) before a linear output (Glorot 2010); biases 0. */
export function initialDense(shape: DlrmShape, seed: number): Float32Array[] {
  const random = createRandom(seed);
  return shape.groups.map(({ floats, mlp }) => {
    const group = new Float32Array(floats);
    for (const [at, { inputs, outputs, weightsAt, biasesAt }] of mlp.layers.entries()) {
      const linear = !mlp.activateLast && at + 1 === mlp.layers.length;
      const limit = Math.sqrt(6 / (linear ? inputs + outputs : inputs));
      for (let i = weightsAt; i < biasesAt; i += 1) group[i] = limit * (2 * nextFloat(random) - 1);
    }
    return group;
  });
}

/**
 * The first values of a row, and what an unknown key is served with: uniform within the limit, from the key's seed
 * (`keySeed` of its key) and the table's index.
 */
export function initialRow(
  out: Float32Array,
  row: { readonly table: number; readonly keySeed: number; readonly limit?: number },
): void {
  const limit = row.limit ?? INITIAL_EMBEDDING_LIMIT;
  const seed = mixUint32(row.keySeed, row.table);
  for (let i = 0; i < out.length; i += 1) out[i] = limit * (mixUint32(seed, i) / 0x8000_0000 - 1);
}
