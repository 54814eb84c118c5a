/* Tables of which next to nothing is in memory: all that row stores do. */
import { type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { SimulatedScratch } from "../properties/simulated-scratch.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import { testFrozenRows } from "./frozen-rows-conformance.ts";
import { testRowDrops } from "./row-drops-conformance.ts";
import { testRowStore } from "./row-store-conformance.ts";
import { testRowWrites } from "./row-writes-conformance.ts";

const NAME = "row store with one row of each table in memory";

/** Of the log a region has two records, or four where they are small, and one is written at a time. */
function create(tables: readonly TableSpec[], options: { readonly state: boolean }): RowStore {
  const cold = { bytes: tables.map(() => 1), scratch: new SimulatedScratch(), regionBytes: 64, bufferBytes: 1 };
  return createTableRowStore(tables, { ...options, cold });
}

testRowStore(NAME, create);
testRowWrites(NAME, create);
testFrozenRows(NAME, create, { runs: 25 });

// With tens of thousands of rows.
testRowDrops("row store with a hundred bytes of each table in memory", (tables, options) =>
  createTableRowStore(tables, {
    ...options,
    cold: { bytes: tables.map(() => 100), scratch: new SimulatedScratch(), regionBytes: 2 ** 16, bufferBytes: 2 ** 12 },
  }),
);

testFrozenRows(
  "row store with several memories, of which most is on disk",
  (tables, options) =>
    createSpreadRowStore(tables, {
      ...options,
      memories: [2, 1, 1, 2],
      cold: { bytes: [32, undefined, 16, 1], scratch: new SimulatedScratch(), regionBytes: 64, bufferBytes: 32 },
    }),
  { runs: 25 },
);
