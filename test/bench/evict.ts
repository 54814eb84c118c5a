/*
 * How long a shard's thread is at it when rows go for want of room, or for their age: of one table, held as region nodes hold it, at the primary and at who hears of
 * it with the horizon.
 */
import { createReplica, type Replica, type ReplicaEvent, stepReplica } from "../../protocols/sync/replica.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { createTableRowStore } from "../../runtime/compute/table/table-row-store.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { rowKey } from "./sync-end-rows.ts";

const ROW: TableSpec = {
  name: "rows",
  dim: 16,
  valueBytes: 64,
  stateBytes: 4,
  precision: "f32",
  optimizer: "rowwise-adagrad",
};
const NOW_MS = 1_760_000_000_000;

export async function* evict({ quick, signal }: BenchOptions): AsyncGenerator<BenchFigure> {
  for (const rows of quick ? [1_000_000] : [1_000_000, 10_000_000]) {
    if (signal.aborted) return;
    yield* measure(rows);
    await Promise.resolve();
  }
}

function* measure(rows: number): Generator<BenchFigure> {
  const primary = createReplica({
    writer: parseWriterId("0.bench.a.x"),
    store: createTableRowStore([ROW], { state: true }),
    primary: { kind: "self" },
  });
  for (let from = 0; from < rows; from += 100_000) {
    const keys = BigUint64Array.from({ length: 100_000 }, (_, at) => rowKey(from + at));
    step(primary, { kind: "write", writes: [{ table: 0, keys, mutate: ({ floats }) => void floats.fill(1) }] });
  }
  const none: number[] = [];
  const some: number[] = [];
  let gone = 0;
  for (let turn = 0; turn < 20; turn += 1) {
    none.push(step(primary, { kind: "expire", table: 0, before: 1 }));
    const before = primary.store.rows(0);
    // What is free after a whole eviction is more than a step takes.
    some.push(step(primary, { kind: "evict", table: 0, rowsMax: Math.floor(rows / 2) }));
    gone += before - primary.store.rows(0);
  }
  const of = `${rows} rows`;
  yield figure(`${of}: looking for rows of an age, none due, median`, median(none), "ms");
  yield figure(`${of}: a step of eviction, rows`, gone / some.length, "rows");
  yield figure(`${of}: a step of eviction, median`, median(some), "ms");
  yield figure(`${of}: a step of eviction, longest of ${some.length}`, Math.max(...some), "ms");
}

/** CPU milliseconds: a machine that others use as well does not make it longer. */
function step(replica: Replica, event: ReplicaEvent): number {
  const before = process.cpuUsage();
  stepReplica(replica, event, NOW_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

function figure(name: string, value: number, unit: string): BenchFigure {
  return { bench: "evict", figure: name, value, unit };
}
