import { type Address, type Logger, type Metrics, Refused } from "./actor.ts";
import { type Clock } from "./clock.ts";
import { createIncarnation, type Incarnation, type LooseDefinition } from "./incarnation.ts";
import { type Mailbox, mailbox } from "./mailbox.ts";
import { type Answer, type Delivery, type Receiver, type Router } from "./router.ts";
import { type Runnable } from "./run-queue.ts";
import { decide, type Directive, type Failure, failureOf, recentFailures, type RestartPolicy } from "./supervisor.ts";

export interface CellOptions {
  readonly definition: LooseDefinition;
  readonly address: Address;
  readonly config: unknown;
  readonly mailboxMax: number | undefined;
  readonly restart: RestartPolicy;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly router: Router;
  readonly queue: { add(runnable: Runnable): void };
  /** Told of each failure and what was decided. */
  readonly onFailure: (report: FailureReport) => void;
}

export interface FailureReport {
  readonly address: Address;
  readonly failure: Failure;
  readonly stack?: string;
  readonly directive: Directive;
}

export type ActorState = "starting" | "running" | "restarting" | "stopping" | "ended";

export interface ActorHealth {
  readonly address: Address;
  readonly state: ActorState;
  readonly mailboxDepth: number;
  readonly restarts: number;
  readonly lastFailure?: Failure;
}

/** A message that waits. `by` is the incarnation that sent it to itself. */
interface Waiting {
  readonly delivery: Delivery;
  readonly by?: Incarnation;
}

/**
 * One actor: its mailbox, and its incarnations one after the other. Messages of others that wait survive a restart; what an incarnation sent
 * itself ends with it, as its successor never asked for that. Whoever waits for an answer of a failed incarnation is told. Nothing is delivered
 * before `setup` has finished or after the end.
 */
export class ActorCell implements Receiver, Runnable {
  readonly #options: CellOptions;
  readonly #mailbox: Mailbox<Waiting>;
  #state: ActorState = "starting";
  #incarnation: Incarnation | undefined;
  #failures: readonly Failure[] = [];
  #restarts = 0;
  #busy = false;
  #queued = false;
  #whenEnded: (() => void) | undefined;
  readonly ended: Promise<void>;

