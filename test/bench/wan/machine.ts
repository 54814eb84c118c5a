/*
 * One simulated machine: the real core (a replica of each shard that changes, and the poller over them) on one simulated core, which
 * every step is charged to. Shards that never change have no state here: what pulling them costs is charged without them.
 */
import { POLL_LIMITS, SYNC_LIMITS } from "../../../protocols/limits.ts";
import { createMapRowStore } from "../../../protocols/sync/map-row-store.ts";
import { createPoller, type Poller, type PollEvent, stepPoller } from "../../../protocols/sync/poll.ts";
import { createReplica, type Replica, type ReplicaEvent, stepReplica } from "../../../protocols/sync/replica.ts";
import { type ReplicaMessage } from "../../../protocols/sync/replica-state.ts";
import { parseWriterId, type WriterId } from "../../../protocols/sync/version.ts";
import { type Clock, Core, type Task } from "./clock.ts";
import { type Costs, EPOCH_MS, mutate, TABLES } from "./costs.ts";

/** What machines say to each other. */
export type Message =
  | { readonly kind: "shard"; readonly shard: number; readonly message: ReplicaMessage; readonly body: unknown }
  | { readonly kind: "poll" | "changes"; readonly body: unknown }
  /** Pulls of shards that never change, many at once, and the answers, which have no rows. */
  | { readonly kind: "idle-pull" | "idle-frame"; readonly pulls: number };

export interface MachineSetup {
  readonly machine: number;
  readonly writer: WriterId;
  readonly clock: Clock;
  readonly costs: Costs;
  readonly idlePull: { readonly asked: number; readonly answered: number };
  /** Shards that change. */
  readonly shards: number;
  /** Shards that the poller holds, those that never change included. */
  readonly shardsListed: number;
  /** Rows of each shard for which a scan is charged. */
  readonly rowsPerShard: number;
  /** Without, every pull that finds something scans its shard. */
  readonly cache: boolean;
  readonly pullsMax: number;
  readonly gapMs: number;
  /** Pulls are left standing. */
  readonly standing: boolean;
  readonly send: (to: number, message: Message, bytes: number) => void;
  /** Which machine leads a shard in this one's region. */
  readonly leaderOf: (shard: number) => number | undefined;
  /** Whether another machine is of another region. */
  readonly isFar: (peer: number) => boolean;
  /** A shard's knowledge may have grown. */
  readonly looked: (shard: number) => void;
  /** A pull has ended: of a shard that changes, or of a group of others. */
  readonly pulled: () => void;
  readonly drawPullId: () => string;
}

/** What a message takes on the wire beyond its payload: the subject, its length, one header, and a TCP segment's own header. */
export const ENVELOPE_BYTES = 190;
/** Simulated links lose nothing: asking again would only be load. */
const RETRY_MS = 3_600_000;

export class Machine {
  readonly writer: WriterId;
  readonly core: Core;
  readonly replicas: readonly Replica[];
  readonly poller: Poller;
  readonly #setup: MachineSetup;

  constructor(setup: MachineSetup) {
    const { writer, shards, cache, clock } = setup;
    this.#setup = setup;
    this.writer = writer;
    this.core = new Core(clock);
    const limits = { ...SYNC_LIMITS, retryMs: RETRY_MS, cacheRowsMax: cache ? SYNC_LIMITS.cacheRowsMax : 0 };
    this.replicas = Array.from({ length: shards }, () =>
      createReplica({ writer, store: createMapRowStore(TABLES, { state: false }), limits }),
    );
    const { pullsMax, gapMs, standing } = setup;
    const pollLimits = { ...POLL_LIMITS, pullsMax, gapMs, standMs: standing ? POLL_LIMITS.standMs : 0 };
    this.poller = createPoller(writer, setup.drawPullId, pollLimits, (shard) => {
      const leader = setup.leaderOf(shardNumber(shard));
      return leader === undefined ? undefined : leader === setup.machine ? "self" : { peer: String(leader) };
    });
    for (let shard = 0; shard < Math.max(shards, setup.shardsListed); shard += 1) this.#introduce(shard);
  }

