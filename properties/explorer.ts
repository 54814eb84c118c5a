/*
 * Every schedule, for tiny bounds: breadth-first over the real replicas, one step at a time, each state once. A step writes,
 * pulls, delivers any message that is on its way (or a copy of it), asks again, or crashes a replica. Loss needs no step: what
 * is lost is what is still on its way when something goes wrong.
 */
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { mixUint32 } from "../protocols/random.ts";
import { encodeImage, loadImage } from "../protocols/sync/image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { cachedSlots } from "../protocols/sync/update-cache.ts";
import {
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaEvent,
  stepReplica,
} from "../protocols/sync/replica.ts";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { ShardChecker } from "./world/checkers.ts";
import { Judge, Violation } from "./world/judge.ts";
import { type Envelope, hashEnvelope } from "./world/network.ts";

const NOW = 1_760_000_000_000;
const KEYS = 2;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "test" },
];
// One row a frame, one answer at a time: the least with which frames of two answers can meet.
const LIMITS = { ...SYNC_LIMITS, frameBytes: 24, answersMax: 1, windowFrames: 2, retriesMax: 1 };

/** One step of a schedule. */
type Step =
  | { readonly kind: "write"; readonly node: number; readonly key: number }
  | { readonly kind: "pull"; readonly node: number; readonly peer: number }
  | { readonly kind: "deliver" | "copy"; readonly at: number }
  | { readonly kind: "retry" | "restart" | "wipe"; readonly node: number };

/** How many steps of each kind there may be, and what has happened before the first. */
interface Bounds {
  readonly nodes: number;
  readonly before: readonly Step[];
  readonly write: number;
  readonly pull: number;
  readonly copy: number;
  readonly retry: number;
  readonly crash: number;
}

const TWO_ROWS: readonly Step[] = [
  { kind: "write", node: 1, key: 0 },
  { kind: "write", node: 1, key: 1 },
  { kind: "pull", node: 0, peer: 1 },
];

const BOUNDS: readonly Bounds[] = [
  { nodes: 2, before: [], write: 3, pull: 2, copy: 1, retry: 0, crash: 0 },
  { nodes: 2, before: TWO_ROWS, write: 1, pull: 0, copy: 1, retry: 1, crash: 1 },
  { nodes: 3, before: TWO_ROWS, write: 1, pull: 2, copy: 1, retry: 0, crash: 0 },
];

export interface Exploration {
  /** Different states seen. */
  readonly states: number;
  readonly steps: number;
  /** All states within the bounds were seen. */
  readonly complete: boolean;
  /** The shortest schedule found that breaks a property. */
  readonly failure: { readonly property: string; readonly message: string; readonly last: string } | undefined;
}

/** Explores at most `statesMax` states of each of the bounds. */
export function explore(options: { readonly statesMax: number; readonly only?: readonly string[] }): Exploration {
  let states = 0;
  let steps = 0;
  let complete = true;
  for (const bounds of BOUNDS) {
    const seen = new Set<string>();
    let frontier: (readonly Step[])[] = [[]];
    while (frontier.length > 0 && seen.size < options.statesMax) {
      const next: (readonly Step[])[] = [];
      for (const path of frontier) {
        if (seen.size >= options.statesMax) break;
        const world = new TinyWorld(bounds, options.only);
        const failure = walk(world, [...bounds.before, ...path]);
        if (failure !== undefined) return { states, steps, complete: false, failure };
        steps += path.length;
        const name = world.name();
        if (seen.has(name)) continue;
        seen.add(name);
        for (const step of world.possible()) next.push([...path, step]);
      }
      frontier = next;
    }
    complete &&= frontier.length === 0;
    states += seen.size;
  }
  return { states, steps, complete, failure: undefined };
}

/** Takes all steps; what failed, with the schedule. */
function walk(world: TinyWorld, path: readonly Step[]): Exploration["failure"] {
  try {
    for (const step of path) world.take(step);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const property = error instanceof Violation ? error.property : error.name;
    return { property, message: error.message, last: path.map((step) => JSON.stringify(step)).join("\n") };
  }
}

class TinyWorld {
  readonly #bounds: Bounds;
  readonly #checker: ShardChecker;
  readonly #replicas: Replica[];
  readonly #lives: number[];
  readonly #flying: Envelope[] = [];
  readonly #used = { write: 0, pull: 0, copy: 0, retry: 0, crash: 0 };
  #value = 0;
  #pullIds = 0;

  constructor(bounds: Bounds, only: readonly string[] | undefined) {
    const allowed = { write: 0, pull: 0, copy: 0, retry: 0, crash: 0 };
    for (const { kind } of bounds.before) if (kind === "write" || kind === "pull") allowed[kind] += 1;
    // What happened before does not count.
    this.#used.write = -allowed.write;
    this.#used.pull = -allowed.pull;
    this.#bounds = bounds;
    this.#checker = new ShardChecker(KEYS, new Judge(only));
    this.#lives = Array.from({ length: bounds.nodes }, () => 1);
    this.#replicas = this.#lives.map((life, node) => start(node, life));
  }

