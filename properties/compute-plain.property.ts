// Goal: the reference backend computes what a program means, and its true gradients; builders give sound programs only; losses are stable.
// Method: the laws of every backend; each drawn program against what program.ts promises; logits of any size.
import fc from "fast-check";
import { expect, test } from "vitest";
import { logLoss, sigmoid } from "../protocols/compute/loss.ts";
import { plain } from "../protocols/compute/plain.ts";
import { programBuilder } from "../protocols/compute/program-builder.ts";
import { EMBEDDINGS } from "../protocols/compute/program.ts";
import { backendLaws } from "./backend-laws.ts";
import { checkProgram } from "./check-program.ts";
import { drawnPrograms } from "./drawn-program.ts";

backendLaws(plain, { runs: 150 });

test("programBuilder() gives programs that are well formed", () => {
  fc.assert(fc.property(drawnPrograms, (program) => checkProgram(program)));
});

test("programBuilder() refuses what is no program", () => {
  const builder = programBuilder({ tables: 3, dim: 4, denseFeatures: 0 });
  const one = builder.columns(EMBEDDINGS, { from: 0, to: 1 });
  const wrong: readonly (() => unknown)[] = [
    () => builder.dense(7, { group: "g", width: 2, relu: false }),
    () => builder.dense(0, { group: "g", width: 2, relu: false }),
    () => builder.dense(EMBEDDINGS, { group: "g", width: 0, relu: false }),
    () => builder.dense(EMBEDDINGS, { group: "g", width: 1.5, relu: false }),
    () => builder.cross(EMBEDDINGS, { group: "g", first: one }),
    () => builder.columns(EMBEDDINGS, { from: 2, to: 2 }),
    () => builder.columns(EMBEDDINGS, { from: 0, to: 13 }),
    () => builder.columns(EMBEDDINGS, { every: 5, from: 0, to: 1 }),
    () => builder.dotInteraction([one]),
    () => builder.dotInteraction([builder.columns(EMBEDDINGS, { from: 0, to: 4 })]),
    () => builder.sum([EMBEDDINGS, one]),
    () => builder.sum([]),
    () => builder.concat([]),
    () => builder.dotProduct(EMBEDDINGS, one),
    () => builder.build({ logit: EMBEDDINGS }),
    () => builder.build({ logit: one, outputs: [99] }),
    () => programBuilder({ tables: -1, dim: 4, denseFeatures: 0 }),
    () => programBuilder({ tables: 1, dim: Number.NaN, denseFeatures: 0 }),
  ];
  for (const build of wrong) expect(build).toThrow(RangeError);
});

test("logLoss() is finite and right for every logit, and sigmoid() stays in [0, 1]", () => {
  fc.assert(
    fc.property(fc.double({ min: -1e30, max: 1e30, noNaN: true }), fc.constantFrom(0, 1), (logit, label) => {
      expect(sigmoid(logit)).toBeGreaterThanOrEqual(0);
      expect(sigmoid(logit)).toBeLessThanOrEqual(1);
      const loss = logLoss(logit, label);
      expect(Number.isFinite(loss) && loss >= 0).toBe(true);
      if (Math.abs(logit) < 15) {
        expect(loss).toBeCloseTo(-Math.log(label === 1 ? sigmoid(logit) : 1 - sigmoid(logit)), 6);
      }
    }),
  );
});
