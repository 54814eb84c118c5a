// What holds of every backend, on drawn programs: it computes what the program means, and its true gradients, and keeps nothing.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Backend } from "../protocols/compute/backend.ts";
import { programBuilder } from "../protocols/compute/program-builder.ts";
import { DENSE_FEATURES, EMBEDDINGS, type Program } from "../protocols/compute/program.ts";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { type Batch, drawBatch, drawnPrograms, fill } from "./drawn-program.ts";
import { exactBatch, type ExactBatch, type Meaning, meaningOf } from "./program-oracle.ts";

/** Numbers larger than this have errors of their own size, and nearer to a kink 32 bits may decide otherwise than 64. */
const LARGEST = 50;
const KINK = 3e-4;

/** Runs the laws on a backend. `runs` is how many programs each looks at. */
export function backendLaws(backend: Backend, { runs }: { readonly runs: number }): void {
  const draws = [drawnPrograms, fc.integer({ min: 1, max: 9 }), fc.integer()] as const;

  test(`${backend.name}: forward() and the loss are what the program means`, () => {
    fc.assert(
      fc.property(...draws, (program, size, seed) => {
        const batch = drawBatch(program, { size, seed });
        const meaning = tame(meaningOf(program, exactBatch(batch)));
        using compiled = backend.compile(program, { batchMax: size + 2 });
        fill(compiled, batch);
        const probabilities = compiled.forward(size);
        expect(probabilities).toHaveLength(size);
        const scale = 1e-4 * (1 + meaning.largest);
        for (const [i, p] of probabilities.entries()) near(p, { to: meaning.probabilities[i], within: scale });
        for (const [at, output] of meaning.outputs.entries()) {
          for (const [i, value] of output.entries()) near(compiled.outputs[at]?.[i], { to: value, within: scale });
        }
        const { loss, lossSum, weightSum } = compiled.backward();
        near(weightSum, { to: total([...batch.weights]), within: 1e-4 });
        near(lossSum, { to: total(meaning.losses), within: scale * size });
        near(loss, { to: weightSum > 0 ? lossSum / weightSum : 0, within: 1e-6 * (1 + Math.abs(loss)) });
      }),
      { numRuns: runs },
    );
  });

  test(`${backend.name}: backward() gives the gradients that finite differences of the meaning give`, () => {
    fc.assert(
      fc.property(...draws, (program, size, seed) => {
        checkGradients(backend, program, { size, seed });
      }),
      { numRuns: runs },
    );
  });

  test(`${backend.name}: a batch leaves nothing behind, and its samples do not know of each other`, () => {
    fc.assert(
      fc.property(...draws, (program, size, seed) => {
        const batch = drawBatch(program, { size, seed });
        const meaning = tame(meaningOf(program, exactBatch(batch)));
        const within = 1e-3 * (1 + meaning.largest);
        using used = backend.compile(program, { batchMax: 2 * size });
        fill(used, twice(batch));
        used.forward(2 * size);
        const both = used.backward();
        const ofBoth = used.gradients.map((gradient) => [...gradient]);
        fill(used, batch);
        const once = [...used.forward(size)];
        const single = used.backward();
        using fresh = backend.compile(program, { batchMax: size });
        fill(fresh, batch);
        expect([...fresh.forward(size)]).toEqual(once);
        fresh.backward();
        near(both.loss, { to: single.loss, within: 1e-3 * (1 + single.loss) });
        for (const [at, gradient] of used.gradients.entries()) {
          expect([...(fresh.gradients[at] ?? [])]).toEqual([...gradient]);
          for (const [i, g] of gradient.entries()) near(ofBoth[at]?.[i], { to: g, within: within * (1 + Math.abs(g)) });
        }
        const columns = size * program.tables * program.dim;
        expect([...fresh.embeddingGradients.subarray(0, columns)]).toEqual([
          ...used.embeddingGradients.subarray(0, columns),
        ]);
        for (const [at, group] of batch.parameters.entries()) expect(used.parameters[at]).toEqual(group);
      }),
      { numRuns: runs },
    );
  });

  test(`${backend.name}: NaN in a feature shows in its own sample's prediction and in no other`, () => {
    const builder = programBuilder({ tables: 2, dim: 3, denseFeatures: 2 });
    const hidden = builder.dense(DENSE_FEATURES, { group: "g", width: 3, relu: true });
    const dots = builder.dotInteraction([hidden, EMBEDDINGS]);
    const program = builder.build({ logit: builder.dense(dots, { group: "g", width: 1, relu: false }) });
    const batch = drawBatch(program, { size: 5, seed: 1 });
    using compiled = backend.compile(program, { batchMax: 5 });
    fill(compiled, batch);
    compiled.inputs.dense[4] = Number.NaN;
    expect([...compiled.forward(5)].map(Number.isNaN)).toEqual([false, false, true, false, false]);
  });

  test(`${backend.name}: a batch larger than was compiled for is refused`, () => {
    const builder = programBuilder({ tables: 1, dim: 1, denseFeatures: 0 });
    const program = builder.build({ logit: builder.bias(builder.columnSum(EMBEDDINGS), { group: "b" }) });
    using compiled = backend.compile(program, { batchMax: 3 });
    expect(() => compiled.forward(4)).toThrow(RangeError);
    expect(compiled.forward(0)).toHaveLength(0);
  });
}

