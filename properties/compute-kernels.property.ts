// Goal: the kernels compute what programs mean, with either build, in batches of any size and whatever numbers come in.
// Method: the laws of every backend; drawn programs against the reference backend, in batches of several parts, and with NaN and infinities.
import fc from "fast-check";
import { test } from "vitest";
import { plain } from "../protocols/compute/plain.ts";
import { FIRST_RESULT, inputsOf, type Program } from "../protocols/compute/program.ts";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { kernelsBackend } from "../runtime/compute/kernels-backend.ts";
import { expectAlike } from "./alike-results.ts";
import { backendLaws } from "./backend-laws.ts";
import { drawBatch, drawnPrograms } from "./drawn-program.ts";
import { exactBatch, meaningOf } from "./program-oracle.ts";

const builds = [
  { ...kernelsBackend({ build: "relaxed" }), name: "kernels, relaxed" },
  { ...kernelsBackend({ build: "plain" }), name: "kernels, plain" },
];

for (const backend of builds) {
  backendLaws(backend, { runs: 40 });

  test(`${backend.name}: a batch of several parts gives what the reference gives`, () => {
    fc.assert(
      fc.property(drawnPrograms, fc.integer({ min: 60, max: 230 }), fc.integer(), (program, size, seed) => {
        const batch = drawBatch(program, { size, seed });
        const meaning = meaningOf(program, exactBatch(batch));
        // Where 32 bits may decide a ReLU otherwise than 64, gradients differ.
        fc.pre(meaning.largest < 50 && meaning.nearestToKink > 2e-5);
        const within = 1e-3 * (1 + meaning.largest);
        expectAlike(backend, { to: plain, program, batch, within, batchMax: size + (seed & 1) });
      }),
      { numRuns: 40 },
    );
  }, 180_000);

  test(`${backend.name}: NaN and infinity show wherever the reference shows them, and nowhere else`, () => {
    const oddities = [Number.NaN, Infinity, -Infinity, 0, -0];
    fc.assert(
      fc.property(drawnPrograms, fc.integer({ min: 1, max: 120 }), fc.integer(), (program, size, seed) => {
        const batch = drawBatch(program, { size, seed });
        const random = createRandom(seed);
        const meaning = meaningOf(program, exactBatch(batch));
        // What nobody reads has no gradient; the reference says 0 times infinity, which is NaN.
        fc.pre(meaning.largest < 50 && meaning.nearestToKink > 2e-5 && isAllRead(program));
        const arrays = [batch.dense, batch.embeddings, ...batch.parameters].filter(({ length }) => length > 0);
        for (let i = 0; i < 3; i += 1) {
          const array = arrays[nextBelow(random, arrays.length)];
          if (array !== undefined) array[nextBelow(random, array.length)] = oddities[nextBelow(random, 5)] ?? 0;
        }
        expectAlike(backend, { to: plain, program, batch, within: 1e-2 * (1 + meaning.largest) });
      }),
      { numRuns: 100 },
    );
  }, 180_000);
}

function isAllRead(program: Program): boolean {
  const read = new Set([program.logit]);
  for (const [at, operation] of [...program.operations.entries()].toReversed()) {
    if (!read.has(FIRST_RESULT + at)) return false;
    for (const input of inputsOf(operation)) read.add(input);
  }
  return true;
}
