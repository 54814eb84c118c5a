import { type ShardStatus } from "../actors/shard-protocol.ts";
import { shardName } from "../actors/shard-name.ts";
import { adviceOn } from "../actors/image-trouble.ts";

const NAMED_MAX = 3;

/** What is wrong with the disk for images, as the shards say; none of it keeps a node from serving. One line for each way in which it fails. */
export function imageProblems(
  models: readonly {
    readonly model: { readonly name: string };
    readonly shards: readonly (ShardStatus | undefined)[];
  }[],
): string[] {
  const found = models.flatMap(({ model, shards }) =>
    shards.flatMap((shard) =>
      shard?.notWritten === undefined ? [] : [{ name: shardName(model.name, shard.shard), why: shard.notWritten }],
    ),
  );
  return [...Map.groupBy(found, ({ why }) => why.code).values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    const names = same.slice(0, NAMED_MAX).map(({ name }) => name);
    if (same.length > NAMED_MAX) names.push(`${same.length - NAMED_MAX} more`);
    const which = `${same.length === 1 ? "shard" : "shards"} ${names.join(", ")}`;
    return [`the images of ${which} are not written, and what came since is in memory only: ${adviceOn(first.why)}`];
  });
}