  /** Begins to poll another machine. */
  follow(peer: number): void {
    this.core.do(
      this.#task((out) => this.#poll({ kind: "neighbour", peer: String(peer), isFar: this.#setup.isFar(peer) }, out)),
    );
  }

  /** Writes rows; `done` is told when that is paid for. */
  write({ shard, keys }: { readonly shard: number; readonly keys: BigUint64Array }, done: () => void): void {
    this.core.do(
      this.#task((out) => {
        out.done(done);
        this.#step(shard, { kind: "write", writes: [{ table: 0, keys, mutate }] }, out);
      }),
    );
  }

  pull(shard: number, from: number): void {
    const pullId = this.#setup.drawPullId();
    this.core.do(this.#task((out) => this.#step(shard, { kind: "pull", peer: String(from), pullId }, out)));
  }

  /** Pulls shards that never change. */
  pullIdle(pulls: number, from: number): void {
    this.core.do(
      this.#task((out) => {
        out.cost(pulls * this.#setup.costs.ask);
        out.send(from, { kind: "idle-pull", pulls }, pulls * this.#setup.idlePull.asked);
      }),
    );
  }

  receive(from: number, message: Message): void {
    const { costs } = this.#setup;
    this.core.do(
      this.#task((out) => {
        switch (message.kind) {
          case "idle-pull":
            out.cost(message.pulls * (costs.answer + costs.hop));
            out.send(from, { kind: "idle-frame", pulls: message.pulls }, message.pulls * this.#setup.idlePull.answered);
            return;
          case "idle-frame":
            out.cost(message.pulls * (costs.apply + costs.hop));
            out.done(() => this.#setup.pulled());
            return;
          case "shard":
            out.cost(costs.hop);
            this.#step(message.shard, { ...message, kind: "message", from: String(from) }, out);
            return;
          case "poll":
          case "changes":
            out.cost(costs.hop);
            this.#poll({ kind: "message", from: String(from), message: message.kind, body: message.body }, out);
        }
      }),
    );
  }

  /** Every shard starts at the same version everywhere: nothing is to be pulled before something changes. */
  #introduce(shard: number): void {
    const version = { counter: 1, generator: COMMON };
    const replica = this.replicas[shard];
    if (replica !== undefined) replica.version = version;
    stepPoller(this.poller, { kind: "changed", shard: shardName(shard), version });
    stepPoller(this.poller, { kind: "led", shard: shardName(shard) });
  }

  #step(shard: number, event: ReplicaEvent, out: Outbox): void {
    const replica = this.replicas[shard];
    if (replica === undefined) throw new RangeError(`Cannot step shard ${shard}: there are ${this.replicas.length}`);
    const { costs, rowsPerShard, clock, looked, pulled } = this.#setup;
    const { scans } = replica.cache.counts;
    const effects = stepReplica(replica, event, EPOCH_MS + clock.nowMs);
    out.cost(chargeOf(event, costs) + (replica.cache.counts.scans - scans) * rowsPerShard * costs.scanRow);
    for (const effect of effects) {
      switch (effect.kind) {
        case "send": {
          const { body, message } = effect;
          if (message === "frame") out.cost((body.length / 1024) * costs.packKb);
          out.send(Number(effect.to), { kind: "shard", shard, message, body }, payloadBytes(body));
          break;
        }
        case "timer":
          out.after(effect.delayMs, () =>
            this.core.do(this.#task((next) => this.#step(shard, { kind: "timer", name: effect.name }, next))),
          );
          break;
        case "changed":
          out.cost(costs.hop);
          this.#poll({ kind: "changed", shard: shardName(shard), version: effect.version }, out);
          break;
        case "pulled":
          out.cost(costs.hop);
          out.done(() => pulled());
          this.#poll(
            {
              kind: "pulled",
              shard: shardName(shard),
              pullId: effect.pullId,
              outcome: effect.outcome,
              isLevel: effect.outcome === "complete" && effect.isLevel,
            },
            out,
          );
          break;
        case "frame":
          this.#poll({ ...effect, shard: shardName(shard) }, out);
          break;
        case "stalled":
          this.#poll({ ...effect, shard: shardName(shard) }, out);
          break;
        case "applied":
        case "dropped":
        case "save":
        case "written":
          break;
        case "refused":
          throw new Error(`A machine refused ${event.kind}: ${effect.reason}, ${effect.detail}`);
      }
    }
    out.done(() => looked(shard));
  }

  #poll(event: PollEvent, out: Outbox): void {
    const { costs, clock } = this.#setup;
    if (event.kind === "message" && event.message === "poll") out.cost(costs.poll);
    for (const effect of stepPoller(this.poller, event, clock.nowMs)) {
      switch (effect.kind) {
        case "send": {
          const { message, body } = effect;
          if (message === "changes") out.cost(listedIn(body) * costs.listShard);
          out.send(Number(effect.to), { kind: message, body }, payloadBytes(body));
          break;
        }
        case "timer":
          out.after(effect.delayMs, () =>
            this.core.do(this.#task((next) => this.#poll({ kind: "timer", name: effect.name }, next))),
          );
          break;
        case "pull":
          this.#step(
            shardNumber(effect.shard),
            {
              kind: "pull",
              peer: effect.peer,
              pullId: effect.pullId,
              burst: effect.burst,
              ...(effect.stands !== undefined && { stands: effect.stands }),
            },
            out,
          );
          break;
        case "hurry":
        case "grant":
        case "give-up":
          this.#step(shardNumber(effect.shard), effect, out);
          break;
        case "left":
        case "refused":
          break;
      }
    }
    if (event.kind === "message" && event.message === "changes") {
      out.cost(listedIn(event.body) * costs.noteShard);
    }
  }

  #task(run: (out: Outbox) => void): Task {
    return () => {
      const out = new Outbox();
      run(out);
      return { costMs: out.costMicros / 1_000, after: () => out.flush(this.#setup) };
    };
  }
}

