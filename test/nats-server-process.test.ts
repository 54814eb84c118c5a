import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, PermissionViolationError, type NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { InvalidNatsConfig, UnprotectedListen } from "../runtime/nats-server/config-check.ts";
import { type NatsServerConfig } from "../runtime/nats-server/config.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import { NatsServerProcess, type NatsServerOptions } from "../runtime/nats-server/server.ts";
import { NatsConfigRefused, NatsPortInUse, NatsServerCrashed, NatsServerOwned, NatsStoreUnusable } from "../runtime/nats-server/start-errors.ts";
import { startTestNats } from "./real-nats.ts";

const deadlineMs = 20_000;

test("a server ended by SIGKILL is started again on the same port and has what JetStream acknowledged", async () => {
  const restarted = Promise.withResolvers<void>();
  const whys: Error[] = [];
  await using nats = await startTestNats({ callbacks: { onRestart: ({ why }) => whys.push(why), onReady: () => restarted.resolve() } });
  const [before, port] = [nats.server.pid ?? 0, nats.port];
  await using first = await open(nats.url);
  await (await jetstreamManager(first.connection)).streams.add({ name: "KEPT", subjects: ["kept"] });
  for (let index = 0; index < 20; index += 1) {
    await jetstream(first.connection).publish("kept", `message ${index}`);
  }
  process.kill(before, "SIGKILL");
  await within(restarted.promise);
  expect(nats.server).toMatchObject({ state: "running", restarts: 1, port });
  expect(nats.server.pid).not.toBe(before);
  expect(whys).toMatchObject([{ name: "NatsServerCrashed", exit: { signal: "SIGKILL" } }]);
  await using second = await open(nats.url);
  const info = await (await jetstreamManager(second.connection)).streams.info("KEPT");
  expect(info.state.messages).toBe(20);
});

test("a server that cannot be started again uses up its budget, then stays down and says so", async () => {
  const failed = Promise.withResolvers<Error>();
  let attempts = 0;
  await using thief = createServer();
  await using nats = await startTestNats({
    callbacks: {
      restart: { attemptsMax: 3, delayMs: 20 },
      onRestart: () => {
        attempts += 1;
        if (attempts === 1) {
          thief.listen(nats.port, "127.0.0.1");
        }
      },
      onFailed: (why) => failed.resolve(why),
    },
  });
  process.kill(nats.server.pid ?? 0, "SIGKILL");
  expect(await within(failed.promise)).toBeInstanceOf(NatsPortInUse);
  expect(attempts).toBe(3);
  expect(nats.server).toMatchObject({ state: "ended", pid: undefined });
});

test("start() names what keeps the server from starting, and leaves no process", async () => {
  await using folder = await temporaryFolder();
  await using taken = createServer();
  taken.listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await writeFile(join(folder.path, "a-file"), "");
  const jetStream = { storeFolder: join(folder.path, "a-file", "store"), domain: "d" };
  const absent = join(folder.path, "absent.pem");

  await expect(start(folder.path, { listen: { host: "127.0.0.1", port } })).rejects.toMatchObject({ name: "NatsPortInUse", address: `127.0.0.1:${port}` });
  await expect(start(folder.path, { monitoringPort: port })).rejects.toBeInstanceOf(NatsPortInUse);
  await expect(start(folder.path, { jetStream })).rejects.toMatchObject({ name: "NatsStoreUnusable", storeFolder: jetStream.storeFolder });
  await expect(start(folder.path, { jetStream: { ...jetStream, storeFolder: join(folder.path, "a-file") } })).rejects.toBeInstanceOf(NatsStoreUnusable);
  await expect(start(folder.path, { tls: { cert: absent, key: absent } })).rejects.toBeInstanceOf(NatsConfigRefused);
  await expect(start(folder.path, { listen: { host: "192.0.2.1", port: 4222 }, tls: { cert: absent, key: absent }, users: [{ user: "a", password: "b", permissions: "all" }] })).rejects.toBeInstanceOf(NatsConfigRefused);
  await expect(start(folder.path, { name: "two words" })).rejects.toBeInstanceOf(InvalidNatsConfig);
  await expect(start(folder.path, { listen: { host: "0.0.0.0", port: "random" } })).rejects.toBeInstanceOf(UnprotectedListen);

  const script = join(folder.path, "crashes");
  await writeFile(script, "#!/bin/sh\necho last words >&2\nexit 3\n", { mode: 0o755 });
  const binary = { ...(await ensureNatsServer()), path: script };
  await expect(start(folder.path, {}, { binary })).rejects.toMatchObject({ name: "NatsServerCrashed", exit: { exitCode: 3, lastLines: ["last words"] } });
  await expect(start(folder.path, {}, { binary })).rejects.toThrow(/last words/);
  await expect(start(folder.path, {}, { binary: { ...binary, path: join(folder.path, "nowhere") } })).rejects.toBeInstanceOf(NatsServerCrashed);
  await expect(start(folder.path, {}, { signal: AbortSignal.abort(new Error("given up")) })).rejects.toThrow("given up");
  expect(await processesNaming(folder.path)).toEqual([]);
});

