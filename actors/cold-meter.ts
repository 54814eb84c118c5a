import { type ModelLayout } from "../protocols/model-layout.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { type Metrics } from "../runtime/actor.ts";
import { coldCounts } from "../runtime/compute/table/beyond-row-store.ts";

/** What grows, by the name of its metric. */
const GROWING = {
  freshet_table_hits_total: "hits",
  freshet_table_misses_total: "misses",
  freshet_table_disk_read_bytes_total: "readBytes",
  freshet_table_disk_written_bytes_total: "writtenBytes",
  freshet_table_disk_moved_rows_total: "moved",
} as const;

/**
 * Shows, each time it is called, of each table of a shard that is not all in memory: how many rows and bytes are on disk; how many rows were wanted that were in memory, and that were not; what was
 * read and written; and how many rows were written again to make room on disk.
 */
export function createColdMeter(
  metrics: Metrics,
  { layout, store, shard }: { readonly layout: ModelLayout; readonly store: RowStore; readonly shard: string },
): () => void {
  const shown = new Map<string, number>();
  return () => {
    for (const [table, memories] of coldCounts(store).entries()) {
      if (memories.length === 0) continue;
      const labels = { shard, table: layout.tables[table]?.name ?? "" };
      function sumOf(what: keyof (typeof memories)[number]): number {
        return memories.reduce((sum, counts) => sum + counts[what], 0);
      }
      metrics.gauge("freshet_table_disk_rows", sumOf("rowsOnDisk"), labels);
      metrics.gauge("freshet_table_disk_bytes", sumOf("bytesOnDisk"), labels);
      for (const [name, what] of Object.entries(GROWING)) {
        const now = sumOf(what);
        const key = `${table} ${name}`;
        metrics.count(name, now - (shown.get(key) ?? 0), labels);
        shown.set(key, now);
      }
    }
  };
}
