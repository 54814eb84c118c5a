// A table that is larger than one memory, really filled: what it holds, and what spreading keys costs who writes and who reads.
import { mixUint32 } from "../../protocols/random.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { SpreadReader } from "../../runtime/compute/table/spread-reader.ts";
import { sharedTables } from "../../runtime/compute/table/beyond-row-store.ts";
import { createSpreadRowStore } from "../../runtime/compute/table/spread-row-store.ts";
import { FOUND } from "../../runtime/compute/table/table-reader.ts";
import { type BenchFigure } from "./bench-figure.ts";
import { rowKey } from "./sync-end-rows.ts";

const DIM = 64;
const SPEC: TableSpec = { name: "rows", dim: DIM, valueBytes: 4 * DIM, stateBytes: 0, precision: "f32", optimizer: "" };
const BATCH_ROWS = 8_192;
const READS = 400_000;

/** Fills two memories with so many bytes of rows together, and one with a hundredth, to compare with. */
export function* measureSpread(
  bytes: number,
  progress: { write(text: string): unknown },
): Generator<BenchFigure, void, undefined> {
  const rows = Math.ceil(bytes / (24 + SPEC.valueBytes));
  const one = filledStore(Math.ceil(rows / 100), 1, progress);
  const two = filledStore(rows, 2, progress);
  const held = two.memories.reduce((sum, { memory }) => sum + memory.buffer.byteLength, 0);
  const largest = Math.max(...two.memories.map(({ memory }) => memory.buffer.byteLength));
  function figure(name: string, value: number, unit: string): BenchFigure {
    return { bench: "store", figure: `a table in two memories: ${name}`, value, unit };
  }
  yield figure("held", held / 2 ** 30, "GiB");
  yield figure("of these in the fuller memory", largest / 2 ** 30, "GiB");
  yield { ...figure("rows that are found again, of 256 B", two.found, "rows"), ...target(two.found === READS) };
  yield { ...figure("loaded", two.loaded, "M rows/s"), compared: `a hundredth of it, in one ${one.loaded.toFixed(2)}` };
  yield {
    ...figure("gathered", two.gathered, "M rows/s"),
    compared: `of a hundredth, in one ${one.gathered.toFixed(2)}`,
  };
}

function target(met: boolean): Pick<BenchFigure, "target" | "met"> {
  return { target: String(READS), met };
}

function filledStore(rows: number, memories: number, progress: { write(text: string): unknown }) {
  const store = createSpreadRowStore([SPEC], { state: false, memories: [memories] });
  const writer = store.writerIndex(parseWriterId("0.bench.a.x"));
  const values = new Uint8Array(BATCH_ROWS * SPEC.valueBytes);
  let loadMs = 0;
  for (let first = 0; first < rows; first += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, rows - first);
    const keys = BigUint64Array.from({ length: count }, (_, at) => rowKey(first + at));
    // The first number of a row says which it is.
    const numbers = new Uint32Array(values.buffer);
    for (let at = 0; at < count; at += 1) numbers[at * DIM] = first + at;
    const batch = {
      table: 0,
      keys,
      t: Float64Array.from({ length: count }, (_, at) => first + at + 1),
      writers: new Uint16Array(count).fill(writer),
      flags: new Uint8Array(count),
      values: values.subarray(0, count * SPEC.valueBytes),
      state: undefined,
    };
    const beganMs = performance.now();
    store.load(batch, { rows });
    loadMs += performance.now() - beganMs;
    if (first % (512 * BATCH_ROWS) === 0) progress.write(`store: ${first} of ${rows} rows in ${memories} memories\n`);
  }
  const shared = sharedTables(store)[0] ?? [];
  const reader = new SpreadReader(shared);
  let found = 0;
  let gatherMs = 0;
  for (let first = 0; first < READS; first += 1_000) {
    const wanted = Uint32Array.from({ length: 1_000 }, (_, at) => mixUint32(first + at, 7) % rows);
    const keys = BigUint64Array.from(wanted, (row) => rowKey(row));
    const read = new Uint8Array(keys.length * SPEC.valueBytes);
    const beganMs = performance.now();
    const statuses = reader.gather(keys, read);
    gatherMs += performance.now() - beganMs;
    const numbers = new Uint32Array(read.buffer);
    for (const [at, row] of wanted.entries()) if (statuses[at] === FOUND && numbers[at * DIM] === row) found += 1;
  }
  if (store.rows(0) !== rows) throw new Error("Not all rows are held");
  return { memories: shared, found, loaded: rows / loadMs / 1_000, gathered: READS / gatherMs / 1_000 };
}
