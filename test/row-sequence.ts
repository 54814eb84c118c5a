// Where rows stand in a table's memory, as assembly/table/layout.ts has it, for tests that leave a row as a stopped writer would.
import { type SharedTable } from "../runtime/compute/table/table-reader.ts";

type Memory = Pick<SharedTable, "memory">;

/** A row of the first segment: its key, at 8 its time, at 16 its sequence number. */
export function rowAddress({ memory }: Memory, row: number): number {
  const [stride = 0] = new Uint32Array(memory.buffer, 0, 1);
  const segment = new Uint32Array(memory.buffer, 8512, 1)[0] ?? 0;
  return segment + row * stride;
}

/** Of such a row: one number, odd while it is being written. */
export function sequenceOf(table: Memory, row: number): Uint32Array {
  return new Uint32Array(table.memory.buffer, rowAddress(table, row) + 16, 1);
}
