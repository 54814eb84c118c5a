import { type Address, type AskOptions, AskFailed, type Metrics, type TellOptions, type Logger } from "./actor.ts";
import { shortJson } from "./short-json.ts";
import {
  addressKey,
  type DropCounter,
  type DropReason,
  type Envelope,
  type Mirrored,
  type Transport,
  type WireError,
} from "./transport/transport.ts";

/** Where the answer to one ask goes. Answering twice does nothing. */
export interface Answer {
  reply(body: unknown): void;
  fail(error: WireError): void;
  /** Nobody waits any more: its deadline passed, or the asker's thread ended. */
  readonly cancelled: boolean;
}

/** A message on its way into a mailbox. Without `answer` it was told. */
export interface Delivery {
  readonly to: Address;
  readonly from: Address;
  readonly message: string;
  readonly body: unknown;
  readonly answer?: Answer;
}

/** Takes deliveries; the router knows nothing else of an actor. */
export interface Receiver {
  deliver(delivery: Delivery): void;
}

export interface RouterOptions {
  readonly region: string;
  /** The name of this thread's worker. */
  readonly thread: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Copies what passes between actors of this process to whoever inspects, as far as the bound allows. */
  readonly inspect?: boolean;
}

/** Which worker hosts which address, by `addressKey`. */
export type Locations = ReadonlyMap<string, string>;

interface Pending {
  readonly via: Transport;
  settle(outcome: Outcome): void;
}

type Outcome =
  | { readonly kind: "reply"; readonly body: unknown }
  | { readonly kind: "error"; readonly error: WireError };

interface Slot {
  readonly answer: Answer;
  cancel(): void;
}

const MIRRORED_PER_SECOND_MAX = 500;

/**
 * Finds the way of every message of one thread: to an actor here, over the port of the worker that hosts it, or else through the
 * gateway, the one worker that knows the world outside. Every ask that leaves is remembered with its way and settles when that way ends.
 */
