import { type MessagePort } from "node:worker_threads";
import { fifo } from "../mailbox.ts";
import { type DropCounter, type Envelope, packBody, type SendOptions, type Transport } from "./transport.ts";

export interface PortOptions {
  readonly drop: DropCounter;
  /** Messages that the other thread has not taken yet; beyond it asks are refused and tells dropped. Default 20,000. */
  readonly inFlightMax?: number;
  /** The same in bytes of buffers. Default 256 MiB. */
  readonly bytesInFlightMax?: number;
}

/** What crosses the port: an envelope, or how many the other end has taken since it last said so. */
type Frame =
  | { readonly kind: "envelope"; readonly envelope: Envelope }
  | { readonly kind: "taken"; readonly count: number };

const TAKEN_EVERY = 64;

/**
 * Envelopes to another thread. Nothing is lost while both ends live, and order is kept. A port itself queues without bound, so each end
 * tells the other what it has taken.
 */
export function portTransport(port: MessagePort, options: PortOptions): Transport {
  const { drop, inFlightMax = 20_000, bytesInFlightMax = 256 * 2 ** 20 } = options;
  const sizes = fifo<number>();
  let bytesInFlight = 0;
  let taken = 0;
  let closed = false;
  let receive: ((envelope: Envelope) => void) | undefined;
  let whenClosed: (() => void) | undefined;

  function end(): void {
    if (closed) return;
    closed = true;
    port.close();
    whenClosed?.();
  }

  function fail(envelope: Envelope, code: "mailbox-full" | "refused" | "ended", why: string): void {
    // Later, as every answer: whoever asked has not yet noted that it waits.
    if (envelope.kind === "ask") {
      queueMicrotask(() => receive?.({ kind: "error", askId: envelope.askId, error: { code, why } }));
    }
  }

  function post(frame: Frame, transfer: readonly ArrayBuffer[] = []): void {
    port.postMessage(frame, [...transfer]);
  }

  function send(envelope: Envelope, { transfer }: SendOptions = {}): void {
    if (closed) {
      if (envelope.kind === "tell") drop("ended", envelope);
      fail(envelope, "ended", "its thread has ended");
      return;
    }
    // Answers and cancellations are never refused: there are at most as many as asks were let through.
    const bounded = envelope.kind === "tell" || envelope.kind === "ask" || envelope.kind === "mirror";
    if (bounded && (sizes.size >= inFlightMax || bytesInFlight >= bytesInFlightMax)) {
      if (envelope.kind !== "ask") drop("backpressure", envelope);
      fail(envelope, "mailbox-full", "its thread is behind");
      return;
    }
    let bytes = 0;
    try {
      if ("body" in envelope) {
        const packed = packBody(envelope.body, transfer);
        ({ bytes } = packed);
        post(
          { kind: "envelope", envelope: packed.body === envelope.body ? envelope : { ...envelope, body: packed.body } },
          transfer,
        );
      } else {
        post({ kind: "envelope", envelope });
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // A DataCloneError: a function, a symbol or a detached buffer was in it. Nothing was sent.
      drop("not-data", "message" in envelope ? envelope : {});
      fail(envelope, "refused", error.message);
      const why = { code: "failed" as const, why: `its answer is not data: ${error.message}` };
      if (envelope.kind === "reply") {
        post({ kind: "envelope", envelope: { kind: "error", askId: envelope.askId, error: why } });
      }
      if (envelope.kind === "error") {
        post({
          kind: "envelope",
          envelope: { ...envelope, error: { code: envelope.error.code, why: envelope.error.why } },
        });
      }
      bytes = 0;
      if (envelope.kind !== "reply" && envelope.kind !== "error") return;
    }
    sizes.put(bytes);
    bytesInFlight += bytes;
  }

  // Only this module posts to such a port, so what arrives is a frame.
  function take(frame: Frame): void {
    if (frame.kind === "taken") {
      for (let count = 0; count < frame.count; count++) bytesInFlight -= sizes.take() ?? 0;
      return;
    }
    if (++taken === TAKEN_EVERY) {
      post({ kind: "taken", count: taken });
      taken = 0;
    }
    receive?.(frame.envelope);
  }
  port.on("messageerror", () => drop("undecodable", {}));
  port.on("close", end);
  return {
    send,
    onEnvelope(receiver) {
      // Listening starts the port; until then it keeps what arrives.
      if (receive === undefined) port.on("message", take);
      receive = receiver;
    },
    onClosed(callback) {
      whenClosed = callback;
      if (closed) callback();
    },
    async close() {
      end();
    },
    async [Symbol.asyncDispose]() {
      end();
    },
  };
}
