import { readCatalogueRow } from "../../protocols/learning/catalogue-row.ts";
import { type ImageBlock } from "../../protocols/sync/image-block.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { type ImagePlace } from "../../runtime/image-files.ts";
import { blocksOf, newestSegments, readImages } from "./read-image.ts";

export const CATALOGUE_NAME = "catalogue";

/**
 * Adds the names of a shard's items to those of the model's other shards, which an item's rows may lie in: by key, as the catalogue of its newest image has
 * them. Only the catalogue is kept in memory. Rejects where the image cannot be read to its end.
 */
export async function addItemNames(names: Map<bigint, string>, place: ImagePlace, signal: AbortSignal): Promise<void> {
  const { images, problems } = await readImages(place);
  const [problem] = problems;
  if (problem !== undefined) throw problem.error;
  for (const segment of newestSegments(images)) {
    for await (const { head, blocks } of blocksOf(place, segment)) {
      signal.throwIfAborted();
      const catalogue = head.declared.findIndex(({ name }) => name === CATALOGUE_NAME);
      // In the order in which they were written: what came later counts.
      for (const block of blocks) takeNames(names, block, catalogue);
    }
  }
}

/** Which of an image's tables are keyed by items: the catalogue, and those that its model declares so. */
export function itemTables(declared: readonly TableSpec[], keys: readonly string[]): ReadonlySet<number> {
  const tables = new Set<number>();
  for (const [table, { name }] of declared.entries()) {
    if (name === CATALOGUE_NAME || (table > 0 && keys[table - 1] === "item")) tables.add(table);
  }
  return tables;
}

function takeNames(names: Map<bigint, string>, block: ImageBlock, catalogue: number): void {
  if (block.kind === "dropped") {
    for (const key of block.dropped.table === catalogue ? block.dropped.keys : []) names.delete(key);
    return;
  }
  const { table, keys, values } = block.rows;
  if (table !== catalogue) return;
  const width = values.length / keys.length;
  for (const [row, key] of keys.entries()) {
    // Of a deleted row there are zeros, which name nothing.
    const item = readCatalogueRow(values.subarray(row * width, (row + 1) * width))?.item;
    if (item === undefined) names.delete(key);
    else names.set(key, item);
  }
}
