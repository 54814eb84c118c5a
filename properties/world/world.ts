/*
 * A deterministic simulated world: nodes, links and disks over the real synchronisation core, one queue ordered by time, every
 * choice drawn from the seed. First trouble, then all is healed and everything must become equal and quiet.
 */
import { popHeap, pushHeap } from "../../protocols/binary-heap.ts";
import { createRandom, fork, mixUint32, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { equalKnowledge } from "../../protocols/sync/knowledge.ts";
import { ShardChecker, Violation } from "./checkers.ts";
import { drawKnobs, type Knobs } from "./knobs.ts";
import { describe, type Happening, isBefore, type Scheduled } from "./happening.ts";
import { changeCuts, deliveries, type Envelope, hashEnvelope, type Network } from "./network.ts";
import { SimulatedNode, type Surroundings } from "./simulated-node.ts";

const EPOCH_MS = 1_760_000_000_000;
/** How long after healing all must be equal, in simulated time; several times the longest back-off. */
const CONVERGE_MS = 120_000;
const QUIET_MS = 15_000;

export interface WorldOutcome {
  readonly seed: number;
  readonly failure: { readonly property: string; readonly message: string } | undefined;
  readonly events: number;
  readonly simulatedMs: number;
  /** Of everything that happened, in order. */
  readonly hash: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** Runs the world of a seed to its end. The same seed gives the same outcome, to the hash. */
export function runWorld(seed: number, options: { readonly trace?: (line: string) => void } = {}): WorldOutcome {
  const world = new World(seed, options.trace);
  let failure: WorldOutcome["failure"];
  try {
    world.run();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failure = {
      property: error instanceof Violation ? error.property : error.name,
      message: error instanceof Violation ? error.message : (error.stack ?? error.message),
    };
  }
  return { seed, failure, events: world.events, simulatedMs: world.nowMs, hash: world.hash, counts: world.counts };
}

class World implements Surroundings {
  readonly knobs: Knobs;
  readonly random: Random;
  readonly checkers: readonly ShardChecker[];
  readonly counts = new Map<string, number>();
  nowMs = 0;
  events = 0;
  hash = 1;
  readonly #faults: Random;
  readonly #network: Network = { cut: new Set(), healed: false };
  readonly #queue: Scheduled[] = [];
  readonly #nodes: (SimulatedNode | undefined)[];
  readonly #lives: number[];
  readonly #skewMs: number[];
  readonly #disks: Map<number, Uint8Array>[];
  readonly #trace: ((line: string) => void) | undefined;
  #sequence = 0;
  #value = 0;
  #equalSinceMs: number | undefined;
  #pullsWhenEqual = 0;

  constructor(seed: number, trace: ((line: string) => void) | undefined) {
    this.random = createRandom(seed);
    this.#faults = fork(this.random);
    this.knobs = drawKnobs(this.random);
    this.#trace = trace;
    const { nodes, shards, keys } = this.knobs;
    this.checkers = Array.from({ length: shards }, () => new ShardChecker(keys));
    this.#nodes = Array.from({ length: nodes }, () => undefined);
    this.#lives = Array.from({ length: nodes }, () => 0);
    this.#disks = Array.from({ length: nodes }, () => new Map<number, Uint8Array>());
    this.#skewMs = Array.from({ length: nodes }, () =>
      this.knobs.jumpEveryMs > 0 ? (nextFloat(this.random) - 0.5) * 7_200_000 : 0,
    );
    trace?.(JSON.stringify(this.knobs));
  }

  run(): void {
    for (let node = 0; node < this.knobs.nodes; node += 1) this.#start(node);
    for (const kind of ["write", "cut", "crash", "save", "jump"] as const) this.#again(kind);
    this.#schedule(this.knobs.troubleMs, { kind: "heal" });
    for (;;) {
      const next = popHeap(this.#queue, isBefore);
      if (next === undefined) throw new Violation("L1", "the queue ran empty");
      this.nowMs = next.atMs;
      this.events += 1;
      this.hash = mixUint32(this.hash, Math.floor(next.atMs * 1000));
      if (this.#happen(next.happening) === "done") return;
    }
  }

  send(envelope: Envelope): void {
    for (const { delayMs, envelope: copy } of deliveries(this.#network, {
      knobs: this.knobs,
      random: this.#faults,
      envelope,
    })) {
      this.#schedule(delayMs, { kind: "deliver", envelope: copy });
    }
  }

  after(
    delayMs: number,
    timer: { readonly node: number; readonly life: number; readonly shard: number | undefined; readonly name: string },
  ): void {
    this.#schedule(delayMs, { kind: "timer", ...timer });
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  #happen(happening: Happening): "done" | undefined {
    this.#trace?.(`${this.nowMs.toFixed(3)} ${describe(happening)}`);
    switch (happening.kind) {
      case "deliver": {
        const { envelope } = happening;
        this.hash = hashEnvelope(this.hash, envelope);
        this.#nodes[envelope.to]?.receive(envelope, this.#clock(envelope.to));
        break;
      }
      case "timer": {
        const node = this.#nodes[happening.node];
        if (node !== undefined && node.life === happening.life) node.timer(happening, this.#clock(happening.node));
        break;
      }
      case "write":
        this.#write();
        this.#again("write");
        break;
      case "cut":
        changeCuts(this.#network, { nodes: this.knobs.nodes, random: this.#faults });
        this.#again("cut");
        break;
      case "crash":
        this.#crash();
        this.#again("crash");
        break;
      case "save":
        this.#save();
        this.#again("save");
        break;
      case "jump":
        this.#skewMs[nextBelow(this.#faults, this.knobs.nodes)] = (nextFloat(this.#faults) - 0.5) * 7_200_000;
        this.#again("jump");
        break;
      case "restart":
        this.#start(happening.node);
        break;
      case "heal":
        this.#network.healed = true;
        this.#schedule(100, { kind: "look" });
        break;
      case "look":
        return this.#look();
    }
    return undefined;
  }

  #write(): void {
    const node = this.#nodes[nextBelow(this.random, this.knobs.nodes)];
    if (node === undefined || (this.knobs.serving && node.index === this.knobs.nodes - 1)) return;
    this.#value += 1;
    node.write(nextBelow(this.random, this.knobs.shards), {
      key: BigInt(nextBelow(this.random, this.knobs.keys)),
      value: this.#value,
      nowMs: this.#clock(node.index),
    });
    this.count("written");
  }

  #crash(): void {
    const { nodes, serving } = this.knobs;
    // What only serving replicas still hold has no state, and full ones cannot take it back yet: there, full nodes do not crash.
    const index = serving ? nodes - 1 : nextBelow(this.#faults, nodes);
    if (this.#nodes[index] === undefined) return;
    this.#nodes[index] = undefined;
    this.count("crash");
    if (nextFloat(this.#faults) < this.knobs.amnesiaRate) this.#disks[index]?.clear();
    // Half of them are back within about a round trip, while answers to their last life are still under way.
    const delayMs =
      nextFloat(this.#faults) < 0.5 ? nextFloat(this.#faults) * this.knobs.delayMs : nextFloat(this.#faults) * 5_000;
    this.#schedule(delayMs, { kind: "restart", node: index });
  }

  #save(): void {
    const node = this.#nodes[nextBelow(this.#faults, this.knobs.nodes)];
    if (node === undefined) return;
    const shard = nextBelow(this.#faults, this.knobs.shards);
    if (node.replicas[shard]?.early.size) this.count("saved with early rows");
    this.#disks[node.index]?.set(shard, node.image(shard));
  }

  #start(index: number): void {
    this.#lives[index] = (this.#lives[index] ?? 0) + 1;
    this.#nodes[index] = new SimulatedNode(this, {
      index,
      life: this.#lives[index],
      disk: this.#disks[index] ?? new Map(),
      peers: this.#peers(index),
    });
  }

  #peers(index: number): number[] {
    const { nodes, ring, serving } = this.knobs;
    const all = Array.from({ length: nodes }, (_, peer) => peer).filter((peer) => peer !== index);
    // Full replicas pull only from full ones; these alone form the ring.
    const last = serving ? nodes - 1 : nodes;
    const useful = all.filter((peer) => peer < last);
    if (!ring || index >= last) return useful;
    return useful.filter((peer) => (peer + 1) % last === index || (index + 1) % last === peer);
  }

  /** L1 and quiescence: equal within bounds, and then not a pull more. */
  #look(): "done" | undefined {
    this.#schedule(500, { kind: "look" });
    const difference = this.#difference();
    if (difference !== undefined) {
      this.#equalSinceMs = undefined;
      if (this.nowMs > this.knobs.troubleMs + CONVERGE_MS) {
        throw new Violation("L1", `not equal ${CONVERGE_MS} ms after all was healed: ${difference}`);
      }
      return undefined;
    }
    const pulls = this.counts.get("sent pull") ?? 0;
    if (
      this.#equalSinceMs === undefined ||
      (pulls !== this.#pullsWhenEqual && this.nowMs < this.knobs.troubleMs + CONVERGE_MS)
    ) {
      this.#equalSinceMs = this.nowMs;
      this.#pullsWhenEqual = pulls;
      return undefined;
    }
    if (pulls !== this.#pullsWhenEqual) throw new Violation("L4", `pulls go on although all is equal`);
    return this.nowMs - this.#equalSinceMs > QUIET_MS ? "done" : undefined;
  }

  #difference(): string | undefined {
    const [first, ...others] = this.#nodes;
    if (first === undefined || this.#nodes.includes(undefined)) return "a node is down";
    for (const other of others) {
      for (const [shard, replica] of first.replicas.entries()) {
        const theirs = other?.replicas[shard];
        if (theirs === undefined) return "a node is down";
        if (replica.store.digest() !== theirs.store.digest()) {
          return `contents of shard ${shard} differ between nodes 0 and ${other?.index}`;
        }
        if (!equalKnowledge(replica.knowledge, theirs.knowledge)) {
          return `knowledges of shard ${shard} differ between nodes 0 and ${other?.index}`;
        }
      }
    }
    return undefined;
  }

  #again(kind: "write" | "cut" | "crash" | "save" | "jump"): void {
    const meanMs = this.knobs[`${kind}EveryMs`];
    if (meanMs === 0 || this.#network.healed) return;
    const delayMs = -Math.log(1 - nextFloat(this.#faults)) * meanMs;
    if (this.nowMs + delayMs < this.knobs.troubleMs) this.#schedule(delayMs, { kind });
  }

  #schedule(delayMs: number, happening: Happening): void {
    this.#sequence += 1;
    pushHeap(this.#queue, { atMs: this.nowMs + delayMs, sequence: this.#sequence, happening }, isBefore);
  }

  #clock(node: number): number {
    const nowMs = EPOCH_MS + this.nowMs + (this.#skewMs[node] ?? 0);
    return this.knobs.clockStepMs > 0 ? Math.floor(nowMs / this.knobs.clockStepMs) * this.knobs.clockStepMs : nowMs;
  }
}