  take(step: Step): void {
    switch (step.kind) {
      case "write": {
        this.#used.write += 1;
        this.#value += 1;
        const value = this.#value;
        const keys = BigUint64Array.of(BigInt(step.key));
        this.#step(step.node, {
          kind: "write",
          writes: [{ table: 0, keys, mutate: ({ floats }) => void floats.fill(value) }],
        });
        break;
      }
      case "pull": {
        this.#used.pull += 1;
        this.#pullIds += 1;
        const pullId = this.#pullIds.toString(16).padStart(32, "0");
        this.#step(step.node, { kind: "pull", peer: `n${step.peer}`, pullId });
        break;
      }
      case "deliver":
      case "copy": {
        const envelope = this.#flying[step.at];
        if (envelope === undefined) break;
        if (step.kind === "deliver") this.#flying.splice(step.at, 1);
        else this.#used.copy += 1;
        this.#receive(envelope);
        break;
      }
      case "retry": {
        this.#used.retry += 1;
        const { pull } = this.#replica(step.node);
        this.#step(step.node, { kind: "timer", name: `pull ${pull?.pullId}` });
        break;
      }
      case "restart":
      case "wipe": {
        this.#used.crash += 1;
        const image = encodeImage(this.#replica(step.node));
        const life = (this.#lives[step.node] ?? 0) + 1;
        this.#lives[step.node] = life;
        const replica = start(step.node, life, step.kind === "restart" ? image : undefined);
        this.#replicas[step.node] = replica;
        this.#checker.check(replica, `n${step.node}`, "S12");
        break;
      }
    }
  }

  /** All steps that can be taken from here and lead somewhere. */
  possible(): Step[] {
    const { nodes, write, pull, copy, retry, crash } = this.#bounds;
    const steps: Step[] = [];
    this.#flying.forEach((_, at) => {
      steps.push({ kind: "deliver", at });
      if (this.#used.copy < copy) steps.push({ kind: "copy", at });
    });
    for (let node = 0; node < nodes; node += 1) {
      if (this.#used.write < write) steps.push({ kind: "write", node, key: 0 }, { kind: "write", node, key: 1 });
      const isPulling = this.#replica(node).pull !== undefined;
      if (isPulling && this.#used.retry < retry) steps.push({ kind: "retry", node });
      if (this.#used.crash < crash) steps.push({ kind: "restart", node }, { kind: "wipe", node });
      if (isPulling || this.#used.pull >= pull) continue;
      for (let peer = 0; peer < nodes; peer += 1) if (peer !== node) steps.push({ kind: "pull", node, peer });
    }
    return steps;
  }

  /** Two hashes of all that decides what can happen next. */
  name(): string {
    const replicas = this.#replicas.map((replica) => {
      const { store, knowledge, version, early, pull, answers, answersOpened, stamper, cache } = replica;
      const answer = pull?.answer;
      return [
        store.digest(),
        [...knowledge].map(String).sort().join(),
        `${version.counter} ${version.generator} ${stamper.last} ${stamper.greatestSeen} ${answersOpened}`,
        [...early].map(String).sort().join(),
        `${cache.floor.join()} ${[...cachedSlots(cache, replica)].map(String).sort().join()}`,
        pull && `${pull.pullId} ${pull.peer} ${pull.rows} ${pull.progress} ${pull.retries}`,
        answer && `${answer.id.responder} ${answer.id.number} ${answer.received.join()} ${answer.asked}`,
        ...[...answers].map(([key, { id, list, end }]) =>
          [key, id.number, list.slots.join(), [...end.knowledge].map(String).sort().join()].join("/"),
        ),
      ].join(";");
    });
    const flying = this.#flying.map((envelope) => String(hashEnvelope(hashEnvelope(7, envelope), envelope))).sort();
    const whole = [...replicas, flying.join(), Object.values(this.#used).join()].join("|");
    let first = 1;
    let second = 2;
    for (let at = 0; at < whole.length; at += 1) {
      first = mixUint32(first, whole.charCodeAt(at));
      second = (Math.imul(second, 33) + whole.charCodeAt(at)) | 0;
    }
    return `${first} ${second} ${whole.length}`;
  }

  #receive({ from, to, message, body }: Envelope): void {
    if (message === "frame" || message === "pull" || message === "more") {
      this.#step(to, { kind: "message", from: `n${from}`, message, body: parse(body) });
    } else if (message === "release" || message === "refuse") {
      this.#step(to, { kind: "message", from: `n${from}`, message, body: parse(body) });
    }
  }

  #step(node: number, event: ReplicaEvent): void {
    const replica = this.#replica(node);
    const effects = stepReplica(replica, event, NOW);
    for (const effect of effects) this.#act(node, effect);
    this.#checker.check(replica, `n${node}`);
  }

  #act(node: number, effect: ReplicaEffect): void {
    if (effect.kind === "send") {
      const { message } = effect;
      const body = effect.message === "frame" ? effect.body : JSON.stringify(effect.body);
      this.#flying.push({
        from: node,
        to: Number(effect.to.slice(1)),
        shard: 0,
        message,
        body,
        sent: effect.body,
        damaged: false,
      });
    } else if (effect.kind === "applied" && effect.origin === "local") {
      const version = { t: effect.t[0] ?? 0, writer: this.#replica(node).writer };
      this.#checker.wrote({ key: Number(effect.keys[0] ?? 0n), version, value: this.#value, deleted: false });
    }
  }

  #replica(node: number): Replica {
    const replica = this.#replicas[node];
    if (replica === undefined) throw new RangeError(`Cannot step replica ${node}: there is none`);
    return replica;
  }
}

function start(node: number, life: number, image?: Uint8Array): Replica {
  const store = createMapRowStore(TABLES, { state: true });
  const writer = parseWriterId(`0.sim.n${node}.l${life}`);
  return createReplica({ writer, limits: LIMITS, ...(image === undefined ? { store } : loadImage(image, store)) });
}

function parse(body: string | Uint8Array): unknown {
  return typeof body === "string" ? JSON.parse(body) : body;
}
