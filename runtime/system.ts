import { MessageChannel } from "node:worker_threads";
import { type ActorHealth, type FailureReport } from "./actor-cell.ts";
import { ActorHost, type HostedSpec } from "./actor-host.ts";
import { type WorkerNews } from "./worker-protocol.ts";
import { type ActorDefinition, type ActorRef, type Address, type Logger, type Protocol } from "./actor.ts";
import { type Clock, systemClock } from "./clock.ts";
import { collectLessOften } from "./garbage.ts";
import { type Located } from "./gateway.ts";
import { createLogger, type LogLevel, type LogSink, stderrSink } from "./log.ts";
import { ManagedWorker, type WorkerHealth, type WorkerSpec } from "./managed-worker.ts";
import { mergeSeries, prometheusText, type Series } from "./metrics.ts";
import { type Canary } from "./probe.ts";
import { defaultRestart, type RestartPolicy } from "./supervisor.ts";
import { portTransport } from "./transport/port.ts";
import { addressKey } from "./transport/transport.ts";
import { WorkerEnded } from "./worker-life.ts";

export interface SystemOptions {
  readonly region: string;
  /** Where log lines go. Default: standard error, readable. */
  readonly sink?: LogSink;
  readonly level?: LogLevel;
  /** Mirrors messages inside the process to the gateway, where there is one. */
  readonly inspect?: boolean;
  /** How workers restart that name no policy. */
  readonly restart?: RestartPolicy;
  /** Places that no worker may reach unless its spec says otherwise. */
  readonly canaries?: readonly Canary[];
  /** Default 1000. */
  readonly pingEveryMs?: number;
  /** A thread that answers no ping for so long is ended and restarted. Default 10,000. */
  readonly stuckAfterMs?: number;
  /** A worker whose modules and setups are not done by then is ended, which counts as any other failure. Default 60,000. */
  readonly startMaxMs?: number;
  readonly clock?: Clock;
}

export interface SystemHealth {
  readonly state: SystemState;
  readonly workers: readonly WorkerHealth[];
  /** Those on the main thread. */
  readonly actors: readonly ActorHealth[];
}

export type SystemState = "running" | "stopping" | "stopped";

const MAIN = "main";

/** Of a stop's deadline: what all workers but the gateway's may take. */
const OTHERS_SHARE = 0.75;

/**
 * The actors of one process, on the main thread and on workers. The main thread supervises: workers send to each other over ports of their own,
 * and every worker knows where every actor is.
 */
export class ActorSystem implements AsyncDisposable {
  /** Settles when a worker's restarts are spent or its permissions do not hold: the process should end. Never rejects. */
  readonly failed: Promise<WorkerEnded>;
  readonly log: Logger;
  readonly #options: SystemOptions;
  readonly #host: ActorHost;
  readonly #workers = new Map<string, ManagedWorker>();
  readonly #located = new Map<string, Located>();
  readonly #fail: (ended: WorkerEnded) => void;
  readonly #sink: LogSink;
  readonly #clock: Clock;
  #state: SystemState = "running";
  #stopped: Promise<void> | undefined;
  /** Meshing one worker at a time, so that no two give each other ports twice. */
  #meshing: Promise<unknown> = Promise.resolve();

