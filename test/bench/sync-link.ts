import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { startTestNats, type TestNats } from "../real-nats.ts";
import {
  type SyncEndConfig,
  type SyncEndCounts,
  type SyncEndProtocol,
  type SyncProcessConfig,
} from "./sync-end-protocol.ts";
import { SYNC_WORKLOAD } from "./sync-workload.ts";

const PROCESS = fileURLToPath(new URL("./sync-process.ts", import.meta.url));
const WRITER = "writer";
const FOLLOWER = "follower";
const END_MS_MAX = 10_000;

const answerSchema = z.object({ id: z.number(), reply: z.unknown(), error: z.string().optional() });
const processSchema = z.object({
  cpuMs: z.number(),
  rssBytes: z.number(),
  links: z.array(z.object({ peer: z.string(), bytesIn: z.number(), bytesOut: z.number() })),
});
const connectionsSchema = z.object({
  connections: z.array(z.object({ name: z.string().optional(), in_bytes: z.number(), out_bytes: z.number() })),
});

/** What has happened up to a moment; the difference of two is what a phase cost. */
export interface LinkCounts {
  readonly atMs: number;
  /** Of the whole process: state machines, threads, NATS client, collecting garbage. */
  readonly writerCpuMs: number;
  readonly followerCpuMs: number;
  readonly writer: SyncEndCounts;
  readonly follower: SyncEndCounts;
  /** By the writer's nats-server: to and from the follower's connection, payloads and headers. */
  readonly serverToFollowerBytes: number;
  readonly serverFromFollowerBytes: number;
}

/** What two ends are started with, as far as it differs from `SYNC_LINK`. */
export type SyncLinkOptions = Partial<Omit<SyncEndConfig, "region" | "peer">>;

/** Sixteen floats a row: 64 bytes. */
export const SYNC_TABLE: TableSpec = {
  name: "rows",
  dim: SYNC_WORKLOAD.valueBytes / 4,
  valueBytes: SYNC_WORKLOAD.valueBytes,
  stateBytes: 0,
  precision: "f32",
  optimizer: "",
};

/** Ends that begin empty and whose answers keep no distance. */
const SYNC_LINK: Omit<SyncEndConfig, "region" | "peer"> = {
  table: SYNC_TABLE,
  workload: SYNC_WORKLOAD,
  order: "zipf",
  keyStride: 1,
  rows: 0,
  idleShards: 0,
  pollWaitMs: 5_000,
  gapMs: 0,
};

/** One end's process. */
export class SyncEnd implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (reply: unknown) => void; reject: (error: Error) => void }>();
  readonly #ended: Promise<void>;
  #asked = 0;

  private constructor(config: SyncProcessConfig) {
    // A group of its own: Ctrl-C goes to the bench, which ends it in order.
    this.#child = spawn(process.execPath, [PROCESS, JSON.stringify(config)], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      detached: true,
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        for (const { reject } of this.#waiting.values()) {
          reject(new Error(`The process of the ${config.end.region} ended (${code ?? signal})`));
        }
        resolve();
      });
    });
    this.#child.on("message", (message) => {
      const { id, reply, error } = answerSchema.parse(message);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(reply);
      else waiting?.reject(new Error(error));
    });
  }

  /** Resolves when its threads run and its links are connected. */
  static async start(config: SyncProcessConfig): Promise<SyncEnd> {
    const end = new SyncEnd(config);
    try {
      await new Promise((resolve, reject) => end.#waiting.set(0, { resolve, reject }));
      await end.#ask("connected", undefined);
      return end;
    } catch (error) {
      await end[Symbol.asyncDispose]();
      throw error;
    }
  }

  async ask<K extends keyof SyncEndProtocol>(
    message: K,
    body: SyncEndProtocol[K]["request"],
  ): Promise<SyncEndProtocol[K]["reply"]> {
    // What the actor answers with has crossed two channels of our own as plain data.
    // oxlint-disable-next-line typescript/consistent-type-assertions
    return (await this.#ask(message, body)) as SyncEndProtocol[K]["reply"];
  }

  async process(): Promise<z.infer<typeof processSchema>> {
    return processSchema.parse(await this.#ask("process", undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), END_MS_MAX);
    await this.#ended;
    clearTimeout(kill);
  }

  #ask(message: string, body: unknown): Promise<unknown> {
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, message, body }, (error) => {
        if (error !== null) reject(error);
      });
    });
  }
}

/** Two ends, each a process, and between them a real nats-server on loopback: the writer's. */
export class SyncLink implements AsyncDisposable {
  readonly writer: SyncEnd;
  readonly follower: SyncEnd;
  readonly #nats: TestNats;
  readonly #stack: AsyncDisposableStack;

  private constructor(parts: { writer: SyncEnd; follower: SyncEnd; nats: TestNats; stack: AsyncDisposableStack }) {
    this.writer = parts.writer;
    this.follower = parts.follower;
    this.#nats = parts.nats;
    this.#stack = parts.stack;
  }

  /** Starts both; a signal that aborts later ends them, and whoever waits for them gets an error. */
  static async start(options: SyncLinkOptions, signal: AbortSignal): Promise<SyncLink> {
    const config = { ...SYNC_LINK, ...options };
    await using stack = new AsyncDisposableStack();
    const nats = stack.use(await startTestNats({ name: WRITER, jetStream: false, monitoring: true }));
    const followersNats = stack.use(await startTestNats({ name: FOLLOWER, jetStream: false }));
    const writer = stack.use(
      await SyncEnd.start({
        end: { ...config, region: WRITER, peer: undefined },
        link: { region: WRITER, node: "a", own: { url: nats.url }, peers: [] },
      }),
    );
    const follower = stack.use(
      await SyncEnd.start({
        end: { ...config, region: FOLLOWER, peer: `${WRITER}/a` },
        link: {
          region: FOLLOWER,
          node: "a",
          own: { url: followersNats.url },
          peers: [{ region: WRITER, url: nats.url }],
        },
      }),
    );
    const link = new SyncLink({ writer, follower, nats, stack: stack.move() });
    signal.addEventListener("abort", () => void link[Symbol.asyncDispose](), { once: true });
    return link;
  }

  async counts(): Promise<LinkCounts> {
    const [writer, follower, writerProcess, followerProcess] = await Promise.all([
      this.writer.ask("counts", {}),
      this.follower.ask("counts", {}),
      this.writer.process(),
      this.follower.process(),
    ]);
    const response = await fetch(`${this.#nats.monitoringUrl ?? ""}/connz`);
    const { connections } = connectionsSchema.parse(await response.json());
    const link = connections.find(({ name }) => name?.includes(FOLLOWER));
    return {
      atMs: performance.now(),
      writerCpuMs: writerProcess.cpuMs,
      followerCpuMs: followerProcess.cpuMs,
      writer,
      follower,
      serverToFollowerBytes: link?.out_bytes ?? 0,
      serverFromFollowerBytes: link?.in_bytes ?? 0,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
