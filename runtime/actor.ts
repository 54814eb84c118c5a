/*
 * What an actor is: a protocol of named messages, a handler for each, and state in a closure.
 * This file is all of the runtime that a behaviour sees. Where an actor runs (this thread, another thread,
 * another process) is not part of it.
 */

/** Names one actor: its region, its kind (shard, leader, trainer ...) and its id, unique within region and kind. */
export interface Address {
  readonly region: string;
  readonly kind: string;
  readonly id: string;
  /**
   * Set on the sender of a message that came from another region over our own server: an answer told to this address
   * goes back the way the message came, over the one link that is known to work, and not over our link to that region.
   */
  readonly via?: "own";
}

/** Message name to what it carries and what it is answered with. `reply: void` is told, anything else is asked. */
export type Protocol<P> = { readonly [K in keyof P]: { readonly request: unknown; readonly reply: unknown } };

/** The names of the messages that have an answer. */
export type Asked<P extends Protocol<P>> = { [K in keyof P]: P[K]["reply"] extends void ? never : K }[keyof P] & string;

/** The names of the messages that have none. */
export type Told<P extends Protocol<P>> = Exclude<keyof P & string, Asked<P>>;

export interface TellOptions {
  /** Buffers handed over instead of copied when the receiver is another thread. The sender must not touch them again. */
  readonly transfer?: readonly ArrayBuffer[];
}

export interface AskOptions extends TellOptions {
  /** The deadline. There is no hidden default: whoever asks knows how long an answer is worth waiting for. */
  readonly signal: AbortSignal;
}

/** A way to reach an actor, the same wherever it runs. */
export interface ActorRef<P extends Protocol<P>> {
  readonly address: Address;
  /** Sends without an answer, at most once, in order per pair of actors. A message that cannot arrive is a dead letter, counted, never thrown. */
  tell<K extends Told<P>>(name: K, request: P[K]["request"], options?: TellOptions): void;
  /**
   * Sends and waits for the answer. Rejects with `AskFailed`: the deadline passed, the mailbox was full, no actor is there, it ended while
   * we waited, or its handler threw. It never hangs beyond its signal.
   */
  ask<K extends Asked<P>>(name: K, request: P[K]["request"], options: AskOptions): Promise<P[K]["reply"]>;
}

declare const laterReply: unique symbol;

/** Returned by a handler whose answer comes later; the mailbox goes on meanwhile. Made by `Context.later`. */
export interface Later<Reply> {
  readonly kind: "later";
  readonly [laterReply]?: Reply;
}

