import { type ModelLayout } from "../protocols/model-layout.ts";
import { type Replica } from "../protocols/sync/replica.ts";
import { rowMemory } from "../protocols/sync/row-store.ts";
import { type Context } from "../runtime/actor.ts";
import { createColdMeter } from "./cold-meter.ts";
import { type ShardProtocol } from "./shard-protocol.ts";

/**
 * Shows, each time it is called, what a replica holds: of each embedding table how many rows, the memory that these take at most, and how much of it is on disk instead; and, for the sake of
 * others, what is not settled yet.
 */
export function createHeldMeter(
  { metrics, now }: Pick<Context<ShardProtocol>, "metrics" | "now">,
  { layout, replica, shard }: { readonly layout: ModelLayout; readonly replica: Replica; readonly shard: string },
): () => void {
  const showCold = createColdMeter(metrics, { layout, store: replica.store, shard });
  return () => {
    const { horizon, knowledge, store } = replica;
    const labels = { shard };
    if (horizon.settled > 0) {
      metrics.gauge("freshet_settled_age_seconds", Math.max(0, now() / 1000 - horizon.settled / 1e6), labels);
    }
    metrics.gauge("freshet_tombstones", store.tombstones, labels);
    metrics.gauge("freshet_knowledge_entries", knowledge.size, labels);
    for (const [index, { role, name }] of layout.tables.entries()) {
      const spec = store.tables[index];
      if (role !== "embedding" || spec === undefined) continue;
      const rows = store.rows(index);
      metrics.gauge("freshet_table_rows", rows, { shard, table: name });
      metrics.gauge("freshet_table_bytes", rows * rowMemory(spec), { shard, table: name });
    }
    showCold();
  };
}
