import { compensateDelay } from "../protocols/learning/optimizer.ts";
import { type GradientPart, type KeyList, type Push } from "./shard-protocol.ts";

/** How many steps took effect on a shard since the rows of one were read there. Unknown after a restart of the shard: then none are counted. */
export function stepsLate({ readAt }: Pick<Push, "readAt">, steps: number): number {
  return readAt === undefined ? 0 : Math.max(0, steps - readAt);
}

/** A push whose gradients are those of the rows as they are now, as well as can be guessed of those as they were read. `rowsNow` reads rows. */
export function compensated(push: Push, rowsNow: (list: KeyList) => Float32Array): Push {
  const { compensation = 0 } = push;
  if (compensation === 0) return push;
  const parts = push.parts.map((part): GradientPart => {
    if (part.read?.length !== part.gradients.length) return part;
    const gradients = part.gradients.slice();
    compensateDelay(gradients, { lambda: compensation, valuesRead: part.read, valuesNow: rowsNow(part) });
    return { ...part, gradients };
  });
  return { ...push, parts };
}
