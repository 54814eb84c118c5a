import { createColumnRowStore } from "../protocols/sync/column-row-store.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { testRowStore } from "./row-store-conformance.ts";

testRowStore("map row store", createMapRowStore);
testRowStore("column row store", createColumnRowStore);
