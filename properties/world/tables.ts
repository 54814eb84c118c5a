import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { type Knobs } from "./knobs.ts";

const FLOATS: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
];
const HALVES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 2, stateBytes: 8, precision: "f16", optimizer: "test" },
];

/** The one table of simulated shards: a number and a number of optimizer state, always written alike. */
export function tablesOf({ halves }: Knobs): readonly TableSpec[] {
  return halves ? HALVES : FLOATS;
}
