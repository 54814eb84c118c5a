/*
 * The store of rows that a shard holds: what its tables do in a second, what a row costs beside its values, and what readers in other threads
 * see while a writer writes.
 */
import { mixUint32 } from "../../protocols/random.ts";
import { type RowBatch, type RowStore, type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { KernelTable } from "../../runtime/compute/table/kernel-table.ts";
import { TableReader } from "../../runtime/compute/table/table-reader.ts";
import { createTableRowStore } from "../../runtime/compute/table/table-row-store.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { measureOverhead } from "./store-overhead.ts";
import { measureSpread } from "./store-spread.ts";
import { compileC, type CompiledProgram } from "./compile-c.ts";
import { rowKey } from "./sync-end-rows.ts";
import { type ReadReport, WrittenTable } from "./table-threads.ts";

const READS = 1_000_000_000;
const GATHER_BYTES = 3e9;
const KEYS = 10_000_000;
const WRITER_ROWS_PER_SECOND = 100_000;
const NOTHING = new Float64Array();

export async function* store(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { progress, quick, signal } = options;
  const program = await compileC("store-reference.c", signal);
  if ("why" in program) progress.write(`store: without the reference in C, as ${program.why}\n`);
  await using reference = "why" in program ? undefined : program;
  const parts = [
    () => measureKeys(quick ? KEYS / 10 : KEYS, { reference, signal }),
    () => measureFrames(quick ? 100_000 : 500_000),
    () => measureOverhead(),
    () =>
      measureGather({ dim: 16, atLeast: 30, bytes: quick ? GATHER_BYTES / 30 : GATHER_BYTES }, { reference, signal }),
    () =>
      measureGather({ dim: 64, atLeast: 15, bytes: quick ? GATHER_BYTES / 30 : GATHER_BYTES }, { reference, signal }),
    () => measureSpread(quick ? 50e6 : 4.6e9, progress),
    () => measureReaders(options.reads ?? (quick ? READS / 100 : READS), progress),
  ];
  for (const part of parts) {
    if (signal.aborted) return;
    yield* part();
  }
}

/** What memory gives a program in C that does the same without a table's checks, where there is a compiler. */
interface Beside {
  readonly reference: CompiledProgram | undefined;
  readonly signal: AbortSignal;
}

/** Sets a figure beside the reference in C: in pages of the usual size, as the engine has them, and in huge ones. */
async function* besideC(
  ours: BenchFigure,
  arguments_: readonly string[],
  { reference, signal }: Beside,
): AsyncGenerator<BenchFigure> {
  if (reference === undefined) {
    yield ours;
    return;
  }
  const [usual = Number.NaN, huge = Number.NaN] = await reference.run(arguments_, { signal });
  const compared = `C ${usual.toPrecision(3)}, in huge pages ${huge.toPrecision(3)}`;
  yield { ...ours, compared, ratio: ours.value / usual };
}

/** Keys of one table, in and found again, at random. */
async function* measureKeys(count: number, beside: Beside): AsyncGenerator<BenchFigure> {
  const table = new KernelTable(specOf(1));
  const { columns, code } = table;
  const keys = BigUint64Array.from({ length: count }, (_, at) => rowKey(at));
  const before = table.bytes;
  let longestMs = 0;
  const insertMs = timed(() => {
    for (const { from, to, count: piece } of columns.pieces(count)) {
      columns.keys.view.set(keys.subarray(from, to));
      const ms = timed(() => {
        if (code.addRows(columns.keys.at, piece, columns.rows.at) !== piece) throw new Error("Cannot add all keys");
      });
      longestMs = Math.max(longestMs, ms);
    }
  });
  const order = Uint32Array.from({ length: count }, (_, at) => mixUint32(3, at) % count);
  const mixed = BigUint64Array.from(order, (at) => keys[at] ?? 0n);
  let found = 0;
  const findMs = medianOf(3, () => {
    for (const { from, to, count: piece } of columns.pieces(count)) {
      columns.keys.view.set(mixed.subarray(from, to));
      code.findRows(columns.keys.at, piece, columns.rows.at);
      found += columns.rows.view[0] === order[from] ? 1 : 0;
    }
  });
  if (found !== 3 * Math.ceil(count / columns.rowsMax)) throw new Error("Cannot find the keys that were added");
  // A row without values is a key, 4 bytes of values that this table has, and its head: the key and the index are what the key costs.
  const rowBytes = 24 + 8;
  yield atLeast(`${count} keys: inserts`, count / insertMs / 1000, "M/s", 12);
  yield* besideC(atLeast(`${count} keys: lookups`, count / findMs / 1000, "M/s", 20), ["find", String(count)], beside);
  yield atMost(`${count} keys: bytes a key`, (table.bytes - before) / count - rowBytes + 8, "B", 28);
  yield figure(`${count} keys: longest insert of ${columns.rowsMax}`, longestMs, "ms");
}

/** Rows of one table, 64 bytes each, out of a store as a frame has them and into another. */
function* measureFrames(count: number): Generator<BenchFigure> {
  const from = frameStore();
  const writer = from.writerIndex(parseWriterId("0.bench.a.x"));
  for (let first = 0; first < count; first += 5_000) {
    from.merge(batchOf(first, Math.min(5_000, count - first), writer), NOTHING);
  }
  const list = from.collect(NOTHING);
  const bytes = count * (8 + 8 + 2 + 1 + 64);
  const frames: RowBatch[] = [];
  // Five times each: the first finds code that was not compiled to its end.
  const packMs = medianOf(5, () => {
    frames.length = 0;
    for (let at = 0; at < count; at += 4_000) {
      frames.push(...from.pack(list, { from: at, to: Math.min(count, at + 4_000) }));
    }
  });
  const stores = Array.from({ length: 5 }, frameStore);
  const [mergeMs, overMs] = [0, count].map((later) => {
    const sent = frames.map((frame) => ({ ...frame, t: frame.t.map((t) => t + later) }));
    const waiting = [...stores];
    return medianOf(stores.length, () => {
      const to = waiting.shift();
      for (const frame of sent) to?.merge(frame, NOTHING);
    });
  });
  if (mergeMs === undefined || overMs === undefined) return;
  yield atLeast("pack", bytes / packMs / 1e6, "GB/s", 1);
  yield atLeast("merge of rows that are new", bytes / mergeMs / 1e3, "MB/s", 500);
  yield atLeast("merge of rows that are held", bytes / overMs / 1e3, "MB/s", 500);
}

function frameStore(): RowStore {
  const rows = createTableRowStore([specOf(16)], { state: false });
  rows.writerIndex(parseWriterId("0.bench.a.x"));
  return rows;
}

/** Rows by number, at random, from more memory than any cache holds, each whole as a reader in another thread takes it. */
async function* measureGather(
  given: { readonly dim: number; readonly atLeast: number; readonly bytes: number },
  beside: Beside,
): AsyncGenerator<BenchFigure> {
  const { dim, bytes } = given;
  const spec = specOf(dim);
  const table = new KernelTable(spec);
  const rows = Math.ceil(bytes / (24 + spec.valueBytes));
  for (const { from, count } of table.columns.pieces(rows)) {
    const { keys } = table.columns;
    for (let at = 0; at < count; at += 1) keys.view[at] = BigInt(from + at);
    const batch = batchOf(from, count, 0, dim);
    table.mergePiece(batch, { known: NOTHING, from: 0, count, state: false });
  }
  const reader = new TableReader({ memory: table.memory, spec });
  const batch = Math.min(1_024, reader.places.length);
  const turns = 4_000;
  const numbers = Uint32Array.from({ length: turns * batch }, (_, at) => mixUint32(at, 5) % rows);
  let found = 0;
  const ms = medianOf(3, () => {
    for (let turn = 0; turn < turns; turn += 1) {
      reader.places.set(numbers.subarray(turn * batch, (turn + 1) * batch));
      found += reader.gatherPlaced(batch).found;
    }
  });
  if (found !== 3 * turns * batch) throw new Error("Cannot gather rows that are there");
  const name = `gather of ${dim}-float rows from ${(bytes / 1e9).toFixed(1)} GB`;
  const rate = atLeast(name, (turns * batch) / ms / 1000, "M rows/s", given.atLeast);
  yield* besideC(rate, ["gather", String(24 + spec.valueBytes), String(spec.valueBytes), String(rows)], beside);
}

/** Two readers against one, while a writer writes at a pace; then as many reads as it takes to trust that none is torn. */
async function* measureReaders(reads: number, progress: BenchOptions["progress"]): AsyncGenerator<BenchFigure> {
  await using written = await WrittenTable.start({
    spec: specOf(16),
    rows: 200_000,
    perSecond: WRITER_ROWS_PER_SECOND,
  });
  const few = Math.min(reads, 20_000_000);
  const one = rateOf(await written.read(1, few));
  const two = rateOf(await written.read(2, few));
  yield {
    ...atLeast("two readers, the writer at 100 k rows/s", two, "M rows/s", 0),
    compared: `one ${one.toPrecision(4)} M rows/s`,
    ratio: two / one,
    target: ">= 1.6x",
    met: two / one >= 1.6,
  };
  let done = 0;
  const sums = { torn: 0, gaveUp: 0, retries: 0 };
  // Few rows and a writer that never rests: they meet as often as they can.
  await using hot = await WrittenTable.start({ spec: specOf(16), rows: 4_096, perSecond: undefined });
  while (done < reads) {
    const some = Math.min((reads - done) / 2, 50_000_000);
    for (const report of await hot.read(2, some)) {
      done += report.reads;
      for (const what of ["torn", "gaveUp", "retries"] as const) sums[what] += report[what];
    }
    progress.write(`store: ${done} reads of rows that are being written, ${sums.torn} torn\n`);
  }
  yield figure("reads of rows under a hot writer", done, "rows");
  yield atMost("of these torn", sums.torn, "rows", 0);
  yield figure("of these tried again, a million", (sums.retries / done) * 1e6, "rows");
  yield figure("of these given up, a million", (sums.gaveUp / done) * 1e6, "rows");
}

function rateOf(reports: readonly ReadReport[]): number {
  return reports.reduce((sum, { reads, ms }) => sum + reads / ms / 1000, 0);
}

function specOf(dim: number): TableSpec {
  return { name: "rows", dim, valueBytes: 4 * dim, stateBytes: 0, precision: "f32", optimizer: "" };
}

function batchOf(first: number, count: number, writer: number, dim = 16): RowBatch {
  return {
    table: 0,
    keys: BigUint64Array.from({ length: count }, (_, at) => rowKey(first + at)),
    t: Float64Array.from({ length: count }, (_, at) => first + at + 1),
    writers: new Uint16Array(count).fill(writer),
    flags: new Uint8Array(count),
    values: new Uint8Array(count * 4 * dim).fill(first % 251),
    state: undefined,
  };
}

/** By the CPU, as machines are shared; what the engine does in other threads meanwhile counts too. */
function timed(work: () => void): number {
  const began = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}

function medianOf(times: number, work: () => void): number {
  const all = Array.from({ length: times }, () => timed(work)).toSorted((a, b) => a - b);
  return all[Math.floor(times / 2)] ?? 0;
}

function figure(name: string, value: number, unit: string): BenchFigure {
  return { bench: "store", figure: name, value, unit };
}

function atLeast(name: string, value: number, unit: string, least: number): BenchFigure {
  return { ...figure(name, value, unit), target: `>= ${least}`, met: value >= least };
}

function atMost(name: string, value: number, unit: string, most: number): BenchFigure {
  return { ...figure(name, value, unit), target: `<= ${most}`, met: value <= most };
}
