import { createServer, type Server } from "node:net";

/** Has a server listen on any free port of loopback, and gives that. */
export async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (typeof address === "object" && address !== null) return address.port;
  throw new TypeError("Cannot tell the port of a server that listens on a pipe");
}

/**
 * Below the ports that the system gives to outgoing connections, and to servers that take any: nobody gets one before its owner is up, or
 * while it is down.
 */
const STEADY = { from: 20_000, to: 32_000 };
const PARTS = 4;
const given = new Set<number>();

/** Where a worker of vitest has its ports, so that two test files that run at once never draw the same one. Without a worker: all of them. */
export function portsOf(worker: string | undefined): { readonly from: number; readonly to: number } {
  if (worker === undefined) return STEADY;
  const width = (STEADY.to - STEADY.from) / PARTS;
  const from = STEADY.from + (Number(worker) % PARTS) * width;
  return { from, to: from + width };
}

/** A free port for a server that starts later, or will be down now and then and come back to it. */
export async function steadyPort(): Promise<number> {
  const { from, to } = portsOf(process.env["VITEST_POOL_ID"]);
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = from + Math.floor(Math.random() * (to - from));
    if (given.has(port)) continue;
    // Before it is tried: another call may draw it meanwhile.
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`Cannot find a free port from ${from} to ${to}`);
}

/** So many of them, all different. */
export function steadyPorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, steadyPort));
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
