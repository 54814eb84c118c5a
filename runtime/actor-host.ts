import { setTimeout as delay } from "node:timers/promises";
import { ActorCell, type ActorHealth, type FailureReport } from "./actor-cell.ts";
import { type ActorRef, type Address, type Logger, type Protocol } from "./actor.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Gateway, type GatewayFactory } from "./gateway.ts";
import { createRef, isDefinition } from "./incarnation.ts";
import { createLogger, type LogLevel, type LogSink } from "./log.ts";
import { createMetrics, type MetricsRegistry } from "./metrics.ts";
import { Router } from "./router.ts";
import { runQueue } from "./run-queue.ts";
import { defaultRestart, type RestartPolicy } from "./supervisor.ts";
import { addressKey, unaddressable } from "./transport/transport.ts";

export interface HostOptions {
  readonly region: string;
  /** The name of this thread's worker. */
  readonly thread: string;
  readonly sink: LogSink;
  readonly level?: LogLevel;
  readonly inspect?: boolean;
  readonly clock?: Clock;
  readonly onFailure: (report: FailureReport) => void;
}

/** An actor to be hosted. */
export interface HostedSpec {
  readonly definition: unknown;
  readonly id: string;
  readonly config: unknown;
  /** Messages that may wait. Default 10,000. */
  readonly mailboxMax?: number;
  readonly restart?: RestartPolicy;
}

/** A module's export is not what it was named as, or an address is taken. */
export class ActorRefused extends Error {
  override readonly name = "ActorRefused";

  constructor(what: string, why: string) {
    super(`Cannot host '${what}': ${why}`);
  }
}

/** The actors of one thread, with the router that all their messages go through. */
export class ActorHost implements AsyncDisposable {
  readonly router: Router;
  readonly metrics: MetricsRegistry = createMetrics();
  readonly log: Logger;
  readonly #options: HostOptions;
  readonly #clock: Clock;
  readonly #queue = runQueue();
  readonly #cells = new Map<string, ActorCell>();
  readonly #unstarted = new Set<ActorCell>();
  readonly #ended = new Map<string, ActorCell>();
  #gateway: Gateway | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.log = this.#logger(options.thread);
    const { region, thread, inspect = false } = options;
    this.router = new Router({ region, thread, log: this.log, metrics: this.metrics, inspect });
  }

  /** Opens the mailbox of an actor that is yet to start: what arrives from now on waits for it. */
  declare(spec: HostedSpec): Address {
    const { definition, id } = spec;
    if (!isDefinition(definition)) throw new ActorRefused(id, "it is no actor definition");
    const address: Address = { region: this.#options.region, kind: definition.kind, id };
    const key = addressKey(address);
    const bad = unaddressable([definition.kind, id, ...definition.messages]);
    if (bad.length > 0) {
      throw new ActorRefused(
        key,
        `${bad.map((name) => JSON.stringify(name)).join(", ")} cannot be part of a subject: use lower-case letters, digits and '-'`,
      );
    }
    if (this.#cells.has(key)) throw new ActorRefused(key, "its address is taken");
    const cell = new ActorCell({
      definition,
      address,
      config: spec.config,
      mailboxMax: spec.mailboxMax,
      restart: spec.restart ?? defaultRestart,
      clock: this.#clock,
      log: this.#logger(`${this.#options.thread}/${address.kind}.${id}`),
      metrics: this.metrics,
      router: this.router,
      queue: this.#queue,
      onFailure: this.#options.onFailure,
    });
    this.#cells.set(key, cell);
    this.#unstarted.add(cell);
    this.router.addLocal(address, cell);
    this.#ended.delete(key);
    void this.#whenEnded(cell, address);
    return address;
  }

  async #whenEnded(cell: ActorCell, address: Address): Promise<void> {
    await cell.ended;
    const key = addressKey(address);
    this.router.removeLocal(address);
    this.#unstarted.delete(cell);
    this.#cells.delete(key);
    // It stays in the health report until its address is used again.
    this.#ended.set(key, cell);
  }

  /** Makes this thread the process's way out. Its own actors are declared with it. */
  async openGateway(factory: GatewayFactory, config: unknown): Promise<Address[]> {
    const { region } = this.#options;
    const gateway = await factory(config, {
      region,
      log: this.log,
      metrics: this.metrics,
      clock: this.#clock,
      drop: this.router.drop,
    });
    this.#gateway = gateway;
    this.router.setGateway(gateway);
    return gateway.actors.map((spec) => this.declare(spec));
  }

  get gateway(): Gateway | undefined {
    return this.#gateway;
  }

  /** Starts, in order, what has been declared and not yet started. What a setup throws is thrown. */
  async start(): Promise<void> {
    for (const cell of this.#unstarted) {
      this.#unstarted.delete(cell);
      await cell.start();
    }
  }

  /** A reference that speaks as this thread, for code that is no actor. */
  ref<P extends Protocol<P>>(to: Address): ActorRef<P> {
    const { region, thread } = this.#options;
    return createRef(to, { from: { region, kind: "thread", id: thread }, router: this.router, alive: () => true });
  }

  health(): ActorHealth[] {
    return [...this.#cells.values(), ...this.#ended.values()].map((cell) => cell.health);
  }

  /** Ends one actor, orderly until the deadline. Nothing happens where there is none. */
  async stopActor(address: Address, deadlineMs: number): Promise<void> {
    await this.#cells.get(addressKey(address))?.stop(AbortSignal.timeout(deadlineMs));
  }

  /**
   * Ends all actors, then the gateway and the ports. Kinds declared last go first, actors of one kind together: to its last message an actor
   * may rely on those declared before it.
   */
  async stop(deadlineMs: number): Promise<void> {
    const deadline = AbortSignal.timeout(Math.max(0, Math.ceil(deadlineMs)));
    const kinds = Map.groupBy([...this.#cells.values()], (cell) => cell.health.address.kind);
    for (const cells of [...kinds.values()].toReversed()) await Promise.all(cells.map((cell) => cell.stop(deadline)));
    // The last answers are on their way: they are sent before the ports close.
    await delay(0);
    await this.#gateway?.close();
    await this.router.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(0);
  }

  #logger(source: string): Logger {
    const { sink, level } = this.#options;
    return createLogger(sink, { source, nowMs: () => this.#clock.nowMs(), ...(level === undefined ? {} : { level }) });
  }
}