export class Router {
  readonly #options: RouterOptions;
  readonly #local = new Map<string, Receiver>();
  readonly #peers = new Map<string, Transport>();
  readonly #pending = new Map<number, Pending>();
  readonly #inbound = new Map<Transport, Map<number, Slot>>();
  #locations: Locations = new Map();
  #gatewayThread: string | undefined;
  #gateway: Transport | undefined;
  #nextAskId = 1;
  #mirror = { second: 0, count: 0 };
  readonly drop: DropCounter;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.drop = (reason, { message, kind }) => {
      if (kind === "mirror") return this.#mirrorDropped(reason);
      options.metrics.count("freshet_dead_letters_total", 1, { reason });
      options.log.debug("dead letter", { reason, message });
    };
  }

  addLocal(address: Address, receiver: Receiver): void {
    this.#local.set(addressKey(address), receiver);
  }

  removeLocal(address: Address): void {
    this.#local.delete(addressKey(address));
  }

  setLocations(locations: Locations, gatewayThread: string | undefined): void {
    this.#locations = locations;
    this.#gatewayThread = gatewayThread;
  }

  /** Asks waiting for an answer from elsewhere. */
  get waiting(): number {
    return this.#pending.size;
  }

  /** The port to another worker of this process, in place of the one it had. */
  addPeer(name: string, transport: Transport): void {
    const before = this.#peers.get(name);
    this.#peers.set(name, transport);
    if (before !== undefined) void before.close();
    this.#attach(transport, () => {
      if (this.#peers.get(name) === transport) this.#peers.delete(name);
    });
  }

  /** This thread is the gateway: what no worker of this process hosts leaves by `transport`. */
  setGateway(transport: Transport): void {
    this.#gateway = transport;
    this.#attach(transport, () => {
      if (this.#gateway === transport) this.#gateway = undefined;
    });
  }

  tell(delivery: Delivery, { transfer }: TellOptions = {}): void {
    const { to, from, message, body } = delivery;
    const local = this.#local.get(addressKey(to));
    this.#mirrorOut(delivery, "sent", body);
    if (local !== undefined && to.via === undefined) return local.deliver({ to, from, message, body });
    const way = this.#way(to);
    if (way === undefined) return this.drop("no-actor", { message });
    way.send({ kind: "tell", to, from, message, body }, transfer === undefined ? {} : { transfer });
  }

  /** Settles with the answer, or rejects with `AskFailed` at the signal at the latest. */
  ask(delivery: Delivery, { signal, transfer }: AskOptions): Promise<unknown> {
    const { to, from, message, body } = delivery;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(deadlinePassed(to, message, signal));
      let cancel: () => void = () => undefined;
      function aborted(): void {
        cancel();
        reject(deadlinePassed(to, message, signal));
      }
      const settle = (outcome: Outcome): void => {
        signal.removeEventListener("abort", aborted);
        this.#mirrorOut(delivery, outcome.kind, outcome.kind === "reply" ? outcome.body : outcome.error);
        if (outcome.kind === "reply") resolve(outcome.body);
        else reject(new AskFailed(outcome.error.code, to, message, outcome.error));
      };
      signal.addEventListener("abort", aborted, { once: true });
      this.#mirrorOut(delivery, "sent", body);
      cancel = this.#ask({ to, from, message, body }, settle, transfer);
    });
  }

  /** Rejects all that waits and closes all ways. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#peers.values(), ...(this.#gateway === undefined ? [] : [this.#gateway])].map((transport) =>
        transport.close(),
      ),
    );
    this.#peers.clear();
  }

  /** Sends an ask on its way; the result cancels it. */
  #ask(
    delivery: Omit<Delivery, "answer">,
    settle: (outcome: Outcome) => void,
    transfer?: readonly ArrayBuffer[],
    notBy?: Transport,
  ): () => void {
    const { to } = delivery;
    const local = this.#local.get(addressKey(to));
    if (local !== undefined && to.via === undefined) {
      const slot = answerSlot(settle);
      local.deliver({ ...delivery, answer: slot.answer });
      return () => slot.cancel();
    }
    const via = this.#way(to);
    if (via === undefined || via === notBy) {
      const hosted = this.#locations.has(addressKey(to));
      settle({
        kind: "error",
        error: { code: "no-actor", why: hosted ? "its worker is not running" : "nobody is known at that address" },
      });
      return () => undefined;
    }
    const askId = this.#nextAskId++;
    this.#pending.set(askId, { via, settle });
    via.send({ kind: "ask", askId, ...delivery }, transfer === undefined ? {} : { transfer });
    return () => {
      if (this.#pending.delete(askId)) via.send({ kind: "cancel", askId });
    };
  }

  #way(to: Address): Transport | undefined {
    const thread =
      to.region === this.#options.region && to.via === undefined ? this.#locations.get(addressKey(to)) : undefined;
    if (thread !== undefined) return this.#peers.get(thread);
    return this.#gateway ?? (this.#gatewayThread === undefined ? undefined : this.#peers.get(this.#gatewayThread));
  }

  #attach(transport: Transport, gone: () => void): void {
    const inbound = new Map<number, Slot>();
    this.#inbound.set(transport, inbound);
    transport.onEnvelope((envelope) => this.#receive(transport, envelope));
    transport.onClosed(() => {
      gone();
      this.#inbound.delete(transport);
      for (const slot of inbound.values()) slot.cancel();
      for (const [askId, pending] of this.#pending) {
        if (pending.via !== transport) continue;
        this.#pending.delete(askId);
        pending.settle({
          kind: "error",
          error: { code: "ended", why: "its thread or connection ended while we waited" },
        });
      }
    });
  }

  #receive(transport: Transport, envelope: Envelope): void {
    switch (envelope.kind) {
      case "tell":
        return this.#forwardTell(transport, envelope);
      case "ask":
        return this.#forwardAsk(transport, envelope);
      case "mirror":
        // Only the gateway has a use for it.
        return this.#gateway === transport ? undefined : this.#gateway?.send(envelope);
      case "cancel":
        return this.#inbound.get(transport)?.get(envelope.askId)?.cancel();
      case "reply":
      case "error": {
        const pending = this.#pending.get(envelope.askId);
        // Late, repeated, or not from whom we asked.
        if (pending?.via !== transport) return undefined;
        this.#pending.delete(envelope.askId);
        return pending.settle(envelope);
      }
    }
  }

  #forwardTell(transport: Transport, { to, from, message, body }: Envelope & { kind: "tell" }): void {
    const local = this.#local.get(addressKey(to));
    if (local !== undefined && to.via === undefined) return local.deliver({ to, from, message, body });
    const way = this.#wayOn(transport, to);
    if (way === undefined) return this.drop("no-actor", { message });
    way.send({ kind: "tell", to, from, message, body });
  }

  #forwardAsk(transport: Transport, { to, from, message, body, askId }: Envelope & { kind: "ask" }): void {
    const inbound = this.#inbound.get(transport);
    // A duplicate, while the first is still being answered.
    if (inbound === undefined || inbound.has(askId)) return;
    let cancelAsk: () => void = () => undefined;
    const slot = answerSlot((outcome) => {
      inbound.delete(askId);
      if (outcome.kind === "reply") transport.send({ kind: "reply", askId, body: outcome.body });
      else transport.send({ kind: "error", askId, error: outcome.error });
    });
    inbound.set(askId, {
      answer: slot.answer,
      cancel() {
        inbound.delete(askId);
        slot.cancel();
        cancelAsk();
      },
    });
    const local = this.#local.get(addressKey(to));
    if (local !== undefined && to.via === undefined) {
      return local.deliver({ to, from, message, body, answer: slot.answer });
    }
    const way = this.#wayOn(transport, to);
    if (way === undefined) return slot.answer.fail({ code: "no-actor", why: "nobody is known at that address" });
    cancelAsk = this.#ask({ to, from, message, body }, (outcome) =>
      outcome.kind === "reply" ? slot.answer.reply(outcome.body) : slot.answer.fail(outcome.error),
    );
  }

  /** Only a gateway passes messages on, between the outside and the workers; never back to where they came from. */
  #wayOn(from: Transport, to: Address): Transport | undefined {
    if (this.#gateway === undefined) return undefined;
    const way = this.#way(to);
    return way === from ? undefined : way;
  }

  /** At once, before a buffer is handed over. */
  #mirrorOut({ to, from, message }: Delivery, of: Mirrored, body: unknown): void {
    if (this.#options.inspect !== true || !this.#locations.has(addressKey(to))) return;
    const second = Math.floor(performance.now() / 1000);
    if (this.#mirror.second !== second) this.#mirror = { second, count: 0 };
    if (++this.#mirror.count > MIRRORED_PER_SECOND_MAX) return this.#mirrorDropped("rate");
    const way = this.#gateway ?? (this.#gatewayThread === undefined ? undefined : this.#peers.get(this.#gatewayThread));
    if (way === undefined) return this.#mirrorDropped("disconnected");
    way.send({ kind: "mirror", to, from, message, of, text: shortJson(body) });
  }

  #mirrorDropped(reason: DropReason | "rate"): void {
    this.#options.metrics.count("freshet_mirror_dropped_total", 1, { reason });
  }
}

function answerSlot(settle: (outcome: Outcome) => void): Slot {
  let state: "open" | "answered" | "cancelled" = "open";
  return {
    answer: {
      reply(body) {
        if (state !== "open") return;
        state = "answered";
        settle({ kind: "reply", body });
      },
      fail(error) {
        if (state !== "open") return;
        state = "answered";
        settle({ kind: "error", error });
      },
      get cancelled() {
        return state === "cancelled";
      },
    },
    cancel() {
      if (state === "open") state = "cancelled";
    },
  };
}

function deadlinePassed(to: Address, message: string, signal: AbortSignal): AskFailed {
  return new AskFailed("deadline", to, message, { why: "its deadline passed without an answer", cause: signal.reason });
}
