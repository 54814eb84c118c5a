/*
 * Replicas of one shard of a model, one of which is read by another thread's means while it steps: between any two calls of its store. Every row is filled with one number, which
 * no other write has, so that what is read says where it comes from.
 */
import { createShardEpochs, type ShardEpochs } from "../actors/shard-epochs.ts";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type ModelLayout } from "../protocols/model-layout.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import {
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaEvent,
  stepReplica,
} from "../protocols/sync/replica.ts";
import {
  type Among,
  type DroppedRows,
  type MergeOutcome,
  type RowBatch,
  type RowGlance,
} from "../protocols/sync/row-store.ts";
import { parseWriterId, type WriterId } from "../protocols/sync/version.ts";
import { TableRowStore } from "../runtime/compute/table/table-row-store.ts";

const NOW = 1_760_000_000_000;
/** Indices of the tables of such a model. */
export const USERS = 1;
export const ITEMS = 2;
/** The replica that is read. */
export const READ = "read";
const LIMITS = { ...SYNC_LIMITS, frameBytes: 200, entriesKept: 0, windowFrames: 2 };
const MESSAGES_MAX = 10_000;

/** Rows that are read at any moment of a step. */
class MomentStore extends TableRowStore {
  atMoment: (() => void) | undefined;

  override merge(batch: RowBatch, known: Float64Array): MergeOutcome {
    this.atMoment?.();
    const outcome = super.merge(batch, known);
    this.atMoment?.();
    return outcome;
  }

  override dropWhere(isDoomed: (row: RowGlance) => boolean, among?: Among): DroppedRows[] {
    this.atMoment?.();
    const dropped = super.dropWhere(isDoomed, among);
    this.atMoment?.();
    return dropped;
  }

  override writerIndex(id: WriterId): number {
    const index = super.writerIndex(id);
    this.atMoment?.();
    return index;
  }
}

/** Numbers, and of each which epoch's writer wrote it first; and with which numbers each epoch began, beside those of its own. */
export class Origins {
  readonly #writtenIn = new Map<number, number>();
  readonly #begunWith = new Map<number, ReadonlySet<number>>();
  #last = 0;

  next(epoch: number): number {
    this.#last += 1;
    this.#writtenIn.set(this.#last, epoch);
    return this.#last;
  }

  begin(epoch: number, numbers: ReadonlySet<number>): void {
    this.#begunWith.set(epoch, numbers.union(this.#begunWith.get(epoch) ?? new Set()));
  }

  /** Whether a row with this number is one of an epoch's. */
  isOf(epoch: number, number: number): boolean {
    return this.#writtenIn.get(number) === epoch || this.#begunWith.get(epoch)?.has(number) === true;
  }
}

/** Its dense groups are in several shards, where there are three. */
export function epochModel(shards: number): ModelDeclaration {
  const optimizer = { kind: "ogd", learningRate: 0.1 } as const;
  return {
    name: "clicks",
    shards,
    architecture: { kind: "dcn-v2", embedding: 2, cross: 1, deep: [2] },
    tables: [
      { name: "users", key: "user" },
      { name: "items", key: "item" },
    ],
    dense: [],
    optimizer,
    denseOptimizer: optimizer,
  };
}

let lives = 0;

export class EpochShard {
  /** No two have the same. */
  readonly life: WriterId;
  readonly store: MomentStore;
  readonly read: Replica;
  readonly epochs: ShardEpochs;
  readonly #layout: ModelLayout;
  readonly #origins: Origins;
  readonly #others = new Map<string, Replica>();
  #pullIds = 0;

  constructor(layout: ModelLayout, origins: Origins, others: readonly string[]) {
    this.#layout = layout;
    this.#origins = origins;
    for (const name of others) {
      const store = createMapRowStore(layout.tables, { state: true });
      this.#others.set(name, createReplica({ store, writer: parseWriterId(`0.sim.${name}.l1`), limits: LIMITS }));
    }
    this.store = new MomentStore(layout.tables, { state: false });
    lives += 1;
    this.life = parseWriterId(`0.sim.${READ}.l${lives}`);
    this.read = createReplica({ store: this.store, writer: this.life, limits: LIMITS });
    this.epochs = createShardEpochs(this.read);
  }

  replica(name: string): Replica {
    const replica = name === READ ? this.read : this.#others.get(name);
    if (replica === undefined) throw new RangeError(`Cannot use replica ${name}: there is none`);
    return replica;
  }

  /** Has a primary write rows of one table, all with one number. */
  write(name: string, table: number, keys: readonly bigint[], isUrgent = false): number {
    const replica = this.replica(name);
    const number = this.#origins.next(Number(replica.writer.slice(0, replica.writer.indexOf("."))));
    const write = {
      table,
      keys: BigUint64Array.from(keys),
      isUrgent: () => isUrgent,
      mutate: ({ floats }: { readonly floats: Float32Array }) => void floats.fill(number),
    };
    this.#step(name, { kind: "write", writes: [write] });
    return number;
  }

  /** Begins an epoch with what a replica holds. */
  lead(name: string, epoch: number): void {
    this.#step(name, { kind: "lead", epoch, writer: parseWriterId(`${epoch}.sim.${name}.l1`) });
    this.#origins.begin(epoch, this.#numbersOf(name));
  }

  /** Pulls, up to so many frames; the pull that ran before is given up. */
  pull(name: string, peer: string, frames = Infinity): void {
    const running = this.replica(name).pull;
    if (running !== undefined) this.#step(name, { kind: "give-up", pullId: running.pullId });
    this.#pullIds += 1;
    const pullId = this.#pullIds.toString(16).padStart(32, "0");
    const inbox = this.#step(name, { kind: "pull", peer, pullId }).map((effect) => ({ from: name, effect }));
    let left = frames;
    let delivered = 0;
    for (let next = inbox.shift(); next !== undefined && left > 0; next = inbox.shift()) {
      delivered += 1;
      if (delivered > MESSAGES_MAX) throw new RangeError("replicas go on sending each other messages for ever");
      const { from, effect } = next;
      if (effect.kind !== "send") continue;
      const { to, message, body } = effect;
      if (message === "frame") left -= 1;
      const answer = this.#step(to, { kind: "message", from, message, body });
      inbox.push(...answer.map((each) => ({ from: to, effect: each })));
    }
  }

  /** From now on its thread ends when it puts rows in the place of others. */
  endInTheMiddle(): void {
    let hasDropped = false;
    this.store.atMoment = () => {
      if (hasDropped) throw new Error("the thread ends here");
      hasDropped = this.store.rows(USERS) === 0;
    };
  }

  #step(name: string, event: ReplicaEvent): readonly ReplicaEffect[] {
    return name === READ ? this.epochs.step(event, NOW) : stepReplica(this.replica(name), event, NOW);
  }

  #numbersOf(name: string): ReadonlySet<number> {
    const { store } = this.replica(name);
    const numbers = new Set<number>();
    const list = store.collect(new Float64Array());
    for (const { table, values } of store.pack(list, { from: 0, to: list.slots.length })) {
      const width = this.#layout.tables[table]?.valueBytes ?? 4;
      for (let at = 0; at < values.length; at += width) {
        numbers.add(new Float32Array(values.slice(at, at + 4).buffer)[0] ?? 0);
      }
    }
    store.release(list);
    return numbers;
  }
}