  private constructor(options: SystemOptions) {
    this.#options = options;
    this.#sink = options.sink ?? stderrSink("readable");
    this.#clock = options.clock ?? systemClock;
    const { promise, resolve } = Promise.withResolvers<WorkerEnded>();
    this.failed = promise;
    this.#fail = resolve;
    const { region, level, inspect } = options;
    this.#host = new ActorHost({
      region,
      thread: MAIN,
      sink: this.#sink,
      clock: this.#clock,
      onFailure: (report) => this.#actorFailed(MAIN, report),
      ...(level === undefined ? {} : { level }),
      ...(inspect === undefined ? {} : { inspect }),
    });
    this.log = createLogger(this.#sink, {
      source: "system",
      nowMs: () => this.#clock.nowMs(),
      ...(level === undefined ? {} : { level }),
    });
  }

  static async start(options: SystemOptions): Promise<ActorSystem> {
    collectLessOften();
    return new ActorSystem(options);
  }

  get state(): SystemState {
    return this.#state;
  }

  /** Starts a worker and its actors; resolves once all have been set up. Rejects with `StartFailed` or `WorkerEnded`, and then nothing of it runs. */
  async worker(spec: WorkerSpec): Promise<void> {
    if (this.#state !== "running") {
      throw new RangeError(`Cannot start worker '${spec.name}': the system is ${this.#state}`);
    }
    if (spec.name === MAIN || this.#workers.has(spec.name)) {
      throw new RangeError(`Cannot start worker '${spec.name}': its name is taken`);
    }
    const {
      region,
      level = "info",
      inspect = false,
      restart = defaultRestart,
      canaries = [],
      pingEveryMs = 1000,
      stuckAfterMs = 10_000,
      startMaxMs = 60_000,
    } = this.#options;
    const worker = new ManagedWorker(spec, {
      region,
      level,
      inspect,
      restart,
      canaries,
      pingEveryMs,
      stuckAfterMs,
      startMaxMs,
      clock: this.#clock,
      log: this.log,
      metrics: this.#host.metrics,
      onNews: (name, news) => this.#news(name, news),
      mesh: (one) => this.#mesh(one),
      located: (one, addresses) => this.#locate(one.name, addresses),
      escalate: (one, ended) => {
        const why = ended.reason === "hole" ? "its permissions do not hold" : "its restarts are spent";
        this.log.error(`a worker is given up, as ${why}; nothing of it runs from now on`, {
          worker: one.name,
          error: ended,
        });
        this.#fail(ended);
      },
    });
    this.#workers.set(spec.name, worker);
    try {
      await worker.start();
    } catch (error) {
      this.#workers.delete(spec.name);
      for (const [key, located] of this.#located) if (located.worker === spec.name) this.#located.delete(key);
      await this.#broadcast();
      throw error;
    }
  }

  /** Starts an actor on the main thread: for tests, and for actors that report on the process itself. */
  async host<P extends Protocol<P>, Config>(
    definition: ActorDefinition<P, Config>,
    options: Omit<HostedSpec, "definition" | "config"> & { readonly config: Config },
  ): Promise<ActorRef<P>> {
    const address = this.#host.declare({ ...options, definition });
    await this.#locate(MAIN, [address]);
    await this.#host.start();
    return this.#host.ref(address);
  }

  /** A reference that speaks as the process itself. */
  ref<P extends Protocol<P>>(to: Address): ActorRef<P> {
    return this.#host.ref(to);
  }

  /** Ends one actor of this process, orderly until the deadline. */
  async stopActor(address: Address, deadlineMs: number): Promise<void> {
    const worker = this.#located.get(addressKey(address))?.worker;
    if (worker === MAIN) await this.#host.stopActor(address, deadlineMs);
    else if (worker !== undefined) await this.#workers.get(worker)?.stopActor(address, deadlineMs);
  }

  /** All threads' series in one list, without those of workers that do not answer in time, which `freshet_metrics_missing_total` counts. */
  async metrics(): Promise<Series[]> {
    const workers = await Promise.all(
      [...this.#workers.values()].map(async (worker) => ({
        worker: worker.name,
        series: (await worker.metrics()) ?? [],
      })),
    );
    return mergeSeries([{ worker: MAIN, series: this.#host.metrics.snapshot() }, ...workers]);
  }

  /** The same, for Prometheus. */
  async metricsText(): Promise<string> {
    return prometheusText(await this.metrics());
  }

  /** This thread's own registry. */
  get ownMetrics(): ActorHost["metrics"] {
    return this.#host.metrics;
  }

  /** Never waits for a thread longer than one ping's interval. */
  async health(): Promise<SystemHealth> {
    const workers = await Promise.all([...this.#workers.values()].map((worker) => worker.health()));
    return { state: this.#state, workers, actors: this.#host.health() };
  }

  /** Stops all actors, the gateway's worker last so that the others' last messages leave. What is not done by the one deadline is ended. */
  stop({ deadlineMs }: { readonly deadlineMs: number }): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ deadlineMs: 0 });
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#state = "stopping";
    const untilMs = performance.now() + deadlineMs;
    function leftMs(): number {
      return Math.max(0, Math.ceil(untilMs - performance.now()));
    }
    const gateways = new Set([...this.#workers.values()].filter(({ isGateway }) => isGateway));
    const others = [...this.#workers.values()].filter((worker) => !gateways.has(worker));
    // One that hangs must leave the gateway some time to say that we end.
    await Promise.all(
      others.map((worker) => worker.stop(gateways.size === 0 ? deadlineMs : Math.ceil(deadlineMs * OTHERS_SHARE))),
    );
    await Promise.all([...gateways].map((worker) => worker.stop(leftMs())));
    await this.#host.stop(leftMs());
    this.#state = "stopped";
  }

  async #mesh(worker: ManagedWorker): Promise<void> {
    const turn = this.#afterMeshing(async () => {
      const main = new MessageChannel();
      this.#host.router.addPeer(worker.name, portTransport(main.port1, { drop: this.#host.router.drop }));
      await worker.connect(MAIN, main.port2);
      for (const other of this.#workers.values()) {
        if (other === worker || !other.meshed) continue;
        const { port1, port2 } = new MessageChannel();
        // Not waited for: it may be busy starting. It hears of the port before it hears who is behind it.
        other.connect(worker.name, port1).catch((error: unknown) => this.#unlessEnded(other.name, error));
        await worker.connect(other.name, port2);
      }
      worker.meshed = true;
    });
    this.#meshing = turn.catch(() => undefined);
    await turn;
  }

  /** A thread that has just ended gets its ports when it is back. */
  #unlessEnded(worker: string, error: unknown): void {
    if (!(error instanceof WorkerEnded)) this.log.error("cannot give a worker a port", { worker, error });
  }

  async #afterMeshing(work: () => Promise<void>): Promise<void> {
    await this.#meshing;
    await work();
  }

  async #locate(worker: string, addresses: readonly Address[]): Promise<void> {
    for (const [key, located] of this.#located) {
      if (located.worker === worker && worker !== MAIN) this.#located.delete(key);
    }
    for (const address of addresses) {
      const key = addressKey(address);
      const held = this.#located.get(key);
      if (held !== undefined) {
        throw new RangeError(`Cannot host '${key}' on worker '${worker}': it is on '${held.worker}'`);
      }
      this.#located.set(key, { address, worker });
    }
    await this.#broadcast();
  }

  async #broadcast(): Promise<void> {
    const actors = [...this.#located.values()];
    const gateway = [...this.#workers.values()].find(({ isGateway }) => isGateway)?.name;
    this.#host.router.setLocations(new Map([...this.#located].map(([key, { worker }]) => [key, worker])), gateway);
    await Promise.all([...this.#workers.values()].map((worker) => worker.locate(actors, gateway)));
  }

  #news(worker: string, news: WorkerNews): void {
    if (news.kind === "log") this.#sink(news.line);
    else if (news.kind === "failure") this.#actorFailed(worker, news.report);
  }

  #actorFailed(worker: string, { address, failure, directive, stack }: FailureReport): void {
    this.log.error("an actor failed", { worker, actor: addressKey(address), failure, decision: directive.kind, stack });
    if (directive.kind !== "escalate") return;
    if (worker === MAIN) {
      this.#fail(
        new WorkerEnded(MAIN, "escalated", { why: `${addressKey(address)} failed too often: ${failure.message}` }),
      );
    } else void this.#workers.get(worker)?.escalated();
  }
}