test.skipIf(process.platform === "win32")("a server whose owner was killed is ended and replaced by the next start", async () => {
  await using folder = await temporaryFolder();
  const orphan = await orphanedServer(folder.path, { dieWithParent: false });
  expect(isAlive(orphan.pid)).toBe(true);
  const warnings: string[] = [];
  await using server = await start(folder.path, { listen: { host: "127.0.0.1", port: orphan.port } }, { onWarning: (line) => warnings.push(line) });
  // It has ended; until its new parent collects it, its process id stays.
  await until(() => !isAlive(orphan.pid));
  expect(server.port).toBe(orphan.port);
  expect(warnings).toEqual([expect.stringContaining(String(orphan.pid))]);
  await using client = await open(server.url);
  expect(client.connection.info?.server_name).toBe("n");
});

test.skipIf(process.platform !== "linux")("a server ends by itself when its owner is killed", async () => {
  await using folder = await temporaryFolder();
  const orphan = await orphanedServer(folder.path, { dieWithParent: true });
  await until(() => !isAlive(orphan.pid));
});

test.skipIf(process.platform === "win32")("a folder whose server has a living owner is refused, and a reused process id is left alone", async () => {
  await using folder = await temporaryFolder();
  {
    await using first = await start(folder.path, {});
    await expect(start(folder.path, {})).rejects.toBeInstanceOf(NatsServerOwned);
    expect(first.state).toBe("running");
  }
  // The pid file now names a process that is no server of ours: this one.
  await writeFile(join(folder.path, "nats-server.pid"), String(process.pid));
  await using second = await start(folder.path, {});
  expect(second.state).toBe("running");
});

test("stop() ends the process, twice does no harm, and random ports are told", async () => {
  await using nats = await startTestNats({ monitoring: true });
  const pid = nats.server.pid ?? 0;
  const response = await fetch(`${nats.monitoringUrl}/varz`);
  expect(await response.json()).toMatchObject({ server_name: "test", port: nats.port });
  await Promise.all([nats.server.stop(), nats.server.stop()]);
  expect(isAlive(pid)).toBe(false);
  expect(nats.server.state).toBe("ended");
  expect(nats.server.lastLines.at(-1)).toContain("Server Exiting");
});

test("users may do what their permissions say and nothing else", async () => {
  const password = "s\"e}c'r\\e t$HOME#\nline";
  await using nats = await startTestNats({
    jetStream: false,
    users: [
      { user: "writer", password, permissions: { publish: { allow: ["in.>"], deny: ["in.secret"] }, subscribe: { allow: ["_INBOX_w.>"] } } },
      { user: "reader }", password: "two", permissions: { publish: { allow: [] }, subscribe: { allow: ["in.>"] }, allowResponses: true } },
      { user: "nobody", password: "three", permissions: {} },
      { user: "root", password: "four", permissions: "all" },
    ],
  });
  await expect(connect({ servers: nats.url })).rejects.toThrow(/authorization/i);
  await expect(connect({ servers: nats.url, user: "root", pass: "wrong" })).rejects.toThrow(/authorization/i);
  await using writer = await open(nats.url, "writer", password);
  await using reader = await open(nats.url, "reader }", "two");
  await using nobody = await open(nats.url, "nobody", "three");
  await using root = await open(nats.url, "root", "four");

  const subscription = reader.connection.subscribe("in.a", { max: 1, callback: (_error, message) => void message.respond("answer") });
  await reader.connection.flush();
  writer.connection.publish("in.a", "hello", { reply: "_INBOX_w.1" });
  await within(subscription.closed);
  expect(subscription.getProcessed()).toBe(1);
  expect(await refusals(writer)).toEqual([]);

  writer.connection.publish("out.a");
  writer.connection.publish("in.secret");
  writer.connection.publish("$JS.API.INFO");
  expect(await refusals(writer)).toEqual(["publish out.a", "publish in.secret", "publish $JS.API.INFO"]);
  reader.connection.publish("in.a");
  reader.connection.subscribe("out.a", { callback: () => undefined });
  expect(await refusals(reader)).toEqual(["publish in.a", "subscription out.a"]);
  nobody.connection.publish("x");
  nobody.connection.subscribe("x", { callback: () => undefined });
  expect(await refusals(nobody)).toEqual(["publish x", "subscription x"]);
  root.connection.publish("anything");
  expect(await refusals(root)).toEqual([]);
});

