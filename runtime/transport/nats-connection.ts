import {
  AuthorizationError,
  connect,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  nuid,
  type Subscription,
} from "@nats-io/transport-node";
import { type Logger, type Metrics } from "../actor.ts";
import { type Clock } from "../clock.ts";
import { connectOptions, type NatsServerOptions } from "./nats-server-options.ts";
import { Redial } from "./redial.ts";

export interface ConnectionOptions {
  readonly server: NatsServerOptions;
  /** The region whose server it is: the label of its metrics. */
  readonly peer: string;
  readonly name: string;
  readonly inboxPrefix: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Published and not yet taken by the server. Default 64 MiB. */
  readonly bytesInFlightMax?: number;
  /** Default 250. */
  readonly retryMs?: number;
}

export type ConnectionState = "connecting" | "connected" | "cut" | "closed";

/** What became of a publication. */
export type Published = "sent" | "disconnected" | "backpressure" | "too-large";

/** A part of a message beside its payload: protocol line, headers' framing. */
const OVERHEAD_BYTES = 512;
/** The most between two attempts for the first time, before chance comes to it. */
const RETRY_MS_MAX = 5_000;
const FLUSH_EVERY_BYTES = 1024 * 1024;

/**
 * One connection to one server, kept up for ever unless cut on purpose: the first time it is tried with growing, jittered waits, and after it was
 * disconnected without growing ones, unless it is refused. What is published while it is down is refused at once and never kept: it would arrive long after anybody cared.
 */
export class NatsLinkConnection implements AsyncDisposable {
  readonly peer: string;
  readonly #options: ConnectionOptions;
  readonly #subjects = new Map<string, { callback: (msg: Msg) => void; live?: Subscription }>();
  readonly #onUp = new Set<(nc: NatsConnection) => void>();
  readonly #onDown = new Set<() => void>();
  readonly inbox: string;
  #nc: NatsConnection | undefined;
  #state: ConnectionState = "connecting";
  #unflushed = 0;
  #flushing = false;
  #wake: (() => void) | undefined;
  #counted = { inBytes: 0, outBytes: 0, inMsgs: 0, outMsgs: 0 };
  #rttMs: number | undefined;
  readonly #redial: Redial;
  readonly #closing = Promise.withResolvers<undefined>();
  readonly #loop: Promise<void>;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#redial = new Redial(options.clock);
    this.peer = options.peer;
    this.inbox = `${options.inboxPrefix}.${nuid.next()}`;
    options.metrics.gauge("freshet_link_connected", 0, { peer: this.peer });
    this.#loop = this.#keepUp();
    this.#tick();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** The connection while it is up. */
  get live(): NatsConnection | undefined {
    return this.#state === "connected" ? this.#nc : undefined;
  }

  /** Called at each connection or reconnection, at once if it is up. */
  onUp(up: (nc: NatsConnection) => void): void {
    this.#onUp.add(up);
    if (this.live !== undefined) up(this.live);
  }

  onDown(down: () => void): void {
    this.#onDown.add(down);
  }

