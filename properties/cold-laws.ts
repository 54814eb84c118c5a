/*
 * What must hold of a table of which a part is on disk. It is the table that it would be in memory, whatever is done to it (C1); its readers get what it holds, or are told to ask (C2); rows in use
 * stay in memory, and what was wanted is counted (C3); the disk holds not much more than what is needed (C4); and what a full or faulty disk did not keep is never given, nor anything else from then on (C5).
 */
import assert from "node:assert/strict";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createRandom, nextBelow, nextUint32, type Random } from "../protocols/random.ts";
import {
  type FrozenRows,
  type LearnRequest,
  type RowEdit,
  type RowStore,
  type SlotVersions,
} from "../protocols/sync/row-store.ts";
import { coldCounts, sharedTables } from "../runtime/compute/table/beyond-row-store.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";
import { SpreadReader } from "../runtime/compute/table/spread-reader.ts";
import { FOUND, MISSING, ON_DISK } from "../runtime/compute/table/table-reader.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import { checkDiskLaws } from "./cold-disk-laws.ts";
import {
  coldStore,
  CUT,
  DIM,
  KEYS,
  NOTHING,
  REGION_ROWS,
  ROWS_IN_MEMORY,
  someKeys,
  someRows,
  TABLE,
  TABLES,
  tried,
  write,
  WRITERS,
} from "./cold-store.ts";
import { allRows, contentsOf } from "./row-contents.ts";
import { SimulatedScratch } from "./simulated-scratch.ts";

const OPTIMIZER = {
  kind: "rowwise-adagrad",
  learningRate: 0.1,
  initialAccumulator: 0.1,
  coldAccumulator: 0.1,
  epsilon: 1e-7,
  epsilonPlace: "outside",
} as const;

export function checkLaws(): void {
  whatIsWantedIsCounted();
  for (let seed = 0; seed < 14; seed += 1) isTheSameTable(seed);
  anyMemoryWillDo();
  rowsInUseStay();
  theDiskHoldsLittleMore();
  checkDiskLaws();
}

/** The same things are done to such a table and to the reference, and give the same. */
function isTheSameTable(seed: number): void {
  const random = createRandom(seed);
  const memories = 1 + (seed % 2);
  const { store: cold } = coldStore({ memories });
  // Over several memories what learns is stamped memory by memory.
  const inMemory = { state: true, memories: [1, memories] };
  const reference = memories === 1 ? createMapRowStore(TABLES, inMemory) : createSpreadRowStore(TABLES, inMemory);
  for (const writer of WRITERS) reference.writerIndex(writer);
  const stores = [reference, cold] as const;
  const readers = sharedTables(cold).map((shared) => new SpreadReader(shared));
  let t = 1;
  let moments: readonly FrozenRows[] = [];
  for (let step = 0; step < 150; step += 1) {
    const kind = nextBelow(random, 10);
    const work = nextUint32(random);
    const [wanted, got] = stores.map((store) => doOne(store, { kind, t, random: createRandom(work) }));
    assert.deepEqual(got, wanted, `seed ${seed}, step ${step}, of kind ${kind}`);
    t += 1_000;
    if (step % 30 === 10) moments = stores.map((store) => store.freeze(step % 60 === 10 ? "all" : "changed"));
    if (step % 30 === 25) {
      const [before, now] = moments.map(contentsOf);
      assert.deepEqual(now, before, `seed ${seed}, the moment before step ${step}`);
      for (const moment of moments) moment.close(step % 4 === 0 ? "lost" : "kept");
      moments = [];
    }
    if (step % 10 === 0) readersGetWhatIsThere(readers[TABLE], reference);
  }
  assert.equal(cold.digest(), reference.digest());
  assert.deepEqual(...pair(stores.map(allRows)));
  const onDisk = coldCounts(cold)
    .flat()
    .reduce((sum, { rowsOnDisk }) => sum + rowsOnDisk, 0);
  assert(onDisk > 0, "nothing was on disk");
}

function doOne(
  store: RowStore,
  { kind, t, random }: { readonly kind: number; readonly t: number; readonly random: Random },
): unknown {
  const keys = someKeys(random);
  const request = { table: TABLE, keys, writer: 0, firstT: t };
  switch (kind) {
    case 0:
      return store.read(TABLE, keys);
    case 1: {
      function mutate({ key, floats, state }: RowEdit): "delete" | "skip" | void {
        if (key % 7n === 0n) return "delete";
        if (key % 11n === 0n) return "skip";
        floats.fill((floats[0] ?? 0) + Number(key));
        state.fill(t);
      }
      return withoutSlots(store.update({ ...request, mutate }));
    }
    case 2:
      return withoutSlots(store.merge(someRows(keys, { t, random }), Float64Array.of(0, t + 10)));
    case 3:
      store.dropKeys({ table: TABLE, keys: new BigUint64Array([...new Set(keys)].slice(0, 3)) });
      return undefined;
    case 4:
      return store
        .dropWhere(({ key }) => key % 16n === BigInt(t % 16), { table: TABLE })
        .map((dropped) => dropped.keys.toSorted());
    case 5:
      return store.digest();
    case 6:
      return allRows(store);
    default:
      return learn(store, request, random);
  }
}

function learn(store: RowStore, request: Omit<LearnRequest, "steps">, random: Random): unknown {
  const count = request.keys.length;
  const [norms, created] = [new Float64Array(count), new Uint8Array(count)];
  const gradients = Float32Array.from({ length: count * DIM }, () => nextBelow(random, 200) / 100 - 1);
  const steps = { optimizer: OPTIMIZER, gradients, initial: () => new Float32Array(DIM).fill(0.5), norms, created };
  const outcome = store.learn({ ...request, steps });
  // Which key is stamped before another is the store's own matter.
  const stamps = [...outcome.t].toSorted((a, b) => a - b);
  return { stamps, stamped: outcome.stamped, refused: outcome.refused, norms, created };
}

