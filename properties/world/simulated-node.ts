/*
 * One simulated node: the real poller and the real replicas, wired as an actor shell wires them, with a disk of images.
 */
import { SYNC_LIMITS } from "../../protocols/limits.ts";
import { nextFloat, type Random } from "../../protocols/random.ts";
import { encodeImage, loadImage } from "../../protocols/sync/image.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createPoller, type PollEffect, type Poller, stepPoller } from "../../protocols/sync/poll.ts";
import {
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaEvent,
  stepReplica,
} from "../../protocols/sync/replica.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { buildWriterId } from "../../protocols/sync/version.ts";
import { drawPullId } from "../../protocols/wire/pull.ts";
import { type ShardChecker, Violation } from "./checkers.ts";
import { type Knobs } from "./knobs.ts";
import { type Envelope } from "./network.ts";

const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
];

/** What a node asks of its world. */
export interface Surroundings {
  readonly knobs: Knobs;
  readonly random: Random;
  readonly checkers: readonly ShardChecker[];
  send(envelope: Envelope): void;
  /** Brings `{shard, name}` back after a delay, to this life of the node. */
  after(
    delayMs: number,
    timer: { readonly node: number; readonly life: number; readonly shard: number | undefined; readonly name: string },
  ): void;
  count(what: string, by?: number): void;
}

export class SimulatedNode {
  readonly index: number;
  readonly life: number;
  readonly replicas: readonly Replica[];
  readonly poller: Poller;
  readonly #world: Surroundings;

