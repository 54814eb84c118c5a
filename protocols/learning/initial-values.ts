// First values of parameters. They depend on a seed alone and use no function whose last bit may differ between engines
// (square root and division are exact by IEEE 754), so every replica makes the same ones and none needs to be sent.
import { type Program, widthOf } from "../compute/program.ts";
import { createRandom, mixUint32, nextFloat } from "../random.ts";

/** Half the width of the interval that a new embedding's values are drawn from. */
const INITIAL_EMBEDDING_LIMIT = 0.05;

/** First dense parameters, one array a group: weights uniform within sqrt(6 / inputs) before a ReLU (He 2015), sqrt(6 / (inputs + outputs)) elsewhere (Glorot 2010); biases 0. */
export function initialDense(program: Program, seed: number): Float32Array[] {
  const random = createRandom(seed);
  const groups = program.groups.map(({ floats }) => new Float32Array(floats));
  for (const operation of program.operations) {
    if (operation.kind !== "dense" && operation.kind !== "cross") continue;
    const group = groups[operation.group];
    if (group === undefined) continue;
    const inputs = widthOf(program, operation.input);
    const isActivated = operation.kind === "dense" && operation.relu;
    const limit = Math.sqrt(6 / (isActivated ? inputs : inputs + operation.width));
    for (let i = operation.weightsAt; i < operation.biasesAt; i += 1) group[i] = limit * (2 * nextFloat(random) - 1);
  }
  return groups;
}

/**
 * The first values of a row, and what an unknown key is served with: uniform within the limit, from the key's seed
 * (`keySeed` of its key) and the table's index.
 */
export function initialRow(
  out: Float32Array,
  row: {
    readonly table: number;
    readonly keySeed: number;
    readonly limit?: number;
    /** Where in `out` the row is; all of it when left out. */
    readonly from?: number;
    readonly to?: number;
  },
): void {
  const { limit = INITIAL_EMBEDDING_LIMIT, from = 0, to = out.length } = row;
  const seed = mixUint32(row.keySeed, row.table);
  for (let at = from; at < to; at += 1) out[at] = limit * (mixUint32(seed, at - from) / 0x8000_0000 - 1);
}
