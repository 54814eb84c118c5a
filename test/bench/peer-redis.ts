import { spawn } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { steadyPorts } from "../free-ports.ts";
import { AWAY_UPDATES, keyText, LIVE_UPDATES, type PeerAbsent, type PeerCost } from "./peer-work.ts";
import { createWorkload, SYNC_WORKLOAD } from "./sync-workload.ts";

const BATCH = 1_000;
const READY_MS_MAX = 10_000;
const SYNC_MS_MAX = 120_000;

/** The work done by Redis: a server that is written to, and its replica, which is cut off until the backlog does not reach back. */
export async function measureRedis({
  folder,
  signal,
}: {
  readonly folder: string | undefined;
  readonly signal: AbortSignal;
}): Promise<PeerCost | PeerAbsent> {
  const binary = findRedis(folder);
  if (binary === undefined) {
    const why =
      "install redis-server; or, without root, in a folder named with --peers: apt-get download redis-server redis-tools " +
      "libjemalloc2 liblua5.1-0 liblzf1, and dpkg-deb -x each into its subfolder redis";
    return { peer: "redis", why };
  }
  await using stack = new AsyncDisposableStack();
  const state = await mkdtemp(join(tmpdir(), "freshet-redis-"));
  stack.defer(() => rm(state, { recursive: true, force: true, maxRetries: 3 }));
  const [port = 0, replicaPort = 0] = await steadyPorts(2);
  const primary = stack.use(await RedisServer.start(binary, { port, state, options: [], signal }));
  const options = ["--replicaof", "127.0.0.1", String(port)];
  const replica = stack.use(await RedisServer.start(binary, { port: replicaPort, state, options, signal }));
  const workload = createWorkload(SYNC_WORKLOAD);
  let loaded = 0;
  await write(primary, SYNC_WORKLOAD.keys, { nextKey: () => loaded++, nextValue: workload.nextValue });
  await synchronised(primary, replica, signal);

  const before = await cost(primary, replica);
  await write(primary, LIVE_UPDATES, workload);
  await synchronised(primary, replica, signal);
  const live = await cost(primary, replica);

  replica.signal("SIGSTOP");
  await primary.ask("CLIENT", "KILL", "TYPE", "replica");
  await write(primary, AWAY_UPDATES, workload);
  const sentBefore = await sentBytes(primary);
  replica.signal("SIGCONT");
  await synchronised(primary, replica, signal);
  return {
    peer: "redis",
    liveBytes: live.bytes - before.bytes,
    writerS: live.writerS - before.writerS,
    replicaS: live.replicaS - before.replicaS,
    catchUpBytes: (await sentBytes(primary)) - sentBefore,
    isEqual: (await primary.ask("DEBUG", "DIGEST")) === (await replica.ask("DEBUG", "DIGEST")),
  };
}

interface RedisBinary {
  readonly path: string;
  readonly libraries: string | undefined;
}

function findRedis(folder: string | undefined): RedisBinary | undefined {
  if (folder !== undefined) {
    const path = join(folder, "redis/usr/bin/redis-server");
    const [libraries] = globSync(join(folder, "redis/usr/lib/*-linux-gnu"));
    if (existsSync(path)) return { path, libraries };
  }
  const path = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((bin) => join(bin, "redis-server"))
    .find((file) => existsSync(file));
  return path === undefined ? undefined : { path, libraries: undefined };
}

/** Sets, pipelined. */
async function write(
  server: RedisServer,
  updates: number,
  stream: { readonly nextKey: () => number; readonly nextValue: () => Uint8Array },
): Promise<void> {
  for (let left = updates; left > 0; left -= BATCH) {
    const count = Math.min(BATCH, left);
    const commands: Uint8Array[] = [];
    for (let at = 0; at < count; at += 1) {
      const key = keyText(stream.nextKey());
      const value = stream.nextValue().slice();
      commands.push(Buffer.from(`*3\r\n$3\r\nSET\r\n$6\r\n${key}\r\n$${value.length}\r\n`), value, CRLF);
    }
    await server.send(Buffer.concat(commands), count);
  }
}

const CRLF = Buffer.from("\r\n");

async function synchronised(primary: RedisServer, replica: RedisServer, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + SYNC_MS_MAX;
  const wanted = field(await primary.ask("INFO", "replication"), "master_repl_offset");
  for (;;) {
    const info = await replica.ask("INFO", "replication");
    if (info.includes("master_link_status:up") && field(info, "slave_repl_offset") >= wanted) return;
    if (performance.now() > deadline) throw new Error("Redis' replica did not catch up");
    await delay(20, undefined, { signal });
  }
}