test("the configuration file is readable by its owner alone, and no log line has a password", async () => {
  await using folder = await temporaryFolder();
  const lines: string[] = [];
  const users = [{ user: "u", password: "very-secret-word", permissions: "all" as const }];
  await using server = await start(folder.path, { users }, { onLog: (line) => lines.push(line) });
  const file = join(folder.path, "nats-server.conf");
  expect(await readFile(file, "utf8")).toContain("very-secret-word");
  if (process.platform !== "win32") {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  }
  await expect(connect({ servers: server.url, user: "u", pass: "very-secret-wrong" })).rejects.toThrow(/authorization/i);
  await until(() => lines.some((line) => line.includes("authentication error")));
  expect(lines.join("\n")).not.toContain("very-secret-w");
});

test("a version with known holes is warned of beyond loopback only", async () => {
  await using folder = await temporaryFolder();
  const version = { major: 2, minor: 9, patch: 10, prerelease: false, text: "2.9.10" };
  const binary = { ...(await ensureNatsServer()), version };
  const warnings: string[] = [];
  const onWarning = (line: string): number => warnings.push(line);
  await using server = await start(folder.path, {}, { binary, onWarning });
  expect(server.state).toBe("running");
  expect(warnings).toEqual([]);
  await server.stop();
  const absent = join(folder.path, "absent.pem");
  const open = { listen: { host: "0.0.0.0", port: "random" as const }, tls: { cert: absent, key: absent }, users: [{ user: "a", password: "b", permissions: "all" as const }] };
  await expect(start(folder.path, open, { binary, onWarning })).rejects.toBeInstanceOf(NatsConfigRefused);
  expect(warnings).toEqual([expect.stringMatching(/2\.9\.10.*2\.14\.0/)]);
});

async function start(folder: string, config: Partial<NatsServerConfig>, options: Partial<NatsServerOptions> = {}): Promise<NatsServerProcess> {
  const whole = { name: "n", listen: { host: "127.0.0.1", port: "random" }, ...config } as const;
  return NatsServerProcess.start({ binary: await ensureNatsServer(), folder, stopGraceMs: 3000, config: whole, ...options });
}

interface Client extends AsyncDisposable {
  readonly connection: NatsConnection;
  readonly refused: string[];
}

async function open(url: string, user?: string, pass?: string): Promise<Client> {
  const connection = await connect({ servers: url, reconnect: false, ...(user === undefined ? {} : { user }), ...(pass === undefined ? {} : { pass }) });
  const refused: string[] = [];
  const watching = (async () => {
    for await (const event of connection.status()) {
      if (event.type === "error" && event.error instanceof PermissionViolationError) {
        refused.push(`${event.error.operation} ${event.error.subject}`);
      }
    }
  })();
  const dispose = async (): Promise<void> => {
    await connection.close();
    await watching;
  };
  return { connection, refused, [Symbol.asyncDispose]: dispose };
}

/** What the server has refused this client since the last time. The answer to a ping comes after all refusals before it. */
async function refusals({ connection, refused }: Client): Promise<string[]> {
  await connection.flush();
  await delay(0);
  return refused.splice(0);
}

/** Starts a server from a process that is then killed. */
async function orphanedServer(folder: string, options: { dieWithParent: boolean }): Promise<{ pid: number; port: number }> {
  const owner = spawn(process.execPath, [fileURLToPath(new URL("nats-server-owner.ts", import.meta.url)), folder, String(options.dieWithParent)], { stdio: ["ignore", "pipe", "inherit"] });
  const [line]: unknown[] = await within(once(owner.stdout, "data"));
  const [pid = 0, port = 0] = String(line).trim().split(" ").map(Number);
  owner.kill("SIGKILL");
  await once(owner, "exit");
  return { pid, port };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function processesNaming(folder: string): Promise<string[]> {
  if (process.platform !== "linux") {
    return [];
  }
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line.includes(folder));
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-nats-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!condition()) {
    expect(performance.now()).toBeLessThan(deadline);
    await delay(10);
  }
}

async function within<T>(promise: Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(deadlineMs);
  return Promise.race([promise, once(late, "abort").then(() => Promise.reject(late.reason))]);
}
