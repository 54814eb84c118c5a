import {
  type ActorRef,
  type Address,
  type Asked,
  AskFailed,
  type AskOptions,
  type Context,
  type Later,
  type Logger,
  type Metrics,
  type Outcome,
  type Promised,
  type Protocol,
  type TellOptions,
  type Timer,
  type Told,
} from "./actor.ts";
import { type Clock } from "./clock.ts";
import { type Answer, type Delivery, type Router } from "./router.ts";
import { type WireError } from "./transport/transport.ts";

/** What every definition is once its types are forgotten: data in, anything out. */
export interface LooseDefinition {
  readonly kind: string;
  readonly messages: readonly string[];
  readonly fromElsewhere?: readonly string[];
  readonly setup: (config: unknown, context: unknown) => unknown;
}

interface LooseBehaviour {
  readonly handlers: Readonly<Record<string, (request: unknown, from: Address) => unknown>>;
  readonly stop?: () => unknown;
}

/** Whether a value has the shape of an actor definition. */
export function isDefinition(value: unknown): value is LooseDefinition {
  if (typeof value !== "object" || value === null) return false;
  return (
    "kind" in value &&
    typeof value.kind === "string" &&
    "messages" in value &&
    Array.isArray(value.messages) &&
    (!("fromElsewhere" in value) || Array.isArray(value.fromElsewhere)) &&
    "setup" in value &&
    typeof value.setup === "function"
  );
}

function isBehaviour(value: unknown, messages: readonly string[]): value is LooseBehaviour {
  if (typeof value !== "object" || value === null || !("handlers" in value)) return false;
  const { handlers } = value;
  if (typeof handlers !== "object" || handlers === null) return false;
  const names = new Map<string, unknown>(Object.entries(handlers));
  return messages.every((message) => typeof names.get(message) === "function");
}

export interface IncarnationOptions {
  readonly definition: LooseDefinition;
  readonly address: Address;
  readonly config: unknown;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly router: Router;
  /** Into the own mailbox, whatever its bound. */
  readonly force: (delivery: Delivery) => void;
}

/** One life of an actor, from its setup to its failure or end. After `end` nothing of it has any effect. */
export interface Incarnation {
  begin(): Promise<void>;
  /** Calls the handler; what it throws is thrown. */
  call(delivery: Delivery): unknown;
  /** Answers with what a handler returned, now or, for a `Later`, once it is settled. */
  answer(answer: Answer | undefined, result: unknown): void;
  stop(): Promise<void>;
  end(error: WireError): void;
}

interface LaterState {
  outcome?: Outcome<unknown>;
  answer?: Answer;
}

/** Not begun yet. */
export function createIncarnation(options: IncarnationOptions): Incarnation {
  const { definition, address, clock, log, metrics, router, force } = options;
  const timers = new Set<Timer>();
  const laters = new Map<object, LaterState>();
  let alive = true;
  let behaviour: LooseBehaviour | undefined;

  function later<Reply>(): Promised<Reply> {
    const state: LaterState = {};
    const reply: Later<Reply> = { kind: "later" };
    if (alive) laters.set(reply, state);
    function settle(outcome: Outcome<unknown>): void {
      if (state.outcome !== undefined) return;
      state.outcome = outcome;
      if (state.answer !== undefined) give(state.answer, outcome);
      if (state.answer !== undefined) laters.delete(reply);
    }
    return {
      reply,
      resolve: (value) => settle({ kind: "done", value }),
      reject: (error) => settle({ kind: "failed", error }),
    };
  }

  function tellSelf(message: string, body: unknown): void {
    if (alive) force({ to: address, from: address, message, body });
  }

  function addTimer(delayMs: number, run: () => void): Timer {
    const timer = clock.after(delayMs, () => {
      timers.delete(timer);
      run();
    });
    timers.add(timer);
    return {
      cancel() {
        timers.delete(timer);
        timer.cancel();
      },
    };
  }

  // The protocol's types are checked where the actor is written; here they are forgotten, so one context serves every protocol.
  const context: Context<Record<string, { request: unknown; reply: void }>> = {
    self: address,
    log,
    metrics,
    now: () => clock.nowMs(),
    upMs: () => clock.upMs(),
    random: () => Math.random(),
    deadline: (ms) => (alive ? clock.deadline(ms) : AbortSignal.abort()),
    after(delayMs, name, request) {
      if (!alive) return { cancel: () => undefined };
      return addTimer(delayMs, () => tellSelf(name, request));
    },
    ref: (to) => createRef(to, { from: address, router, alive: () => alive }),
    pipe(work, name, request) {
      work
        .then(
          (value) => tellSelf(name, request({ kind: "done", value })),
          (error: unknown) =>
            tellSelf(
              name,
              request({ kind: "failed", error: error instanceof Error ? error : new Error(String(error)) }),
            ),
        )
        .catch((error: unknown) => log.error("cannot tell what became of piped work", { error }));
    },
    later,
  };

  return {
    async begin() {
      const made = await definition.setup(options.config, context);
      if (!isBehaviour(made, definition.messages)) {
        throw new TypeError(
          `Cannot start a ${definition.kind}: its setup returned no handler for some of ${definition.messages.join(", ")}`,
        );
      }
      behaviour = made;
    },
    call({ message, body, from }) {
      return behaviour?.handlers[message]?.(body, from);
    },
    answer(answer, result) {
      if (answer === undefined) return;
      const state = typeof result === "object" && result !== null ? laters.get(result) : undefined;
      if (state === undefined) return answer.reply(result);
      if (state.outcome === undefined) {
        state.answer = answer;
        return;
      }
      if (typeof result === "object" && result !== null) laters.delete(result);
      give(answer, state.outcome);
    },
    async stop() {
      await behaviour?.stop?.();
    },
    end(error) {
      if (!alive) return;
      alive = false;
      for (const timer of timers) timer.cancel();
      timers.clear();
      for (const { answer } of laters.values()) answer?.fail(error);
      laters.clear();
    },
  };
}

function give(answer: Answer, outcome: Outcome<unknown>): void {
  if (outcome.kind === "done") return answer.reply(outcome.value);
  const { error } = outcome;
  if (error.name === "Refused") {
    return answer.fail({ code: "refused", why: error.message, data: "data" in error ? error.data : undefined });
  }
  // An ask passed on keeps its reason: whoever waits wants to know that it is a deadline.
  if (error instanceof AskFailed) return answer.fail({ code: error.code, why: error.message, data: error.data });
  answer.fail({ code: "failed", why: error.message.slice(0, 1000) });
}

/** Who speaks through a reference, and until when. */
export interface RefOwner {
  readonly from: Address;
  readonly router: Router;
  readonly alive: () => boolean;
}

/** A reference that speaks as `from`. Once its owner has ended, tells are nothing and asks are rejected. */
export function createRef<Q extends Protocol<Q>>(to: Address, { from, router, alive }: RefOwner): ActorRef<Q> {
  return {
    address: to,
    tell<K extends Told<Q>>(message: K, body: Q[K]["request"], options?: TellOptions): void {
      if (alive()) router.tell({ to, from, message, body }, options);
    },
    ask<K extends Asked<Q>>(message: K, body: Q[K]["request"], options: AskOptions): Promise<Q[K]["reply"]> {
      if (!alive()) {
        return Promise.reject(new AskFailed("ended", to, message, { why: "the actor that asks has ended" }));
      }
      return router.ask({ to, from, message, body }, options);
    },
  };
}