/** What a task leaves behind when its cost is paid. */
class Outbox {
  costMicros = 0;
  readonly #leaving: ((setup: MachineSetup) => void)[] = [];

  cost(micros: number): void {
    this.costMicros += micros;
  }

  send(to: number, message: Message, bytes: number): void {
    this.#leaving.push((setup) => setup.send(to, message, bytes));
  }

  after(delayMs: number, run: () => void): void {
    this.#leaving.push(({ clock }) => clock.at(clock.nowMs + delayMs, run));
  }

  done(run: () => void): void {
    this.#leaving.push(run);
  }

  flush(setup: MachineSetup): void {
    for (const leave of this.#leaving) leave(setup);
  }
}

function chargeOf(event: ReplicaEvent, costs: Costs): number {
  switch (event.kind) {
    case "write":
      return event.writes.reduce((sum, { keys }) => sum + keys.length * costs.writeRow, 0);
    case "pull":
    case "hurry":
      return costs.ask;
    case "timer":
    case "grant":
    case "give-up":
    case "urge":
    case "settle":
    case "expire":
    case "evict":
    case "succeed":
    case "lead":
      return 0;
    case "message":
      if (event.message === "pull") return costs.answer;
      if (event.message !== "frame" || !(event.body instanceof Uint8Array)) return 0;
      return costs.apply + (event.body.length / 1024) * costs.mergeKb;
  }
}

/** The text in which a control message travels, or a frame's own bytes. */
export function payloadBytes(body: object | number): number {
  return ENVELOPE_BYTES + (body instanceof Uint8Array ? body.length : JSON.stringify(body).length);
}

function listedIn(body: unknown): number {
  return typeof body === "object" && body !== null && "shards" in body && Array.isArray(body.shards)
    ? body.shards.length
    : 0;
}

const COMMON = parseWriterId("0.oregon.a.before");

function shardName(shard: number): string {
  return `clicks-${shard}`;
}

function shardNumber(name: string): number {
  return Number(name.slice("clicks-".length));
}
