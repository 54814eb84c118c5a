/*
 * A thread that writes one table, or reads it, for as long as it is told: each row is written with one word throughout, so that a reader sees when
 * it got parts of two writes.
 */
import { parentPort } from "node:worker_threads";
import { mixUint32 } from "../../protocols/random.ts";
import { type RowBatch } from "../../protocols/sync/row-store.ts";
import { SimulatedScratch } from "../../properties/simulated-scratch.ts";
import { KernelTable } from "../../runtime/compute/table/kernel-table.ts";
import { tableMemory } from "../../runtime/compute/table/table-memory.ts";
import { FOUND, MISSING, TableReader } from "../../runtime/compute/table/table-reader.ts";
import { type ReadOrder, type ReadReport, type TableOrder } from "./table-threads.ts";

const BATCH = 256;
/** Of the log on disk: a region is full, and the next begun, every few rows. */
const CUT = { regionBytes: 2 ** 12, bufferBytes: 2 ** 10 };
const NOTHING = new Float64Array();
/** Of a row's word that say which row it is, as far as they do. */
const ROW_BITS = 127;

parentPort?.once("message", (order: TableOrder) => {
  if (order.kind === "write") write(order);
  else parentPort?.postMessage(order.byKey ? readByKey(order) : read(order));
});

/** Writes all rows once, says so, and then some of them again and again, at a pace or as fast as it can, until told to stop. */
function write({ spec, rows, warmRows, more = 0, perSecond, stop }: TableOrder & { kind: "write" }): void {
  const cold = warmRows === undefined ? undefined : { bytes: warmRows * spec.valueBytes, ...CUT };
  const table = new KernelTable(spec, tableMemory(), cold && { ...cold, file: new SimulatedScratch().open("rows") });
  table.setRanks(new Uint32Array(1));
  const words = spec.valueBytes / 4;
  let round = 0;
  function put(from: number, count: number, of = rows): void {
    round += 1;
    const values = new Uint32Array(count * words);
    for (let at = 0; at < count; at += 1) {
      const word = (mixUint32(round, from + at) & ~ROW_BITS) | (((from + at) % of) & ROW_BITS);
      values.fill(word, at * words, (at + 1) * words);
    }
    const batch: RowBatch = {
      table: 0,
      keys: BigUint64Array.from({ length: count }, (_, at) => BigInt((from + at) % of)),
      t: new Float64Array(count).fill(round),
      writers: new Uint16Array(count),
      flags: new Uint8Array(count),
      values: new Uint8Array(values.buffer),
      state: undefined,
    };
    for (const piece of table.columns.pieces(count)) {
      table.mergePiece(batch, { known: NOTHING, from: piece.from, count: piece.count, state: false });
    }
  }
  function bring(from: number): void {
    const { view } = table.columns.rows;
    for (let at = 0; at < view.length; at += 1) view[at] = (from + at) % rows;
    table.cold?.bring(table.columns.rows, view.length, { more: 0 });
  }
  for (let from = 0; from < rows; from += BATCH) put(from, Math.min(BATCH, rows - from));
  parentPort?.postMessage({ memory: table.memory, spec });
  const beganMs = performance.now();
  for (let written = 0; Atomics.load(stop, 0) === 0; written += BATCH) {
    if (written < more) put(rows + written, BATCH, rows + more);
    else put(mixUint32(7, round) % rows, BATCH);
    if (cold !== undefined) bring(mixUint32(9, round) % rows);
    const aheadMs = perSecond === undefined ? 0 : (written / perSecond) * 1_000 - (performance.now() - beganMs);
    if (aheadMs > 1) Atomics.wait(stop, 0, 0, aheadMs);
  }
}

function read({ table, rows, reads, seed }: ReadOrder): ReadReport {
  const reader = new TableReader(table);
  const batch = Math.min(reader.places.length, 1_024);
  const numbers = Uint32Array.from({ length: 64 * batch }, (_, at) => mixUint32(seed, at) % rows);
  const report = { reads: 0, torn: 0, gaveUp: 0, onDisk: 0, missing: 0, retries: 0, ms: 0 };
  const beganMs = performance.now();
  for (let turn = 0; report.reads < reads; turn += 1) {
    const from = (turn % 64) * batch;
    reader.places.set(numbers.subarray(from, from + batch));
    const { found, uneven } = reader.gatherPlaced(batch, { uneven: true });
    report.reads += batch;
    report.torn += uneven;
    report.gaveUp += batch - found;
  }
  const { retries, onDisk } = reader.counts;
  return { ...report, retries, onDisk, ms: performance.now() - beganMs };
}

/** A row that is not the key's counts as torn. */
function readByKey({ table, rows, reads, seed }: ReadOrder): ReadReport {
  const reader = new TableReader(table);
  const words = table.spec.valueBytes / 4;
  const report = { reads: 0, torn: 0, gaveUp: 0, onDisk: 0, missing: 0, retries: 0, ms: 0 };
  const beganMs = performance.now();
  const values = new Uint32Array(BATCH * words);
  for (let turn = 0; report.reads < reads; turn += 1) {
    const keys = BigUint64Array.from({ length: BATCH }, (_, at) => BigInt(mixUint32(seed, turn * BATCH + at) % rows));
    const statuses = reader.gather(keys, new Uint8Array(values.buffer));
    for (const [at, key] of keys.entries()) {
      if (statuses[at] === MISSING) report.missing += 1;
      if (statuses[at] !== FOUND) continue;
      const row = values.subarray(at * words, (at + 1) * words);
      const [first = 0] = row;
      if ((first & ROW_BITS) !== Number(key) || row.some((word) => word !== first)) report.torn += 1;
    }
    report.reads += BATCH;
  }
  const { retries, gaveUp, onDisk } = reader.counts;
  return { ...report, retries, gaveUp, onDisk, ms: performance.now() - beganMs };
}