/** Values are what the shard itself would give, unless it is to be asked. */
function readersGetWhatIsThere(reader: SpreadReader | undefined, reference: RowStore): void {
  if (reader === undefined) throw new Error("there is no reader");
  const keys = BigUint64Array.from({ length: KEYS }, (_, at) => BigInt(at));
  const got = new Uint8Array(12 * KEYS);
  const statuses = reader.gather(keys, got);
  const { found, values } = reference.read(TABLE, keys);
  for (let at = 0; at < KEYS; at += 1) {
    if (statuses[at] === ON_DISK) continue;
    assert.equal(statuses[at], found[at] === 1 ? FOUND : MISSING, `key ${at}`);
    const [from, to] = [12 * at, 12 * at + 12];
    assert.deepEqual([...got.subarray(from, to)], [...values.subarray(from, to)], `key ${at}`);
  }
}

/** However much of it there is: to make a table takes more memory than one begins with. */
function anyMemoryWillDo(): void {
  for (let bytes = 1_000; bytes < 6e6; bytes *= 1.3) {
    const cold = { bytes: [undefined, bytes], scratch: new SimulatedScratch() };
    const store = createTableRowStore(TABLES, { state: true, cold });
    for (const writer of WRITERS) store.writerIndex(writer);
    const keys = Array.from({ length: 200 }, (_, at) => BigInt(at));
    write(store, keys, 1);
    assert.equal(store.rows(TABLE) + store.tombstones, keys.length);
    assert(!("error" in tried(() => allRows(store))), `with ${bytes} bytes`);
  }
}

function rowsInUseStay(): void {
  const { store } = coldStore({ rows: 8 });
  write(
    store,
    Array.from({ length: KEYS }, (_, at) => BigInt(at)),
    1,
  );
  const hot = BigUint64Array.of(1n, 2n, 3n);
  store.read(TABLE, hot);
  let misses = 0;
  for (let round = 0; round < 50; round += 1) {
    // A scan goes by, two rows at a time.
    store.read(TABLE, BigUint64Array.of(BigInt(10 + ((2 * round) % 50)), BigInt(10 + ((2 * round + 1) % 50))));
    const before = missesOf(store);
    store.read(TABLE, hot);
    misses += missesOf(store) - before;
  }
  assert(misses <= 3, `rows in use were brought back ${misses} times`);
}

/** Each row that a list names, once: as one that was in memory, or one that was not. */
function whatIsWantedIsCounted(): void {
  const { store } = coldStore({ rows: 12 });
  const random = createRandom(5);
  const keys = BigUint64Array.from({ length: KEYS }, (_, at) => BigInt(at));
  store.merge({ ...someRows(keys, { t: 1, random }), flags: new Uint8Array(keys.length) }, NOTHING);
  const reader = new SpreadReader(sharedTables(store)[TABLE] ?? []);
  const sums = [0, 0];
  for (let round = 0; round < 60; round += 1) {
    const some = someKeys(random).subarray(0, 6);
    const wanted = BigUint64Array.of(...some, ...some);
    const statuses = reader.gather(wanted, new Uint8Array(wanted.length * 4 * DIM));
    const each = [...new Map([...wanted].map((key, at) => [key, statuses[at]] as const)).values()];
    // While a moment is kept, rows are fetched before they learn.
    const moment = round % 3 === 1 ? undefined : store.freeze("all");
    if (round % 3 === 0) store.read(TABLE, wanted);
    else learn(store, { table: TABLE, keys: wanted, writer: 0, firstT: 100 * round }, random);
    moment?.close("lost");
    for (const [at, status] of [FOUND, ON_DISK].entries()) {
      sums[at] = (sums[at] ?? 0) + each.filter((one) => one === status).length;
    }
    const { hits, misses } = coldCounts(store)[TABLE]?.[0] ?? {};
    assert.deepEqual([hits, misses], sums);
  }
  assert(Math.min(...sums) > 20);
}

function theDiskHoldsLittleMore(): void {
  const { store, scratch } = coldStore();
  const random = createRandom(7);
  for (let t = 1; t < 20_000; t += 20) {
    const keys = someKeys(random);
    write(store, [...keys], t);
    const rows = Math.ceil(KEYS / REGION_ROWS);
    assert(scratch.bytes <= (2 * rows + 3) * CUT.regionBytes, `${scratch.bytes} bytes for ${KEYS} rows`);
  }
  store.dropWhere(() => true);
  // No frame is left with a row that is gone.
  assert.equal(coldCounts(store)[TABLE]?.[0]?.rowsOnDisk, 0);
  write(
    store,
    Array.from({ length: 40 }, (_, at) => BigInt(at)),
    30_000,
  );
  assert.equal(coldCounts(store)[TABLE]?.[0]?.rowsOnDisk, 40 - ROWS_IN_MEMORY);
}

function missesOf(store: RowStore): number {
  return coldCounts(store)
    .flat()
    .reduce((sum, { misses }) => sum + misses, 0);
}

function withoutSlots({ slots, ...rest }: SlotVersions): unknown {
  return { rows: slots.length, ...rest };
}

function pair<Value>(values: readonly Value[]): [Value | undefined, Value | undefined] {
  return [values[0], values[1]];
}
