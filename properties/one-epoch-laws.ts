/*
 * M8: what one request reads is of one epoch, whatever the shards do meanwhile. First of one shard: at any moment of its steps, and over them, a row that is taken for one of an
 * epoch is one of that epoch. Then of requests: over shards that take a new epoch on one after the other, and fall back to an image, all of a request's rows are of the epoch
 * that it is answered as of, its dense groups are whole, and nothing is withheld once all agree.
 */
import assert from "node:assert/strict";
import { type EpochList, readLists, type SharedMemory } from "../actors/read-lists.ts";
import { type EpochLook, isOf, isRowOf } from "../actors/shard-epochs.ts";
import { type KeyList } from "../actors/shard-protocol.ts";
import { DENSE_KEY, firstDenseTable, type ModelLayout, modelLayout } from "../protocols/model-layout.ts";
import { createRandom, nextBelow, type Random } from "../protocols/random.ts";
import { SpreadReader } from "../runtime/compute/table/spread-reader.ts";
import { sharedTables } from "../runtime/compute/table/beyond-row-store.ts";
import { epochModel, EpochShard, ITEMS, Origins, READ, USERS } from "./epoch-shard.ts";
import { checkRequests } from "./one-epoch-requests.ts";

const KEYS = BigUint64Array.from({ length: 6 }, (_, key) => BigInt(key));
const EPOCHS = [0, 1, 2];
const HISTORIES = 24;

export async function checkLaws(): Promise<void> {
  const seen = { moments: 0, apart: 0, copies: 0, withheld: 0 };
  for (let seed = 0; seed < HISTORIES; seed += 1) new History(seed, seen).run();
  // Else nothing was looked at.
  for (const [what, count] of Object.entries(seen)) assert(count > HISTORIES, `${what}: ${count}`);
  await checkRequests();
}

/** A primary `old`, and two that each force an epoch of their own from what they hold by then; one shard is read. */
class History {
  readonly #random: Random;
  readonly #origins = new Origins();
  readonly #layout = modelLayout(epochModel(1));
  readonly #shard = new EpochShard(this.#layout, this.#origins, ["old", "one", "two"]);
  readonly #memory = memoryOf(this.#shard);
  readonly #seen: Record<"moments" | "apart" | "copies" | "withheld", number>;
  readonly #group = firstDenseTable(this.#layout);
  /** Who takes itself for the primary. */
  readonly #writers = ["old"];

  constructor(seed: number, seen: Record<"moments" | "apart" | "copies" | "withheld", number>) {
    this.#random = createRandom(seed);
    this.#seen = seen;
  }