  /** Subscribed now and after each reconnection. */
  subscribe(subject: string, callback: (msg: Msg) => void): void {
    this.unsubscribe(subject);
    const wanted: { callback: (msg: Msg) => void; live?: Subscription } = { callback };
    this.#subjects.set(subject, wanted);
    if (this.#nc !== undefined && !this.#nc.isClosed()) this.#subscribe(this.#nc, subject, wanted);
  }

  unsubscribe(subject: string): void {
    const held = this.#subjects.get(subject);
    this.#subjects.delete(subject);
    if (held?.live?.isClosed() === false) held.live.unsubscribe();
  }

  publish(
    subject: string,
    payload: Uint8Array,
    { headers, reply }: { headers?: MsgHdrs; reply?: string } = {},
  ): Published {
    const nc = this.live;
    if (nc === undefined || nc.isClosed()) return "disconnected";
    const bytes = payload.length + OVERHEAD_BYTES;
    if (bytes > (nc.info?.max_payload ?? 1024 * 1024)) return "too-large";
    if (this.#unflushed + bytes > (this.#options.bytesInFlightMax ?? 64 * 1024 * 1024)) return "backpressure";
    nc.publish(subject, payload, {
      ...(headers === undefined ? {} : { headers }),
      ...(reply === undefined ? {} : { reply }),
    });
    this.#unflushed += bytes;
    if (this.#unflushed >= FLUSH_EVERY_BYTES) this.#flush(nc);
    return "sent";
  }

  /** Disconnects and stays so until healed. */
  async cut(): Promise<void> {
    if (this.#state === "closed") return;
    this.#down("cut");
    await this.#nc?.close();
  }

  heal(): void {
    if (this.#state !== "cut") return;
    this.#state = "connecting";
    this.#wake?.();
  }

  async close(): Promise<void> {
    if (this.#state !== "closed") {
      const { live } = this;
      // What has been published leaves first, if the server takes it.
      if (live !== undefined) await Promise.race([live.flush().catch(() => undefined), this.#pauseFor(500)]);
      this.#down("closed");
      this.#closing.resolve(undefined);
      this.#wake?.();
      await this.#nc?.close();
    }
    await this.#loop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #keepUp(): Promise<void> {
    let failures = 0;
    while (this.state !== "closed") {
      if (this.state === "cut") {
        await this.#pause(undefined);
        continue;
      }
      const nc = await this.#open();
      if (nc === undefined) {
        // Up to 5 s, and never all at the same moment.
        await this.#pause(
          Math.min(RETRY_MS_MAX, (this.#options.retryMs ?? 250) * 2 ** Math.min(failures++, 5)) * (0.5 + Math.random()),
        );
        continue;
      }
      failures = 0;
      await this.#follow(nc);
    }
  }

  /** Undefined when it fails, or as soon as this is closed. */
  async #open(): Promise<NatsConnection | undefined> {
    const { server, name, inboxPrefix, log, metrics } = this.#options;
    try {
      const connecting = connect({
        ...connectOptions(server),
        name,
        inboxPrefix,
        // The server knows our own publications: only inspection sends to where we listen ourselves.
        noEcho: true,
        timeout: 5000,
        pingInterval: 2000,
        maxPingOut: 2,
        maxReconnectAttempts: -1,
        ...this.#redial.handlers,
        ignoreAuthErrorAbort: true,
      });
      // It cannot be called off and may take all of its timeout: what comes of it later is closed unseen.
      const nc = await Promise.race([connecting, this.#closing.promise]);
      if (nc !== undefined && this.state === "connecting") return nc;
      connecting.then((late) => late.close()).catch(() => undefined);
    } catch (error) {
      const reason = error instanceof AuthorizationError ? "refused" : "unreachable";
      metrics.count("freshet_link_connect_failures_total", 1, { peer: this.peer, reason });
      log.warn("cannot connect to a nats-server; it is tried again, ever more seldom", {
        peer: this.peer,
        reason,
        check:
          reason === "refused"
            ? "our user and password, and what it grants us"
            : "that it runs, its address, the network",
        error,
      });
    }
    return undefined;
  }

  async #follow(nc: NatsConnection): Promise<void> {
    this.#nc = nc;
    this.#counted = { inBytes: 0, outBytes: 0, inMsgs: 0, outMsgs: 0 };
    for (const [subject, wanted] of this.#subjects) this.#subscribe(nc, subject, wanted);
    this.#up(nc);
    for await (const status of nc.status()) {
      if (status.type === "disconnect") this.#down("connecting");
      else if (status.type === "reconnect") {
        this.#options.metrics.count("freshet_link_reconnects_total", 1, { peer: this.peer });
        this.#up(nc);
      } else if (status.type === "error") {
        this.#noteError(status.error);
      }
      if (nc.isClosed()) break;
    }
    if (this.#state === "connected") this.#down("connecting");
    this.#count();
    this.#nc = undefined;
  }

  /** Of an outage the first is told: each attempt to connect again brings another. */
  #noteError(error: Error): void {
    const { log, metrics } = this.#options;
    metrics.count("freshet_link_errors_total", 1, { peer: this.peer });
    if (this.#state === "connected") {
      log.warn("a nats-server refused something", { peer: this.peer, error });
      return;
    }
    if (!this.#redial.refused()) return;
    const check = "our user and password: whoever starts that server anew with another state folder gives it others";
    log.warn("a nats-server refuses to be connected again; it is tried ever more seldom", {
      peer: this.peer,
      check,
      error,
    });
  }

  #up(nc: NatsConnection): void {
    if (this.#state !== "connecting") return;
    this.#state = "connected";
    this.#redial.connected();
    this.#unflushed = 0;
    this.#options.metrics.gauge("freshet_link_connected", 1, { peer: this.peer });
    this.#options.log.info("connected to a nats-server", { peer: this.peer, version: nc.info?.version });
    for (const up of this.#onUp) up(nc);
  }

  #down(to: "connecting" | "cut" | "closed"): void {
    const was = this.#state;
    this.#state = to;
    if (was !== "connected") return;
    this.#rttMs = undefined;
    this.#options.metrics.gauge("freshet_link_connected", 0, { peer: this.peer });
    const { log } = this.#options;
    if (to === "closed") log.info("the connection to a nats-server is closed", { peer: this.peer });
    else log.warn("disconnected from a nats-server", { peer: this.peer, state: to });
    for (const down of this.#onDown) down();
  }

  #subscribe(nc: NatsConnection, subject: string, wanted: { callback: (msg: Msg) => void; live?: Subscription }): void {
    wanted.live = nc.subscribe(subject, {
      callback: (error, msg) => {
        if (error === null) wanted.callback(msg);
        else this.#options.log.warn("a subscription failed", { peer: this.peer, subject, error });
      },
    });
    // Refused subscriptions are reported above; the promise says it again.
    void wanted.live.closed.catch(() => undefined);
  }

  #flush(nc: NatsConnection): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const sent = this.#unflushed;
    nc.flush()
      .then(
        () => (this.#unflushed = Math.max(0, this.#unflushed - sent)),
        () => (this.#unflushed = 0), // disconnected: nothing is in flight any more
      )
      .finally(() => (this.#flushing = false))
      .catch(() => undefined);
  }

  /** Waits so long, or until woken; not at all once closed, for that wake has come and gone. */
  #pause(ms: number | undefined): Promise<void> {
    if (this.#state === "closed") return Promise.resolve();
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : this.#options.clock.after(ms, resolve);
      this.#wake = () => {
        timer?.cancel();
        resolve();
      };
    });
  }

  #pauseFor(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }

  #tick(): void {
    if (this.#state === "closed") return;
    this.#count();
    const { live } = this;
    if (live !== undefined) {
      this.#flush(live);
      void this.#measure(live);
    }
    this.#options.clock.after(1000, () => this.#tick());
  }

  async #measure(nc: NatsConnection): Promise<void> {
    try {
      this.#rttMs = await nc.rtt();
      this.#options.metrics.gauge("freshet_link_rtt_seconds", this.#rttMs / 1000, { peer: this.peer });
    } catch {
      // Disconnected meanwhile, which is reported elsewhere.
    }
  }

  #count(): void {
    const now = this.#nc?.stats();
    if (now === undefined) return;
    const { metrics } = this.#options;
    const before = this.#counted;
    this.#counted = { ...now };
    metrics.count("freshet_link_bytes_total", now.inBytes - before.inBytes, { peer: this.peer, direction: "in" });
    metrics.count("freshet_link_bytes_total", now.outBytes - before.outBytes, { peer: this.peer, direction: "out" });
    metrics.count("freshet_link_messages_total", now.inMsgs - before.inMsgs, { peer: this.peer, direction: "in" });
    metrics.count("freshet_link_messages_total", now.outMsgs - before.outMsgs, { peer: this.peer, direction: "out" });
  }
}
