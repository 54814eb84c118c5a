import { type Replica } from "../protocols/sync/replica.ts";
import { type Context } from "../runtime/actor.ts";
import { type ShardProtocol } from "./shard-protocol.ts";

/** Shows what a replica keeps for the sake of others: what is not settled yet. */
export function showSettled(
  context: Pick<Context<ShardProtocol>, "metrics" | "now">,
  { replica, shard }: { readonly replica: Replica; readonly shard: string },
): void {
  const { horizon, knowledge, store } = replica;
  const labels = { shard };
  if (horizon.settled > 0) {
    context.metrics.gauge(
      "freshet_settled_age_seconds",
      Math.max(0, context.now() / 1000 - horizon.settled / 1e6),
      labels,
    );
  }
  context.metrics.gauge("freshet_tombstones", store.tombstones, labels);
  context.metrics.gauge("freshet_knowledge_entries", knowledge.size, labels);
}
