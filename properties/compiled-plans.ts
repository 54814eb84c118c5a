import assert from "node:assert/strict";
import fc from "fast-check";
import { columnsOfSamples } from "../protocols/learning/sample-frame.ts";
import { planBatch } from "../protocols/learning/training-batch.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { kernelKeys } from "../runtime/compute/kernel-keys.ts";
import { KEY_EDGES, PLAIN, samples, text } from "./drawn-samples.ts";

/** One planner for all, whose memory is made anew where a batch needs more, and otherwise holds what another left. */
export function compiledPlansAreTheReference(of: ModelDeclaration): void {
  const planKeys = kernelKeys();
  const edges = fc.constantFrom(...KEY_EDGES, "x".repeat(300), `東${"1".repeat(255)}`, "");
  const users = fc.array(fc.oneof(text, edges, fc.nat(20).map(String)), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(samples, { maxLength: 3 }), users, fc.constantFrom(1, 3, 300), (all, others, shards) => {
      const model = { ...of, shards };
      const more = others.map((user, at) => ({ ...PLAIN, user, ...(at % 3 > 0 && { features: { colour: user } }) }));
      const parts = [...all, more].filter((part) => part.length > 0).map(columnsOfSamples);
      for (const some of [parts, parts.slice(1), []]) {
        assert.deepEqual(planBatch(model, some, planKeys), planBatch(model, some));
      }
    }),
    { numRuns: 100 },
  );
}
