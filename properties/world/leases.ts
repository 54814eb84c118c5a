/*
 * The leases of a simulated world: nodes in two regions, a compare-and-set store in each, behind a network that is late, loses questions
 * and answers, and goes on while nodes stand still. And what must hold of leases, looked at from outside: by the store's own records.
 */
import {
  isHeld,
  leaderOf,
  type LeaseEffect,
  type LeaseEvent,
  type LeaseState,
  newLease,
  stepLease,
} from "../../protocols/leadership/lease.ts";
import { nextFloat, type Random } from "../../protocols/random.ts";
import { type LeaderOf, type PullRole } from "../../protocols/sync/poll-leaders.ts";
import { type Happening } from "./happening.ts";
import { type Knobs } from "./knobs.ts";
import { type SimulatedNode } from "./simulated-node.ts";
import { type Surroundings } from "./surroundings.ts";

/** What leases need to see of a world. */
export interface LeasedWorld extends Surroundings {
  readonly nowMs: number;
  readonly healed: boolean;
  readonly nodes: readonly (SimulatedNode | undefined)[];
  schedule(delayMs: number, happening: Happening): void;
  /** What a node's wall clock shows; it may jump. */
  clock(node: number): number;
}

interface Ask {
  readonly node: number;
  readonly life: number;
  readonly shard: number;
  readonly effect: LeaseEffect;
  /** What the store said, once it was asked. */
  event?: LeaseEvent;
}

/** A store's record, and what is noted about those who may hold it. */
interface Lease {
  record: { readonly holder: string; readonly revision: number } | undefined;
  /** When a holder was last seen, or when one last could not be expected. */
  heldMs: number;
  /** Its holder crashed and nobody has followed yet. */
  isOrphan: boolean;
}

const TURNS = 6;
/** After this many leases without trouble a lease must have a holder, and after as many more it must not change. */
const TAKEN_WITHIN = 3;
/** Pauses and crashes of the trouble may reach so far beyond it. */
const AFTERMATH_MS = 12_000;

/** In which region a node is. */
export function regionOf({ nodes }: Knobs, index: number): 0 | 1 {
  return index < nodes / 2 ? 0 : 1;
}

export class Leases {
  readonly #world: LeasedWorld;
  readonly #random: Random;
  readonly #speeds: readonly number[];
  readonly #states: LeaseState[][];
  readonly #lives: number[];
  readonly #leases: readonly (readonly Lease[])[];
  /** Since when each node has had its turns, and its last. */
  readonly #awake: { sinceMs: number; turnMs: number }[];
  readonly #asks = new Map<number, Ask>();
  /** By node and shard: whom the node was last told to follow. */
  readonly #told = new Map<string, string | undefined>();
  #asked = 0;
  #healedMs = Infinity;

