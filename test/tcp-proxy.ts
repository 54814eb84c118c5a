import { connect, createServer, type Socket } from "node:net";
import { listening } from "./free-ports.ts";

/** A piece of network between two processes that a test can cut: what connects to `port` reaches the target while it is whole. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes that came back from the target, over all connections. */
  readonly bytesBack: number;
  /** Ends every connection now and each new one as it comes. */
  cut(): void;
  heal(): void;
}

/** Hold it with `await using`. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const open = new Set<Socket>();
  let whole = true;
  let bytesBack = 0;
  const server = createServer((client) => {
    if (!whole) {
      client.destroy();
      return;
    }
    const target = connect({ port: targetPort, host: "127.0.0.1" });
    target.on("data", (part) => (bytesBack += part.length));
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      open.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  const port = await listening(server);
  function cut(): void {
    whole = false;
    for (const socket of open) socket.destroy();
  }
  return {
    port,
    get bytesBack() {
      return bytesBack;
    },
    cut,
    heal: () => {
      whole = true;
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
