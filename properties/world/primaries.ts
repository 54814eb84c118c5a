/*
 * What the primaries of a simulated world do: they settle and expire, and who is a member goes up and down with crashes that are
 * taken for the end.
 */
import { nextFloat, type Random } from "../../protocols/random.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { type Disk } from "./disk.ts";
import { evictAt } from "./evictions.ts";
import { type SimulatedNode } from "./simulated-node.ts";
import { type Surroundings } from "./surroundings.ts";

interface World extends Surroundings {
  readonly nodes: readonly (SimulatedNode | undefined)[];
  readonly disks: readonly Disk[];
  clock(node: number): number;
}

export class Primaries {
  readonly #world: World;
  readonly #members: Set<number>;
  #surveys = 0;

  constructor(world: World) {
    this.#world = world;
    this.#members = new Set(world.nodes.keys());
  }

  /** The primary of a shard: a full replica that no world retires. */
  primaryOf(shard: number): number {
    const { nodes, serving, sole } = this.#world.knobs;
    if (sole) return this.#world.promotions.leader;
    return shard % (serving ? nodes - 1 : nodes);
  }

  isPrimary(node: number): boolean {
    const { promotions, checkers } = this.#world;
    return (promotions.isOn && promotions.leads(node)) || checkers.some((_, shard) => this.primaryOf(shard) === node);
  }

  /** Whether a crash leaves the disk alone: a primary that lost it could not tell what those who are no members still hold. */
  sparesDisk(node: number): boolean {
    return (this.#world.knobs.retireRate > 0 || this.#world.promotions.isOn) && this.isPrimary(node);
  }

  /** After a crash: now and then the node is given up until it is back. */
  crashed(node: number, random: Random): void {
    if (this.isPrimary(node) || nextFloat(random) >= this.#world.knobs.retireRate) return;
    if (this.#members.delete(node)) this.#world.count("member retired");
  }

  isMember(node: number): boolean {
    return this.#members.has(node);
  }

  joined(node: number): void {
    if (this.#members.has(node)) return;
    this.#members.add(node);
    this.#world.count("member added");
  }

  /** The primaries that are there and awake do what it is time for. */
  turn(what: "settle" | "expire" | "evict", isAwake: (node: number) => boolean): void {
    for (const shard of this.#world.checkers.keys()) {
      for (const index of this.#primariesOf(shard)) {
        const node = this.#world.nodes[index];
        if (node === undefined || !isAwake(index)) continue;
        if (what === "settle") this.#settle(node, shard);
        else if (what === "evict") evictAt(this.#world, { node, shard });
        else this.#expire(node, shard);
      }
    }
  }

  /** Where training moves: whoever takes itself for one. */
  #primariesOf(shard: number): number[] {
    const { promotions, nodes } = this.#world;
    return promotions.isOn ? [...nodes.keys()].filter((node) => promotions.trains(node)) : [this.primaryOf(shard)];
  }

  /** Puts on disk what a node is about to say of itself. */
  save(node: number, shard: number): void {
    const image = this.#world.nodes[node]?.image(shard);
    if (image !== undefined) this.#world.disks[node]?.save(shard, image);
  }

  /** Looks at a settled time that has moved, with the lives that answered, of those that are still there. */
  surveyed(shard: number, primary: Replica): void {
    const checker = this.#world.checkers[shard];
    if (primary.survey === undefined || checker === undefined || checker.book.holds(primary.horizon)) return;
    this.#world.count("settled");
    const { members, reports } = primary.survey;
    const told = new Map(
      members.flatMap((member) => reports.get(member) ?? []).map((report) => [report.writer, report]),
    );
    const all = this.#world.nodes.flatMap((node) => node?.replicas[shard] ?? []);
    checker.settled(primary, {
      answered: all.flatMap((replica) => {
        const report = told.get(replica.writer);
        return report === undefined ? [] : [{ replica, told: report.knowledge }];
      }),
      all,
      where: `shard ${shard}`,
    });
  }

  #settle(node: SimulatedNode, shard: number): void {
    const members = [...this.#members].filter((member) => member !== node.index).map((member) => `n${member}`);
    this.#surveys += 1;
    const pullId = this.#surveys.toString(16).padStart(32, "f");
    const isAloof = this.#world.knobs.sole;
    node.step(shard, { kind: "settle", members, isAloof, pullId }, this.#world.clock(node.index));
  }

  #expire(node: SimulatedNode, shard: number): void {
    const nowMs = this.#world.clock(node.index);
    const before = Math.floor((nowMs - this.#world.knobs.ttlMs) * 1000);
    this.#world.checkers[shard]?.book.mayExpire(before);
    const effects = node.step(shard, { kind: "expire", table: 0, before }, nowMs);
    if (effects.length > 0) this.#world.count("expired");
  }
}
