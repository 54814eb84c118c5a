import { type Msg } from "@nats-io/transport-node";
import { type Address, type Logger, type Metrics } from "../actor.ts";
import { type Clock } from "../clock.ts";
import { actorSubscription, buildSubject } from "../../protocols/subjects.ts";
import { NatsLinkConnection, type Published } from "./nats-connection.ts";
import { createCompression } from "./compression.ts";
import { type NatsServerOptions } from "./nats-server-options.ts";
import {
  decodeAddressing,
  decodeAnswer,
  decodeBody,
  encodeBody,
  encodeError,
  encodeMirror,
  isBytes,
  FROM_HEADER,
  MIRROR_HEADER,
  type NatsPayload,
  NotPlainData,
} from "./nats-codec.ts";
import { type DropCounter, type DropReason, type Envelope, type Transport, type WireError } from "./transport.ts";

/** A peer's server, and whether bytes that come from it are to be compressed. */
export interface PeerOptions extends NatsServerOptions {
  readonly region: string;
  readonly compress?: "zstd" | "never";
}

export interface NatsTransportOptions {
  readonly region: string;
  readonly node: string;
  readonly own: NatsServerOptions;
  readonly peers: readonly PeerOptions[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly drop: DropCounter;
  readonly bytesInFlightMax?: number;
}

/** A transport to whatever the own region's and the peers' servers reach. */
export interface NatsTransport extends Transport {
  /** By region: the own one's and each peer's. */
  readonly connections: ReadonlyMap<string, NatsLinkConnection>;
  /**
   * Receives what is sent to an actor of this region: on every peer's server, for what is told back there, and on the own one
   * unless somebody else subscribes there and calls `receive`.
   */
  listen(address: Address, options?: { readonly peersOnly?: boolean }): void;
  unlisten(address: Address): void;
  /** The subject that `listen` subscribes to. */
  subscription(address: Address): string;
  /** Takes a message that arrived on the own server by other means than `listen`. */
  receive(msg: Msg): void;
}

/** Asks of others that are being answered here; beyond it they are told that we are behind. */
const INBOUND_MAX = 20_000;

interface Outgoing {
  readonly connection: NatsLinkConnection;
}

interface Incoming {
  readonly connection: NatsLinkConnection;
  readonly reply: string;
  readonly message: string;
}

/** Connects in the background; nothing waits for a server. */
export function natsTransport(options: NatsTransportOptions): NatsTransport {
  const { region, node, drop, log, metrics, clock } = options;
  const outgoing = new Map<number, Outgoing>();
  const incoming = new Map<number, Incoming>();
  const early: Envelope[] = [];
  const sparing = new Set(options.peers.filter(({ compress }) => compress === "zstd").map((peer) => peer.region));
  const compression = createCompression({ sparing, metrics, isBytes });
  let nextIncoming = 1;
  let receiver: ((envelope: Envelope) => void) | undefined;
  let whenClosed: (() => void) | undefined;
  let closed = false;

  function open(peer: string, server: NatsServerOptions): NatsLinkConnection {
    const connection = new NatsLinkConnection({
      server,
      peer,
      name: `freshet-${region}-${node}-to-${peer}`,
      inboxPrefix: `_INBOX_${region}`,
      log,
      metrics,
      clock,
      ...(options.bytesInFlightMax === undefined ? {} : { bytesInFlightMax: options.bytesInFlightMax }),
    });
    connection.subscribe(`${connection.inbox}.*`, (msg) => answered(connection, msg));
    connection.onDown(() => {
      for (const [askId, { connection: over }] of outgoing) {
        if (over === connection) fail(askId, { code: "ended", why: `the link to ${peer} went down while we waited` });
      }
    });
    return connection;
  }

  const own = open(region, options.own);
  const connections = new Map([[region, own]]);
  for (const peer of options.peers) connections.set(peer.region, open(peer.region, peer));

  function hand(envelope: Envelope): void {
    if (closed) return;
    if (receiver !== undefined) receiver(envelope);
    else if (early.length < INBOUND_MAX) early.push(envelope);
  }

  function fail(askId: number, error: WireError): void {
    outgoing.delete(askId);
    // Later, as every answer: whoever asked may not have noted yet that it waits.
    queueMicrotask(() => hand({ kind: "error", askId, error }));
  }

  function answered(connection: NatsLinkConnection, msg: Msg): void {
    const askId = Number(msg.subject.slice(connection.inbox.length + 1));
    // Late, repeated, or made up.
    if (outgoing.get(askId)?.connection !== connection) return;
    outgoing.delete(askId);
    const decoded = decodeAnswer(msg);
    hand(
      "error" in decoded
        ? { kind: "error", askId, error: decoded.error }
        : { kind: "reply", askId, body: decoded.body },
    );
  }

  function arrived(connection: NatsLinkConnection, msg: Msg): void {
    if (msg.headers?.has(MIRROR_HEADER) === true) return;
    const asked = msg.reply !== undefined && msg.reply !== "" ? { reply: msg.reply } : undefined;
    const addressing = decodeAddressing(msg);
    if (addressing === undefined || !isAllowed(connection, addressing)) {
      drop("forged", addressing ?? {});
      log.warn("refused a message whose subject is not of a sender that may use this connection", {
        peer: connection.peer,
        subject: msg.subject,
      });
      return;
    }
    compression.incoming(addressing.from, msg.headers);
    const decoded = decodeBody(msg);
    if (decoded === undefined) {
      drop("undecodable", addressing);
      log.warn("refused a message whose payload is neither JSON nor marked as bytes", {
        peer: connection.peer,
        subject: msg.subject,
      });
      const refused: WireError = { code: "refused", why: "the payload is neither JSON nor marked as bytes" };
      if (asked !== undefined) answer({ connection, ...asked, message: addressing.message }, encodeError(refused));
      return;
    }
    const { to, message } = addressing;
    const from: Address =
      connection === own && addressing.from.region !== region ? { ...addressing.from, via: "own" } : addressing.from;
    if (asked === undefined) return hand({ kind: "tell", to, from, message, body: decoded.body });
    const ask: Incoming = { connection, ...asked, message };
    if (incoming.size >= INBOUND_MAX) {
      drop("backpressure", { message });
      return void answer(ask, encodeError({ code: "mailbox-full", why: `${INBOUND_MAX} asks wait at this node` }));
    }
    const askId = nextIncoming++;
    incoming.set(askId, ask);
    hand({ kind: "ask", askId, to, from, message, body: decoded.body });
  }

  function isAllowed(connection: NatsLinkConnection, { to, from }: { to: Address; from: Address }): boolean {
    return to.region === region && (connection === own || from.region === connection.peer);
  }

  function answer({ connection, reply }: Incoming, { payload, headers }: NatsPayload): Published {
    return connection.publish(reply, payload, { headers });
  }

  /** The server that a message to an address is published on. */
  function connectionTo(to: Address): NatsLinkConnection | undefined {
    return to.via === "own" ? own : connections.get(to.region);
  }

  function publish(envelope: Envelope & { kind: "tell" | "ask" | "mirror" }): {
    refused?: WireError;
    reason?: DropReason;
    connection?: NatsLinkConnection;
  } {
    const { to, from, message } = envelope;
    const connection = envelope.kind === "mirror" ? own : connectionTo(to);
    if (connection === undefined) {
      return { reason: "no-actor", refused: { code: "no-actor", why: `there is no link to region ${to.region}` } };
    }
    let encoded: NatsPayload;
    let subject: string;
    try {
      subject = buildSubject({ toRegion: to.region, kind: to.kind, id: to.id, message, fromRegion: region });
      encoded = envelope.kind === "mirror" ? encodeMirror(envelope) : encodeBody(envelope.body, message);
    } catch (error) {
      // InvalidToken or NotPlainData: nothing of it can be sent.
      return {
        reason: "not-data",
        refused: { code: "refused", why: error instanceof Error ? error.message : "it cannot be sent" },
      };
    }
    encoded.headers.set(FROM_HEADER, `${from.kind}.${from.id}`);
    const reply = envelope.kind === "ask" ? { reply: `${connection.inbox}.${envelope.askId}` } : {};
    const payload = compression.outgoing(to, encoded);
    const published = connection.publish(subject, payload, { headers: encoded.headers, ...reply });
    return published === "sent" ? { connection } : { reason: published, refused: refusal(published, connection.peer) };
  }

  function sendReply(askId: number, encode: (message: string) => NatsPayload): void {
    const ask = incoming.get(askId);
    if (ask === undefined) return;
    incoming.delete(askId);
    let encoded: NatsPayload;
    try {
      encoded = encode(ask.message);
    } catch (error) {
      if (!(error instanceof NotPlainData)) throw error;
      encoded = encodeError({ code: "failed", why: error.message });
      drop("not-data", ask);
    }
    const published = answer(ask, encoded);
    if (published === "sent") return;
    drop(published, ask);
    if (published === "too-large") {
      answer(
        ask,
        encodeError({
          code: "failed",
          why: `its answer of ${encoded.payload.length} bytes is larger than the server takes`,
        }),
      );
    }
  }

  return {
    connections,
    send(envelope) {
      switch (envelope.kind) {
        case "tell":
        case "mirror": {
          const { reason } = closed ? { reason: "ended" as const } : publish(envelope);
          if (reason !== undefined) drop(reason, envelope);
          return;
        }
        case "ask": {
          if (closed) return fail(envelope.askId, { code: "ended", why: "the transport is closed" });
          const { refused, connection } = publish(envelope);
          if (refused !== undefined) fail(envelope.askId, refused);
          else if (connection !== undefined) outgoing.set(envelope.askId, { connection });
          return;
        }
        case "reply":
          return sendReply(envelope.askId, (message) => encodeBody(envelope.body, message));
        case "error":
          return sendReply(envelope.askId, () => encodeError(envelope.error));
        case "cancel":
          outgoing.delete(envelope.askId);
      }
    },
    onEnvelope(receive) {
      receiver = receive;
      for (const envelope of early.splice(0)) receive(envelope);
    },
    onClosed(callback) {
      whenClosed = callback;
      if (closed) callback();
    },
    listen(address, { peersOnly = false } = {}) {
      const subject = actorSubscription(address);
      for (const connection of connections.values()) {
        if (!peersOnly || connection !== own) connection.subscribe(subject, (msg) => arrived(connection, msg));
      }
    },
    unlisten(address) {
      for (const connection of connections.values()) connection.unsubscribe(actorSubscription(address));
    },
    subscription: actorSubscription,
    receive: (msg) => arrived(own, msg),
    async close() {
      if (!closed) {
        closed = true;
        // Whoever waits for us hears that it waits in vain, as far as its server is there.
        const ended = encodeError({ code: "ended", why: "its process is ending" });
        for (const ask of incoming.values()) answer(ask, ended);
        incoming.clear();
        outgoing.clear();
        whenClosed?.();
      }
      await Promise.all([...connections.values()].map((connection) => connection.close()));
    },
    async [Symbol.asyncDispose]() {
      await this.close();
    },
  };
}

function refusal(published: Exclude<Published, "sent">, peer: string): WireError {
  switch (published) {
    case "disconnected":
      return { code: "no-actor", why: `the link to ${peer} is down` };
    case "backpressure":
      return { code: "mailbox-full", why: `the link to ${peer} is behind` };
    case "too-large":
      return { code: "refused", why: `the payload is larger than the server of ${peer} takes` };
  }
}
