import { type MessagePort } from "node:worker_threads";
import {
  type ActorSpec,
  type Attempt,
  type GatewaySpec,
  type ThreadHealth,
  type WireSpec,
  type WorkerNews,
} from "./worker-protocol.ts";
import { type Address, type Logger, type Metrics } from "./actor.ts";
import { type Clock } from "./clock.ts";
import { type Located } from "./gateway.ts";
import { type LogLevel } from "./log.ts";
import { type Series } from "./metrics.ts";
import { type Permissions } from "./permissions.ts";
import { type Canary } from "./probe.ts";
import { decide, type Failure, failureOf, recentFailures, type RestartPolicy } from "./supervisor.ts";
import { watchLife } from "./watch.ts";
import { type EndReason, WorkerEnded, WorkerLife } from "./worker-life.ts";

/** A worker and what it hosts. */
export interface WorkerSpec {
  readonly name: string;
  readonly permissions?: Permissions;
  readonly heapMb?: number;
  readonly actors: readonly ActorSpec[];
  /** Makes it the one worker that carries messages into and out of the process. */
  readonly gateway?: GatewaySpec;
  readonly restart?: RestartPolicy;
  /** Places that it must not reach, tried when it starts. Default: those of the system. */
  readonly canaries?: readonly Canary[];
}

export type WorkerState = "starting" | "running" | "restarting" | "stopping" | "stopped" | "failed";

export interface WorkerHealth {
  readonly name: string;
  readonly state: WorkerState;
  readonly restarts: number;
  readonly lastFailure?: Failure & { readonly reason: EndReason };
  /** Absent while no thread answers. */
  readonly thread?: ThreadHealth;
}

export interface ManagedOptions {
  readonly region: string;
  readonly level: LogLevel;
  readonly inspect: boolean;
  readonly restart: RestartPolicy;
  readonly canaries: readonly Canary[];
  readonly pingEveryMs: number;
  readonly stuckAfterMs: number;
  readonly startMaxMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly onNews: (worker: string, news: WorkerNews) => void;
  /** Gives the new thread its ports to the others. */
  readonly mesh: (worker: ManagedWorker) => Promise<void>;
  /** Its actors have mailboxes now; tells everybody where they are. */
  readonly located: (worker: ManagedWorker, addresses: readonly Address[]) => Promise<void>;
  /** Its restarts are spent, or its permissions do not hold. */
  readonly escalate: (worker: ManagedWorker, ended: WorkerEnded) => void;
}

/** What was to be started threw. */
export class StartFailed extends Error {
  override readonly name = "StartFailed";
  readonly failure: Failure;

  constructor(worker: string, failure: Failure, stack: string) {
    super(`Cannot start worker '${worker}': ${failure.name}: ${failure.message}`, { cause: stack });
    this.failure = failure;
  }
}

/** One worker over all its lives: started, watched, restarted, stopped. */
export class ManagedWorker implements AsyncDisposable {
  readonly name: string;
  readonly isGateway: boolean;
  /** Whether its present thread has ports to the others. */
  meshed = false;
  readonly #spec: WorkerSpec;
  readonly #options: ManagedOptions;
  #state: WorkerState = "starting";
  #life: WorkerLife | undefined;
  #restarts = 0;
  #failures: readonly Failure[] = [];
  #lastReason: EndReason | undefined;

  constructor(spec: WorkerSpec, options: ManagedOptions) {
    this.#spec = spec;
    this.#options = options;
    this.name = spec.name;
    this.isGateway = spec.gateway !== undefined;
  }

