/*
 * A deterministic simulated world: nodes, links and disks over the real synchronisation core, one queue ordered by time, every
 * choice drawn from the seed. First trouble, then all is healed and everything must become equal and quiet.
 */
import { popHeap, pushHeap } from "../../protocols/binary-heap.ts";
import { createRandom, fork, mixUint32, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { ShardChecker } from "./checkers.ts";
import { Disk } from "./disk.ts";
import { Ending } from "./ending.ts";
import { describe, type Happening, isBefore, listLast, type Scheduled, type Timer, type Urging } from "./happening.ts";
import { Judge, Violation } from "./judge.ts";
import { drawKnobs, type Knobs, RECURRING } from "./knobs.ts";
import { Leases } from "./leases.ts";
import { type Envelope, hashEnvelope, Network } from "./network.ts";
import { failureOf, type WorldOptions, type WorldOutcome } from "./outcome.ts";
import { Primaries } from "./primaries.ts";
import { Promotions } from "./promotions.ts";
import { ShardRestarts } from "./shard-restarts.ts";
import { SimulatedNode } from "./simulated-node.ts";
import { StepChecker } from "./step-checks.ts";
import { drawVictim, writerOfEarlyRow } from "./victims.ts";
import { type Surroundings } from "./surroundings.ts";

const EPOCH_MS = 1_760_000_000_000;
/** How many events a failure shows. */
const LAST = 200;

/** Runs the world of a seed to its end. The same seed and options give the same outcome, to the hash. */
export function runWorld(seed: number, options: WorldOptions = {}): WorldOutcome {
  const world = new World(seed, options);
  let failure: WorldOutcome["failure"];
  try {
    world.run();
  } catch (error) {
    failure = failureOf(error, world.lastEvents());
  }
  return { seed, failure, events: world.events, simulatedMs: world.nowMs, hash: world.hash, counts: world.counts };
}

class World implements Surroundings {
  readonly knobs: Knobs;
  readonly random: Random;
  readonly judge: Judge;
  readonly checkers: readonly ShardChecker[];
  readonly steps: StepChecker;
  readonly #counts = new Map<string, { by: number }>();
  readonly nodes: (SimulatedNode | undefined)[];
  readonly disks: readonly Disk[];
  readonly leases: Leases;
  readonly promotions: Promotions;
  nowMs = 0;
  pullsSent = 0;
  stepsTaken = 0;
  events = 0;
  hash = 1;
  readonly #isAwake = (node: number): boolean => (this.#pausedUntilMs[node] ?? 0) <= this.nowMs;
  readonly #faults: Random;
  readonly #network: Network;
  readonly #primaries: Primaries;
  readonly #shardRestarts: ShardRestarts;
  readonly #queue: Scheduled[] = [];
  readonly #lives: number[];
  readonly #pausedUntilMs: number[];
  readonly #skewMs: number[];
  readonly #options: WorldOptions;
  readonly #last: Scheduled[] = [];
  #sequence = 0;
  #value = 0;
  #isTampered = false;
  #ending: Ending | undefined;

  constructor(seed: number, options: WorldOptions) {
    this.random = createRandom(seed);
    this.#faults = fork(this.random);
    this.knobs = drawKnobs(this.random);
    this.#options = options;
    this.judge = new Judge(options.only);
    const { nodes, shards, keys, jumpEveryMs } = this.knobs;
    const count = (what: string): void => this.count(what);
    this.checkers = Array.from({ length: shards }, () => new ShardChecker(keys, this.judge));
    this.steps = new StepChecker(this.judge, { knobs: this.knobs, count });
    this.#network = new Network(this.knobs, { random: this.#faults, count });
    this.nodes = Array.from({ length: nodes }, () => undefined);
    this.#lives = Array.from({ length: nodes }, () => 0);
    this.#pausedUntilMs = Array.from({ length: nodes }, () => 0);
    this.disks = Array.from({ length: nodes }, () => new Disk());
    this.promotions = new Promotions(this, seed);
    this.#primaries = new Primaries(this);
    this.#shardRestarts = new ShardRestarts(this, seed);
    this.#skewMs = Array.from({ length: nodes }, () =>
      jumpEveryMs > 0 ? (nextFloat(this.random) - 0.5) * 7_200_000 : 0,
    );
    this.leases = new Leases(this, createRandom(seed));
    // With several leaders, or none, everything must hold that holds with one.
    if (this.knobs.leaders !== "none" && this.knobs.leaders !== "leased") this.judge.also.add("E2");
    options.trace?.(JSON.stringify(this.knobs));
  }

  run(): void {
    for (let node = 0; node < this.knobs.nodes; node += 1) this.#start(node);
    for (const kind of RECURRING) this.#again(kind);
    this.#shardRestarts.again();
    this.schedule(this.knobs.troubleMs, { kind: "heal" });
    for (;;) {
      const next = popHeap(this.#queue, isBefore);
      if (next === undefined) throw new Violation("L1", "the queue ran empty");
      this.nowMs = next.atMs;
      this.events += 1;
      this.hash = mixUint32(this.hash, Math.floor(next.atMs * 1000));
      this.#last[(this.events - 1) % LAST] = next;
      this.#options.trace?.(`${next.atMs.toFixed(3)} ${describe(next.happening)}`);
      if (this.#happen(next.happening) === "done") return;
    }
  }

  /** The last events, one a line, and a line for each replica. */
  lastEvents(): string {
    const nodes = this.nodes.map((node) => node?.replicas);
    return listLast(this.#last, nodes);
  }

  send(envelope: Envelope): void {
    if (envelope.message === "pull" || envelope.message === "more") this.pullsSent += 1;
    for (const { delayMs, envelope: copy } of this.#network.deliveries(envelope, this.nowMs)) {
      this.schedule(delayMs, { kind: "deliver", envelope: copy });
    }
  }

  after(delayMs: number, what: Timer | Urging): void {
    this.schedule(delayMs, what);
  }

  surveyed(shard: number, primary: Replica): void {
    this.#primaries.surveyed(shard, primary);
  }

  stepped(): void {
    this.stepsTaken += 1;
  }

  pausedUntilMs(node: number): number {
    return this.#pausedUntilMs[node] ?? 0;
  }

  count(what: string, by = 1): void {
    if (this.judge.isBlind) return;
    const counted = this.#counts.get(what);
    if (counted === undefined) this.#counts.set(what, { by });
    else counted.by += by;
  }

  get counts(): ReadonlyMap<string, number> {
    return new Map([...this.#counts].map(([what, { by }]) => [what, by]));
  }

  #happen(happening: Happening): "done" | undefined {
    switch (happening.kind) {
      case "deliver": {
        const { envelope } = happening;
        const node = this.#awake(envelope.to, happening);
        this.hash = hashEnvelope(this.hash, envelope);
        if (node !== undefined && envelope.message === "survey") this.#primaries.save(envelope.to, envelope.shard ?? 0);
        node?.receive(envelope, this.clock(envelope.to));
        return undefined;
      }
      case "timer":
      case "urge": {
        const node = this.#awake(happening.node, happening);
        if (node?.life !== happening.life) return undefined;
        if (happening.kind === "timer") node.timer(happening, this.clock(happening.node));
        else node.late.urge(node, happening.shard, this.clock(happening.node));
        return undefined;
      }
      case "restart":
        this.#start(happening.node);
        return undefined;
      case "store":
        this.leases.store(happening.ask);
        return undefined;
      case "shard-restart":
        return this.#shardRestarts.happen(this.#isAwake);
      case "hand-over":
        this.promotions.handOver(this.#isAwake);
        return undefined;
      case "told":
        this.promotions.told(happening.node);
        return undefined;
      case "join":
        this.#primaries.joined(happening.node);
        return undefined;
      case "heal":
        // Late enough that nobody writes over the rows that are left without a writer.
        if (this.knobs.aloof && !this.knobs.calm) this.#crash(writerOfEarlyRow(this.nodes));
        this.#network.heal();
        this.#shardRestarts.last();
        this.leases.healed();
        this.#ending = new Ending(this);
        this.schedule(100, { kind: "look" });
        return undefined;
      case "look":
        this.schedule(500, { kind: "look" });
        return this.#ending?.look();
      case "write":
        this.#write();
        break;
      case "promote":
        this.promotions.promote();
        break;
      case "cut":
        this.#network.changeCuts();
        break;
      case "clog":
        this.#network.clog(this.nowMs);
        break;
      case "crash":
        this.#crash();
        break;
      case "pause": {
        const index = nextBelow(this.#faults, this.knobs.nodes);
        const forMs = nextFloat(this.#faults) * 10_000;
        // The longer of two that overlap: what was put off to the end of the first is looked at as late from the end of the second.
        this.#pausedUntilMs[index] = Math.max(this.#pausedUntilMs[index] ?? 0, this.nowMs + forMs);
        this.leases.paused(index, forMs);
        this.count("pause");
        break;
      }
      case "save":
        this.#save();
        break;
      case "jump":
        this.#skewMs[nextBelow(this.#faults, this.knobs.nodes)] = (nextFloat(this.#faults) - 0.5) * 7_200_000;
        this.count("clock jump");
        break;
      case "settle":
      case "expire":
      case "evict":
        this.#primaries.turn(happening.kind, this.#isAwake);
        break;
    }
    this.#again(happening.kind);
    return undefined;
  }

  /** The node, unless it is down, or paused: then it gets this when it goes on. */
  #awake(index: number, happening: Happening): SimulatedNode | undefined {
    const node = this.nodes[index];
    const untilMs = this.#pausedUntilMs[index] ?? 0;
    if (node !== undefined && untilMs > this.nowMs) {
      this.schedule(untilMs - this.nowMs, happening);
      return undefined;
    }
    const { tamper } = this.#options;
    if (tamper !== undefined && !this.#isTampered && node !== undefined) {
      const shard = nextBelow(this.random, node.replicas.length);
      const replica = node.replicas[shard];
      this.#isTampered = replica !== undefined && tamper(replica, this.random);
      // Looked at before anything else can happen to it: what is overwritten or crashes at once was never there.
      if (this.#isTampered) node.look(shard);
    }
    return node;
  }

  #write(): void {
    if (this.promotions.isOn) return this.promotions.learn(this.#isAwake);
    const { nodes, serving, shards, keys, deleteRate, urgentRate, sole } = this.knobs;
    const index = sole ? 0 : nextBelow(this.random, nodes);
    const node = this.nodes[index];
    if (node === undefined || (serving && index === nodes - 1) || this.pausedUntilMs(index) > this.nowMs) return;
    this.#value += 1;
    node.write(nextBelow(this.random, shards), {
      key: nextBelow(this.random, keys),
      value: nextFloat(this.random) < deleteRate ? 0 : this.#value,
      urgent: mixUint32(this.#value, this.knobs.orphanMs) / 2 ** 32 < urgentRate,
      nowMs: this.clock(index),
    });
  }

  #crash(index = drawVictim(this, this.#faults)): void {
    const node = this.nodes[index];
    if (node === undefined) return;
    node.scan();
    this.nodes[index] = undefined;
    this.leases.crashed(index);
    this.#pausedUntilMs[index] = 0;
    if (!this.#primaries.sparesDisk(index)) this.count(this.disks[index]?.crash(this.knobs, this.#faults) ?? "");
    this.#primaries.crashed(index, this.#faults);
    // Half of them are back within about a round trip, while answers to their last life are still under way.
    const isQuick = nextFloat(this.#faults) < 0.5;
    this.count(isQuick ? "restart within a round trip" : "restart later");
    const withinMs = isQuick ? this.knobs.delayMs : 5_000;
    this.schedule(nextFloat(this.#faults) * withinMs, { kind: "restart", node: index });
  }

  #save(): void {
    const node = this.nodes[nextBelow(this.#faults, this.knobs.nodes)];
    if (node === undefined) return;
    const shard = nextBelow(this.#faults, this.knobs.shards);
    if (node.replicas[shard]?.early.size) this.count("saved with early rows");
    this.disks[node.index]?.save(shard, node.image(shard));
  }

  #start(index: number): void {
    const life = (this.#lives[index] ?? 0) + 1;
    this.#lives[index] = life;
    this.leases.started(index, life);
    const disk = this.disks[index] ?? new Disk();
    const node = new SimulatedNode(this, { index, life, disk, peers: this.promotions.peersOf(index) });
    this.nodes[index] = node;
    this.promotions.started(node);
    if (this.#primaries.isMember(index)) return;
    this.schedule(nextFloat(this.#faults) * 5_000, { kind: "join", node: index });
  }

  #again(kind: (typeof RECURRING)[number]): void {
    const meanMs = this.knobs[`${kind}EveryMs`];
    // Where one alone writes, what is left at the end is to be settled.
    const isEndless = kind === "settle" && this.knobs.sole;
    if (meanMs === 0 || (this.#network.healed && !isEndless)) return;
    const delayMs = -Math.log(1 - nextFloat(this.#faults)) * meanMs;
    if (isEndless || this.nowMs + delayMs < this.knobs.troubleMs) this.schedule(delayMs, { kind });
  }

  get healed(): boolean {
    return this.#network.healed;
  }

  schedule(delayMs: number, happening: Happening): void {
    this.#sequence += 1;
    pushHeap(this.#queue, { atMs: this.nowMs + delayMs, sequence: this.#sequence, happening }, isBefore);
  }

  clock(node: number): number {
    const nowMs = EPOCH_MS + this.nowMs + (this.#skewMs[node] ?? 0);
    return this.knobs.clockStepMs > 0 ? Math.floor(nowMs / this.knobs.clockStepMs) * this.knobs.clockStepMs : nowMs;
  }
}