  constructor(options: CellOptions) {
    this.#options = options;
    this.#mailbox = mailbox(options.mailboxMax);
    this.ended = new Promise((resolve) => (this.#whenEnded = resolve));
  }

  get health(): ActorHealth {
    const lastFailure = this.#failures.at(-1);
    return {
      address: this.#options.address,
      state: this.#state,
      mailboxDepth: this.#mailbox.depth,
      restarts: this.#restarts,
      ...(lastFailure === undefined ? {} : { lastFailure }),
    };
  }

  /** Runs `setup` for the first time; what it throws ends the actor and is thrown. */
  async start(): Promise<void> {
    try {
      await this.#begin();
    } catch (error) {
      this.#end("its setup failed");
      throw error;
    }
  }

  deliver(delivery: Delivery): void {
    const { answer, message } = delivery;
    if (this.#state === "stopping" || this.#state === "ended") {
      if (answer === undefined) this.#options.router.drop("ended", delivery);
      else answer.fail({ code: "ended", why: this.#state === "ended" ? "it has ended" : "it is stopping" });
    } else if (!this.#options.definition.messages.includes(message)) {
      if (answer === undefined) this.#options.router.drop("unknown-message", delivery);
      else answer.fail({ code: "unknown-message", why: `it knows ${this.#options.definition.messages.join(", ")}` });
    } else if (!this.#mayCome(delivery)) {
      if (answer === undefined) this.#options.router.drop("forged", delivery);
      else answer.fail({ code: "refused", why: `'${message}' is not for other regions` });
    } else if (this.#mailbox.offer({ delivery })) {
      this.#schedule();
    } else if (answer === undefined) {
      this.#options.router.drop("mailbox-full", delivery);
    } else {
      answer.fail({ code: "mailbox-full", why: `${this.#mailbox.depth} messages wait` });
    }
  }

  #mayCome({ from, message }: Delivery): boolean {
    const { address, definition } = this.#options;
    return from.region === address.region || definition.fromElsewhere?.includes(message) === true;
  }

  /** Refuses what comes, handles what waits, calls the behaviour's own stop; at the signal it ends in any case. */
  async stop(deadline: AbortSignal): Promise<void> {
    const unstarted = this.#state === "starting" || this.#state === "restarting";
    if (unstarted || deadline.aborted) this.#end("it was stopped");
    if (this.#state === "ended") return;
    this.#state = "stopping";
    this.#schedule();
    const end = (): void => this.#end("it was stopped and its deadline passed");
    deadline.addEventListener("abort", end, { once: true });
    await this.ended;
    deadline.removeEventListener("abort", end);
  }

  step(): void {
    this.#queued = false;
    const incarnation = this.#incarnation;
    if (this.#busy || incarnation === undefined || (this.#state !== "running" && this.#state !== "stopping")) return;
    const waiting = this.#mailbox.take();
    if (waiting === undefined) return this.#state === "stopping" ? this.#finish(incarnation) : undefined;
    const { delivery, by = incarnation } = waiting;
    if (by === incarnation && delivery.answer?.cancelled !== true) this.#handle(incarnation, delivery);
    this.#schedule();
  }

  #schedule(): void {
    const idle = this.#mailbox.depth === 0 && this.#state !== "stopping";
    if (this.#queued || this.#busy || idle || this.#incarnation === undefined) return;
    this.#queued = true;
    this.#options.queue.add(this);
  }

  #handle(incarnation: Incarnation, delivery: Delivery): void {
    let result: unknown;
    try {
      result = incarnation.call(delivery);
    } catch (error) {
      return this.#threw(incarnation, delivery.answer, error);
    }
    if (!(result instanceof Promise)) return incarnation.answer(delivery.answer, result);
    this.#busy = true;
    void this.#settle(incarnation, delivery, result);
  }

  async #settle(incarnation: Incarnation, { answer }: Delivery, result: Promise<unknown>): Promise<void> {
    try {
      incarnation.answer(answer, await result);
    } catch (error) {
      this.#threw(incarnation, answer, error);
    }
    this.#free(incarnation);
  }

  #free(incarnation: Incarnation): void {
    // A failed incarnation's handler may settle after the next one has begun.
    if (this.#incarnation !== incarnation && this.#incarnation !== undefined) return;
    this.#busy = false;
    this.#schedule();
  }

  #threw(incarnation: Incarnation, answer: Answer | undefined, error: unknown): void {
    if (error instanceof Refused) {
      if (answer === undefined) this.#options.log.warn("refused a message that nobody waits for", { error });
      answer?.fail({ code: "refused", why: error.message, data: error.data });
      return;
    }
    answer?.fail({
      code: "failed",
      why: error instanceof Error ? error.message.slice(0, 1000) : "it threw something that is no error",
    });
    if (incarnation === this.#incarnation && this.#state !== "ended") this.#fail(error);
  }

  #fail(error: unknown): void {
    const { clock, restart, address, onFailure, metrics } = this.#options;
    this.#incarnation?.end({ code: "failed", why: "it failed while we waited" });
    this.#incarnation = undefined;
    this.#busy = false;
    const latest = failureOf(error, clock.nowMs());
    const [oldest, ...later] = [...this.#failures, latest];
    const failures = recentFailures([oldest ?? latest, ...later], restart);
    this.#failures = failures;
    const directive: Directive = this.#state === "stopping" ? { kind: "stop" } : decide(failures, restart);
    metrics.count("freshet_actor_failures_total", 1, { kind: address.kind });
    onFailure({
      address,
      failure: latest,
      directive,
      ...(error instanceof Error && error.stack !== undefined ? { stack: error.stack.slice(0, 4000) } : {}),
    });
    if (directive.kind !== "restart") return this.#end("it failed and is not restarted");
    this.#state = "restarting";
    clock.after(directive.delayMs, () => void this.#restart());
  }

  async #restart(): Promise<void> {
    if (this.#state !== "restarting") return;
    this.#restarts++;
    this.#options.metrics.count("freshet_actor_restarts_total", 1, { kind: this.#options.address.kind });
    try {
      await this.#begin();
    } catch (error) {
      if (this.health.state !== "ended") this.#fail(error);
    }
  }

  async #begin(): Promise<void> {
    const incarnation = createIncarnation({
      ...this.#options,
      force: (delivery) => this.#force({ delivery, by: incarnation }),
    });
    try {
      await incarnation.begin();
    } catch (error) {
      incarnation.end({ code: "failed", why: "its setup failed" });
      throw error;
    }
    if (this.#state === "ended") return incarnation.end({ code: "ended", why: "it was stopped" });
    this.#incarnation = incarnation;
    this.#state = "running";
    this.#schedule();
  }

  #force(waiting: Waiting): void {
    if (this.#state === "ended" || this.#state === "stopping") return;
    this.#mailbox.force(waiting);
    this.#schedule();
  }

  #finish(incarnation: Incarnation): void {
    this.#busy = true;
    incarnation.stop().then(
      () => this.#end("it was stopped"),
      (error: unknown) => {
        this.#options.log.error("an actor's stop failed", { error });
        this.#end("it was stopped");
      },
    );
  }

  #end(why: string): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#incarnation?.end({ code: "ended", why });
    this.#incarnation = undefined;
    for (let left = this.#mailbox.take(); left !== undefined; left = this.#mailbox.take()) {
      const { delivery } = left;
      if (delivery.answer === undefined) this.#options.router.drop("ended", delivery);
      else delivery.answer.fail({ code: "ended", why });
    }
    this.#whenEnded?.();
  }
}