  run(): void {
    const shard = this.#shard;
    shard.store.atMoment = () => this.#readAt(this.#memory);
    this.#acts(10);
    // What `one` did not get is too late for epoch 1, and may be what epoch 2 begins with.
    shard.lead("one", 1);
    this.#writers.push("one");
    this.#acts(12);
    shard.lead("two", 2);
    this.#writers.push("two");
    this.#acts(12);
    shard.store.atMoment = undefined;
    for (let pull = 0; pull < 4; pull += 1) shard.pull(READ, "two");
    const { read, look } = readLists(this.#layout, this.#memory, { lists: this.#lists() });
    assert(isOf(2, look), `epoch 2 is not all there is: ${JSON.stringify(look)}`);
    const rows = read.flatMap((list) => [...(list?.found ?? [])]).filter((found) => found === 1);
    assert.equal(rows.length, rowsOf(this.#layout, shard, "two"));
  }

  #acts(count: number): void {
    for (let act = 0; act < count; act += 1) this.#act();
  }

  /** Somebody writes, somebody who has not begun an epoch yet pulls, or the shard that is read does. */
  #act(): void {
    const shard = this.#shard;
    const [random, writers] = [this.#random, this.#writers];
    const writer = writers[nextBelow(random, writers.length)] ?? "old";
    const frames = [1, 2, Infinity][nextBelow(random, 3)] ?? 1;
    switch (nextBelow(random, 6)) {
      case 0:
      case 1: {
        const keys = [...KEYS].filter(() => nextBelow(random, 3) === 0);
        const table = [USERS, ITEMS, this.#group][nextBelow(random, 3)] ?? ITEMS;
        shard.write(writer, table, table === this.#group ? [DENSE_KEY] : keys, nextBelow(random, 2) === 0);
        return;
      }
      case 2:
        for (const name of ["one", "two"]) if (!writers.includes(name)) shard.pull(name, "old", frames);
        return;
      case 3:
        shard.pull(READ, writer, frames);
        return;
      default:
        this.#readOver(() => shard.pull(READ, writer, frames));
    }
  }

  /** Reads while something is done: one list at a moment of it, the others when it is over. */
  #readOver(doIt: () => void): void {
    const at = nextBelow(this.#random, 30);
    let isDone = false;
    const { store } = this.#shard;
    const readers = this.#memory.readers.map((reader) => ({
      gather: (keys: BigUint64Array, values: Uint8Array, writers?: Uint16Array) => {
        if (isDone || reader === undefined) return reader?.gather(keys, values, writers) ?? new Uint8Array();
        isDone = true;
        let statuses: Uint8Array<ArrayBuffer> | undefined;
        let moments = 0;
        store.atMoment = () => {
          if (moments === at) statuses = reader.gather(keys, values, writers);
          moments += 1;
        };
        doIt();
        store.atMoment = () => this.#readAt(this.#memory);
        return statuses ?? reader.gather(keys, values, writers);
      },
    }));
    const memory = { ...this.#memory, readers };
    // The doing is within the first of these; which of the two that is changes.
    const isTold = nextBelow(this.#random, 2) === 0;
    for (const told of [isTold, !isTold]) this.#readOnce(memory, told);
  }

  #readAt(memory: SharedMemory): void {
    this.#readOnce(memory, true);
    this.#readOnce(memory, false);
  }

  #readOnce(memory: SharedMemory, isTold: boolean): void {
    const lists = this.#lists();
    const { read, look } = readLists(this.#layout, memory, { lists, ...(isTold && { epochs: true }) });
    this.#seen.moments += 1;
    this.#seen.apart += look.latest > look.held ? 1 : 0;
    this.#seen.copies += look.held < 0 ? 1 : 0;
    for (const epoch of EPOCHS) for (const list of read) this.#judge(epoch, look, list);
  }

  #judge(epoch: number, look: EpochLook, list: EpochList | undefined): void {
    if (list === undefined) return;
    const dim = list.values.length / list.found.length;
    for (const [row, found] of list.found.entries()) {
      const isTaken: boolean = list.epochs === undefined ? isOf(epoch, look) : isRowOf(epoch, look, list.epochs[row]);
      if (found !== 1) continue;
      this.#seen.withheld += isTaken ? 0 : 1;
      const wrong: boolean = isTaken && !this.#origins.isOf(epoch, list.values[row * dim] ?? 0);
      assert(!wrong, `row ${list.values[row * dim]} is taken for one of epoch ${epoch} under ${JSON.stringify(look)}`);
    }
  }

  #lists(): KeyList[] {
    return listsOf([USERS, ITEMS], KEYS).concat({
      table: this.#group,
      keys: BigUint64Array.of(DENSE_KEY),
    });
  }
}

function listsOf(tables: readonly number[], keys: BigUint64Array): KeyList[] {
  return tables.map((table) => ({ table, keys }));
}

function rowsOf(layout: ModelLayout, shard: EpochShard, name: string): number {
  return [USERS, ITEMS, firstDenseTable(layout)].reduce((sum, table) => sum + shard.replica(name).store.rows(table), 0);
}

function memoryOf({ store, epochs }: EpochShard): SharedMemory {
  return { epochs: epochs.shared, readers: sharedTables(store).map((memories) => new SpreadReader(memories)) };
}
