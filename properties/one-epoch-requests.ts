/*
 * Requests over three shards that take new epochs on one after the other, and that fall back to what an image has. All that a request reads is of the epoch that it is answered
 * as of, its dense groups are there and of that epoch, what is withheld is counted, and nothing is once all agree.
 */
import assert from "node:assert/strict";
import { createEpochRows, type EpochRows, type EpochsApart, type GatherRows } from "../actors/epoch-rows.ts";
import { gatherAll, shareRows } from "../actors/gather-rows.ts";
import { lookAt } from "../actors/shard-epochs.ts";
import { type KeyList, type ShardProtocol } from "../actors/shard-protocol.ts";
import { createSharedRows } from "../actors/shared-rows.ts";
import { DENSE_KEY, densePlacement, firstDenseTable, modelLayout } from "../protocols/model-layout.ts";
import { type ActorRef, defineActor } from "../runtime/actor.ts";
import { ActorHost } from "../runtime/actor-host.ts";
import { epochModel, EpochShard, ITEMS, Origins, READ, USERS } from "./epoch-shard.ts";

const SHARDS = [0, 1, 2] as const;
const KEYS = 6;

type At = (typeof SHARDS)[number];

/** What was read: as of which epoch, how many rows were withheld of each table, and how many keys were read as if they had no row. */
interface Answer {
  readonly epoch: number;
  readonly withheld: readonly string[];
  readonly missing: number;
}

export async function checkRequests(): Promise<void> {
  await allGoOver();
  await oneEndsInTheMiddle();
}

/** Its rows are neither here nor there any more, and it is taken to hold what it did. */
async function oneEndsInTheMiddle(): Promise<void> {
  await using shards = await Shards.start();
  const rows = shards.reader();
  for (const at of SHARDS) shards.begin(at);
  await shards.ask(rows);
  for (const at of SHARDS) {
    shards.writeBehindTheCut(at);
    shards.lead(at, 1);
    shards.writeGroups(at, "new");
  }
  for (const at of [0, 1] as const) shards.goOver(at);
  assert.throws(() => shards.goOver(2, { endsInTheMiddle: true }), { message: "the thread ends here" });
  const { epoch } = await shards.ask(rows);
  assert.equal(epoch, 0);
  assert.deepEqual(apartOf(rows), { answers: 0, shards: [1, 1, 0] });
}

async function allGoOver(): Promise<void> {
  await using shards = await Shards.start();
  const [rows, late, forgotten] = [shards.reader(), shards.reader(), shards.reader()];
  for (const at of SHARDS) shards.begin(at);
  for (const each of [rows, forgotten]) assert.deepEqual(await shards.ask(each), answer(0));
  assert.equal(rows.apart(), undefined);

  // What the old primary writes on behind its cut; what the new one begins with, and goes on to. Of one shard the groups are as they were.
  for (const at of SHARDS) {
    shards.writeBehindTheCut(at);
    shards.lead(at, 1);
    shards.writeItems(at);
    if (at !== 2) shards.writeGroups(at, "new");
  }
  assert.deepEqual(await shards.ask(rows), answer(0));
  // Rows of the new epoch come before the copy that its horizon takes.
  shards.follow(2);
  assert.deepEqual(await shards.ask(rows), answer(0, ["items 2"], 2));
  assert.equal(rows.apart(), undefined);
  // Then one shard after the other has the copy, while a request reads.
  assert.deepEqual(await shards.ask(rows, () => shards.goOver(0)), answer(0, ["items 4"], 4));
  assert.deepEqual(apartOf(rows), { answers: 0, shards: [1, 0, 0] });
  assert.deepEqual(await shards.ask(rows), answer(0, ["items 4"], 4));
  assert.deepEqual(await shards.ask(rows, () => shards.goOver(1)), answer(0, ["items 6"], 6));
  // Who has read the groups of neither epoch together cannot do without them.
  await assert.rejects(shards.ask(late), { name: "GroupsApart" });
  // With the last one, what was read of epoch 0 is read again, of epoch 1.
  assert.deepEqual(await shards.ask(rows, () => shards.goOver(2)), answer(1));
  assert.deepEqual(await shards.ask(late), answer(1));
  assert.equal(rows.apart(), undefined);

  // All of them at once, while a request reads.
  for (const at of SHARDS) {
    shards.lead(at, 2);
    shards.writeGroups(at, "new");
    shards.writeItems(at);
  }
  assert.deepEqual(await shards.ask(rows, () => SHARDS.forEach((at) => shards.goOver(at))), answer(2));

  // Who has read the groups of epoch 0 has none of the one after, nor of that after that.
  shards.lead(0, 3);
  shards.writeGroups(0, "new");
  shards.goOver(0);
  assert.deepEqual(apartOf(rows), { answers: 2, shards: [3, 2, 2] });
  await assert.rejects(shards.ask(forgotten), { name: "GroupsApart" });
  for (const at of [1, 2] as const) shards.lead(at, 3);
  for (const at of [1, 2] as const) shards.goOver(at);
  assert.deepEqual(await shards.ask(rows), answer(3));

  // One starts again from an image of before, and then without one: the others' epoch stays, and the groups are those of that.
  shards.restart(1, { isEmpty: false });
  assert.deepEqual(await shards.ask(rows), answer(3, ["items 6", "users 6"], 12));
  assert.deepEqual(apartOf(rows), { answers: 3, shards: [3, 0, 3] });
  shards.restart(1, { isEmpty: true });
  assert.deepEqual(await shards.ask(rows), answer(3, [], 12));
}

