import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { listening } from "../free-ports.ts";

/** The direction of bytes in a link: from the region that connects to the server, or back. */
export type Way = "out" | "back";

/** What a slow link does to what passes: each piece waits, and so many bytes a second go through. */
export interface Slowness {
  readonly delayMs: number;
  readonly bytesPerSecond: number;
}

/**
 * The network between a region's nodes and the nats-server of another. It can refuse connections and end those that are, once or again and again, swallow one
 * direction or both without a word until it heals and then deliver what it held, as TCP does, or be slow.
 */
export class Link implements AsyncDisposable {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #open = new Set<Socket>();
  readonly #stalled = new Set<Way>();
  #flapping: NodeJS.Timeout | undefined;
  #isCut = false;
  #slowness: Slowness | undefined;
  #healed = Promise.withResolvers<void>();

  private constructor(of: { from: string; to: string; server: Server; port: number; targetPort: number }) {
    this.from = of.from;
    this.to = of.to;
    this.port = of.port;
    this.#server = of.server;
    this.#targetPort = of.targetPort;
  }

  /** Hold it with `await using`. */
  static async open(of: { from: string; to: string; targetPort: number }): Promise<Link> {
    const server = createServer();
    const link = new Link({ ...of, server, port: await listening(server) });
    server.on("connection", (client) => link.#take(client));
    return link;
  }

  /** Ends every connection now and each new one as it comes. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#open) socket.destroy();
  }

  stall(way: Way): void {
    this.#stalled.add(way);
  }

  slow(slowness: Slowness): void {
    this.#slowness = slowness;
  }

  /** Is slow, and ends every connection again and again, with all that is on its way; new ones are taken. */
  flap(slowness: Slowness, everyMs: number): void {
    this.slow(slowness);
    clearInterval(this.#flapping);
    this.#flapping = setInterval(() => {
      for (const socket of this.#open) socket.destroy();
    }, everyMs);
  }

  heal(): void {
    clearInterval(this.#flapping);
    this.#isCut = false;
    this.#slowness = undefined;
    this.#stalled.clear();
    this.#healed.resolve();
    this.#healed = Promise.withResolvers<void>();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(client: Socket): void {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const target = connect({ port: this.#targetPort, host: "127.0.0.1" });
    for (const [from, to, way] of [
      [client, target, "out"],
      [target, client, "back"],
    ] as const) {
      this.#open.add(from);
      from.setNoDelay(true);
      // Its end follows, and ends the other side.
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#open.delete(from);
        to.destroy();
      });
      void this.#carry(from, to, way);
    }
  }

  async #carry(from: Socket, to: Socket, way: Way): Promise<void> {
    try {
      for await (const piece of from.iterator({ destroyOnReturn: true })) {
        if (!Buffer.isBuffer(piece)) continue;
        while (this.#stalled.has(way)) await this.#healed.promise;
        const slow = this.#slowness;
        if (slow !== undefined) await delay(slow.delayMs + (1_000 * piece.length) / slow.bytesPerSecond);
        if (to.destroyed) return;
        if (!to.write(piece)) await drained(to);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error; // the connection broke: its close ends the other side
    }
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", () => resolve());
  });
}
