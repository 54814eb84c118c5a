/*
 * Shards that start again while their node's poller lives on, as each is an actor with restarts of its own. Drawn from a generator of its own: in one
 * world of six, so that the others are what they would be without.
 */
import { createRandom, mixUint32, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { buildWriterId, type WriterId } from "../../protocols/sync/version.ts";
import { type Disk } from "./disk.ts";
import { type Happening } from "./happening.ts";
import { ofShard } from "./names.ts";
import { startShard } from "./shard-start.ts";
import { type SimulatedNode } from "./simulated-node.ts";
import { type Surroundings } from "./surroundings.ts";

/** Less than a world is quiet before it ends. */
const LAST_MS = 8_000;

interface World extends Surroundings {
  readonly nodes: readonly (SimulatedNode | undefined)[];
  readonly healed: boolean;
  clock(node: number): number;
  schedule(delayMs: number, happening: Happening): void;
}

/** When which shard of a world starts again. */
export class ShardRestarts {
  readonly #world: World;
  readonly #random: Random;
  readonly #everyMs: number;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#random = createRandom(mixUint32(seed, 0x5a));
    const isOn = nextFloat(this.#random) < 1 / 6 && !world.knobs.calm && !world.promotions.isOn;
    this.#everyMs = isOn ? 1_000 + nextFloat(this.#random) * 5_000 : 0;
  }

  /** The next one is due, while there is trouble. */
  again(): void {
    if (this.#everyMs === 0 || this.#world.healed) return;
    const delayMs = -Math.log(1 - nextFloat(this.#random)) * this.#everyMs;
    if (this.#world.nowMs + delayMs < this.#world.knobs.troubleMs) {
      this.#world.schedule(delayMs, { kind: "shard-restart" });
    }
  }

  /** The last one comes a while after the healing, so that no later change has the shard pull what it lost. */
  last(): void {
    if (this.#everyMs > 0) this.#world.schedule(LAST_MS, { kind: "shard-restart" });
  }

  happen(isAwake: (node: number) => boolean): undefined {
    const { nodes, serving, shards } = this.#world.knobs;
    // Who may crash: what only serving replicas still hold has no state.
    const drawn = nextBelow(this.#random, nodes);
    const index = serving ? nodes - 1 : drawn;
    const shard = nextBelow(this.#random, shards);
    const node = this.#world.nodes[index];
    const mayLose = !this.#world.healed || this.#isElsewhere(index, shard);
    if (node !== undefined && mayLose && isAwake(index)) {
      this.#world.count("shard restarted alone");
      if (node.replicas[shard]?.pull !== undefined) this.#world.count("shard restarted during a pull");
      node.restart(shard, this.#world.clock(index));
    }
    this.again();
  }

  /** Whether all that a shard of a node holds is at others, and it pulls from them. */
  #isElsewhere(index: number, shard: number): boolean {
    const { nodes, knobs, promotions } = this.#world;
    if (knobs.aloof && index === promotions.leader) return false;
    const held = nodes.map((node) => node?.replicas[shard]?.store.digest());
    return held[index] !== undefined && new Set(held).size === 1;
  }
}

/** The starts of the shards of one life of a node, each with a writer id that no other has. */
export class ShardStarts {
  readonly #world: Surroundings;
  readonly #of: { readonly index: number; readonly life: number; readonly disk: Disk };
  readonly #counts: number[];
  readonly #places: string[];
  readonly writer: WriterId;

  constructor(world: Surroundings, of: { readonly index: number; readonly life: number; readonly disk: Disk }) {
    this.#world = world;
    this.#of = of;
    this.#counts = world.checkers.map(() => 0);
    this.#places = world.checkers.map(() => "");
    this.writer = this.#writerOf();
    world.steps.started(this.writer);
  }

  /** Starts a shard from its image on the disk. */
  start(shard: number): Replica {
    const { index, life, disk } = this.#of;
    this.#world.stepped();
    const count = this.count(shard) + 1;
    this.#counts[shard] = count;
    const where = `node ${index} (life ${count === 1 ? life : `${life}.${count}`}) shard ${shard}`;
    this.#places[shard] = where;
    const writer = count === 1 ? this.writer : this.#writerOf(`s${shard}c${count}`);
    if (count > 1) this.#world.steps.started(writer);
    const replica = startShard(this.#world, { index, writer, image: disk.read(shard), where });
    ofShard(this.#world.checkers, shard).check(replica, where, "S12");
    if (replica.early.size > 0) this.#world.count("restart with early rows");
    return replica;
  }

  /** How often it has started. */
  count(shard: number): number {
    return this.#counts[shard] ?? 0;
  }

  /** Names the start that it is in. */
  life(shard: number): string {
    return String(this.count(shard));
  }

  place(shard: number): string {
    return this.#places[shard] ?? "";
  }

  #writerOf(start = ""): WriterId {
    const { index, life } = this.#of;
    return buildWriterId({ epoch: 0, region: "sim", node: `n${index}`, nonce: `l${life}${start}` });
  }
}
