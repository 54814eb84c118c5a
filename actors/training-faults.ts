import { checkFinite } from "../protocols/learning/guard.ts";
import { type ShardGradients } from "../protocols/learning/learner.ts";
import { GRADIENT_NORM_MAX } from "./shard-protocol.ts";

/** A shard does not stand where the trainer left it: one of them restarted. */
export class ShardElsewhere extends Error {
  override readonly name = "ShardElsewhere";

  constructor(shard: number, applied: number) {
    super(`Cannot push to shard ${shard}: it stands at ${applied}, so it or this trainer restarted`);
  }
}

/** As many trainers as before learn up to the same message first, so that these can share what comes after it. */
export class TrainersBefore extends Error {
  override readonly name = "TrainersBefore";

  constructor({ model, shard, count }: { readonly model: string; readonly shard: number; readonly count: number }) {
    super(
      `Cannot train '${model}': the ${count} trainers that learned into shard ${shard} before were not through with the same samples; set trainer.count to ${count} until the backlog is 0, then stop the node and set it anew`,
    );
  }
}

/** What is wrong with a batch's gradients, or undefined. */
export function brokenGradient(gradients: readonly (readonly ShardGradients[])[]): string | undefined {
  for (const list of gradients) {
    for (const part of list) {
      // Row by row, as the shards do: a row that one of them refuses must reach none.
      const dim = part.gradients.length / Math.max(1, part.keys.length);
      for (let row = 0; row < part.keys.length; row += 1) {
        const broken = checkFinite(part.gradients.subarray(row * dim, (row + 1) * dim), GRADIENT_NORM_MAX);
        if (broken !== undefined) return broken;
      }
    }
  }
  return undefined;
}
