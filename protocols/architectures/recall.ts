import { embeddingColumn } from "./architecture.ts";
import { type Declared } from "./layers.ts";

/**
 * What items' rows are multiplied with to find those that a user may like, from the user's row. An item's own weight counts as it does in the
 * logit; the user's moves all items alike, so 1 stands in its place.
 */
export function recallQuery(model: Pick<Declared, "architecture">, userRow: Float32Array): Float32Array {
  const query = userRow.slice();
  query.fill(1, 0, embeddingColumn(model) ?? query.length);
  return query;
}
