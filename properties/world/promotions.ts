/*
 * Worlds whose training moves: who takes itself for the primary, and what follows. A promotion is told to each node at a time of its own, as the region
 * log is; until then a node believes what it believed, over restarts too. So an old primary that was not asked goes on writing.
 */
import { createRandom, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { contentOf, type Primary, type Replica } from "../../protocols/sync/replica.ts";
import { buildWriterId, epochOf, type Version, type WriterId } from "../../protocols/sync/version.ts";
import { type Disk } from "./disk.ts";
import { EpochBook } from "./epoch-book.ts";
import { type Happening } from "./happening.ts";
import { peersOf } from "./knobs.ts";
import { positionOf, Samples, TRAINER } from "./samples.ts";
import { type SimulatedNode } from "./simulated-node.ts";
import { type Surroundings } from "./surroundings.ts";
import { numbersIn } from "./tables.ts";

const HAND_OVER_MS = 200;
const TRIES_MAX = 200;
/** How much later than the last a node may learn of a promotion. */
const TOLD_MS = 8_000;
/** Of promotions, how many are forced. */
const FORCED_SHARE = 0.6;

/** What the log says, as far as a node knows it. */
interface Belief {
  readonly leader: number;
  readonly epoch: number;
  /** The leader is to make no more samples, and nothing but to learn those there are. */
  readonly handsOver: boolean;
  /** And has learned them, and another goes on. */
  readonly isOver?: true;
}

interface World extends Surroundings {
  readonly nodes: readonly (SimulatedNode | undefined)[];
  readonly disks: readonly Disk[];
  readonly healed: boolean;
  clock(node: number): number;
  schedule(delayMs: number, happening: Happening): void;
}

export class Promotions {
  readonly #world: World;
  readonly #random: Random;
  readonly #beliefs: Belief[];
  readonly #samples: readonly Samples[];
  readonly #epochs: EpochBook;
  /** By node: the latest that any of its lives stamped. A primary that restarts stamps later than it did before. */
  readonly #stamped: number[];
  #truth: Belief = { leader: 0, epoch: 0, handsOver: false };
  #next: number | undefined;
  /** Of handing over, since all was healed. */
  #tries = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#random = createRandom(seed);
    const { nodes, keys } = world.knobs;
    this.#beliefs = world.nodes.map(() => this.#truth);
    this.#stamped = Array.from({ length: nodes }, () => 0);
    this.#samples = world.checkers.map(() => new Samples(keys, world.judge));
    this.#epochs = new EpochBook(world);
  }

  /** Who leads, by the last word. */
  get leader(): number {
    return this.#truth.leader;
  }

  get isOn(): boolean {
    return this.#world.knobs.promoteEveryMs > 0;
  }

  /** Whether a node takes itself for the primary. */
  leads(node: number): boolean {
    return this.#beliefs[node]?.leader === node;
  }

  /** Whether it settles and lets rows expire. */
  trains(node: number): boolean {
    return this.leads(node) && this.#beliefs[node]?.handsOver === false;
  }

  peersOf(node: number): number[] {
    return this.isOn ? (this.leads(node) ? [] : this.#others(node)) : peersOf(this.#world.knobs, node);
  }

  /** The primary as a node knows it. What is handed over must stand still. */
  primaryAt(node: number): Primary | undefined {
    const { leader, handsOver } = this.#beliefs[node] ?? this.#truth;
    if (leader !== node) return { kind: "peer", peer: `n${leader}` };
    return handsOver ? undefined : { kind: "self" };
  }

  greatestStamped(node: number): number {
    return this.#stamped[node] ?? 0;
  }

  /** A node has started: a primary goes on in its epoch. */
  started(node: SimulatedNode): void {
    if (!this.isOn || !this.leads(node.index)) return;
    const { epoch } = this.#beliefs[node.index] ?? this.#truth;
    for (const [shard, replica] of node.replicas.entries()) {
      if (epoch === replica.horizon.epoch) this.#lead(node, shard, epoch);
      this.#samples[shard]?.restarted(epoch, positionOf(replica));
    }
  }

  /** Some primary learns a sample. */
  learn(isAwake: (node: number) => boolean): void {
    const { knobs, random, nodes } = this.#world;
    for (const node of nodes) {
      if (node === undefined || !this.leads(node.index) || !isAwake(node.index)) continue;
      // When all is healed, what is handed over is learned to its end, and nothing else.
      if (this.#world.healed && node.index !== this.leader) continue;
      const shard = nextBelow(random, knobs.shards);
      const replica = node.replicas[shard];
      const { epoch, handsOver, isOver } = this.#beliefs[node.index] ?? this.#truth;
      if (replica === undefined || isOver === true) continue;
      if (epochOf(replica.writer) < replica.horizon.epoch) {
        this.#world.count("primary knows a later epoch");
        continue;
      }
      const id = positionOf(replica) + 1;
      const sample = this.#samples[shard]?.next(
        epoch,
        id - 1,
        handsOver || this.#world.healed
          ? undefined
          : () => ({ key: nextBelow(random, knobs.keys), deletes: nextFloat(random) < knobs.deleteRate }),
      );
      if (sample === undefined) continue;
      const { key, deletes } = sample;
      if (node.index !== this.leader) this.#world.count("written by a primary that is none any more");
      const version = node.write(shard, {
        key,
        value: deletes ? 0 : valueOf(replica, key) + 1,
        urgent: nextFloat(random) < knobs.urgentRate,
        nowMs: this.#world.clock(node.index),
        batch: { trainer: TRAINER, id },
      });
      if (version === undefined) continue;
      this.#noteStamp(node.index, version);
      this.#samples[shard]?.wrote(epoch, version, id);
    }
  }

  /** Another is to lead: it is asked for, or taken. */
  promote(): void {
    const { nodes } = this.#world;
    const there = nodes.filter((node) => node !== undefined && node.index !== this.leader);
    const node = there[nextBelow(this.#random, Math.max(1, there.length))];
    const isForced = nextFloat(this.#random) < FORCED_SHARE;
    if (node === undefined) return;
    if (isForced) this.#force(node);
    else if (this.#next === undefined && this.leads(this.leader)) this.#handOver(node.index);
  }

  /** Goes on with handing over, if it can. */
  handOver(isAwake: (node: number) => boolean): void {
    const to = this.#world.nodes[this.#next ?? -1];
    if (this.#next === undefined) return;
    const from = this.#world.nodes[this.leader];
    const areThere = from !== undefined && to !== undefined && isAwake(from.index) && isAwake(to.index);
    if (this.#world.healed) this.learn(isAwake);
    // What a start of the old primary wrote anew, and lost, others hold for ever: then somebody has to decide.
    if (this.#world.healed && (this.#tries += 1) > TRIES_MAX && to !== undefined) this.#force(to);
    else if (!areThere || !this.#takeOver(from, to)) this.#world.schedule(HAND_OVER_MS, { kind: "hand-over" });
  }

  /** A node hears the last word of the log. */
  told(index: number): void {
    const known = this.#beliefs[index];
    const node = this.#world.nodes[index];
    const had = this.leads(index);
    if (known === undefined || known === this.#truth || (known.handsOver && known.leader === this.leader)) return;
    this.#beliefs[index] = this.#truth;
    if (node === undefined) return;
    if (had && !this.leads(index)) this.#world.count("primary steps down");
    this.#obey(node);
  }

  /** P1. */
  wrote(index: number, { writer }: Version): void {
    if (this.isOn) this.#epochs.wrote(index, writer);
  }

  /** P2, P3: looks at a replica after anything happened to it. */
  look(replica: Replica, { shard, where }: { readonly shard: number; readonly where: string }): void {
    if (!this.isOn) return;
    if (this.#countsRows) this.#samples[shard]?.check(replica, { where, value: (key) => valueOf(replica, key) });
    this.#epochs.look(replica, { shard, where });
  }

  /** P4: looks at the primary at the end of the world. What it lost in a crash and had not learned again by then, others may still hold. */
  finish(replica: Replica, { shard, where }: { readonly shard: number; readonly where: string }): void {
    if (!this.isOn || !this.#countsRows) return;
    this.#samples[shard]?.finish(replica, { where, value: (key) => valueOf(replica, key) });
  }

  /** What has expired, or had to make room, says no more how often it was written. */
  get #countsRows(): boolean {
    return this.#world.knobs.expireEveryMs === 0 && this.#world.knobs.evictEveryMs === 0;
  }

  #force(node: SimulatedNode): void {
    const epoch = this.#truth.epoch + 1;
    this.#world.count("promotion forced");
    if (this.#next !== undefined) this.#world.count("promotion forced while another ran");
    this.#next = undefined;
    this.#truth = { leader: node.index, epoch, handsOver: false };
    this.#epochs.begins(epoch, node.index);
    this.#beliefs[node.index] = this.#truth;
    for (const [shard, replica] of node.replicas.entries()) {
      const samples = this.#samples[shard];
      const where = `node ${node.index} shard ${shard}`;
      const [position, length] = [positionOf(replica), samples?.length(replica.horizon.epoch) ?? 0];
      // Of the samples at least those that its rows hold were copied.
      const copied = position + nextBelow(this.#random, length - position + 1);
      if (replica.early.size > 0) this.#world.count("promotion forced with early rows");
      const value = this.#countsRows ? (key: number) => valueOf(replica, key) : undefined;
      samples?.fork(replica, { epoch, length: copied, where, value });
      this.#lead(node, shard, epoch);
    }
    this.#obey(node);
    this.#tellAll();
  }

  #handOver(to: number): void {
    this.#next = to;
    this.#truth = { ...this.#truth, handsOver: true };
    this.#beliefs[this.leader] = this.#truth;
    const from = this.#world.nodes[this.leader];
    for (const replica of from?.replicas ?? []) {
      replica.primary = undefined;
      replica.survey = undefined;
    }
    this.#world.schedule(HAND_OVER_MS, { kind: "hand-over" });
  }

  #takeOver(from: SimulatedNode, to: SimulatedNode): boolean {
    const { epoch } = this.#truth;
    const isLearned = from.replicas.every(
      (replica, shard) => positionOf(replica) === this.#samples[shard]?.length(epoch),
    );
    if (!isLearned) return false;
    this.#save(from);
    for (const shard of to.replicas.keys()) {
      const old = from.replicas[shard];
      if (old === undefined) return false;
      const succession = { kind: "succeed", content: contentOf(old), applied: new Map(old.applied) } as const;
      const effects = to.step(shard, succession, this.#world.clock(to.index));
      if (effects.some(({ kind }) => kind === "refused")) return false;
    }
    this.#save(to);
    this.#next = undefined;
    this.#world.count("promotion in order");
    this.#beliefs[from.index] = { ...this.#truth, isOver: true };
    this.#truth = { leader: to.index, epoch, handsOver: false };
    this.#epochs.begins(epoch, to.index);
    this.#beliefs[to.index] = this.#truth;
    for (const shard of to.replicas.keys()) this.#lead(to, shard, epoch);
    this.#obey(to);
    this.#tellAll();
    return true;
  }

  #save(node: SimulatedNode): void {
    for (const shard of node.replicas.keys()) this.#world.disks[node.index]?.save(shard, node.image(shard));
  }

  #lead(node: SimulatedNode, shard: number, epoch: number): void {
    const replica = node.replicas[shard];
    if (replica === undefined) return;
    const after = replica.horizon;
    const writer = writerOf(node, epoch);
    const isNew = epoch > after.epoch;
    if (node.replicas.every((each) => each.writer !== writer)) this.#world.steps.started(writer);
    const effects = node.step(shard, { kind: "lead", epoch, writer }, this.#world.clock(node.index));
    for (const effect of effects) {
      if (effect.kind === "applied") for (const t of effect.t) this.#noteStamp(node.index, { t, writer });
    }
    if (isNew) this.#epochs.began(replica, { shard, epoch });
  }

  /** Has a node's parts do what it believes. */
  #obey(node: SimulatedNode): void {
    for (const replica of node.replicas) {
      replica.primary = this.primaryAt(node.index);
      if (!this.trains(node.index)) replica.survey = undefined;
    }
    node.setPeers(this.#others(node.index), { pulls: !this.leads(node.index) });
  }

  #others(node: number): number[] {
    return peersOf({ ...this.#world.knobs, aloof: false }, node);
  }

  #tellAll(): void {
    for (const index of this.#beliefs.keys()) {
      this.#world.schedule(nextFloat(this.#random) * TOLD_MS, { kind: "told", node: index });
    }
  }

  #noteStamp(index: number, { t }: Pick<Version, "t" | "writer">): void {
    this.#stamped[index] = Math.max(this.#stamped[index] ?? 0, t);
  }
}

function writerOf({ index, life }: SimulatedNode, epoch: number): WriterId {
  return buildWriterId({ epoch, region: "sim", node: `n${index}`, nonce: `l${life}` });
}

function valueOf({ store }: Replica, key: number): number {
  const { values, found } = store.read(0, BigUint64Array.of(BigInt(key)));
  if (found[0] !== 1) return 0;
  // Whole numbers are written with less than a half more where they are rounded (writes.ts).
  const [seen = 0] = numbersIn(store.tables[0]?.precision ?? "f32", values);
  return Math.round(seen - 0.1);
}
