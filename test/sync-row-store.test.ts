import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { testRowStore } from "./row-store-conformance.ts";

testRowStore("map row store", createMapRowStore);
