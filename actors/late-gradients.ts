import { checkFinite, firstBroken, GRADIENT_NORM_MAX } from "../protocols/learning/guard.ts";
import { compensateDelay } from "../protocols/learning/optimizer.ts";
import { type GradientPart, type KeyList, type Push } from "./shard-protocol.ts";
import { type BrokenGradient } from "./training-faults.ts";

/** How many steps took effect on a shard since the rows of one were read there. Unknown after a restart of the shard: then none are counted. */
export function stepsLate({ readAt }: Pick<Push, "readAt">, steps: number): number {
  return readAt === undefined ? 0 : Math.max(0, steps - readAt);
}

/** A push as it is to take effect. */
export interface Compensated {
  readonly push: Push;
  /** How many gradients were corrected. */
  readonly corrected: number;
  /** What must not enter as it was corrected, and is in the push as it was computed. */
  readonly uncorrected: readonly BrokenGradient[];
}

/**
 * A push whose gradients are those of the rows as they are now, as well as can be guessed of those as they were read. The guess is of the second order and has no
 * bound, so a row whose corrected gradient must not enter keeps the one that was computed, which may: a push that is good is good here, whatever became of its
 * rows. Other shards have taken their part of the batch. `rowsNow` reads rows.
 */
export function compensated(push: Push, rowsNow: (list: KeyList) => Float32Array): Compensated {
  const { compensation = 0 } = push;
  const uncorrected: BrokenGradient[] = [];
  if (compensation === 0) return { push, corrected: 0, uncorrected };
  let rows = 0;
  const parts = push.parts.map((part): GradientPart => {
    if (part.read?.length !== part.gradients.length) return part;
    const gradients = part.gradients.slice();
    compensateDelay(gradients, { lambda: compensation, valuesRead: part.read, valuesNow: rowsNow(part) });
    uncorrected.push(...putBackBroken(gradients, part));
    rows += part.keys.length;
    return { ...part, gradients };
  });
  return { push: { ...push, parts }, corrected: rows - uncorrected.length, uncorrected };
}

function putBackBroken(corrected: Float32Array, { table, keys, gradients: computed }: GradientPart): BrokenGradient[] {
  const first = firstBroken(corrected, { rows: keys.length, normMax: GRADIENT_NORM_MAX });
  if (first === undefined) return [];
  const broken: BrokenGradient[] = [];
  const width = computed.length / keys.length;
  for (let row = first.row; row < keys.length; row += 1) {
    const [from, to] = [row * width, (row + 1) * width];
    const reason = checkFinite(corrected.subarray(from, to), GRADIENT_NORM_MAX);
    if (reason === undefined) continue;
    corrected.set(computed.subarray(from, to), from);
    broken.push({ reason, table, key: keys[row] ?? 0n });
  }
  return broken;
}