/** Both ends of an answer that is given later. Settling twice does nothing. */
export interface Promised<Reply> {
  readonly reply: Later<Reply>;
  readonly resolve: (value: Reply) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One handler per message: leaving one out does not compile. Handlers run one at a time; one that returns a promise holds the
 * mailbox until it settles. What a handler throws is a failure: the asker gets `AskFailed`, the supervisor decides what becomes of the actor.
 */
export type Handlers<P extends Protocol<P>> = {
  readonly [K in keyof P & string]: (
    request: P[K]["request"],
    from: Address,
  ) => P[K]["reply"] | Later<P[K]["reply"]> | Promise<P[K]["reply"]>;
};

/** Structured log lines. Fields are data; secrets and whole user messages never go in. */
export interface Logger {
  debug(text: string, fields?: Readonly<Record<string, unknown>>): void;
  info(text: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(text: string, fields?: Readonly<Record<string, unknown>>): void;
  error(text: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Labels of a metric: few values each, never a user or an item. */
export type Labels = Readonly<Record<string, string>>;

/** Prometheus metrics of this thread; names are snake case with the unit last (`freshet_..._total`, `_seconds`, `_bytes`). */
export interface Metrics {
  count(name: string, by?: number, labels?: Labels): void;
  gauge(name: string, value: number, labels?: Labels): void;
  /** Adds to a histogram with fixed exponential buckets. */
  observe(name: string, value: number, labels?: Labels): void;
}

/** A timer of an actor. Cancelling a timer that has fired does nothing. */
export interface Timer {
  cancel(): void;
}

/** All that a behaviour may reach besides its own state: everything that is not a pure function of its messages is in here. */
export interface Context<P extends Protocol<P>> {
  readonly self: Address;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Wall-clock milliseconds since the epoch, with a fraction. May jump. */
  now(): number;
  /** Milliseconds of a clock that only this process knows and that never jumps: for what lasts, such as a lease. */
  upMs(): number;
  /** A uniform number in [0, 1). */
  random(): number;
  /** A signal that fires after so many milliseconds of this actor's clock: the deadline of an ask. */
  deadline(ms: number): AbortSignal;
  /** Tells this actor `name` after a delay. Ended with the actor. */
  after<K extends Told<P>>(delayMs: number, name: K, request: P[K]["request"]): Timer;
  /** A reference to any actor anywhere. Costs nothing and asserts nothing about its existence. */
  ref<Q extends Protocol<Q>>(address: Address): ActorRef<Q>;
  /** Tells this actor `name` with what became of `work`; the way to wait for an answer without holding the mailbox. */
  pipe<T, K extends Told<P>>(work: Promise<T>, name: K, request: (outcome: Outcome<T>) => P[K]["request"]): void;
  later<Reply>(): Promised<Reply>;
}

/** What became of awaited work. */
export type Outcome<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "failed"; readonly error: Error };

/** How an actor is made. A restart calls `setup` again, so state in its closure is fresh. */
export interface ActorDefinition<P extends Protocol<P>, Config> {
  readonly kind: string;
  readonly messages: readonly (keyof P & string)[];
  /**
   * Which of them may come from outside the region: from a peer region, or a person with the `nats` command. All others are refused from there,
   * whoever the server let through. Default: none.
   */
  readonly fromElsewhere?: readonly (keyof P & string)[];
  setup(config: Config, context: Context<P>): Behaviour<P> | Promise<Behaviour<P>>;
}

/** A running actor's handlers, and what it does before it ends. */
export interface Behaviour<P extends Protocol<P>> {
  readonly handlers: Handlers<P>;
  /** Called once on an orderly stop, after the queued messages; a promise is awaited until the stop's deadline. */
  stop?(): void | Promise<void>;
}

/**
 * Declares an actor.
 *
 * @example
 * export const counter = defineActor<CounterProtocol, { start: number }>({
 *   kind: "counter",
 *   messages: ["add", "total"],
 *   setup: ({ start }) => {
 *     let total = start;
 *     return { handlers: { add: (by) => { total += by; }, total: () => total } };
 *   },
 * });
 */
export function defineActor<P extends Protocol<P>, Config>(
  definition: ActorDefinition<P, Config>,
): ActorDefinition<P, Config> {
  return definition;
}

/** Why an ask had no answer. `code` is stable and crosses threads and NATS; messages are for people. */
export type AskFailure =
  | "deadline" // the asker's signal fired first
  | "mailbox-full" // the receiver is behind; try later
  | "no-actor" // nobody answers at that address
  | "ended" // it ended, or its thread did, while we waited
  | "refused" // the request was understood and refused; `data` says why
  | "unknown-message" // its protocol has no such message
  | "failed"; // its handler threw

/** The one way in which an ask fails. */
export class AskFailed extends Error {
  override readonly name = "AskFailed";
  readonly code: AskFailure;
  readonly data: unknown;

  constructor(
    code: AskFailure,
    to: Address,
    message: string,
    options: { why: string; data?: unknown; cause?: unknown },
  ) {
    super(`Cannot ask '${to.region}.${to.kind}.${to.id}' for '${message}': ${options.why}`, { cause: options.cause });
    this.code = code;
    this.data = options.data;
  }
}

/** Thrown by a handler that understood a request and will not do it. The asker gets it as data; the actor lives on. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly data: unknown;

  constructor(why: string, data?: unknown) {
    super(why);
    this.data = data;
  }
}
