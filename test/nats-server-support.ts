import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect, PermissionViolationError, type NatsConnection } from "@nats-io/transport-node";
import { expect } from "vitest";
import { type NatsServerConfig } from "../runtime/nats-server/config.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import { NatsServerProcess, type NatsServerOptions } from "../runtime/nats-server/server.ts";

const deadlineMs = 20_000;

export async function start(
  folder: string,
  config: Partial<NatsServerConfig>,
  options: Partial<NatsServerOptions> = {},
): Promise<NatsServerProcess> {
  const whole = { name: "n", listen: { host: "127.0.0.1", port: "random" }, ...config } as const;
  return NatsServerProcess.start({
    binary: await ensureNatsServer(),
    folder,
    stopGraceMs: 3000,
    config: whole,
    ...options,
  });
}

export interface Client extends AsyncDisposable {
  readonly connection: NatsConnection;
  readonly refused: string[];
}

export async function open(url: string, user?: string, pass?: string): Promise<Client> {
  const connection = await connect({
    servers: url,
    reconnect: false,
    ...(user === undefined ? {} : { user }),
    ...(pass === undefined ? {} : { pass }),
  });
  const refused: string[] = [];
  const watching = (async () => {
    for await (const event of connection.status()) {
      if (event.type === "error" && event.error instanceof PermissionViolationError) {
        refused.push(`${event.error.operation} ${event.error.subject}`);
      }
    }
  })();
  async function dispose(): Promise<void> {
    await connection.close();
    await watching;
  }
  return { connection, refused, [Symbol.asyncDispose]: dispose };
}

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-nats-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

/** A process that has ended and was not yet collected by its parent does not count. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!condition()) {
    expect(performance.now()).toBeLessThan(deadline);
    await delay(10);
  }
}

export async function within<T>(promise: Promise<T>): Promise<T> {
  const late = new AbortController();
  const deadline = delay(deadlineMs, undefined, { signal: late.signal }).then((): never => {
    throw new Error(`waited ${deadlineMs} ms in vain`);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    late.abort();
    await deadline.catch(() => undefined);
  }
}
