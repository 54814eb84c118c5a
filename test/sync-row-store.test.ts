import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import { testFrozenRows } from "./frozen-rows-conformance.ts";
import { testRowDrops } from "./row-drops-conformance.ts";
import { testRowStore } from "./row-store-conformance.ts";
import { testRowWrites } from "./row-writes-conformance.ts";

for (const [name, create] of [
  ["map row store", createMapRowStore],
  ["table row store", createTableRowStore],
] as const) {
  testRowStore(name, create);
  testRowWrites(name, create);
  testRowDrops(name, create);
  testFrozenRows(name, create);
}