  /** Starts from the images of the disk, with a writer id that only this life has. */
  constructor(
    world: Surroundings,
    start: { index: number; life: number; disk: ReadonlyMap<number, Uint8Array>; peers: readonly number[] },
  ) {
    const { knobs } = world;
    this.#world = world;
    this.index = start.index;
    this.life = start.life;
    const writer = buildWriterId({ epoch: 0, region: "sim", node: `n${start.index}`, nonce: `l${start.life}` });
    const limits = {
      ...SYNC_LIMITS,
      frameBytes: knobs.frameBytes,
      answersMax: knobs.answersMax,
      retryMs: knobs.retryMs,
      retriesMax: knobs.retriesMax,
      windowFrames: 2,
    };
    const state = !(knobs.serving && start.index === knobs.nodes - 1);
    this.replicas = world.checkers.map((checker, shard) => {
      const store = createMapRowStore(TABLES, { state });
      const image = start.disk.get(shard);
      const replica = createReplica({ writer, limits, ...(image === undefined ? { store } : loadImage(image, store)) });
      checker.check(replica, this.#place(shard));
      return replica;
    });
    this.poller = createPoller(writer);
    this.replicas.forEach((replica, shard) =>
      this.#poll({ kind: "changed", shard: `s/${shard}`, version: replica.version }),
    );
    for (const peer of start.peers) this.#poll({ kind: "neighbour", peer: `n${peer}` });
  }

  write(shard: number, { key, value, nowMs }: { key: bigint; value: number; nowMs: number }): void {
    const replica = this.#replica(shard);
    const writes = [
      {
        table: 0,
        keys: BigUint64Array.of(key),
        mutate: ({ floats, state }: { floats: Float32Array; state: Float32Array }) =>
          void (floats.fill(value), state.fill(value)),
      },
    ];
    const { last } = replica.stamper;
    const effects = stepReplica(replica, { kind: "write", writes }, nowMs);
    if (effects.some((effect) => effect.kind === "written" && effect.refused > 0)) {
      throw new Violation("V7", `a local write of ${this.#place(shard)} lost against a row it had seen`);
    }
    const applied = effects.find((effect) => effect.kind === "applied");
    // Filed before the check: the row must be one that was written.
    if (applied !== undefined && replica.stamper.last > last) {
      this.#checker(shard).wrote({ key, version: { t: applied.t[0] ?? 0, writer: replica.writer }, value });
    }
    this.#checker(shard).check(replica, this.#place(shard));
    this.#act(shard, effects, nowMs);
  }

  receive({ from, shard, message, body }: Envelope, nowMs: number): void {
    const parsed: unknown = typeof body === "string" ? JSON.parse(body) : body;
    if (shard !== undefined) {
      if (
        message === "pull" ||
        message === "more" ||
        message === "release" ||
        message === "refuse" ||
        message === "frame"
      ) {
        this.step(shard, { kind: "message", from: `n${from}`, message, body: parsed }, nowMs);
      }
    } else if (message === "poll" || message === "changes") {
      this.#poll({ kind: "message", from: `n${from}`, message, body: parsed }, nowMs);
    }
  }

  timer({ shard, name }: { readonly shard: number | undefined; readonly name: string }, nowMs: number): void {
    if (shard === undefined) this.#poll({ kind: "timer", name }, nowMs);
    else this.step(shard, { kind: "timer", name }, nowMs);
  }

  step(shard: number, event: ReplicaEvent, nowMs: number): void {
    const replica = this.#replica(shard);
    const effects = stepReplica(replica, event, nowMs);
    this.#checker(shard).check(replica, this.#place(shard));
    this.#act(shard, effects, nowMs);
  }

  image(shard: number): Uint8Array {
    return encodeImage(this.#replica(shard));
  }

  #act(shard: number, effects: readonly ReplicaEffect[], nowMs: number): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "send": {
          const body = effect.message === "frame" ? effect.body : JSON.stringify(effect.body);
          this.#world.count(`sent ${effect.message}`);
          this.#world.send({ from: this.index, to: Number(effect.to.slice(1)), shard, message: effect.message, body });
          break;
        }
        case "timer":
          this.#world.after(effect.delayMs, { node: this.index, life: this.life, shard, name: effect.name });
          break;
        case "changed":
          this.#poll({ kind: "changed", shard: `s/${shard}`, version: effect.version }, nowMs);
          break;
        case "pulled":
          this.#world.count(`pull ${effect.outcome}`);
          this.#poll({ kind: "pulled", shard: `s/${shard}`, outcome: effect.outcome }, nowMs);
          break;
        case "applied":
          this.#world.count(`applied ${effect.origin}`, effect.keys.length);
          break;
        case "refused":
          this.#world.count(`refused ${effect.reason}`);
          break;
        case "written":
          break;
      }
    }
  }

  #poll(event: Parameters<typeof stepPoller>[1], nowMs = 0): void {
    const effects: PollEffect[] = stepPoller(this.poller, event);
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          this.#world.send({
            from: this.index,
            to: Number(effect.to.slice(1)),
            shard: undefined,
            message: effect.message,
            body: JSON.stringify(effect.body),
          });
          break;
        case "timer":
          this.#world.after(effect.delayMs, { node: this.index, life: this.life, shard: undefined, name: effect.name });
          break;
        case "pull":
          this.step(
            Number(effect.shard.slice(2)),
            { kind: "pull", peer: effect.peer, pullId: drawPullId(() => nextFloat(this.#world.random)) },
            nowMs,
          );
          break;
        case "refused":
          this.#world.count(`poll refused ${effect.reason}`);
          break;
      }
    }
  }

  #replica(shard: number): Replica {
    const replica = this.replicas[shard];
    if (replica === undefined) {
      throw new RangeError(`Cannot use shard ${shard} of the simulated node: it has ${this.replicas.length}`);
    }
    return replica;
  }

  #checker(shard: number): ShardChecker {
    const checker = this.#world.checkers[shard];
    if (checker === undefined) {
      throw new RangeError(`Cannot check shard ${shard}: there are ${this.#world.checkers.length}`);
    }
    return checker;
  }

  #place(shard: number): string {
    return `node ${this.index} (life ${this.life}) shard ${shard}`;
  }
}