async function cost(primary: RedisServer, replica: RedisServer) {
  const { user, system } = process.cpuUsage();
  return {
    bytes: await sentBytes(primary),
    writerS: cpuOf(await primary.ask("INFO", "cpu")) + (user + system) / 1e6,
    replicaS: cpuOf(await replica.ask("INFO", "cpu")),
  };
}

async function sentBytes(primary: RedisServer): Promise<number> {
  return field(await primary.ask("INFO", "stats"), "total_net_repl_output_bytes");
}

function cpuOf(info: string): number {
  const names = ["used_cpu_sys", "used_cpu_user", "used_cpu_sys_children", "used_cpu_user_children"];
  return names.reduce((sum, name) => sum + field(info, name), 0);
}

function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]);
}

/** A redis-server on a port of loopback, and a connection to it. */
class RedisServer implements AsyncDisposable {
  readonly #child: ReturnType<typeof spawn>;
  readonly #ended: Promise<void>;
  readonly #waiting: ((reply: string) => void)[] = [];
  #socket: Socket | undefined;
  #held: Buffer = Buffer.alloc(0);

  private constructor(child: ReturnType<typeof spawn>) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once("exit", () => resolve()));
    child.on("error", () => undefined);
  }

  static async start(
    { path, libraries }: RedisBinary,
    options: {
      readonly port: number;
      readonly state: string;
      readonly options: readonly string[];
      readonly signal: AbortSignal;
    },
  ): Promise<RedisServer> {
    const { port, state, signal } = options;
    const plain = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--repl-backlog-size", "1mb"];
    const replicating = ["--repl-diskless-sync-delay", "0", "--client-output-buffer-limit", "replica 0 0 0"];
    const files = ["--dir", state, "--dbfilename", `${port}.rdb`, "--enable-debug-command", "yes"];
    const child = spawn(path, ["--port", String(port), ...plain, ...replicating, ...files, ...options.options], {
      stdio: "ignore",
      detached: true,
      env: { ...process.env, ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries }) },
    });
    const server = new RedisServer(child);
    signal.addEventListener("abort", () => void server[Symbol.asyncDispose](), { once: true });
    try {
      await server.#connect(port, signal);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  ask(...words: readonly string[]): Promise<string> {
    const command = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
    return this.send(Buffer.from(`*${words.length}\r\n${command}`), 1);
  }

  /** Sends commands; fulfilled with the last of their so many replies. */
  send(commands: Uint8Array, replies: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = this.#socket;
      if (socket === undefined || socket.destroyed) {
        reject(new Error("The connection to redis-server is closed"));
        return;
      }
      for (let reply = 1; reply < replies; reply += 1) this.#waiting.push(() => undefined);
      this.#waiting.push(resolve);
      socket.once("close", () => reject(new Error("redis-server closed the connection")));
      socket.write(commands);
    });
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.destroy();
    this.#child.kill("SIGKILL");
    if (this.#child.pid !== undefined) await this.#ended;
  }

  async #connect(port: number, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + READY_MS_MAX;
    while (this.#socket === undefined) {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      const connected = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true));
        socket.once("error", () => resolve(false));
      });
      if (connected) this.#socket = socket;
      else if (performance.now() > deadline) throw new Error("redis-server does not start");
      else await delay(50, undefined, { signal });
    }
    this.#socket.setMaxListeners(0);
    this.#socket.on("error", () => undefined);
    this.#socket.on("data", (data) => this.#receive(Buffer.from(data)));
  }

  #receive(data: Buffer): void {
    this.#held = this.#held.length === 0 ? data : Buffer.concat([this.#held, data]);
    let from = 0;
    for (let end = this.#held.indexOf(CRLF); end >= 0; end = this.#held.indexOf(CRLF, from)) {
      const line = this.#held.toString("latin1", from, end);
      let after = end + 2;
      let reply = line.slice(1);
      if (line.startsWith("$")) {
        const bytes = Number(reply);
        if (this.#held.length < after + bytes + 2) break;
        reply = this.#held.toString("latin1", after, after + bytes);
        after += bytes + 2;
      }
      from = after;
      this.#waiting.shift()?.(reply);
    }
    this.#held = this.#held.subarray(from);
  }
}
