import { createRandom, nextFloat } from "../../protocols/random.ts";
import { type Clock } from "../clock.ts";
import { type DropCounter, type Envelope, packBody, type Transport, type WireError } from "./transport.ts";

/** What a simulated network does to what is sent. Chances are per message, in [0, 1]. */
export interface Faults {
  readonly loss: number;
  readonly duplicates: number;
  /** Whether messages of one pair may overtake each other. */
  readonly reorder: boolean;
  readonly latencyMsMin: number;
  readonly latencyMsMax: number;
}

const noFaults: Faults = { loss: 0, duplicates: 0, reorder: false, latencyMsMin: 1, latencyMsMax: 1 };

export interface NetworkOptions {
  readonly seed: number;
  readonly clock: Clock;
  readonly drop: DropCounter;
  /** Messages on their way at once; beyond it asks are refused and tells dropped. Default 100,000. */
  readonly inFlightMax?: number;
}

/** A simulated network of regions, one transport each. The same seed and the same sends give the same deliveries. */
export interface MemoryNetwork {
  join(region: string): Transport;
  setFaults(faults: Partial<Faults>): void;
  /** Nothing passes between the two, in either direction, until healed. What is on its way is lost. */
  partition(a: string, b: string): void;
  heal(a: string, b: string): void;
}

interface Node {
  readonly region: string;
  receive: ((envelope: Envelope) => void) | undefined;
  whenClosed: (() => void) | undefined;
  closed: boolean;
  nextIncoming: number;
  /** Own ask -> whom it went to. */
  readonly outgoing: Map<number, string>;
  /** Ask as this node knows it -> who asks, under its own number. */
  readonly incoming: Map<number, { readonly region: string; readonly askId: number }>;
}

export function memoryNetwork({ seed, clock, drop, inFlightMax = 100_000 }: NetworkOptions): MemoryNetwork {
  const random = createRandom(seed);
  const nodes = new Map<string, Node>();
  const cuts = new Set<string>();
  const lastArrival = new Map<string, number>();
  let faults: Faults = noFaults;
  let inFlight = 0;

  function isCut(a: string, b: string): boolean {
    return cuts.has(`${a} ${b}`) || cuts.has(`${b} ${a}`);
  }

  /** Brings it there later, once, twice or not at all. */
  function carry(from: Node, to: Node, deliver: () => void): void {
    const pair = `${from.region} ${to.region}`;
    const copies = nextFloat(random) < faults.loss ? 0 : nextFloat(random) < faults.duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const earliestMs =
        clock.nowMs() + faults.latencyMsMin + nextFloat(random) * (faults.latencyMsMax - faults.latencyMsMin);
      const atMs = faults.reorder ? earliestMs : Math.max(earliestMs, lastArrival.get(pair) ?? 0);
      lastArrival.set(pair, atMs);
      inFlight++;
      clock.after(atMs - clock.nowMs(), () => {
        inFlight--;
        if (!isCut(from.region, to.region) && !to.closed) deliver();
      });
    }
  }

  function fail(node: Node, askId: number, error: WireError): void {
    node.outgoing.delete(askId);
    clock.after(0, () => node.receive?.({ kind: "error", askId, error }));
  }

  function sendOn(node: Node, envelope: Envelope & { kind: "tell" | "ask" }): void {
    function refuse(reason: Parameters<DropCounter>[0], error: WireError): void {
      if (envelope.kind === "tell") drop(reason, envelope);
      else fail(node, envelope.askId, error);
    }
    const to = nodes.get(envelope.to.region);
    if (to === undefined || to.closed) return refuse("no-actor", { code: "no-actor", why: "there is no such region" });
    if (inFlight >= inFlightMax) return refuse("backpressure", { code: "mailbox-full", why: "too much is on its way" });
    let body: unknown;
    try {
      body = structuredClone(packBody(envelope.body).body);
    } catch (error) {
      return refuse("not-data", { code: "refused", why: error instanceof Error ? error.message : "it is not data" });
    }
    if (envelope.kind === "ask") node.outgoing.set(envelope.askId, to.region);
    carry(node, to, () => {
      if (envelope.kind === "tell") return to.receive?.({ ...envelope, body });
      const askId = to.nextIncoming++;
      to.incoming.set(askId, { region: node.region, askId: envelope.askId });
      return to.receive?.({ ...envelope, askId, body });
    });
  }

  function answer(node: Node, envelope: Envelope & { kind: "reply" | "error" }): void {
    const asker = node.incoming.get(envelope.askId);
    node.incoming.delete(envelope.askId);
    const to = asker === undefined ? undefined : nodes.get(asker.region);
    if (asker === undefined || to === undefined) return;
    const { askId } = asker;
    const back: Envelope = envelope.kind === "error" ? { ...envelope, askId } : cloneReply(envelope.body, askId);
    carry(node, to, () => {
      // A second copy, or later than anybody cares.
      if (to.outgoing.delete(askId)) to.receive?.(back);
    });
  }

  return {
    setFaults(changed) {
      faults = { ...faults, ...changed };
    },
    partition: (a, b) => void cuts.add(`${a} ${b}`),
    heal(a, b) {
      cuts.delete(`${a} ${b}`);
      cuts.delete(`${b} ${a}`);
    },
    join(region) {
      const node: Node = {
        region,
        receive: undefined,
        whenClosed: undefined,
        closed: false,
        nextIncoming: 1,
        outgoing: new Map(),
        incoming: new Map(),
      };
      nodes.set(region, node);
      function close(): void {
        if (node.closed) return;
        for (const askId of node.incoming.keys()) {
          answer(node, { kind: "error", askId, error: { code: "ended", why: "its process is ending" } });
        }
        node.closed = true;
        node.whenClosed?.();
      }
      return {
        send(envelope) {
          if (envelope.kind === "reply" || envelope.kind === "error") {
            return node.closed ? undefined : answer(node, envelope);
          }
          if (envelope.kind === "cancel") return void node.outgoing.delete(envelope.askId);
          if (envelope.kind === "mirror") return;
          if (!node.closed) return sendOn(node, envelope);
          if (envelope.kind === "tell") drop("ended", envelope);
          else fail(node, envelope.askId, { code: "ended", why: "the transport is closed" });
        },
        onEnvelope: (receive) => void (node.receive = receive),
        onClosed(closed) {
          node.whenClosed = closed;
          if (node.closed) closed();
        },
        close: async () => close(),
        [Symbol.asyncDispose]: async () => close(),
      };
    },
  };
}

function cloneReply(body: unknown, askId: number): Envelope {
  try {
    return { kind: "reply", askId, body: structuredClone(packBody(body).body) };
  } catch (error) {
    return {
      kind: "error",
      askId,
      error: { code: "failed", why: `its answer is not data: ${error instanceof Error ? error.message : ""}` },
    };
  }
}