function answer(epoch: number, withheld: readonly string[] = [], missing = 0): Answer {
  return { epoch, withheld, missing };
}

function apartOf(rows: EpochRows): EpochsApart | undefined {
  return rows.apart();
}

class Shards implements AsyncDisposable {
  readonly #layout = modelLayout(epochModel(SHARDS.length));
  readonly #origins = new Origins();
  readonly #shards = SHARDS.map(() => this.#newShard());
  readonly #host = new ActorHost({
    region: "here",
    thread: "main",
    sink: () => undefined,
    onFailure: () => undefined,
  });
  readonly #refs: ActorRef<ShardProtocol>[];
  #withheld: string[] = [];
  /** Whoever asks for a shard's memory again finds another life. */
  #upMs = 0;

  private constructor() {
    // Else there would be nothing to be in two epochs.
    assert.equal(new Set(densePlacement(this.#layout).map(({ shard }) => shard)).size, SHARDS.length);
    this.#refs = SHARDS.map((at) =>
      this.#host.ref<ShardProtocol>(
        this.#host.declare({ definition: this.#asked(at), id: `shard-${at}`, config: undefined }),
      ),
    );
  }

  static async start(): Promise<Shards> {
    const shards = new Shards();
    await shards.#host.start();
    return shards;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
  }

  reader(): EpochRows {
    const rows = createSharedRows(this.#layout, this.#refs, { upMs: () => this.#upMs, count: () => undefined });
    return createEpochRows(this.#layout, rows, {
      onWithheld: (table, count) => this.#withheld.push(`${table} ${count}`),
    });
  }

  /** All rows, which the old primary wrote. */
  begin(at: At): void {
    const shard = this.#at(at);
    for (const table of [USERS, ITEMS]) shard.write("old", table, keysAt(at));
    this.writeGroups(at, "old");
    for (const name of ["new", READ]) shard.pull(name, "old");
  }

  writeBehindTheCut(at: At): void {
    this.#at(at).write("old", USERS, keysAt(at).slice(0, 1));
    this.#at(at).pull(READ, "old");
  }

  lead(at: At, epoch: number): void {
    this.#at(at).lead("new", epoch);
  }

  writeItems(at: At): void {
    this.#at(at).write("new", ITEMS, keysAt(at).slice(1, 3));
  }

  writeGroups(at: At, name: string): void {
    for (const { table, shard } of densePlacement(this.#layout)) {
      if (shard === at) this.#at(at).write(name, table, [DENSE_KEY]);
    }
  }

  follow(at: At): void {
    this.#at(at).pull(READ, "new");
  }

  /** What is held is behind the new epoch, so the second of these pulls is given a copy. */
  goOver(at: At, { endsInTheMiddle = false } = {}): void {
    this.follow(at);
    if (endsInTheMiddle) this.#at(at).endInTheMiddle();
    this.follow(at);
  }

  restart(at: At, { isEmpty }: { readonly isEmpty: boolean }): void {
    this.#shards[at] = this.#newShard();
    if (!isEmpty) this.begin(at);
    this.#upMs += 1_000;
  }

  /** Reads all rows twice, with something done in between the first time. Each row is of the epoch of the answer, or reads as if it were not there. */
  async ask(rows: EpochRows, between: () => void = () => undefined): Promise<Answer> {
    const signal = AbortSignal.timeout(20_000);
    const lists = SHARDS.map((at) => this.#lists(at));
    this.#withheld = [];
    let isDone = false;
    async function readTwice(gather: GatherRows): Promise<readonly (readonly (readonly Float32Array[])[])[]> {
      const first = await gather(lists, signal);
      if (!isDone) between();
      isDone = true;
      return [first, await gather(lists, signal)];
    }
    const { made, epoch, withheld } = await rows.inOneEpoch(readTwice, signal);
    const missing = new Set<string>();
    for (const read of made) {
      for (const [shard, ofShard] of lists.entries()) {
        for (const [place, list] of ofShard.entries()) {
          const names = this.#missingIn(list, read[shard]?.[place] ?? new Float32Array(), epoch);
          for (const name of names) missing.add(name);
        }
      }
    }
    const counts = this.#withheld.map((text) => Number(text.split(" ").at(1)));
    assert.equal(
      withheld,
      counts.reduce((sum, count) => sum + count, 0),
    );
    return { epoch, withheld: this.#withheld.toSorted(), missing: missing.size };
  }

  /** The keys of a list that read as if they had no row; all others have one of the epoch. */
  #missingIn({ table, keys }: KeyList, values: Float32Array, epoch: number): string[] {
    const missing: string[] = [];
    for (const [row, key] of keys.entries()) {
      const number = values[(row * values.length) / keys.length] ?? 0;
      const isRow = Number.isInteger(number) && number > 0;
      assert(!isRow || this.#origins.isOf(epoch, number), `row ${number} is not of epoch ${epoch}`);
      if (isRow) continue;
      assert(table < firstDenseTable(this.#layout), "a dense group is read as if it had never been trained");
      missing.push(`${table} ${key}`);
    }
    return missing;
  }

  #lists(at: At): KeyList[] {
    const keys = BigUint64Array.from(keysAt(at));
    const groups = densePlacement(this.#layout).filter(({ shard }) => shard === at);
    return [
      { table: USERS, keys },
      { table: ITEMS, keys },
      ...groups.map(({ table }) => ({ table, keys: BigUint64Array.of(DENSE_KEY) })),
    ];
  }

  #newShard(): EpochShard {
    return new EpochShard(this.#layout, this.#origins, ["old", "new"]);
  }

  #at(at: number): EpochShard {
    const shard = this.#shards[at];
    if (shard === undefined) throw new RangeError(`Cannot use shard ${at}: there is none`);
    return shard;
  }

  /** What a shard's actor answers its readers, of a replica that steps when it is told. */
  #asked(at: At) {
    const steps = new Int32Array(new SharedArrayBuffer(4));
    return defineActor<Pick<ShardProtocol, "share" | "gather">, undefined>({
      kind: "shard",
      messages: ["share", "gather"],
      setup: () => ({
        handlers: {
          share: ({ known }) => {
            const { life, store, epochs } = this.#at(at);
            return shareRows({ writer: life, store }, { known, steps, epochs: epochs.shared });
          },
          gather: (request) => {
            const { store, epochs } = this.#at(at);
            return gatherAll(this.#layout, store, { ...request, steps: 0, look: lookAt(epochs.shared) });
          },
        },
      }),
    });
  }
}

function keysAt(at: number): bigint[] {
  return Array.from({ length: KEYS }, (_, key) => BigInt(10 * at + key));
}
