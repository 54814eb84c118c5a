import { type Precision } from "../../protocols/sync/precision.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { type Knobs } from "./knobs.ts";

const FLOATS: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
];
const HALVES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 2, stateBytes: 8, precision: "f16", optimizer: "test" },
];

const BYTES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 5, stateBytes: 8, precision: "i8", optimizer: "test" },
];

/** The one table of simulated shards: a number and a number of optimizer state, always written alike. */
export function tablesOf({ precision }: Pick<Knobs, "precision">): readonly TableSpec[] {
  return precision === "f16" ? HALVES : precision === "i8" ? BYTES : FLOATS;
}

/** What all see of a number that is written. Of one byte and a scale it is 127 times a 127th of it, each as a 32-bit float. */
export function heldAs(precision: Knobs["precision"], exact: number): number {
  if (precision === "f16") return Math.f16round(exact);
  return precision === "i8" ? Math.fround(127 * Math.fround(exact / 127)) : exact;
}

/** The numbers of rows of such a table, one each. */
export function numbersIn(precision: Precision, values: Uint8Array): readonly number[] {
  const { buffer } = values.slice();
  if (precision !== "i8") return [...(precision === "f16" ? new Float16Array(buffer) : new Float32Array(buffer))];
  const view = new DataView(buffer);
  return Array.from({ length: values.length / 5 }, (_, row) =>
    Math.fround(view.getFloat32(5 * row, true) * view.getInt8(5 * row + 4)),
  );
}
