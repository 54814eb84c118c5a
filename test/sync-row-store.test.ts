import { createColumnRowStore } from "../protocols/sync/column-row-store.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { testFrozenRows } from "./frozen-rows-conformance.ts";
import { testRowStore } from "./row-store-conformance.ts";

testRowStore("map row store", createMapRowStore);
testRowStore("column row store", createColumnRowStore);
testFrozenRows("map row store", createMapRowStore);
testFrozenRows("column row store", createColumnRowStore);