/** Of a drawn batch: some gradients by parameters and embeddings, against finite differences of what the program means. Gives the largest number in that. */
export function checkGradients(
  backend: Backend,
  program: Program,
  { size, seed }: { readonly size: number; readonly seed: number },
): number {
  const batch = drawBatch(program, { size, seed });
  const exact = exactBatch(batch);
  const meaning = tame(meaningOf(program, exact));
  using compiled = backend.compile(program, { batchMax: size });
  fill(compiled, batch);
  compiled.forward(size);
  const { weightSum } = compiled.backward();
  const within = 2e-3 * (1 + meaning.largest) ** 0.5;
  function lossAt(moved: ExactBatch): number {
    return total(meaningOf(program, moved).losses);
  }
  const random = createRandom(seed);
  for (const [at, group] of exact.parameters.entries()) {
    for (const place of places(group.length, random)) {
      const expected = slope(group, { place, of: () => lossAt(exact) });
      const given = compiled.gradients[at]?.[place] ?? Number.NaN;
      // Of no sample there is no gradient; minus zero is none.
      if (weightSum === 0) expect(Math.abs(given)).toBe(0);
      else near(given * weightSum, { to: expected, within: within * (1 + Math.abs(expected)) });
    }
  }
  for (const place of places(exact.embeddings.length, random)) {
    const expected = slope(exact.embeddings, { place, of: () => lossAt(exact) });
    near(compiled.embeddingGradients[place], { to: expected, within: within * (1 + Math.abs(expected)) });
  }
  return meaning.largest;
}

function tame(meaning: Meaning): Meaning {
  fc.pre(meaning.largest < LARGEST && meaning.nearestToKink > KINK);
  return meaning;
}

function near(
  given: number | undefined,
  { to, within }: { readonly to: number | undefined; readonly within: number },
): void {
  const distance = Math.abs((given ?? Number.NaN) - (to ?? Number.NaN));
  if (!(distance <= within)) expect.fail(`${given} is not ${to}, within ${within}`);
}

/** A few indices of an array, each drawn. */
function places(length: number, random: ReturnType<typeof createRandom>): number[] {
  if (length === 0) return [];
  return Array.from({ length: 6 }, () => nextBelow(random, length));
}

function slope(floats: number[], { place, of }: { readonly place: number; readonly of: () => number }): number {
  const kept = floats[place] ?? Number.NaN;
  const h = 1e-5;
  floats[place] = kept + h;
  const above = of();
  floats[place] = kept - h;
  const below = of();
  floats[place] = kept;
  return (above - below) / (2 * h);
}

function twice({ size, parameters, dense, embeddings, labels, weights }: Batch): Batch {
  function doubled(floats: Float32Array): Float32Array {
    return Float32Array.of(...floats, ...floats);
  }
  return {
    size: 2 * size,
    parameters,
    dense: doubled(dense),
    embeddings: doubled(embeddings),
    labels: doubled(labels),
    weights: doubled(weights),
  };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
