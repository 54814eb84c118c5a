import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { expect, test, vi } from "vitest";
import { systemClock } from "../runtime/clock.ts";
import { createMetrics } from "../runtime/metrics.ts";
import { type ConnectionOptions, NatsLinkConnection } from "../runtime/transport/nats-connection.ts";
import { listening } from "./free-ports.ts";
import { startTestNats } from "./real-nats.ts";
import { startTcpProxy } from "./tcp-proxy.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** What the work gives, or "late" after so many milliseconds. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | "late"> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function connectionTo(port: number, options: Partial<ConnectionOptions> = {}): NatsLinkConnection {
  return new NatsLinkConnection({
    server: { url: `nats://127.0.0.1:${port}` },
    peer: "us",
    name: "test",
    inboxPrefix: "_INBOX_test",
    log: quiet,
    metrics: createMetrics(),
    clock: systemClock,
    ...options,
  });
}

test("close() waits neither for a peer that takes connections and says nothing, nor for the pause after a failure", async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
  const port = await listening(silent);
  try {
    const waiting = connectionTo(port);
    await once(silent, "connection");
    expect(await within(waiting.close(), 3000)).toBeUndefined();
    expect(waiting.state).toBe("closed");
    const pausing = connectionTo(port, { retryMs: 60_000 });
    await once(silent, "connection");
    for (const socket of sockets) socket.destroy();
    expect(await within(pausing.close(), 3000)).toBeUndefined();
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  }
});

test("a connection that was made while the clock was an hour ahead is made again once the clock is right", async () => {
  await using nats = await startTestNats({ jetStream: false });
  await using proxy = await startTcpProxy(nats.port);
  const now = Date.now.bind(Date);
  const ahead = vi.spyOn(Date, "now").mockImplementation(() => now() + 3_600_000);
  try {
    await using connection = connectionTo(proxy.port);
    await new Promise<void>((resolve) => connection.onUp(() => resolve()));
    const isDown = new Promise<void>((resolve) => connection.onDown(resolve));
    proxy.cut();
    await isDown;
    ahead.mockRestore();
    const isUp = new Promise<void>((resolve) => connection.onUp(() => resolve()));
    proxy.heal();
    await isUp;
    expect(connection.state).toBe("connected");
  } finally {
    ahead.mockRestore();
  }
});

test("a server that refuses to be connected again is told of once, and connected as soon as it does not", async () => {
  function start(password: string, port: number | "random" = "random") {
    const users = [{ user: "us", password, permissions: "all" as const }];
    return startTestNats({ jetStream: false, users, ...(port !== "random" && { port }) });
  }
  function isUp(connection: NatsLinkConnection): Promise<void> {
    return new Promise((resolve) => connection.onUp(() => resolve()));
  }
  const warnings: string[] = [];
  const log = { ...quiet, warn: (message: string) => void warnings.push(message) };
  const metrics = createMetrics();
  function refusals(): number {
    return metrics.snapshot().find(({ name }) => name === "freshet_link_errors_total")?.value ?? 0;
  }
  const first = await start("old");
  const { port } = first;
  const server = { url: first.url, user: "us", password: "old" };
  await using connection = connectionTo(port, { server, log, metrics });
  await isUp(connection);
  await first[Symbol.asyncDispose]();
  const other = await start("new", port);
  await vi.waitFor(() => expect(refusals()).toBeGreaterThanOrEqual(4), { timeout: 30_000 });
  await other[Symbol.asyncDispose]();
  await using again = await start("old", port);
  expect(again.port).toBe(port);
  await isUp(connection);
  expect(warnings.filter((each) => each.startsWith("a nats-server refuses to be connected again"))).toHaveLength(1);
  expect(warnings.filter((each) => each.startsWith("a nats-server refused something"))).toEqual([]);
});