  /** Starts its thread and its actors. Whatever fails the first time, its deadline included, is thrown, and nothing of it is left. */
  async start(): Promise<void> {
    const life = this.#spawn();
    try {
      await this.#bringUp(life);
    } catch (error) {
      this.#state = "failed";
      const ended = await life.terminate("stopped");
      throw error instanceof WorkerEnded ? ended : error;
    }
    void life.ended.then((ended) => this.#died(ended));
  }

  get running(): boolean {
    return this.#state === "running";
  }

  connect(name: string, port: MessagePort): Promise<void> {
    return this.#life?.connect(name, port) ?? Promise.resolve();
  }

  /** Known there once this resolves, unless its thread is not up: it hears of it as soon as it listens, and nobody waits longer than one ping. */
  async locate(actors: readonly Located[], gateway: string | undefined): Promise<void> {
    const told = this.#ifAlive((life) => life.call((control) => control.locate(actors, gateway)));
    await (this.running ? told : this.#inOnePing(told));
  }

  /** Undefined when its thread does not answer within one ping's interval, which is counted. */
  async metrics(): Promise<Series[] | undefined> {
    const series = await this.#inOnePing(this.#ifAlive((life) => life.call((control) => control.metrics())));
    if (series === undefined) this.#options.metrics.count("freshet_metrics_missing_total", 1, { worker: this.name });
    return series;
  }

  async stopActor(address: Address, deadlineMs: number): Promise<void> {
    await this.#ifAlive((life) => life.call((control) => control.stopActor(address, deadlineMs)));
  }

  async health(): Promise<WorkerHealth> {
    const thread = this.running
      ? await this.#inOnePing(this.#ifAlive((life) => life.call((control) => control.health())))
      : undefined;
    const failure = this.#failures.at(-1);
    return {
      name: this.name,
      state: this.#state,
      restarts: this.#restarts,
      ...(failure === undefined || this.#lastReason === undefined
        ? {}
        : { lastFailure: { ...failure, reason: this.#lastReason } }),
      ...(thread === undefined ? {} : { thread }),
    };
  }

  /** Orderly until the deadline, then at once. */
  async stop(deadlineMs: number): Promise<void> {
    if (this.#state === "stopped") return;
    const orderly = this.#state === "running";
    this.#state = "stopping";
    if (orderly && deadlineMs > 0) {
      await this.#ifAlive((life) =>
        within(
          life.call((control) => control.stop(deadlineMs)),
          deadlineMs + 200,
          this.#options.clock,
        ),
      );
    }
    await this.#life?.terminate("stopped");
    this.#state = "stopped";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(0);
  }

  /** An actor of it spent its restarts: all of it starts afresh, as far as its own budget goes. */
  async escalated(): Promise<void> {
    await this.#life?.terminate(
      "escalated",
      "an actor of it failed too often; the failures logged before say which, and why",
    );
  }

  #spawn(): WorkerLife {
    const { region, level, inspect, canaries, log, onNews } = this.#options;
    const setup = {
      name: this.name,
      region,
      level,
      inspect,
      permissions: this.#spec.permissions ?? {},
      canaries: this.#spec.canaries ?? canaries,
    };
    const life = new WorkerLife({
      setup,
      heapMb: this.#spec.heapMb,
      onNews: (news) => onNews(this.name, news),
      onLine: (line) => log.info(line.slice(0, 2000), { worker: this.name }),
    });
    this.#life = life;
    this.meshed = false;
    return life;
  }

  async #bringUp(life: WorkerLife): Promise<void> {
    const { mesh, located } = this.#options;
    const watch = watchLife(life, this.#options);
    await life.ready;
    await mesh(this);
    const specs: WireSpec[] = this.#spec.actors.map((spec) => ({ ...spec, module: spec.module.href }));
    const { gateway } = this.#spec;
    const declared = this.#valueOf(
      await life.call<Attempt<readonly Address[]>>(async (control) =>
        control.declare(specs, gateway === undefined ? undefined : { ...gateway, module: gateway.module.href }),
      ),
    );
    await located(this, declared);
    this.#valueOf(await life.call<Attempt<undefined>>(async (control) => control.start()));
    watch.up();
    if (this.#state !== "stopping" && this.#state !== "stopped") this.#state = "running";
  }

  /** What a step of its start gave in its thread; throws `StartFailed` for what was thrown there. */
  #valueOf<T>(attempt: Attempt<T>): T {
    if (attempt.kind === "failed") throw new StartFailed(this.name, attempt.failure, attempt.stack);
    return attempt.value;
  }

  #died(ended: WorkerEnded): void {
    if (this.#state === "stopping" || this.#state === "stopped") return;
    const { clock, metrics, log, escalate } = this.#options;
    const restart = this.#spec.restart ?? this.#options.restart;
    const failure = failureOf(ended.cause ?? ended, clock.nowMs());
    const [oldest, ...later] = [...this.#failures, failure];
    const failures = recentFailures([oldest ?? failure, ...later], restart);
    this.#failures = failures;
    this.#lastReason = ended.reason;
    const directive = ended.reason === "hole" ? { kind: "escalate" as const } : decide(failures, restart);
    log.error("a worker ended", { worker: this.name, reason: ended.reason, error: ended, decision: directive.kind });
    if (directive.kind !== "restart") {
      this.#state = "failed";
      if (directive.kind === "escalate") escalate(this, ended);
      return;
    }
    this.#state = "restarting";
    metrics.count("freshet_worker_restarts_total", 1, { worker: this.name, reason: ended.reason });
    clock.after(directive.delayMs, () => void this.#restart());
  }

  async #restart(): Promise<void> {
    if (this.#state !== "restarting") return;
    this.#restarts++;
    const life = this.#spawn();
    try {
      await this.#bringUp(life);
    } catch (error) {
      const ended = await life.terminate("exited");
      this.#died(
        ended.reason === "hole" || error instanceof WorkerEnded || !(error instanceof Error)
          ? ended
          : new WorkerEnded(this.name, "threw", { why: error.message, cause: error }),
      );
      return;
    }
    void life.ended.then((ended) => this.#died(ended));
  }

  #inOnePing<T>(work: Promise<T>): Promise<T | undefined> {
    return within(work, this.#options.pingEveryMs, this.#options.clock);
  }

  async #ifAlive<T>(work: (life: WorkerLife) => Promise<T>): Promise<T | undefined> {
    const life = this.#life;
    if (life === undefined) return undefined;
    try {
      return await work(life);
    } catch (error) {
      if (error instanceof WorkerEnded) return undefined;
      throw error;
    }
  }
}

/** What the work gives, or nothing once the time is up. */
function within<T>(work: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve(undefined));
    work.finally(() => timer.cancel()).then(resolve, reject);
  });
}