  constructor(world: LeasedWorld, random: Random) {
    const { nodes, shards } = world.knobs;
    this.#world = world;
    this.#random = random;
    // One clock may be a tenth faster than another.
    this.#speeds = Array.from({ length: nodes }, () => 1 + (nextFloat(random) - 0.5) * 0.095);
    this.#states = Array.from({ length: nodes }, () => []);
    this.#lives = Array.from({ length: nodes }, () => 0);
    this.#awake = Array.from({ length: nodes }, () => ({ sinceMs: 0, turnMs: 0 }));
    this.#leases = Array.from({ length: 2 }, () =>
      Array.from({ length: shards }, () => ({ record: undefined, heldMs: 0, isOrphan: false })),
    );
  }

  /** A life of a node begins: it knows of no lease. */
  started(node: number, life: number): void {
    const { shards, leaseMs } = this.#world.knobs;
    const options = { self: `n${node}`, durationMs: leaseMs };
    this.#states[node] = Array.from({ length: shards }, () => newLease(options));
    this.#lives[node] = life;
    this.excused(node);
    if (this.#world.knobs.leaders !== "leased") return;
    for (let shard = 0; shard < shards; shard += 1) this.#told.delete(`${node} ${shard}`);
    this.#after({ node, life }, (nextFloat(this.#random) * leaseMs) / TURNS, "lease turn");
  }

  crashed(node: number): void {
    this.excused(node);
    for (const lease of this.#of(node)) lease.isOrphan ||= lease.record?.holder === `n${node}`;
  }

  paused(node: number, forMs: number): void {
    this.excused(node);
    const { leaseMs } = this.#world.knobs;
    const held = (this.#states[node] ?? []).some((state) => isHeld(state, this.#clock(node)));
    if (held && forMs > 2 * leaseMs) this.#world.count("leader woken after its lease");
  }

  healed(): void {
    this.#healedMs = this.#world.nowMs;
  }

  /** Whom a node takes for the leaders of its region, as the world's kind of leaders has it. */
  leaderOf(node: number): LeaderOf {
    const { knobs } = this.#world;
    return (name) => {
      switch (knobs.leaders) {
        case "everybody":
          return "self";
        case "nobody":
          return this.#another(node);
        case "unknown":
        case "none":
          return undefined;
        case "leased": {
          const state = this.#states[node]?.[Number(name.slice(2))];
          const known = state && leaderOf(state, this.#clock(node));
          if (known === undefined) return undefined;
          return known.holder === `n${node}` ? "self" : { peer: known.holder };
        }
      }
    };
  }

  timer(node: number, name: string): void {
    const [, what, id = ""] = name.split(" ");
    if (what === "turn") {
      this.#turn(node);
      return;
    }
    const ask = this.#asks.get(Number(id));
    if (ask === undefined) return;
    this.#asks.delete(Number(id));
    // A look without an answer is no event: the next turn looks again.
    const lost: LeaseEvent | undefined = ask.effect.kind === "read" ? undefined : { kind: "not-written" };
    const event = what === "answer" ? (ask.event ?? lost) : lost;
    if (event !== undefined) this.#step(node, ask.shard, event);
  }

  /** A question reaches the store. */
  store(id: number): void {
    const ask = this.#asks.get(id);
    if (ask === undefined) return;
    const { node, shard, effect } = ask;
    const lease = this.#lease(node, shard);
    ask.event =
      effect.kind === "read"
        ? { kind: "record", ...(lease.record && { record: lease.record }) }
        : { kind: "not-written" };
    if (effect.kind === "write" && (lease.record?.revision ?? 0) === effect.revision) {
      const revision = effect.revision + 1;
      this.#written(node, shard, { holder: `n${node}`, revision });
      ask.event = { kind: "written", revision };
    }
    if (this.#isLost(node)) this.#late(ask, id);
    else this.#after(ask, this.#delayMs(), `lease answer ${id}`);
  }

  /** E5: who pulls for its region is whom the store's record names. */
  pulled(node: number, shard: number, role: PullRole): void {
    const { knobs, judge } = this.#world;
    if (knobs.leaders === "everybody") this.#world.count("pull by one of several leaders");
    if (knobs.leaders === "nobody") this.#world.count("pull that was left to nobody");
    if (knobs.leaders === "unknown") this.#world.count("pull without a known leader");
    if (knobs.leaders !== "leased" || role !== "leader") return;
    const holder = this.#lease(node, shard).record?.holder;
    if (holder === `n${node}`) return;
    judge.breach("E5", `node ${node} pulls shard ${shard} as leader, and ${holder} leads it`);
  }

  /** Nobody is to blame that a lease is not held now. */
  excused(node: number): void {
    for (const lease of this.#of(node)) lease.heldMs = this.#world.nowMs;
  }

  #turn(node: number): void {
    const { leaseMs, shards } = this.#world.knobs;
    const { nowMs } = this.#world;
    const { sinceMs = 0, turnMs = 0 } = this.#awake[node] ?? {};
    this.#awake[node] = { sinceMs: nowMs - turnMs > leaseMs / 2 ? nowMs : sinceMs, turnMs: nowMs };
    for (let shard = 0; shard < shards; shard += 1) {
      this.#step(node, shard, { kind: "tick" });
      this.#expectHolder(node, shard);
    }
    this.#after({ node, life: this.#lives[node] ?? 0 }, leaseMs / TURNS / (this.#speeds[node] ?? 1), "lease turn");
  }

  #step(node: number, shard: number, event: LeaseEvent): void {
    const state = this.#states[node]?.[shard];
    if (state === undefined) return;
    const next = stepLease(state, event, this.#clock(node));
    const states = this.#states[node];
    if (states !== undefined) states[shard] = next.state;
    for (const effect of next.effects) this.#ask({ node, life: this.#lives[node] ?? 0, shard, effect });
    this.#look(node, shard);
    const leader = this.leaderOf(node)(`s/${shard}`);
    const now = typeof leader === "object" ? leader.peer : leader;
    const key = `${node} ${shard}`;
    if (now === this.#told.get(key)) return;
    this.#told.set(key, now);
    this.#world.nodes[node]?.led(shard);
  }

  #ask(ask: Ask): void {
    const { node } = ask;
    const id = (this.#asked += 1);
    this.#asks.set(id, ask);
    if (this.#isLost(node)) this.#late(ask, id);
    else this.#world.schedule(this.#delayMs(), { kind: "store", ask: id });
  }

  /** E1: at most one node takes itself for a leader. */
  #look(node: number, shard: number): void {
    const { nowMs, judge, knobs, nodes } = this.#world;
    const region = regionOf(knobs, node);
    const holders: number[] = [];
    for (const [index, states] of this.#states.entries()) {
      const state = states[shard];
      if (state === undefined || nodes[index] === undefined || regionOf(knobs, index) !== region) continue;
      if (isHeld(state, this.#clock(index))) holders.push(index);
    }
    if (holders.length > 1) judge.breach("E1", `nodes ${holders.join(" and ")} both lead shard ${shard}`);
    const lease = this.#lease(node, shard);
    if (holders.length > 0) lease.heldMs = nowMs;
  }

  /** E3: who has had its turns for so long has seen a lease without a holder taken. */
  #expectHolder(node: number, shard: number): void {
    const { nowMs, judge, knobs } = this.#world;
    const forMs = nowMs - Math.max(this.#lease(node, shard).heldMs, this.#awake[node]?.sinceMs ?? 0);
    if (forMs <= TAKEN_WITHIN * knobs.leaseMs) return;
    judge.breach("E3", `nobody has led shard ${shard} of region ${regionOf(knobs, node)} for ${forMs} ms`);
  }

  /** E4: without trouble a lease stays with its holder. */
  #written(node: number, shard: number, record: { readonly holder: string; readonly revision: number }): void {
    const { nowMs, judge, knobs, nodes } = this.#world;
    const lease = this.#lease(node, shard);
    const { record: before } = lease;
    lease.record = record;
    if (before === undefined || before.holder === record.holder) {
      if (before !== undefined && knobs.calm) this.#world.count("lease renewed in a calm world");
      return;
    }
    this.#world.count("lease taken from another");
    if (lease.isOrphan) this.#world.count("lease of a dead leader taken");
    lease.isOrphan = false;
    const isStable = knobs.calm || nowMs > this.#healedMs + AFTERMATH_MS + 2 * TAKEN_WITHIN * knobs.leaseMs;
    if (isStable) judge.breach("E4", `n${node} took shard ${shard} from ${before.holder}, which was well`);
    const isPulling = nodes.some(
      (each, index) =>
        each?.poller.pulling.has(`s/${shard}`) === true && regionOf(knobs, index) === regionOf(knobs, node),
    );
    if (!isPulling) return;
    this.#world.count("leader changed during a pull");
    judge.also.add("E6");
  }

  #isLost(node: number): boolean {
    const { knobs, healed } = this.#world;
    const isLost = !healed && nextFloat(this.#random) < knobs.storeLossRate;
    if (isLost) this.excused(node);
    return isLost;
  }

  #delayMs(): number {
    return (nextFloat(this.#random) * this.#world.knobs.leaseMs) / 10;
  }

  #clock(node: number): number {
    return this.#world.nowMs * (this.#speeds[node] ?? 1);
  }

  #another(node: number): ReturnType<LeaderOf> {
    const { knobs } = this.#world;
    const siblings = this.#states.flatMap((_, index) =>
      index !== node && regionOf(knobs, index) === regionOf(knobs, node) ? [index] : [],
    );
    return siblings[0] === undefined ? undefined : { peer: `n${siblings[0]}` };
  }

  #of(node: number): readonly Lease[] {
    return this.#leases[regionOf(this.#world.knobs, node)] ?? [];
  }

  #lease(node: number, shard: number): Lease {
    const lease = this.#of(node)[shard];
    if (lease === undefined) throw new RangeError(`Cannot find the lease of shard ${shard}: there is none`);
    return lease;
  }

  /** Nobody will hear of this any more; its asker finds out by its deadline. */
  #late(ask: Ask, id: number): void {
    this.#after(ask, this.#world.knobs.leaseMs, `lease late ${id}`);
  }

  #after({ node, life }: Pick<Ask, "node" | "life">, delayMs: number, name: string): void {
    this.#world.after(delayMs, { kind: "timer", node, life, shard: undefined, name });
  }
}
