import { createServer, type Server } from "node:net";

/** Ports of this machine that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(servers.map(listening));
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

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

/** Below the ports that outgoing connections get, so that nobody takes one while its owner is down. */
const STEADY = { from: 20_000, to: 32_000 };
const given = new Set<number>();

/** A free port for a server that will be down now and then, and come back to it. */
export async function steadyPort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = STEADY.from + Math.floor(Math.random() * (STEADY.to - STEADY.from));
    if (!given.has(port) && (await isFree(port))) {
      given.add(port);
      return port;
    }
  }
  throw new Error(`Cannot find a free port from ${STEADY.from} to ${STEADY.to}`);
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
